"""The doors: customers, agents, operators and vLLM. No torch outside `service/engine`."""
