"""The operators' door: adapters, promotions, cycles, tickets, datasets and decisions."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import PlainTextResponse
from sqlmodel import Session

from feedback import (
    adapters,
    audit,
    cycles,
    dataset_diff,
    datasets,
    decisions,
    excepted,
    leaks,
    model_card,
    probes,
    promotions,
    tickets,
)
from feedback.card_shape import Named, markdown
from feedback.database import reading, writing
from feedback.errors import Denied, NotFound
from feedback.swap_tables import PromotionRequest, RequestState
from feedback.tables import Adapter, Assistant, Cycle, Promotion
from service.operator_shapes import (
    AdapterOut,
    CycleOut,
    DatasetDiffOut,
    DatasetOut,
    DecisionOut,
    NearCopyOut,
    NewCycle,
    NewPromotion,
    NewRollback,
    NewTicket,
    PromotionOut,
    PromotionRequestOut,
    TicketOut,
)
from service.permissions import OPERATORS, STAFF, Caller, allow, assistant_for

router = APIRouter(prefix="/v1", tags=["operations"])
Staff = Annotated[Caller, Depends(allow(*STAFF))]
Operator = Annotated[Caller, Depends(allow(*OPERATORS))]


@router.get("/adapters")
def list_adapters(
    request: Request, caller: Staff, assistant: str | None = None
) -> list[AdapterOut]:
    """An assistant's adapters, newest first."""
    with reading(request.app.state.database) as session:
        owner = assistant_for(session, caller, assistant)
        return [_adapter_out(session, owner, each) for each in adapters.every(session, owner)]


@router.get("/adapters/{name}")
def read_adapter(request: Request, name: str, caller: Staff) -> AdapterOut:
    """One adapter: what it learned from, and whether the engine was seen to apply it."""
    with reading(request.app.state.database) as session:
        adapter = adapter_for(session, caller, name)
        owner = session.get_one(Assistant, adapter.assistant_id)
        return _adapter_out(session, owner, adapter)


class Markdown(PlainTextResponse):
    """Text with headings and tables."""

    media_type = "text/markdown"


@router.get("/adapters/{name}/card", response_class=Markdown)
def read_card(
    request: Request, name: str, caller: Staff, named: Named = Named.DECIDERS
) -> Markdown:
    """Its model card: use, data, recipe, results, limits, costs, lineage. `named`: whom it calls by name;
    `everybody` is for operators.
    """
    with reading(request.app.state.database) as session:
        adapter = adapter_for(session, caller, name)
        if named == Named.EVERYBODY and caller.role_at(adapter.assistant_id) not in OPERATORS:
            raise Denied("Only an operator may have the authors named; leave 'named' out.")
        return Markdown(markdown(model_card.card(session, adapter, named)))


@router.get("/promotions")
def list_promotions(
    request: Request, caller: Staff, assistant: str | None = None
) -> list[PromotionOut]:
    """What was live when, newest first. The first is live."""
    with reading(request.app.state.database) as session:
        owner = assistant_for(session, caller, assistant)
        return [_promotion_out(session, each) for each in adapters.history(session, owner)]


@router.post("/promotions", status_code=201)
def promote(
    request: Request, response: Response, new: NewPromotion, caller: Operator
) -> PromotionRequestOut:
    """Make an adapter live for new conversations, once enough engines were seen to compute it; with
    `except_topics` for the other topics only, until a rollback or the next promotion.

    201 when it is live; 202 when engines have not said yet, it then goes on by itself; 409 with their
    reasons when it was refused, and nothing has changed.
    """
    with writing(request.app.state.database) as session:
        owner = assistant_for(session, caller, new.assistant)
        adapter = (
            None if new.adapter == adapters.BASE else adapter_for(session, caller, new.adapter)
        )
        adapters.check_expected(session, owner, new.expected)
        topics = new.except_topics
        row = promotions.request(
            session, owner, adapter, caller.name, new.reason, except_topics=topics
        )
        more = {"except_topics": topics} if topics else {}
        _note(session, caller, owner, "adapter.promote", new.adapter, reason=new.reason, **more)
    return _outcome(request, response, row)


