"""Lineage and erasure over the API: who is behind an answer, and taking them out of everything.

The service takes a person out of the database; the loop, which may write to the files, does the rest within
seconds of looking for work.
"""

from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from feedback import (
    adapters,
    certificate,
    erasing,
    erasure,
    erasures,
    influence,
    lineage,
    whose_words,
)
from feedback.database import reading, writing
from feedback.errors import Invalid
from feedback.lineage import Behind
from feedback.tables import Role
from feedback.trust_tables import Erasure
from service.operator_api import adapter_for
from service.permissions import OPERATORS, Caller, allow, assistant_for, message_for
from service.shapes import Shape

router = APIRouter(prefix="/v1", tags=["erasure"])
Operator = Annotated[Caller, Depends(allow(*OPERATORS))]


class WhoseWords(Shape):
    """A customer with all their conversations, or one conversation alone."""

    assistant: str | None = None
    customer: str | None = Field(None, description="The customer's name, as the site gives it.")
    conversation: str | None = Field(None, description="One conversation's id.")


class NewErasure(WhoseWords):
    """Take them out of everything, for good."""

    reason: str = Field(min_length=1, max_length=2000)


class PreviewOut(Shape):
    """Exactly what an erasure would do to the database now."""

    removed: dict[str, int] = Field(description="Rows that would go, by table.")
    emptied: dict[str, int] = Field(description="Rows that would stay without their text.")
    kept_for_others: dict[str, int] = Field(
        description="Rows that others' same words keep; only the link goes."
    )
    scrubbed: dict[str, int] = Field(description="Sentences that quote them, by column.")
    datasets: list[str]
    adapters: list[str] = Field(description="What learned from them, and whether it is live.")
    cycles_stopped: list[str]


class ErasureOut(Shape):
    """An erasure. Of the person only a hash is kept."""

    id: str
    customer_sha256: str = Field(description="Of the assistant's id, a line break, and their name.")
    requested_by: str
    reason: str
    created_at: datetime
    finished_at: datetime | None = Field(description="Null while files and search are to be done.")
    cycle_id: str | None = Field(description="The cycle that learns again without them.")
    certificate: dict[str, Any]

    @classmethod
    def of(cls, row: Erasure) -> Self:
        """The public side of an erasure."""
        return cls(**certificate.as_record(row))


class PersonBehind(Shape):
    """A customer behind an adapter."""

    name: str
    rows: int


class AuthorBehind(PersonBehind):
    """Whoever said what it should say."""

    role: Role


class BehindOut(Shape):
    """The people behind an adapter's weights."""

    adapter: str
    customers: list[PersonBehind]
    rows_without_a_name: int
    rows_erased: int = Field(description="Rows whose people were erased since.")
    authors: list[AuthorBehind]

    @classmethod
    def of(cls, found: Behind) -> Self:
        """The public side of what was found."""
        return cls(
            adapter=found.adapter.name if found.adapter else adapters.BASE,
            customers=[
                PersonBehind(name=customer.external_id, rows=rows)
                for customer, rows in found.customers
            ],
            rows_without_a_name=found.without_name,
            rows_erased=found.erased,
            authors=[
                AuthorBehind(name=each.name, role=Role(each.role), rows=each.rows)
                for each in found.authors
            ],
        )


class LearnedFromOut(Shape):
    """What learned from a customer's conversations."""

    customer: str
    datasets: list[str]
    adapters: list[str]


@router.get("/adapters/{name}/people")
def people_behind(request: Request, name: str, caller: Operator) -> BehindOut:
    """The customers an adapter learned from, and who said what it should say, with their rows."""
    with reading(request.app.state.database) as session:
        return BehindOut.of(lineage.people_behind(session, adapter_for(session, caller, name)))


class InfluenceOut(Shape):
    """A taught answer, and the exam answers that sound like it."""

    question: str
    chosen: str
    authors: list[str]
    tickets: list[str]
    gain: float | None = Field(description="Of these answers on live's, in the gate's metric.")


@router.get("/adapters/{name}/influences")
def influences_on(request: Request, name: str, caller: Operator) -> list[InfluenceOut]:
    """The corrections that an adapter's exam answers sound like most."""
    with reading(request.app.state.database) as session:
        return [
            InfluenceOut(
                question=each.row.prompt[-1]["content"],
                chosen=each.row.chosen,
                authors=sorted({word.author for word, _ in each.sources}),
                tickets=[ticket.external_id for ticket in each.tickets],
                gain=each.gain,
            )
            for each in influence.influences(session, adapter_for(session, caller, name))
        ]


@router.get("/messages/{message_id}/people")
def people_behind_answer(request: Request, message_id: str, caller: Operator) -> BehindOut:
    """The same for the weights that an answer was made with."""
    with reading(request.app.state.database) as session:
        message = message_for(session, caller, message_id)
        return BehindOut.of(lineage.behind_answer(session, message))


@router.get("/customers/{customer}/lineage")
def learned_from(
    request: Request, customer: str, caller: Operator, assistant: str | None = None
) -> LearnedFromOut:
    """Every dataset and adapter that learned from a customer."""
    with reading(request.app.state.database) as session:
        owner = assistant_for(session, caller, assistant)
        found = whose_words.of_customer(session, owner, customer).customer
        assert found is not None
        return LearnedFromOut(
            customer=found.external_id,
            datasets=[each.name for each in lineage.datasets_with(session, found)],
            adapters=[each.name for each in lineage.learned_from(session, found)],
        )


@router.post("/erasures/preview")
def preview(request: Request, whose: WhoseWords, caller: Operator) -> PreviewOut:
    """Exactly what an erasure would do. Changes nothing."""
    with writing(request.app.state.database) as session:
        owner = assistant_for(session, caller, whose.assistant)
        subject = whose_words.subject_of(session, owner, whose.customer, whose.conversation)
        told = erasure.preview(session, owner, subject, caller.actor(owner.id))
    return PreviewOut(**certificate.counted(told))


@router.post("/erasures", status_code=201)
def erase(request: Request, new: NewErasure, caller: Operator) -> ErasureOut:
    """Take a person out of everything. The loop finishes it: files, search, the next cycle."""
    if not new.reason.strip():
        raise Invalid("Say in a few words why; it is kept in the certificate.")
    with reading(request.app.state.database) as session:
        owner = assistant_for(session, caller, new.assistant)
        subject = whose_words.subject_of(session, owner, new.customer, new.conversation)
    actor = caller.actor(owner.id)
    row = erasing.erase(request.app.state.database, owner, subject, actor, new.reason)
    return ErasureOut.of(row)


@router.get("/erasures")
def list_erasures(
    request: Request, caller: Operator, assistant: str | None = None
) -> list[ErasureOut]:
    """An assistant's erasures, newest first."""
    with reading(request.app.state.database) as session:
        owner = assistant_for(session, caller, assistant)
        return [ErasureOut.of(row) for row in erasures.every(session, owner)]


@router.get("/erasures/{erasure_id}")
def read_erasure(request: Request, erasure_id: str, caller: Operator) -> ErasureOut:
    """One erasure with its certificate."""
    with reading(request.app.state.database) as session:
        row = erasures.get(session, erasure_id)
        if caller.role_at(row.assistant_id) is None:
            raise erasures.unknown(erasure_id)
        return ErasureOut.of(row)
