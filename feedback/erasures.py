"""The record of erasures: found by id, by person, by what is left to do; and their certificates so far."""

import hashlib
from collections import Counter
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from feedback.errors import NotFound
from feedback.tables import Assistant
from feedback.trust_tables import Erasure

PENDING = "pending"
"""What of a certificate only waits for the files: what to look for. It is gone when the erasure is done."""
RETENTION = "retention period"
"""In whose place conversations go that are older than the assistant keeps them."""


def sha256_of(assistant: Assistant, name: str) -> str:
    """By which a customer (or a conversation) is known after their erasure; nothing else of them stays."""
    return hashlib.sha256(f"{assistant.id}\n{name}".encode()).hexdigest()


def get(session: Session, erasure_id: str, assistant: Assistant | None = None) -> Erasure:
    """An erasure, or NotFound."""
    found = session.get(Erasure, erasure_id)
    if found is None or (assistant is not None and found.assistant_id != assistant.id):
        raise unknown(erasure_id)
    return found


def unknown(erasure_id: str) -> NotFound:
    """The same whether it is another assistant's or nobody's."""
    return NotFound(f"There is no erasure {erasure_id!r}.")


def every(session: Session, assistant: Assistant, limit: int = 200) -> list[Erasure]:
    """An assistant's erasures, newest first."""
    return list(
        session.exec(
            select(Erasure)
            .where(Erasure.assistant_id == assistant.id)
            .order_by(col(Erasure.created_at).desc(), col(Erasure.id).desc())
            .limit(limit)
        )
    )


def of_hash(session: Session, assistant: Assistant, sha256: str) -> list[Erasure]:
    """Erasures of one person, newest first."""
    query = select(Erasure).where(
        Erasure.assistant_id == assistant.id, Erasure.customer_sha256 == sha256
    )
    return list(session.exec(query.order_by(col(Erasure.created_at).desc())))


def last_retention(session: Session, assistant: Assistant) -> datetime | None:
    """When conversations that had expired were last erased."""
    found = of_hash(session, assistant, sha256_of(assistant, RETENTION))
    return found[0].created_at if found else None


def unfinished(session: Session) -> list[str]:
    """Erasures whose files wait, oldest first."""
    query = select(Erasure.id).where(col(Erasure.finished_at).is_(None))
    return list(session.exec(query.order_by(col(Erasure.created_at))))


def learned_from_erased(session: Session, assistant: Assistant) -> dict[str, datetime]:
    """Adapters that learned from somebody who was erased on request, with the day of it."""
    found: dict[str, datetime] = {}
    for row in every(session, assistant, limit=10_000):
        if row.certificate.get("what") != "retention":
            for each in row.certificate.get("adapters", []):
                found.setdefault(each["name"], row.created_at)
    return found


def without_pending(certificate: dict[str, Any]) -> dict[str, Any]:
    """A certificate as it may be shown: without what is still being looked for."""
    return {key: value for key, value in certificate.items() if key != PENDING}


def added(before: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """A certificate with one more batch: counts are added up, lists joined, the rest is the newest."""
    merged = dict(before)
    for key, value in more.items():
        old = before.get(key)
        if key == PENDING or old is None:
            merged[key] = value
        elif isinstance(value, dict):
            merged[key] = dict(Counter(old) + Counter(value))
        elif isinstance(value, list):
            merged[key] = [*old, *(each for each in value if each not in old)]
        else:
            merged[key] = value
    return merged
