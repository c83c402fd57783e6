"""`understudy adapters`: what was learned, what is live, and the way forward and back.

Promoting and rolling back only ask: a running service moves its engines and decides.
"""

from typing import Annotated, Any

import typer
from sqlmodel import Session

from feedback import (
    adapter_folder,
    adapters,
    assistants,
    audit,
    card_commands,
    excepted,
    influence,
    lineage,
    promotions,
    prune,
)
from feedback.database import reading, writing
from feedback.errors import Invalid
from feedback.printing import (
    AssistantOption,
    CommandGroup,
    JsonOption,
    examples,
    print_json,
    print_record,
    print_records,
    say,
)
from feedback.prune import Plan
from feedback.retention import Verdict
from feedback.swap_tables import PromotionRequest, RequestState
from feedback.tables import Adapter, Assistant, Promotion, Swap, now

app = typer.Typer(
    cls=CommandGroup,
    no_args_is_help=True,
    help="Adapters: what an assistant has learned. List, compare, promote, roll back.",
    epilog=examples(
        "understudy adapters list",
        'understudy adapters promote shop-v3-1a2b3c4d --by mara --reason "Better on refunds."',
        'understudy adapters rollback --by mara --reason "It forgot the fees."',
    ),
)

app.command("card", epilog=card_commands.EPILOG)(card_commands.card)

POLL_SECONDS = 0.5

Name = Annotated[str, typer.Argument(help="As `understudy adapters list` prints it.")]
By = Annotated[str, typer.Option("--by", help="Who decides this.")]
Reason = Annotated[str, typer.Option(help="Why; kept with the promotion.")]
Expected = Annotated[
    str | None,
    typer.Option(help="What you saw as live; refused if something else is by now."),
]
ExceptTopics = Annotated[
    list[str] | None,
    typer.Option(
        "--except-topic",
        help="A topic that whatever answers it now goes on answering; may be given several times.",
    ),
]
Wait = Annotated[
    float,
    typer.Option(min=0, help="Seconds to wait for a running service to decide."),
]


@app.command("list", epilog=examples("understudy adapters list --json"))
def list_adapters(assistant: AssistantOption = None, as_json: JsonOption = False) -> None:
    """An assistant's adapters, newest first, and which one is live."""
    with reading() as session:
        owner = assistants.only(session, assistant)
        rows = [_row(session, owner, adapter) for adapter in adapters.every(session, owner)]
    print_records(rows, as_json, nothing="None yet; the base model answers.")


@app.command(epilog=examples("understudy adapters influences shop-v3-1a2b3c4d"))
def influences(name: Name, as_json: JsonOption = False) -> None:
    """The corrections that its exam answers sound like most: what to read before promoting it."""
    with reading() as session:
        found = influence.influences(session, adapters.get(session, name))
        rows = [
            {
                "answers": len(each.tickets),
                "gain": None if each.gain is None else round(each.gain, 2),
                "by": ", ".join(sorted({word.author for word, _ in each.sources})),
                "question": each.row.prompt[-1]["content"],
                "chosen": each.row.chosen,
            }
            for each in found
        ]
    print_records(rows, as_json, nothing="It sat no exam, or sounds like nothing that was taught.")


@app.command(epilog=examples("understudy adapters show shop-v3-1a2b3c4d"))
def show(name: Name, as_json: JsonOption = False) -> None:
    """One adapter: its data, its files, its life so far."""
    with reading() as session:
        adapter = adapters.get(session, name)
        owner = assistants.by_id(session, adapter.assistant_id)
        swap = adapters.last_swap(session, adapter)
        record = {
            **_row(session, owner, adapter),
            "digest": adapter.digest,
            "base_model": adapter.base_model,
            "cycle": adapter.cycle_id,
            "datasets": [dataset.name for dataset in adapters.datasets_of(session, adapter)],
            "corrections": len(lineage.feedback_behind(session, adapter)),
            "engine": _word_of(swap) if swap else None,
            "promotions": [
                ", ".join(
                    each
                    for each in (
                        f"{past.sequence}: by {past.approved_by}",
                        excepted.in_words(session, past),
                        past.reason,
                    )
                    if each
                )
                for past in adapters.history(session, owner)
                if past.adapter_id == adapter.id
            ],
        }
    print_record({**record, "files": _state_of_files(adapter)}, as_json)


