"""The consoles of agents, operators and admins: server-made pages, htmx for what moves."""
