"""A merge's contract: one folder in, one folder out. No torch and no database.

exporting.py writes `merge.json` and starts `python -m training.merging FOLDER`. That prints a line per step,
and leaves `checkpoint/` or one GGUF file, and `merged.json` with what was checked; or `error.json` with the
reason why not.
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

ORDER = "merge.json"
REPORT = "merged.json"
ERROR = "error.json"
CHECKPOINT = "checkpoint"

Precision = Literal["float32", "float16", "bfloat16"]

MAY_DIFFER: dict[Precision, float] = {"float32": 1e-2, "float16": 0.25, "bfloat16": 2.0}
"""How far a logit may be from base and adapter, unmerged and in float32. Logits reach 30 or so, and a weight
is kept to 24, 11 or 8 bits; an adapter that was not merged, or merged twice, moves them by far more, and
the greedy answers must be the same besides."""


class Order(BaseModel):
    """What is to be merged, how it is kept, and what it is asked before and after."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_model: str
    """Path or hub id, as the trainer had it."""
    adapter: Path
    name: str
    prompts: list[list[dict[str, str]]]
    tokens: int
    """Of each greedy answer, at most."""
    precision: Precision | None = None
    """None: that of the base model's own weights."""
    gguf: str | None = None
    """The GGUF file's name; None: a checkpoint."""


class Report(BaseModel):
    """What was checked, all of it in order: else there would be an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    precision: Precision
    questions: int
    merged_difference: float
    """Most of any logit, merged against base and adapter."""
    gguf_difference: float | None = None
    """The same of the GGUF file, loaded again."""

    @property
    def sentences(self) -> list[str]:
        """For the card and for whoever waits."""
        asked = f"the greedy answers to {self.questions} questions are the same"
        told = [
            f"Weights are kept in {self.precision}.",
            f"Merged, no logit differs from base and adapter by more than {self.merged_difference:.2g}, and "
            f"{asked}.",
        ]
        if self.gguf_difference is not None:
            told.append(
                "Loaded again from the GGUF file, tokenizer included, no logit differs by more than "
                f"{self.gguf_difference:.2g}, and {asked}."
            )
        return told
