"""What a gateway costs: straight to the engine, a bare proxy, Understudy by both doors, LiteLLM."""
