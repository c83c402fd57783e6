"""A search's folder: what it searches, its study, its trials' runs, and the report that a person adopts from.

No optuna here, so that a recipe is adopted also where it is not installed.
"""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from feedback.errors import Conflict, Invalid
from training.in_force import overridden
from training.job import read_json, write_json
from training.settings import StageName, TrainingSettings

SPEC = "search.json"
STUDY = "study.jsonl"
SPENT = "spent.json"
TRIALS = "trials"
REPORT = "report.json"
PAGE = "report.html"
LOCK = "lock"
SPENT_EVERY_SECONDS = 2.0


class Span(BaseModel):
    """Numbers from `low` to `high`, explored by their logarithm."""

    model_config = ConfigDict(extra="forbid")

    low: float
    high: float


Space = dict[str, Span | list[Any]]
"""What is explored, by the name in a recipe: a span, or the values to choose among."""


class Spec(BaseModel):
    """Everything a search rests on, written once: half a search has one subject."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    assistant: str
    base_model: str
    settings: dict[str, Any]
    """Of training, as they were."""
    recipe: dict[str, Any]
    """What the assistant had for itself: the first trial."""
    stages: list[StageName]
    datasets: dict[StageName, str]
    rows: dict[StageName, int]
    """Rows that teach."""
    validation_rows: int
    """Answers of the SFT dataset that all trials are measured on."""
    start: str | None
    """The live adapter that training goes on from; None: the base model."""
    label_noise: float | None
    space: Space

    @property
    def present(self) -> TrainingSettings:
        """What the assistant is trained with now."""
        return self.with_recipe(self.recipe)

    def with_recipe(self, recipe: dict[str, Any]) -> TrainingSettings:
        """What it would be trained with."""
        return overridden(TrainingSettings(**self.settings), recipe)


def write_spec(folder: Path, spec: Spec) -> None:
    """Open a search's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / SPEC, spec.model_dump(mode="json"))


def read_spec(folder: Path) -> Spec | None:
    """What a folder searches; None: nothing was begun there."""
    found = read_json(folder / SPEC)
    return None if found is None else Spec(**found)


def unfinished(runs_dir: Path, assistant: str) -> Path | None:
    """The newest search of the assistant that has not ended, to be gone on with."""
    for folder in sorted(
        runs_dir.glob("search-*"), reverse=True
    ):  # their names begin with the time
        try:
            spec = read_spec(folder)
        except ValidationError:  # of another version
            continue
        is_done = (read_json(folder / REPORT) or {}).get("finished", False)
        if spec is not None and spec.assistant == assistant and not is_done:
            return folder
    return None


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Two searches in one folder would train over each other."""
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(
                f"Another search is at work in {folder.name!r}; wait for it, or name another --out."
            ) from None
        yield


class Clock:
    """The time a search has spent, over all its processes; at most the last two seconds get lost."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / SPENT
        self._before = float((read_json(self._path) or {}).get("seconds", 0.0))
        self._started = self._written = time.monotonic()

    @property
    def spent(self) -> float:
        """Seconds so far."""
        return self._before + time.monotonic() - self._started

    def tick(self) -> None:
        """Keep it on disk, now and then."""
        if time.monotonic() - self._written > SPENT_EVERY_SECONDS:
            self.write()

    def write(self) -> None:
        """Keep it on disk."""
        self._written = time.monotonic()
        write_json(self._path, {"seconds": round(self.spent, 1)})


def winner(folder: Path, assistant: str) -> dict[str, Any]:
    """The recipe a finished search recommends for this assistant, as a recipe is stored; else Invalid."""
    report = read_json(folder / REPORT)
    if report is None:
        raise Invalid(
            f"The folder {folder.name!r} holds no search's report; `understudy training search` makes one."
        )
    if report["assistant"] != assistant:
        raise Invalid(
            f"Found a search for {report['assistant']!r}, expected one for {assistant!r}. Search for it, or "
            "set the values by hand."
        )
    if report["winner"] is None:
        raise Invalid(
            "No trial of that search came to its end, so there is no winner. Give it more --minutes."
        )
    return dict(report["winner"]["recipe"])
