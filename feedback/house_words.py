"""What the house itself tells everybody: its own numbers, addresses and people are no customer's data.

A bot that learned `<PHONE_NUMBER>` where the shop's own number belongs would say just that to customers.
So what answers tell to several different customers stays in answers, as does what the house wrote down
itself and the names of its staff; what was told to one customer only is taken for theirs. Used by lessons.py.
"""

import re
from collections.abc import Iterable, Iterator

from sqlmodel import Session, col, or_, select

from feedback import redactions
from feedback.assistants import prompt_in_force
from feedback.batches import in_batches
from feedback.desk_tables import Staff, StaffRole
from feedback.redaction import PLACEHOLDER, Redactor
from feedback.tables import Assistant, Ticket
from feedback.trust_tables import Policy

MAY_STAY = frozenset({"PERSON", "ADDRESS", "PHONE_NUMBER", "EMAIL_ADDRESS", "IBAN_CODE"})
"""Types of which the house has its own. A secret is never told, nor a card, however often."""
BATCH = 500


def plain(value: str) -> str:
    """One spelling of a value, to count it by."""
    return " ".join(re.findall(r"\w+", value.casefold()))


def find(
    session: Session,
    assistant: Assistant,
    redactor: Redactor,
    answers: Iterable[tuple[str, str]],
    told_to: int,
) -> frozenset[str]:
    """The values that may stay in answers, as `plain` spells them.

    `answers`: to whom, and what. `told_to`: to so many different people a value must have been told.
    """
    listeners: dict[str, set[str]] = {}
    for who, value in _values(session, redactor, answers):
        known = listeners.setdefault(value, set())
        if len(known) < told_to:  # more need not be remembered
            known.add(who)
    told = {value for value, people in listeners.items() if len(people) >= told_to}
    written = [("house", text) for text in _written(session, assistant)]
    own = {value for _, value in _values_of(session, redactor, written)}
    return frozenset(told | own | _names_of_staff(session, assistant))


def _written(session: Session, assistant: Assistant) -> list[str]:
    """What the house wrote down itself: its prompt, its policies, and the references of its own tickets."""
    policies = session.exec(select(Policy.text).where(Policy.assistant_id == assistant.id))
    references = session.exec(
        select(Ticket.reference).where(
            Ticket.assistant_id == assistant.id,
            col(Ticket.feedback_id).is_(None),
            col(Ticket.conversation_id).is_(None),
        )
    )
    return [prompt_in_force(session, assistant).text, *policies, *references]


def _values(
    session: Session, redactor: Redactor, answers: Iterable[tuple[str, str]]
) -> Iterator[tuple[str, str]]:
    """Whatever redaction would take out of answers that may be the house's own."""
    for batch in in_batches(answers, BATCH):
        yield from _values_of(session, redactor, batch)


def _values_of(
    session: Session, redactor: Redactor, batch: list[tuple[str, str]]
) -> Iterator[tuple[str, str]]:
    became = redactions.as_taught(session, redactor, [text for _, text in batch])
    with_any = [(who, text) for who, text in batch if became[text] != text]
    results = redactor.redact([text for _, text in with_any]) if with_any else []
    for (who, text), result in zip(with_any, results, strict=True):
        for span in result.spans:
            if span.type in MAY_STAY:
                yield who, plain(text[span.start : span.end])


def _names_of_staff(session: Session, assistant: Assistant) -> set[str]:
    """Full names, and each of their parts: customers are told first names."""
    here = select(StaffRole.staff_id).where(
        or_(col(StaffRole.assistant_id).is_(None), StaffRole.assistant_id == assistant.id)
    )
    names = [
        plain(name) for name in session.exec(select(Staff.name).where(col(Staff.id).in_(here)))
    ]
    return {part for name in names for part in (name, *name.split()) if len(part) > 1}


def types_in(text: str) -> set[str]:
    """The types of the placeholders in a text, without their numbers."""
    return {re.sub(r"_\d+>$", ">", each) for each in PLACEHOLDER.findall(text)}
