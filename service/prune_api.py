"""Disk space over the API: which adapters' files may go and why, and removing them."""

from typing import Annotated, Self

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from feedback import prune
from feedback.database import reading, writing
from feedback.retention import Verdict
from feedback.tables import now
from service.permissions import OPERATORS, STAFF, Caller, allow, assistant_for
from service.shapes import Shape

router = APIRouter(prefix="/v1/adapters/prune", tags=["operations"])


class VerdictOut(Shape):
    """One adapter's files: why they stay, or why it is safe to remove them."""

    name: str
    size_bytes: int
    why_it_stays: list[str] = Field(description="Everything that still names it; empty: may go.")
    why_it_is_safe: str = Field(description="Who spoke with it last and what replaced it.")

    @classmethod
    def of(cls, verdict: Verdict) -> Self:
        """The public side of a verdict."""
        return cls(
            name=verdict.name,
            size_bytes=verdict.size_bytes,
            why_it_stays=verdict.keep,
            why_it_is_safe=verdict.safe,
        )


class PruneOut(Shape):
    """What would be removed and what stays; after a removal, what was removed."""

    remove: list[VerdictOut]
    remove_bytes: int
    keep: list[VerdictOut]
    keep_bytes: int


class NewPrune(Shape):
    """Remove what may go; what is named again by then stays."""

    assistant: str | None = None
    names: list[str] | None = Field(None, description="Only these; null: whatever may go.")


class PrunedOut(Shape):
    """Whose files were removed."""

    removed: list[VerdictOut]
    removed_bytes: int
    left_to_the_loop: list[str] = Field(
        description="Decided, but the loop deletes the files: the service may only read them."
    )


@router.get("")
def show(
    request: Request,
    caller: Annotated[Caller, Depends(allow(*STAFF))],
    assistant: str | None = None,
) -> PruneOut:
    """Which adapters' files may go and why that is safe; which stay, with every reason."""
    with reading(request.app.state.database) as session:
        plan = prune.plan(session, assistant_for(session, caller, assistant), now())
    return PruneOut(
        remove=[VerdictOut.of(each) for each in plan.remove],
        remove_bytes=plan.remove_bytes,
        keep=[VerdictOut.of(each) for each in plan.keep],
        keep_bytes=plan.keep_bytes,
    )


@router.post("")
def remove(
    request: Request, new: NewPrune, caller: Annotated[Caller, Depends(allow(*OPERATORS))]
) -> PrunedOut:
    """Remove the files of adapters that nothing names any more. Rows, exams and answers stay."""
    with writing(request.app.state.database) as session:
        owner = assistant_for(session, caller, new.assistant)
        removed = prune.mark(session, owner, caller.actor(owner.id), now(), new.names)
    with reading(request.app.state.database) as session:
        left = prune.sweep(session)
    return PrunedOut(
        removed=[VerdictOut.of(each) for each in removed],
        removed_bytes=sum(each.size_bytes for each in removed),
        left_to_the_loop=left,
    )