@router.post("/rollbacks", status_code=201)
def roll_back(
    request: Request, response: Response, new: NewRollback, caller: Operator
) -> PromotionRequestOut:
    """Make live again what was live before: another promotion, for which one engine is enough."""
    with writing(request.app.state.database) as session:
        owner = assistant_for(session, caller, new.assistant)
        adapters.check_expected(session, owner, new.expected)
        row = promotions.request_rollback(session, owner, caller.name, new.reason)
        name = _adapter_name(session, row.adapter_id)
        _note(session, caller, owner, "adapter.roll_back", name, reason=new.reason)
    return _outcome(request, response, row)


@router.get("/promotion-requests")
def list_promotion_requests(
    request: Request, caller: Staff, assistant: str | None = None
) -> list[PromotionRequestOut]:
    """What was asked to go live, newest first, and what became of it; also what was refused."""
    with reading(request.app.state.database) as session:
        owner = assistant_for(session, caller, assistant)
        return [_request_out(session, each) for each in promotions.every(session, owner)]


@router.post("/cycles", status_code=201)
def request_cycle(request: Request, new: NewCycle, caller: Operator) -> CycleOut:
    """Ask the loop for a turn. It begins within seconds if a loop is running."""
    with writing(request.app.state.database) as session:
        owner = assistant_for(session, caller, new.assistant)
        cycle = cycles.request(session, owner, caller.name)
        _note(session, caller, owner, "cycle.request", f"cycle {cycle.id}")
        return CycleOut.of(cycle, [])


@router.get("/cycles")
def list_cycles(request: Request, caller: Staff, assistant: str | None = None) -> list[CycleOut]:
    """An assistant's cycles, newest first."""
    with reading(request.app.state.database) as session:
        owner = assistant_for(session, caller, assistant)
        found = cycles.every(session, owner)
        return [CycleOut.of(each, cycles.stages(session, each)) for each in found]


@router.get("/cycles/{cycle_id}")
def read_cycle(request: Request, cycle_id: str, caller: Staff) -> CycleOut:
    """How far a cycle got, stage by stage."""
    with reading(request.app.state.database) as session:
        cycle = _cycle(session, caller, cycle_id)
        return CycleOut.of(cycle, cycles.stages(session, cycle))


@router.post("/cycles/{cycle_id}/stop", status_code=202)
def stop_cycle(request: Request, cycle_id: str, caller: Operator) -> CycleOut:
    """Ask a cycle to end. What it has trained so far is kept in its run folder."""
    with writing(request.app.state.database) as session:
        cycle = cycles.stop(session, _cycle(session, caller, cycle_id), caller.name)
        owner = session.get_one(Assistant, cycle.assistant_id)
        _note(session, caller, owner, "cycle.stop", f"cycle {cycle.id}")
        return CycleOut.of(cycle, cycles.stages(session, cycle))


@router.get("/decisions")
def list_decisions(
    request: Request, caller: Staff, assistant: str | None = None
) -> list[DecisionOut]:
    """What the gate said of each candidate, newest first; also when it refused."""
    with reading(request.app.state.database) as session:
        owner = assistant_for(session, caller, assistant)
        return [DecisionOut.of(each) for each in decisions.every(session, owner)]


@router.get("/datasets")
def list_datasets(
    request: Request, caller: Staff, assistant: str | None = None
) -> list[DatasetOut]:
    """Frozen datasets, newest first, with the counts at every filter."""
    with reading(request.app.state.database) as session:
        owner = assistant_for(session, caller, assistant)
        return [DatasetOut.of(each) for each in datasets.every(session, owner)]


@router.get("/datasets/{name}/diff/{newer}")
def compare_datasets(
    request: Request, name: str, newer: str, caller: Staff, assistant: str | None = None
) -> DatasetDiffOut:
    """What changed from a dataset to a newer one: rows that came, went or moved, and who taught them."""
    with reading(request.app.state.database) as session:
        owner = assistant_for(session, caller, assistant)
        older, later = (datasets.get(session, each, owner) for each in (name, newer))
        return DatasetDiffOut.of(dataset_diff.diff(session, older, later))


