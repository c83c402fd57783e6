"""STAR's corrections, which several benchmarks learn from and ask about."""

import hashlib
import json
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[2] / "shared" / "data"
TRAIN = DATA / "star_corrections_train.jsonl"
HELD_OUT = DATA / "star_corrections_heldout.jsonl"
PROMPT = "You are a customer service agent. Answer in one short sentence."


def rows(path: Path) -> list[dict[str, Any]]:
    """A file's rows, in its order."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def by_hash(path: Path) -> list[dict[str, Any]]:
    """The same in an order that has nothing to do with their talks."""
    return sorted(rows(path), key=lambda row: hashlib.sha256(row["id"].encode()).hexdigest())


def must_be_here() -> None:
    """End a benchmark that would measure nothing."""
    if not TRAIN.exists():
        raise SystemExit(f"{TRAIN.name} is not here; nothing was measured.")