def _row(session: Session, owner: Assistant, adapter: Adapter) -> dict[str, Any]:
    live = adapters.live(session, owner)
    return {
        "name": adapter.name,
        "version": adapter.version,
        "live": live is not None and live.adapter_id == adapter.id,
        "answers": _answers(session, live, adapter),
        "rank": adapter.rank,
        "size_mb": round(adapter.size_bytes / 1e6, 1),
        "made_at": adapter.created_at,
        "files_removed": adapter.files_removed_at,
    }


def _answers(session: Session, live: Promotion | None, adapter: Adapter) -> str:
    """About what it speaks in new conversations."""
    if live is not None and live.adapter_id == adapter.id:
        return excepted.in_words(session, live) or "all topics"
    return ", ".join(excepted.topics_of(live, adapter))


def _state_of_files(adapter: Adapter) -> str:
    if adapter.files_removed_at:
        return f"removed on {adapter.files_removed_at:%Y-%m-%d}"
    try:
        adapter_folder.verify(adapters.folder_of(adapter), adapter.digest)
    except Invalid as error:
        return str(error)
    return "as they were published"


@app.command(epilog=examples("understudy adapters history --json"))
def history(assistant: AssistantOption = None, as_json: JsonOption = False) -> None:
    """Everything that was ever made live, newest first."""
    with reading() as session:
        owner = assistants.only(session, assistant)
        names = {adapter.id: adapter.name for adapter in adapters.every(session, owner)}
        rows = [
            {
                "sequence": past.sequence,
                "adapter": names.get(past.adapter_id or "", adapters.BASE),
                "answers": excepted.in_words(session, past) or "all topics",
                "by": past.approved_by,
                "reason": past.reason,
                "at": past.created_at,
            }
            for past in adapters.history(session, owner)
        ]
    print_records(rows, as_json, nothing="Nothing was ever promoted; the base model answers.")


@app.command(epilog=examples("understudy adapters requests --json"))
def requests(assistant: AssistantOption = None, as_json: JsonOption = False) -> None:
    """What was asked to go live and what became of it, newest first; also what was refused."""
    with reading() as session:
        owner = assistants.only(session, assistant)
        names = {adapter.id: adapter.name for adapter in adapters.every(session, owner)}
        rows = [
            {
                "adapter": names.get(asked.adapter_id or "", adapters.BASE),
                "except_topics": ", ".join(asked.except_topics),
                "state": asked.state,
                "by": asked.requested_by,
                "reason": asked.reason,
                "outcome": asked.outcome,
                "at": asked.created_at,
            }
            for asked in promotions.every(session, owner)
        ]
    print_records(rows, as_json, nothing="Nothing was asked for yet.")


@app.command(
    epilog=examples(
        'understudy adapters promote shop-v3-1a2b3c4d --by mara --reason "Better on refunds."',
        "understudy adapters promote shop-v4-5e6f7a8b --except-topic refunds --by mara --reason "
        '"Better, but not on refunds."',
    )
)
def promote(
    name: Name,
    by: By,
    reason: Reason,
    except_topic: ExceptTopics = None,
    expected: Expected = None,
    wait: Wait = 30.0,
) -> None:
    """Make an adapter live for new conversations, once the engines were seen to compute it.

    With --except-topic for the other topics only. Conversations under way keep their voice. Without a
    running service the request waits for one.
    """
    with writing() as session:
        adapter = adapters.get(session, name)
        owner = assistants.by_id(session, adapter.assistant_id)
        adapters.check_expected(session, owner, expected)
        topics = except_topic or []
        asked = promotions.request(session, owner, adapter, by, reason, except_topics=topics)
        before = adapters.live_adapter(session, owner)
        _note(session, owner, "adapter.promote", adapter, by, reason, topics)
    _tell(asked, before, adapter, wait)


@app.command(
    epilog=examples(
        'understudy adapters rollback --by mara --reason "It forgot the fees."',
        'understudy adapters rollback --to base --by mara --reason "Start over."',
    )
)
def rollback(
    by: By,
    reason: Reason,
    to: Annotated[
        str | None,
        typer.Option(help=f"An adapter's name, or {adapters.BASE!r}; else what was live before."),
    ] = None,
    assistant: AssistantOption = None,
    expected: Expected = None,
    wait: Wait = 30.0,
) -> None:
    """Make live again what was live before, or what you name. The history keeps both."""
    with writing() as session:
        owner = assistants.only(session, assistant)
        adapters.check_expected(session, owner, expected)
        before = adapters.live_adapter(session, owner)
        if to is None:
            asked = promotions.request_rollback(session, owner, by, reason)
        else:
            target = None if to == adapters.BASE else adapters.get(session, to)
            asked = promotions.request(session, owner, target, by, reason, rolls_back=True)
        after = adapters.by_id(session, asked.adapter_id)
        _note(session, owner, "adapter.roll_back", after, by, reason)
    _tell(asked, before, after, wait)