@router.get("/near-copies")
def list_near_copies(
    request: Request,
    caller: Operator,
    assistant: str | None = None,
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> list[NearCopyOut]:
    """What the newest freeze left out as too close to an exam ticket, the most similar first."""
    with reading(request.app.state.database) as session:
        owner = assistant_for(session, caller, assistant)
        return [NearCopyOut.of(each) for each in leaks.pairs(session, owner, offset, limit)]


@router.get("/tickets")
def list_tickets(request: Request, caller: Staff, assistant: str | None = None) -> list[TicketOut]:
    """The held-out tickets that exams ask."""
    with reading(request.app.state.database) as session:
        owner = assistant_for(session, caller, assistant)
        return [TicketOut.of(each) for each in tickets.in_exam(session, owner)]


@router.post("/tickets", status_code=201)
def create_ticket(request: Request, new: NewTicket, caller: Operator) -> TicketOut:
    """Add a held-out ticket. It, and anything close to it, will never train."""
    with writing(request.app.state.database) as session:
        owner = assistant_for(session, caller, new.assistant)
        ticket = tickets.create(
            session,
            owner,
            new.name,
            new.context,
            new.reference,
            new.must_say,
            new.must_not_say,
            new.topic,
            new.customer,
            policy=new.policy,
            expects=new.expects,
        )
        _note(session, caller, owner, "ticket.create", f"ticket {ticket.external_id}")
        return TicketOut.of(ticket)


@router.post("/tickets/probes", status_code=201)
def add_probes(request: Request, caller: Operator, assistant: str | None = None) -> list[TicketOut]:
    """Add the built-in safety probes that the assistant lacks. Returns those that are new."""
    with writing(request.app.state.database) as session:
        owner = assistant_for(session, caller, assistant)
        made = probes.add(session, owner)
        _note(session, caller, owner, "ticket.probes", f"{len(made)} probes")
        return [TicketOut.of(each) for each in made]


def _note(
    session: Session, caller: Caller, owner: Assistant, act: str, subject: str, **detail: Any
) -> None:
    audit.record(session, caller.actor(owner.id), act, subject, owner.id, **detail)


def adapter_for(session: Session, caller: Caller, name: str) -> Adapter:
    """The adapter, or the same NotFound whether it is another assistant's or nobody's."""
    adapter = adapters.get(session, name)
    if caller.role_at(adapter.assistant_id) is None:
        raise adapters.unknown(name)
    return adapter


def _cycle(session: Session, caller: Caller, cycle_id: str) -> Cycle:
    cycle = cycles.get(session, cycle_id)
    if caller.role_at(cycle.assistant_id) is None:
        raise NotFound(f"There is no cycle {cycle_id!r}.")
    return cycle


def _adapter_out(session: Session, assistant: Assistant, adapter: Adapter) -> AdapterOut:
    live = adapters.live(session, assistant)
    swap = adapters.last_swap(session, adapter)
    return AdapterOut.of(
        adapter,
        live=live is not None and live.adapter_id == adapter.id,
        answers_topics=excepted.topics_of(live, adapter),
        datasets=[dataset.name for dataset in adapters.datasets_of(session, adapter)],
        verified=swap.verified if swap else None,
        verified_reason=swap.reason if swap else None,
    )


def _promotion_out(session: Session, promotion: Promotion) -> PromotionOut:
    keeper = _adapter_name(session, promotion.except_adapter_id)
    return PromotionOut.of(
        promotion,
        adapter=_adapter_name(session, promotion.adapter_id),
        except_adapter=keeper if promotion.except_topics else None,
    )


def _outcome(request: Request, response: Response, row: PromotionRequest) -> PromotionRequestOut:
    state = request.app.state
    ended = promotions.outcome(row.id, state.settings.swap_wait_seconds, state.database)
    if ended.state == RequestState.WAITING:
        response.status_code = 202
    with reading(state.database) as session:
        return _request_out(session, ended)


def _request_out(session: Session, row: PromotionRequest) -> PromotionRequestOut:
    promotion = session.get(Promotion, row.promotion_id) if row.promotion_id else None
    return PromotionRequestOut.of(
        row,
        adapter=_adapter_name(session, row.adapter_id),
        sequence=promotion.sequence if promotion else None,
    )


def _adapter_name(session: Session, adapter_id: str | None) -> str:
    adapter = adapters.by_id(session, adapter_id)
    return adapter.name if adapter else adapters.BASE
