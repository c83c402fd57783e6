"""The review queue: one answer at a time, judged with a key; the next one comes by itself."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlmodel import Session

from feedback import adapters, conversations, policies, reviews
from feedback.database import reading, writing
from feedback.desk import desk_of
from feedback.desk_tables import Staff, Verdict
from feedback.errors import Invalid, NotFound
from feedback.reviews import Item
from feedback.tables import Feedback, FlagReason, Role
from service.console import judging
from service.console.conversation import Line
from service.console.pages import page
from service.console.session import Seat, seat
from service.permissions import STAFF

router = APIRouter(prefix="/console/{assistant}", include_in_schema=False)
OfStaff = Annotated[Seat, Depends(seat(*STAFF))]
Given = Annotated[str, Form()]
CONTEXT = 6
"""Messages shown before the question."""
WHY = {
    "uncertain": "The bot was not sure of this answer.",
    "new_topic": "Nothing like this question has been taught yet.",
    "random": "Drawn by chance, so that the whole is seen fairly.",
    "disagreement": "Two people judged it and do not agree. Their words wait for yours.",
}


@router.get("/review")
def show(
    request: Request, here: OfStaff, given: str = "", filled: int | None = None
) -> HTMLResponse:
    """The next answer, kept for this person for a few minutes."""
    with writing(request.app.state.database) as session:
        item = reviews.take_next(session, here.desk, here.person)
        if item is not None:
            judging.record(session, here, "review.take", f"review {item.review.id}")
        context = _shown(session, here, item) | _queue(session, here)
        context["given"] = judging.told(session, here, given)
    return page(request, here, "review.html", filled=filled, **context)


@router.get("/review/queue")
def show_queue(request: Request, here: OfStaff) -> HTMLResponse:
    """How much is left, alone."""
    with reading(request.app.state.database) as session:
        return page(request, here, "_queue.html", **_queue(session, here))


def _shown(session: Session, here: Seat, item: Item | None) -> dict[str, Any]:
    if item is None:
        return {"item": None}
    said = conversations.told(conversations.messages_of(session, item.conversation.id))
    before = [message for message in said if message.position < item.answer.position]
    judged = [
        session.get_one(Staff, one.staff_id).name for one in reviews.verdicts(session, item.review)
    ]
    return {
        "item": item,
        "before": before[-CONTEXT:],
        "line": Line(item.answer, adapters.by_id(session, item.answer.adapter_id)),
        "low": desk_of(here.desk).low_confidence,
        "judged": judged,
        "why": WHY[item.review.source],
        "said_of_it": reviews.in_dispute(session, item.review),
        "reasons": list(FlagReason),
        "policies": policies.every(session, here.desk),
    }


def _queue(session: Session, here: Seat) -> dict[str, Any]:
    agreed, of = reviews.agreement(session, here.desk)
    items = reviews.open_items(session, here.desk) if here.may(Role.OPERATOR) else []
    return {
        "left": reviews.waiting(session, here.desk, here.person),
        "agreed": agreed,
        "agreed_of": of,
        "open_items": items,
        "people": reviews.reviewers(session, here.desk),
    }


@router.post("/review/fill")
def fill(request: Request, here: OfStaff) -> Response:
    """Sample new answers into the queue."""
    with writing(request.app.state.database) as session:
        added = reviews.fill(session, here.desk)
        count = sum(added.values())
        judging.record(session, here, "review.fill", here.desk.name, added=str(count))
    return RedirectResponse(f"/console/{here.desk.name}/review?filled={count}", 303)


@router.post("/reviews/{review_id}/verdicts")
def judge(
    request: Request,
    here: OfStaff,
    review_id: str,
    verdict: Given = "",
    reason: Given = "",
    text: Given = "",
    note: Given = "",
    adopts: Given = "",
    policy: Given = "",
) -> Response:
    """This person's verdict; the next answer comes. `adopts`: the correction of one side of a dispute."""
    with writing(request.app.state.database) as session:
        item = _item(session, here, review_id)
        made = judging.verdict_of(verdict)
        if adopts and made == Verdict.CORRECTED:
            row: Feedback | None = judging.adopt(session, here, item.answer, adopts)
        else:
            row = judging.give(session, here, item.answer, made, reason, text, note, policy)
        reviews.judge(session, item.review, here.person, made, row)
        subject = f"conversation {item.conversation.id}"
        judging.record(session, here, "review.judge", subject, verdict=str(made))
    onward = f"/console/{here.desk.name}/review"
    return RedirectResponse(f"{onward}?given={row.id}" if row else onward, 303)


@router.post("/reviews/{review_id}/assign")
def assign(request: Request, here: OfStaff, review_id: str, staff_id: Given = "") -> Response:
    """Give an item to a colleague, or to anybody."""
    with writing(request.app.state.database) as session:
        item = _item(session, here, review_id)
        known = {person.id: person for person in reviews.reviewers(session, here.desk)}
        if staff_id and staff_id not in known:
            raise Invalid("That person has no role for this assistant; choose another one.")
        person = known.get(staff_id)
        reviews.assign(session, item.review, person)
        name = person.email if person else "anybody"
        judging.record(session, here, "review.assign", f"review {review_id}", to=name)
    return RedirectResponse(f"/console/{here.desk.name}/review", 303)


def _item(session: Session, here: Seat, review_id: str) -> Item:
    item = reviews.get(session, review_id)
    if item.review.assistant_id != here.desk.id:
        raise NotFound(f"There is no review {review_id!r}.")
    return item
