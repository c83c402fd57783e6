"""What lies in the folder of a trainer's run, by name. training/job.py writes it, an erasure cleans it."""

JOB = "job.json"
"""What it was told to train, and on which dataset."""
LOCK = "lock"
"""Held by a trainer at work."""
CHECKPOINTS = "checkpoints"
ADAPTER = "adapter"
PARTIAL = f"{ADAPTER}.partial"
"""The adapter until all its files are there."""

WEIGHTS = (CHECKPOINTS, ADAPTER, PARTIAL)
"""Folders of what was learned."""
