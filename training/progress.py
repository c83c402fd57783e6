"""How far a trainer is, as lines in `progress.jsonl`. The trainer writes, the supervisor follows."""

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

CURVE_POINTS = 400
"""A loss curve has at most so many; a chart shows no more."""


@dataclass(frozen=True)
class Progress:
    """The newest word from a trainer. `phase`: starting, loading, training, saving or probing."""

    phase: str
    step: int
    total: int | None
    loss: float | None
    tokens_per_second: float | None
    eta_seconds: float | None
    pid: int
    log_path: Path
    margin: float | None = None
    """DPO and KTO: how much more the better answers gained than the worse ones."""
    memory_bytes: int | None = None
    """The most the trainer has held at once: on a GPU its memory, else the process's."""

    @property
    def figures(self) -> dict[str, float]:
        """What is known of it beside step and loss."""
        told = {
            "tokens_per_second": self.tokens_per_second,
            "margin": self.margin,
            "memory_bytes": self.memory_bytes,
        }
        return {name: value for name, value in told.items() if value is not None}


def last_phase(path: Path) -> str:
    """What a trainer was doing last."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return str(json.loads(lines[-1])["phase"]) if lines else "starting"


class ProgressWriter:
    """Appends one line per optimizer step and per phase, each flushed, so that silence means a hang."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")
        if self._file.tell() and not path.read_bytes().endswith(b"\n"):
            self._file.write("\n")  # a predecessor was killed in the middle of a line

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, phase: str, **values: Any) -> None:
        """Append a line."""
        self._file.write(
            json.dumps({"time": round(time.time(), 3), "phase": phase, **values}) + "\n"
        )
        self._file.flush()


class ProgressReader:
    """Follows a file from where it ends now, or from its start."""

    def __init__(self, path: Path, from_start: bool = False) -> None:
        self._path = path
        self._offset = path.stat().st_size if path.exists() and not from_start else 0

    def lines(self) -> Iterator[dict[str, Any]]:
        """The complete lines that came since the last call. Half a line waits for its other half."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._offset += len(line)
                try:
                    yield dict(json.loads(line))
                except ValueError:  # cut off by a kill
                    continue


CURVES = {"loss": "loss", "rewards/margins": "margins", "eval_loss": "validation"}
"""What of a line is drawn, and what it is called there."""


class Curves:
    """Figures by step as a chart wants them, read from `progress.jsonl`; survives restarts of both sides."""

    def __init__(self, path: Path) -> None:
        self._lines = ProgressReader(path, from_start=True)
        self._values: dict[str, dict[int, float]] = {name: {} for name in CURVES.values()}

    def read(self) -> dict[str, list[list[float]]]:
        """[step, value] so far, by name. A step done again after a restart counts once."""
        for line in self._lines.lines():
            for key, name in CURVES.items():
                value = line.get(key)
                if isinstance(value, int | float) and math.isfinite(value):
                    self._values[name][line["step"]] = value
        return {
            name: thinned([[step, value] for step, value in sorted(values.items())])
            for name, values in self._values.items()
            if values
        }


def thinned(points: list[list[float]], most: int = CURVE_POINTS) -> list[list[float]]:
    """At most so many of the points, evenly, the first and the last among them."""
    if len(points) <= most:
        return points
    stride = (len(points) - 1) / (most - 1)
    return [points[round(number * stride)] for number in range(most)]
