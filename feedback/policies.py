"""Policies: the rules of the house that corrections and tickets rest on. Retired, they wait in quarantine.

Nothing is deleted: what rests on a retired policy neither teaches nor is asked in exams, and stays kept
apart from training. Restored, it counts again.
"""

from dataclasses import dataclass

from sqlmodel import Session, col, func, select

from feedback import adapters
from feedback.conversations import check_name, check_text
from feedback.errors import Conflict, Invalid, NotFound
from feedback.tables import (
    Adapter,
    AdapterDataset,
    Assistant,
    DatasetItem,
    Feedback,
    FeedbackState,
    ItemSource,
    Ticket,
    now,
)
from feedback.trust_tables import Policy

NAME_CHARS = 80


@dataclass(frozen=True)
class Learned:
    """An adapter that learned from a policy's words: one to examine again, most of all when it is live."""

    adapter: Adapter
    words: int
    is_live: bool


@dataclass(frozen=True)
class Rests:
    """What rests on a policy."""

    words: int
    """Feedback in force."""
    tickets: int
    """Tickets that are not retired themselves."""
    adapters: list[Learned]
    """Newest first."""


def create(session: Session, assistant: Assistant, name: str, text: str, by: str) -> Policy:
    """A new rule of the house; its name is unique within the assistant, also among retired ones."""
    name = check_name(name, "policy's name", NAME_CHARS)
    if _named(session, assistant.id, name) is not None:
        raise Conflict(
            f"A policy named {name!r} exists already for {assistant.name!r}. Give the new rule a name of "
            "its own, such as one with its date: what rests on the old one stays with it."
        )
    policy = Policy(
        assistant_id=assistant.id, name=name, text=check_text(text, "policy"), created_by=by
    )
    session.add(policy)
    session.flush()
    return policy


def _named(session: Session, assistant_id: str, name: str) -> Policy | None:
    query = select(Policy).where(Policy.assistant_id == assistant_id, Policy.name == name)
    return session.exec(query).first()


def get(session: Session, assistant: Assistant, name: str) -> Policy:
    """The policy of that name, or NotFound."""
    found = _named(session, assistant.id, name)
    if found is None:
        raise NotFound(
            f"There is no policy {name!r} for {assistant.name!r}. "
            "See `understudy feedback policies list`."
        )
    return found


def by_id(session: Session, policy_id: str) -> Policy:
    """The policy of that id, or NotFound."""
    found = session.get(Policy, policy_id)
    if found is None:
        raise NotFound(f"There is no policy {policy_id!r}.")
    return found


def every(session: Session, assistant: Assistant) -> list[Policy]:
    """An assistant's policies, those in force first, by name."""
    return list(
        session.exec(
            select(Policy)
            .where(Policy.assistant_id == assistant.id)
            .order_by(col(Policy.retired_at).is_not(None), col(Policy.name))
        )
    )


def in_force(session: Session, assistant: Assistant) -> list[Policy]:
    """The policies that something new may rest on, by name."""
    return [policy for policy in every(session, assistant) if policy.retired_at is None]


def to_rest_on(session: Session, assistant_id: str, name: str | None) -> str | None:
    """The id of the policy that something new shall rest on; Invalid where it is not in force."""
    if not name:
        return None
    found = _named(session, assistant_id, name)
    if found is None:
        raise Invalid(f"Found the policy {name!r}, expected one in force; there is none so named.")
    if found.retired_at is not None:
        raise Invalid(
            f"The policy {name!r} was retired by {found.retired_by}; nothing new can rest on it."
        )
    return found.id


def retired(session: Session, assistant: Assistant) -> set[str]:
    """The ids of an assistant's retired policies."""
    query = select(Policy.id).where(
        Policy.assistant_id == assistant.id, col(Policy.retired_at).is_not(None)
    )
    return set(session.exec(query))


def retire(session: Session, policy: Policy, by: str) -> Rests:
    """Quarantine what rests on a policy. Returns that, with the adapters to examine again."""
    policy = _locked(session, policy)
    if policy.retired_at is not None:
        raise Conflict(f"The policy {policy.name!r} was retired by {policy.retired_by} already.")
    policy.retired_by, policy.retired_at = by, now()
    session.flush()
    return rests_on(session, policy)


def restore(session: Session, policy: Policy) -> Rests:
    """Undo a retirement: what rests on the policy counts again."""
    policy = _locked(session, policy)
    if policy.retired_at is None:
        raise Conflict(f"The policy {policy.name!r} is in force; there is nothing to restore.")
    policy.retired_by = policy.retired_at = None
    session.flush()
    return rests_on(session, policy)


def _locked(session: Session, policy: Policy) -> Policy:
    query = select(Policy).where(Policy.id == policy.id).with_for_update()
    return session.exec(query.execution_options(populate_existing=True)).one()


def rests_on(session: Session, policy: Policy) -> Rests:
    """The feedback and the tickets that rest on a policy, and the adapters that learned from it."""
    words = session.exec(
        select(func.count())
        .select_from(Feedback)
        .where(Feedback.policy_id == policy.id, Feedback.state == FeedbackState.ACTIVE)
    ).one()
    asked = session.exec(
        select(func.count())
        .select_from(Ticket)
        .where(Ticket.policy_id == policy.id, col(Ticket.retired_at).is_(None))
    ).one()
    return Rests(words, asked, _learned(session, policy))


def _learned(session: Session, policy: Policy) -> list[Learned]:
    """Every adapter that a word of this policy went into, whether the word is still in force or not."""
    live = adapters.live_adapter(session, session.get_one(Assistant, policy.assistant_id))
    rows = session.exec(
        select(Adapter, func.count(func.distinct(col(Feedback.id))))
        .join(AdapterDataset, col(AdapterDataset.adapter_id) == Adapter.id)
        .join(DatasetItem, col(DatasetItem.dataset_id) == AdapterDataset.dataset_id)
        .join(ItemSource, col(ItemSource.item_id) == DatasetItem.id)
        .join(Feedback, col(Feedback.id) == ItemSource.feedback_id)
        .where(Feedback.policy_id == policy.id)
        .group_by(col(Adapter.id))
        .order_by(col(Adapter.version).desc())
    )
    return [
        Learned(adapter, words, live is not None and live.id == adapter.id)
        for adapter, words in rows
    ]
