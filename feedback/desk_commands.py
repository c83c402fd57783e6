"""`understudy feedback desk`: the inbox, search, hand-overs, the review queue and what was learned."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlmodel import Session

from feedback import (
    assistants,
    audit,
    conversations,
    handovers,
    inbox,
    learned,
    learned_commands,
    naming,
    rechecks,
    reliability,
    reviews,
    search,
    staff,
)
from feedback.audit import Actor
from feedback.database import reading, writing
from feedback.desk import check_desk, desk_of
from feedback.errors import Denied
from feedback.inbox import Row, View
from feedback.printing import (
    AssistantOption,
    JsonOption,
    examples,
    print_record,
    print_records,
    say,
    short,
)
from feedback.tables import Conversation as Talk
from feedback.tables import Role

app = typer.Typer(no_args_is_help=True, help="Conversations, people who take over, reviews.")
Id = Annotated[str, typer.Argument(help="The conversation's id.")]
By = Annotated[str, typer.Option(help="The member of staff who does it: their e-mail address.")]


@app.command(
    "list",
    epilog=examples(
        "understudy feedback desk list --view waiting",
        'understudy feedback desk list --search "refund thursday"',
    ),
)
def list_conversations(
    assistant: AssistantOption = None,
    view: Annotated[View, typer.Option(help="A saved view of the inbox.")] = View.ALL,
    words: Annotated[str, typer.Option("--search", help="Words that were said.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
    after: Annotated[
        str | None, typer.Option(help="The last id of the page before: older ones.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Conversations: a saved view, or a search."""
    with reading() as session:
        owner = assistants.only(session, assistant)
        if words:
            found = search.find(session, owner, words, limit, after)
        else:
            found = inbox.page(session, owner, view, None, after, limit)
    print_records([_row(row, as_json) for row in found], as_json, "No conversations here.")


def _row(row: Row, whole: bool) -> dict[str, Any]:
    one = row.conversation
    return {
        "id": one.id,
        "customer": row.customer,
        "handling": one.handling,
        "said": one.last_text if whole else short(one.last_text),
        "at": one.last_message_at,
        "flagged_at": one.flagged_at,
        "reviewed_at": one.reviewed_at,
    }


@app.command(epilog=examples("understudy feedback desk show 01m832nhwx7xes4yw7kg3dsrcj"))
def show(conversation_id: Id, as_json: JsonOption = False) -> None:
    """Everything said in a conversation."""
    with reading() as session:
        conversations.get(session, conversation_id)
        said = conversations.messages_of(session, conversation_id)
    rows = [
        {"id": m.id, "speaker": m.author or m.speaker, "said": m.text, "state": m.state}
        for m in said
    ]
    print_records(rows, as_json)


@app.command(
    epilog=examples(
        "understudy feedback desk take 01m832nhwx7xes4yw7kg3dsrcj --by mara@example.com"
    )
)
def take(conversation_id: Id, by: By) -> None:
    """Take a conversation: the bot is silent from now on."""
    with writing() as session:
        person = staff.get(session, by)
        conversation = conversations.get(session, conversation_id)
        handovers.take(session, conversation, person)
        _note(session, person.email, "conversation.take", conversation)
    say(f"{person.name} has the conversation.")


@app.command(
    "take-over",
    epilog=examples(
        "understudy feedback desk take-over 01m832nhwx7xes4yw7kg3dsrcj --by olga@example.com"
    ),
)
def take_over(conversation_id: Id, by: By) -> None:
    """Take a conversation from the colleague who has it; needs the role of an operator there."""
    with writing() as session:
        person = staff.get(session, by)
        conversation = conversations.get(session, conversation_id)
        role = staff.role_at(staff.roles_of(session, person), conversation.assistant_id)
        if role not in (Role.OPERATOR, Role.ADMIN):
            raise Denied(
                f"{person.email} has the role {role or 'none'} there; an operator takes over."
            )
        holder = handovers.take_over(session, conversation, person)
        _note(session, person.email, "conversation.take_over", conversation, holder=holder.email)
    say(f"{person.name} has the conversation; {holder.name} had it before.")


@app.command(
    epilog=examples(
        "understudy feedback desk release 01m832nhwx7xes4yw7kg3dsrcj --by mara@example.com",
        "understudy feedback desk release 01m832nhwx7xes4yw7kg3dsrcj --by mara@example.com --close",
    )
)
def release(
    conversation_id: Id,
    by: By,
    close: Annotated[bool, typer.Option("--close", help="It is done; close it.")] = False,
) -> None:
    """Hand a conversation back to the bot, or close it."""
    with writing() as session:
        person = staff.get(session, by)
        conversation = conversations.get(session, conversation_id)
        if close:
            handovers.close(session, conversation, person)
        else:
            handovers.hand_back(session, conversation, person)
        act = "conversation.close" if close else "conversation.hand_back"
        _note(session, person.email, act, conversation)
    say("It is closed." if close else "The bot answers again.")


