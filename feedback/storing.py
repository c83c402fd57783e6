"""What is stored of what people say: as it is, or, where the assistant's rules ask for it, redacted.

Redacted, the bot itself never sees a personal value either: what the model is shown is what is stored.
Every place that writes people's words asks here.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from feedback.learning import learning_of
from feedback.redaction import Redactor
from feedback.tables import Assistant


def storable(assistant: Assistant, text: str) -> str:
    """The text as this assistant stores it. The first call of a process may load the language model."""
    if not text or not assistant.learning.get("redact_before_storage"):
        return text
    return _redactor_of(assistant).redact([text])[0].text


def storable_rows(assistant: Assistant, rows: list[dict[str, Any]], column: str) -> None:
    """The same for many rows at once, in place."""
    if assistant.learning.get("redact_before_storage"):
        said = [row for row in rows if row.get(column)]
        results = _redactor_of(assistant).redact([row[column] for row in said])
        for row, result in zip(said, results, strict=True):
            row[column] = result.text


def warm(assistants: Iterable[Assistant]) -> None:
    """Load the language model ahead, where somebody will need it: no customer waits for it."""
    for assistant in assistants:
        storable(assistant, "Hello.")


def _redactor_of(assistant: Assistant) -> Redactor:
    return _redactor(tuple(sorted(learning_of(assistant).patterns.items())))


@lru_cache(maxsize=64)
def _redactor(patterns: tuple[tuple[str, str], ...]) -> Redactor:
    return Redactor(dict(patterns))
