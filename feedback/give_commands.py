"""`understudy feedback give`: say something about a message, as the consoles and the API do."""

from typing import Annotated

import typer
from sqlmodel import Session

from feedback import audit, conversations, corrections, reviews
from feedback.database import writing
from feedback.printing import examples, say
from feedback.tables import Feedback, FeedbackKind, FlagReason, Role

app = typer.Typer(
    no_args_is_help=True,
    help="Rate, flag, correct, approve or demonstrate. Your newer word replaces your older one of "
    "the same kind; the older one stays on record.",
)

MessageId = Annotated[str, typer.Argument(help="The id of the message it is about.")]
Author = Annotated[str, typer.Option(help="Who says so.")]
Policy = Annotated[str | None, typer.Option(help="The rule of the house that it rests on.")]
Note = Annotated[str | None, typer.Option(help="For colleagues; never trained on.")]


@app.command(epilog=examples("understudy feedback give rate 01m832… --down --author mara"))
def rate(
    message_id: MessageId,
    up: Annotated[bool, typer.Option("--up/--down", help="Helpful or not.")],
    author: Author,
    note: Note = None,
) -> None:
    """Was the answer helpful?"""
    _give(message_id, FeedbackKind.RATING, author, value=1 if up else -1, note=note)


@app.command(epilog=examples("understudy feedback give flag 01m832… wrong_fact --author mara"))
def flag(
    message_id: MessageId,
    reason: Annotated[FlagReason, typer.Argument(help="What was wrong.")],
    author: Author,
    note: Note = None,
) -> None:
    """Say what was wrong with an answer."""
    _give(message_id, FeedbackKind.FLAG, author, reason=reason, note=note)


@app.command(
    epilog=examples(
        'understudy feedback give correct 01m832… "You have 40 days to send it back." --author mara'
    )
)
def correct(
    message_id: MessageId,
    text: Annotated[str, typer.Argument(help="The answer you would have given.")],
    author: Author,
    note: Note = None,
    policy: Policy = None,
) -> None:
    """Write the answer the bot should have given. This is what it learns from."""
    _give(message_id, FeedbackKind.CORRECTION, author, text=text, note=note, policy=policy)


@app.command(epilog=examples("understudy feedback give approve 01m832… --author mara"))
def approve(message_id: MessageId, author: Author, note: Note = None) -> None:
    """The answer is right as it stands; it may be learned from."""
    _give(message_id, FeedbackKind.APPROVAL, author, note=note)


@app.command(
    epilog=examples('understudy feedback give demonstrate 01m832… "Reply LOSTDUCK." --author jonas')
)
def demonstrate(
    message_id: MessageId,
    text: Annotated[str, typer.Argument(help="Your answer to the customer's message.")],
    author: Author,
    note: Note = None,
    policy: Policy = None,
) -> None:
    """Answer a customer's message from scratch."""
    kind = FeedbackKind.DEMONSTRATION
    _give(message_id, kind, author, text=text, note=note, policy=policy)


@app.command(epilog=examples("understudy feedback give withdraw 01m833… --author mara"))
def withdraw(
    feedback_id: Annotated[str, typer.Argument(help="As `understudy feedback show` prints it.")],
    author: Author,
) -> None:
    """Take your own word back. It stays on record and no longer counts."""
    with writing() as session:
        word = reviews.withdraw(session, feedback_id, author)
        _note(session, "feedback.withdraw", word)
    say(f"Withdrew the {word.kind} {word.id}.")


def _give(
    message_id: str,
    kind: FeedbackKind,
    author: str,
    value: int | None = None,
    reason: FlagReason | None = None,
    text: str | None = None,
    note: str | None = None,
    policy: str | None = None,
) -> None:
    with writing() as session:
        word = corrections.give(
            session, message_id, kind, author, Role.AGENT, value, reason, text, note, policy
        )
        _note(session, f"feedback.{kind}", word)
        review = reviews.heard(session, word)
        is_disputed = review is not None and bool(reviews.in_dispute(session, review))
    replaced = f"; it replaces {word.supersedes_id}" if word.supersedes_id else ""
    say(f"Recorded the {kind} {word.id} by {author!r}{replaced}.")
    if is_disputed:
        say("A colleague says otherwise: neither word teaches until a third person decides.")


def _note(session: Session, act: str, word: Feedback) -> None:
    about = conversations.message(session, word.message_id)
    owner = conversations.get(session, about.conversation_id).assistant_id
    subject, by = f"message {about.id}", word.author
    audit.record(session, audit.here(), act, subject, owner, by=by, feedback=word.id)
