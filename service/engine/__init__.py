"""How vLLM is started: its flags, the embedded base model, and the CPU operators it needs mended."""
