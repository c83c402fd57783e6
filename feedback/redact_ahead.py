"""Redacts ahead what an assistant's datasets will need: the slow part of freezing, without holding a lock.

Opens its own transactions, short ones, a batch at a time; between two of them it may be stopped, and goes
on where it was. Called by the command line, and by the loop before it freezes.
"""

from collections.abc import Iterator

from sqlalchemy import Engine

from feedback import redactions
from feedback.database import reading, writing
from feedback.tables import Assistant


def redact_ahead(assistant: Assistant, database: Engine | None = None) -> Iterator[tuple[int, int]]:
    """After each page: how many texts it had, and how many of them were new."""
    redactor = redactions.redactor_of(assistant)
    place: redactions.Place | None = redactions.Place()
    while place is not None:
        with reading(database) as session:
            texts, place = redactions.page(session, assistant, place)
            known = redactions.remembered(session, redactor, texts)
        new = [text for text in dict.fromkeys(texts) if text not in known]
        if new:
            results = redactor.redact(new)
            with writing(database) as session:
                redactions.store(session, redactor, new, results)
        yield len(texts), len(new)
