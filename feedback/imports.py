"""Imports of what a company has already: past tickets, corrections and held-out tickets.

All or nothing: any problem in any row and nothing is stored. A row that was imported before is
counted and left alone. The caller's transaction holds it all; the command line is the caller.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import insert
from sqlmodel import Session, SQLModel, col, select

from feedback import import_rows, policies
from feedback.ids import new_id
from feedback.import_entries import Entry, EntryReader, ImportKind
from feedback.import_rows import Problems, Progress
from feedback.storing import storable_rows
from feedback.tables import (
    Assistant,
    Conversation,
    Customer,
    Feedback,
    FeedbackKind,
    FeedbackState,
    Message,
    MessageState,
    Role,
    Speaker,
    Ticket,
    now,
)

BATCH_ROWS = 500
CHANNEL = "import"


@dataclass(frozen=True)
class Imported:
    """What came of an import, or would come of it in a dry run."""

    new: int
    already_there: int
    unused_columns: list[str]


def import_file(
    session: Session,
    assistant: Assistant,
    kind: ImportKind,
    path: Path,
    mapping: Mapping[str, str] | None = None,
    agent: str = CHANNEL,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Imported:
    """Store every row of a file, or raise Invalid with every problem and store nothing.

    `mapping` says which column holds a field, where it is not named like it. `agent` is the author
    where a row names none.
    """
    problems = Problems(path)
    in_force = {policy.name: policy.id for policy in policies.in_force(session, assistant)}
    reader = EntryReader(kind, mapping or {}, problems, in_force)
    reader.check_header(import_rows.header(path, problems))
    problems.raise_if_any()
    session.exec(select(Assistant).where(Assistant.id == assistant.id).with_for_update()).one()
    new = already_there = 0
    entries = reader.entries(import_rows.rows(path, problems, progress))
    while batch := list(islice(entries, BATCH_ROWS)):
        if problems.count:
            continue  # nothing will be stored, but the rest is still read for its problems
        known = _known(session, assistant, kind, batch)
        fresh = [entry for entry in batch if entry.id not in known]
        if not dry_run:
            _store(session, assistant, kind, fresh, agent, in_force)
        new += len(fresh)
        already_there += len(batch) - len(fresh)
    reader.check_columns_seen()
    problems.raise_if_any()
    return Imported(new, already_there + reader.repeated, reader.unused_columns())


def _stored_id(kind: ImportKind, entry: Entry) -> str:
    # The numbers of a ticket system and of a list of corrections may be the same; rows are not.
    return entry.id if kind == ImportKind.TICKETS else f"{kind}:{entry.id}"


def import_tickets(session: Session, assistant: Assistant, path: Path) -> Imported:
    """Held-out tickets from a file whose columns are named like the fields."""
    return import_file(session, assistant, ImportKind.TICKETS, path)


def _known(
    session: Session, assistant: Assistant, kind: ImportKind, batch: list[Entry]
) -> set[str]:
    """The ids of the batch that were imported before."""
    table = Ticket if kind == ImportKind.TICKETS else Conversation
    ids = {_stored_id(kind, entry): entry.id for entry in batch}
    found = session.exec(
        select(table.external_id).where(
            table.assistant_id == assistant.id, col(table.external_id).in_(ids)
        )
    )
    return {ids[stored] for stored in found if stored is not None}


def _customers(session: Session, assistant: Assistant, batch: list[Entry]) -> dict[str, str]:
    """The customers of a batch by name, made on first sight."""
    names = list(dict.fromkeys(entry.customer for entry in batch if entry.customer))
    query = select(Customer).where(
        Customer.assistant_id == assistant.id, col(Customer.external_id).in_(names)
    )
    ids = {customer.external_id: customer.id for customer in session.exec(query)}
    unseen: list[dict[str, Any]] = [
        {"id": new_id(), "assistant_id": assistant.id, "external_id": name, "created_at": now()}
        for name in names
        if name not in ids
    ]
    _insert(session, Customer, unseen)
    return ids | {customer["external_id"]: customer["id"] for customer in unseen}


def _store(
    session: Session,
    assistant: Assistant,
    kind: ImportKind,
    batch: list[Entry],
    agent: str,
    in_force: Mapping[str, str],
) -> None:
    customers = _customers(session, assistant, batch)
    owned = [_owned(assistant, kind, entry, customers) for entry in batch]
    if kind == ImportKind.TICKETS:
        exams = [
            {
                **row,
                "context": entry.context,
                **entry.texts,
                **entry.lists,
                "expects": entry.expects,
                "policy_id": in_force.get(entry.policy or ""),
            }
            for row, entry in zip(owned, batch, strict=True)
        ]
        _insert(session, Ticket, exams)
        return
    said = [
        _said(kind, row["id"], entry, entry.agent or agent)
        for row, entry in zip(owned, batch, strict=True)
    ]
    words = [
        _word(kind, messages, entry, entry.agent or agent, in_force)
        for messages, entry in zip(said, batch, strict=True)
    ]
    messages = [message for each in said for message in each]
    for rows in (messages, words):
        storable_rows(assistant, rows, "text")
    _insert(session, Conversation, [{**row, "channel": CHANNEL} for row in owned])
    _insert(session, Message, messages)
    _insert(session, Feedback, words)


def _owned(
    assistant: Assistant, kind: ImportKind, entry: Entry, customers: dict[str, str]
) -> dict[str, Any]:
    """What a conversation and a ticket have in common."""
    return {
        "id": new_id(),
        "assistant_id": assistant.id,
        "customer_id": customers.get(entry.customer or ""),
        "external_id": _stored_id(kind, entry),
        "topic": entry.topic,
        "created_at": now(),
    }


def _said(kind: ImportKind, conversation_id: str, entry: Entry, agent: str) -> list[dict[str, Any]]:
    """The turns of the context and the answer: an agent's of old, or the draft to be corrected."""
    by_agent = kind == ImportKind.CONVERSATIONS
    answers = Speaker.AGENT if by_agent else Speaker.ASSISTANT
    said: list[dict[str, Any]] = []
    question_id = None
    for turn in [*entry.context, {"role": "assistant", "content": entry.texts["answer"]}]:
        is_answer = turn["role"] == "assistant"
        message = {
            "id": new_id(),
            "conversation_id": conversation_id,
            "position": len(said),
            "speaker": answers if is_answer else Speaker.CUSTOMER,
            "text": turn["content"].strip(),
            "state": MessageState.COMPLETE,
            "author": agent if is_answer and by_agent else None,
            "reply_to_id": question_id if is_answer else None,
            "created_at": now(),
            "finished_at": now(),
        }
        said.append(message)
        question_id = question_id if is_answer else message["id"]
    return said


def _word(
    kind: ImportKind,
    said: list[dict[str, Any]],
    entry: Entry,
    agent: str,
    in_force: Mapping[str, str],
) -> dict[str, Any]:
    """What the agent taught: a demonstration on the question, or a correction of the draft."""
    question, answer = said[-2:]
    demonstrated = kind == ImportKind.CONVERSATIONS
    return {
        "id": new_id(),
        "message_id": question["id"] if demonstrated else answer["id"],
        "kind": FeedbackKind.DEMONSTRATION if demonstrated else FeedbackKind.CORRECTION,
        "text": entry.texts["answer" if demonstrated else "correction"],
        "author": agent,
        "author_role": Role.AGENT,
        "policy_id": in_force.get(entry.policy or ""),
        "state": FeedbackState.ACTIVE,
        "created_at": now(),
    }


def _insert(session: Session, table: type[SQLModel], rows: list[dict[str, Any]]) -> None:
    """One statement for all rows: making a model object of each would take ten times as long."""
    if rows:
        session.exec(insert(table), params=rows)
