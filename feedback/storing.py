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
    return _redactor(tuple(sorted(learning_of(assistant).patterns.items()))).redact([text])[0].text


def storable_rows(assistant: Assistant, rows: list[dict[str, Any]], column: str) -> None:
    """The same for many rows at once, in place."""
    for row in rows:
        if row.get(column):
            row[column] = storable(assistant, row[column])


def warm(assistants: Iterable[Assistant]) -> None:
    """Load the language model ahead, where somebody will need it: no customer waits for it."""
    for assistant in assistants:
        storable(assistant, "Hello.")


@lru_cache(maxsize=64)
def _redactor(patterns: tuple[tuple[str, str], ...]) -> Redactor:
    return Redactor(dict(patterns))