def _note(
    session: Session,
    owner: Assistant,
    act: str,
    now: Adapter | None,
    by: str,
    reason: str,
    topics: list[str] | None = None,
) -> None:
    name, more = now.name if now else adapters.BASE, {"except_topics": topics} if topics else {}
    audit.record(session, audit.here(), act, name, owner.id, by=by, reason=reason, **more)


@app.command(
    "prune",
    epilog=examples(
        "understudy adapters prune", "understudy adapters prune --yes --assistant shop"
    ),
)
def prune_adapters(
    assistant: AssistantOption = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Remove them. Without it nothing is changed.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove the files of adapters that nothing names any more; say first which, and why it is safe.

    Rows, data, exams and answers stay; an adapter without files cannot go live again. How long files
    are kept: FEEDBACK_KEEP_ADAPTER_DAYS, FEEDBACK_KEEP_ROLLBACKS, FEEDBACK_KEEP_ORPHAN_HOURS.
    """
    removed, left = _prune(assistant) if yes else ([], [])
    with reading() as session:
        plan = prune.plan(session, assistants.only(session, assistant), now())
    if as_json:
        print_json(_as_json(plan, removed, left, yes))
        return
    shown = removed if yes else plan.remove
    print_records([_removal(each) for each in shown], False, "Nothing may go.")
    say(f"{'Removed' if yes else 'Would remove'} {_sum(shown)}.")
    if left:
        say(f"This process may not delete {', '.join(left)}; a running loop does so in seconds.")
    say("")
    print_records([_stay(each) for each in plan.keep], False, "Nothing stays.")
    say(f"Keeps {_sum(plan.keep)}.")
    if shown and not yes:
        say("Nothing was changed. `understudy adapters prune --yes` removes them.")


def _prune(assistant: str | None) -> tuple[list[Verdict], list[str]]:
    with writing() as session:
        owner = assistants.only(session, assistant)
        removed = prune.mark(session, owner, audit.here(), now())
    with reading() as session:
        return removed, prune.sweep(session)


def _removal(verdict: Verdict) -> dict[str, Any]:
    return {"adapter": verdict.name, "size_mb": _mb(verdict), "why_it_is_safe": verdict.safe}


def _stay(verdict: Verdict) -> dict[str, Any]:
    return {"adapter": verdict.name, "size_mb": _mb(verdict), "why_it_stays": verdict.keep}


def _mb(verdict: Verdict) -> float:
    return round(verdict.size_bytes / 1e6, 1)


def _sum(verdicts: list[Verdict]) -> str:
    megabytes = sum(each.size_bytes for each in verdicts) / 1e6
    whose = "1 adapter" if len(verdicts) == 1 else f"{len(verdicts)} adapters"
    return f"the files of {whose}, {megabytes:.1f} MB"


def _as_json(plan: Plan, removed: list[Verdict], left: list[str], yes: bool) -> dict[str, Any]:
    return {
        "removed" if yes else "remove": [
            _removal(each) for each in (removed if yes else plan.remove)
        ],
        "keep": [_stay(each) for each in plan.keep],
        "left_to_the_loop": left,
    }


def _tell(
    asked: PromotionRequest, before: Adapter | None, after: Adapter | None, wait_seconds: float
) -> None:
    names = [adapter.name if adapter else adapters.BASE for adapter in (before, after)]
    how_far = f", all but {', '.join(asked.except_topics)}" if asked.except_topics else ""
    say(f"Asked for by {asked.requested_by}: {names[0]} → {names[1]}{how_far}.")
    ended = promotions.outcome(asked.id, wait_seconds)
    if ended.state == RequestState.WAITING:
        say(
            "No service has decided yet. Is one running? The request stands, and goes on by itself."
        )
    elif promotions.only_withdrew(ended):
        say(f"{names[1]} was live and stays so{how_far}; what was asked for before is withdrawn.")
    else:
        say(f"{names[1]} is live{how_far}. {ended.outcome}")


def _word_of(swap: Swap) -> str:
    if swap.verified:
        return f"Verified on {swap.engine}: {swap.reason}"
    return f"Refused on {swap.engine}: {swap.reason}"
