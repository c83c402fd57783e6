"""The sample company, and the demo that plays it."""
