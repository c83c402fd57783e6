"""Topics over the API: an assistant's list, what a conversation is about, what an exam's answers chose."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import Field
from sqlmodel import Session

from feedback import assistants, audit, exams, naming
from feedback.choices import choices
from feedback.database import reading, writing
from feedback.desk import desk_of
from feedback.errors import NotFound
from feedback.tables import Assistant, EvalRun
from service.permissions import (
    OPERATORS,
    STAFF,
    Caller,
    allow,
    assistant_for,
    conversation_for,
)
from service.shapes import Shape

router = APIRouter(prefix="/v1", tags=["topics"])
OfStaff = Annotated[Caller, Depends(allow(*STAFF))]
Operator = Annotated[Caller, Depends(allow(*OPERATORS))]
Topic = Annotated[str, Field(min_length=1, max_length=120)]


class NewTopics(Shape):
    """The topics from now on."""

    assistant: str | None = None
    topics: list[Topic] = Field(max_length=1000)


class TopicsOut(Shape):
    """What requests to an assistant may be about."""

    assistant: str
    topics: list[str]


class NewTopic(Shape):
    """What a conversation is about."""

    topic: str | None = Field(max_length=120, description="One of the assistant's; null: unknown.")


class TopicOut(Shape):
    """What a conversation is about, and who says so."""

    conversation: str
    topic: str | None
    topic_by: str | None = Field(description="A person, or bot; null: it came with an import.")


class ChoicesOut(Shape):
    """What one run of an exam chose: accuracy, macro figures, kappa, each class, and the matrix
    (a row per class expected, a column per class chosen, both in the order of the classes).
    """

    topics: dict[str, Any] | None
    handovers: dict[str, Any] | None


@router.get("/topics")
def list_topics(request: Request, caller: OfStaff, assistant: str | None = None) -> TopicsOut:
    """The assistant's topics."""
    with reading(request.app.state.database) as session:
        owner = assistant_for(session, caller, assistant)
        return TopicsOut(assistant=owner.name, topics=owner.topics)


@router.put("/topics")
def set_topics(request: Request, new: NewTopics, caller: Operator) -> TopicsOut:
    """Change the assistant's topics. Conversations keep theirs, also one that is gone from the list."""
    with writing(request.app.state.database) as session:
        owner = assistant_for(session, caller, new.assistant)
        for before, after in assistants.change(session, owner, topics=new.topics).values():
            told = {"before": before, "after": after}
            actor, subject = caller.actor(owner.id), f"{owner.name}: topics"
            audit.record(session, actor, "assistant.change", subject, owner.id, **told)
        changed = session.get_one(Assistant, owner.id)
        return TopicsOut(assistant=changed.name, topics=changed.topics)


@router.put("/conversations/{conversation_id}/topic")
def name_topic(request: Request, conversation_id: str, new: NewTopic, caller: OfStaff) -> TopicOut:
    """Say what a conversation is about. What people name teaches the bot, what it named itself does not."""
    with writing(request.app.state.database) as session:
        conversation = conversation_for(session, caller, conversation_id)
        before, after = naming.name(session, conversation, new.topic, caller.name)
        owner, subject = conversation.assistant_id, f"conversation {conversation.id}"
        told = {"before": before, "after": after}
        audit.record(session, caller.actor(owner), "conversation.topic", subject, owner, **told)
        return TopicOut(
            conversation=conversation.id,
            topic=conversation.topic,
            topic_by=conversation.topic_by,
        )


@router.get("/eval-runs/{run_id}/choices")
def read_choices(request: Request, run_id: str, caller: OfStaff) -> ChoicesOut:
    """Which topics an exam's answers chose, and when a person should take over, against what was right."""
    with reading(request.app.state.database) as session:
        run = _run(session, caller, run_id)
        desk = desk_of(session.get_one(Assistant, run.assistant_id))
        return ChoicesOut(**choices(exams.answers(session, run), desk).as_dict())


def _run(session: Session, caller: Caller, run_id: str) -> EvalRun:
    """The run; the same NotFound for another assistant's and for nobody's."""
    run = exams.get_run(session, run_id)
    if caller.role_at(run.assistant_id) is None:
        raise NotFound(f"There is no eval run {run_id!r}. See `understudy evals list`.")
    return run
