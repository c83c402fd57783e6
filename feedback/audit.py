"""What members of staff did: appended, never changed (the database's own triggers see to it)."""

import csv
import getpass
import io
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, or_, select

from feedback.desk_tables import AuditEntry


@dataclass(frozen=True)
class Actor:
    """Who does something: a person, an API key, or whoever types at the command line."""

    name: str
    role: str
    address: str | None = None


def here() -> Actor:
    """Whoever types: a command changes the database directly, so it answers to the machine's user."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container may run as a user that has no name
        name = f"user {os.getuid()}"
    return Actor(name, "command line")


def record(
    session: Session,
    actor: Actor,
    act: str,
    subject: str,
    assistant_id: str | None = None,
    **detail: Any,
) -> AuditEntry:
    """Note an act in the transaction that performs it: both happen, or neither."""
    entry = AuditEntry(
        actor=actor.name[:200],
        role=actor.role,
        act=act,
        assistant_id=assistant_id,
        subject=subject[:240],
        detail={name: value for name, value in detail.items() if value is not None},
        address=actor.address,
    )
    session.add(entry)
    session.flush()
    return entry


def every(
    session: Session,
    assistant_ids: Iterable[str] | None = None,
    actor: str | None = None,
    act: str | None = None,
    before: str | None = None,
    limit: int | None = 100,
) -> list[AuditEntry]:
    """Entries, newest first; of some assistants (None: all, and what concerns no assistant).

    `before` is the id of the last entry of the page before.
    """
    query = select(AuditEntry).order_by(
        col(AuditEntry.created_at).desc(), col(AuditEntry.id).desc()
    )
    if assistant_ids is not None:
        query = query.where(col(AuditEntry.assistant_id).in_(list(assistant_ids)))
    if actor:
        query = query.where(AuditEntry.actor == actor)
    if act:
        query = query.where(AuditEntry.act == act)
    if before and (last := session.get(AuditEntry, before)):
        query = query.where(
            or_(
                col(AuditEntry.created_at) < last.created_at,
                (col(AuditEntry.created_at) == last.created_at) & (col(AuditEntry.id) < last.id),
            )
        )
    return list(session.exec(query.limit(limit) if limit else query))


COLUMNS = (
    "created_at",
    "actor",
    "role",
    "act",
    "subject",
    "assistant_id",
    "address",
    "detail",
    "id",
)


def as_csv(entries: Iterable[AuditEntry]) -> str:
    """Entries as a spreadsheet reads them; what looks like a formula is made harmless."""
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(COLUMNS)
    for entry in entries:
        rows.writerow([_cell(getattr(entry, name)) for name in COLUMNS])
    return out.getvalue()


def _cell(value: object) -> str:
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    shown = (
        "" if value is None else value.isoformat() if hasattr(value, "isoformat") else str(value)
    )
    return f"'{shown}" if shown[:1] in ("=", "+", "-", "@", "\t") else shown