@app.command(
    epilog=examples(
        "understudy feedback desk topic 01m832nhwx7xes4yw7kg3dsrcj returns --by mara@example.com",
        "understudy feedback desk topic 01m832nhwx7xes4yw7kg3dsrcj --by mara@example.com",
    )
)
def topic(
    conversation_id: Id,
    by: By,
    topic: Annotated[
        str | None, typer.Argument(help="One of the assistant's topics; without it: unknown.")
    ] = None,
) -> None:
    """Say what a conversation is about. What people name teaches the bot, what it named itself does not."""
    with writing() as session:
        person = staff.get(session, by)
        conversation = conversations.get(session, conversation_id)
        before, after = naming.name(session, conversation, topic, person.email)
        told = {"before": before or "", "after": after or ""}
        _note(session, person.email, "conversation.topic", conversation, **told)
    say(f"It is about {after!r}." if after else "It has no topic.")


def _note(session: Session, who: str, act: str, conversation: Talk, **detail: str) -> None:
    subject, owner = f"conversation {conversation.id}", conversation.assistant_id
    audit.record(session, Actor(who, "command line"), act, subject, owner, **detail)


@app.command(epilog=examples("understudy feedback desk fill-reviews"))
def fill_reviews(assistant: AssistantOption = None, as_json: JsonOption = False) -> None:
    """Sample new answers into the review queue: uncertain, on a new topic, or by chance."""
    with writing() as session:
        owner = assistants.only(session, assistant)
        added = reviews.fill(session, owner)
        audit.record(session, audit.here(), "review.fill", owner.name, owner.id)
    print_record({str(source): count for source, count in added.items()}, as_json)


@app.command(epilog=examples("understudy feedback desk disputes"))
def disputes(assistant: AssistantOption = None, as_json: JsonOption = False) -> None:
    """Answers about which people disagree: nothing said of them teaches until a third decides."""
    with reading() as session:
        owner = assistants.only(session, assistant)
        rows = [
            {
                "answer": item.answer.id,
                "conversation": item.conversation.id,
                "since": item.review.created_at,
                "author": one.author,
                "verdict": one.verdict,
                "said": one.text if as_json else short(one.text),
            }
            for item in reviews.disputed(session, owner)
            for one in reviews.in_dispute(session, item.review)
        ]
    print_records(rows, as_json, "Nobody disagrees about an answer right now.")


@app.command(
    epilog=examples(
        "understudy feedback desk agreement", "understudy feedback desk agreement --json"
    )
)
def agreement(assistant: AssistantOption = None, as_json: JsonOption = False) -> None:
    """How far people agree about answers that two of them judged, and how reliable each is."""
    with reading() as session:
        found = reliability.figures(session, assistants.only(session, assistant))
    together, people = found.agreement, [asdict(one) for one in found.people]
    shown = {
        **asdict(together),
        "label_noise": found.noise.epsilon,
        "label_noise_rests_on": found.noise.corrections,
    }
    if as_json:
        print_record({**shown, "people": people}, as_json)
        return
    print_record(shown, as_json)
    if together.is_few:
        say("Too few answers were seen by two for these figures to mean much.")
    print_records(people, False, "Nobody has judged an answer that another judged, too.")


@app.command(
    "learned",
    epilog=examples("understudy feedback desk learned --author mara@example.com"),
)
def list_learned(
    assistant: AssistantOption = None,
    author: Annotated[str | None, typer.Option(help="Only this person's corrections.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Corrections, which adapters learned them, and whether the bot is right by now."""
    with reading() as session:
        owner = assistants.only(session, assistant)
        found = learned.by_author(session, owner, author)
    rows = [learned_commands.row(one, whole=as_json) for one in found]
    print_records(rows, as_json, "No corrections yet.")


@app.command(epilog=examples("understudy feedback desk recheck 01m832nhwx7xes4yw7kg3dsrcj"))
def recheck(
    feedback_id: Annotated[str, typer.Argument(help="As `desk learned` prints it.")],
) -> None:
    """Ask a correction's question again of what is live; the loop does it within seconds."""
    with writing() as session:
        row = rechecks.get(session, feedback_id)
        rechecks.request(session, row, "command line")
        about = conversations.message(session, row.message_id)
        conversation = conversations.get(session, about.conversation_id)
        _note(session, audit.here().name, "feedback.recheck", conversation)
    say("Asked for. `understudy feedback desk learned` shows what came of it.")


@app.command(
    epilog=examples(
        "understudy feedback desk settings", "understudy feedback desk settings --file desk.json"
    )
)
def settings(
    assistant: AssistantOption = None,
    file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="JSON to use from now on.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Opening hours, when a person takes over, what is reviewed; with --file, change them."""
    with writing() as session:
        owner = assistants.only(session, assistant)
        if file:
            changed = check_desk(json.loads(file.read_text(encoding="utf-8")))
            before = owner.desk
            owner.desk = changed.model_dump(mode="json", exclude_defaults=True)
            session.add(owner)
            audit.record(
                session,
                audit.here(),
                "desk.change",
                owner.name,
                owner.id,
                before=before,
                after=owner.desk,
            )
        print_record(desk_of(owner).model_dump(mode="json"), as_json)
