"""The adapter registry and the history of what was live.

"Live" is the newest promotion. Promoting and rolling back are the same act: a row is appended. What was
live before may go on answering some topics (excepted.py).
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlmodel import Session, col, func, select

from feedback import adapter_folder, excepted
from feedback.adapter_folder import Manifest
from feedback.errors import Conflict, NotFound
from feedback.settings import feedback_settings
from feedback.tables import (
    Adapter,
    AdapterDataset,
    Assistant,
    Conversation,
    Cycle,
    CycleState,
    Dataset,
    Promotion,
    Swap,
)

BASE = excepted.BASE
"""How the base model without an adapter is named in commands, routes and pages."""


def publish(
    session: Session,
    assistant: Assistant,
    built: Path,
    datasets: list[Dataset],
    config: dict[str, Any],
    versions: dict[str, str],
    cycle_id: str | None = None,
    goes_on_from: Adapter | None = None,
) -> Adapter:
    """Register a finished adapter folder under a name of its own and move it to its place.

    `goes_on_from`: the adapter that training began with; what that had learned is in this one, too.

    Safe to repeat after a crash: a cycle publishes once, and files that were moved before their row
    was committed get the same name again.
    """
    lock(session, assistant)
    if cycle_id and (published := of_cycle(session, cycle_id)):
        return published
    newest = session.exec(
        select(func.max(Adapter.version)).where(Adapter.assistant_id == assistant.id)
    ).one()
    version = (newest or 0) + 1
    orphan = _published_by_a_crashed_attempt(assistant, version, built, datasets)
    hashes = adapter_folder.file_hashes(orphan or built)
    digest = adapter_folder.digest(hashes)
    name = f"{assistant.name}-v{version}-{digest[:8]}"
    folder = feedback_settings().adapters_dir / name
    if orphan is None:
        manifest = Manifest(
            name=name,
            assistant=assistant.name,
            version=version,
            digest=digest,
            base_model=assistant.base_model,
            datasets={dataset.kind: dataset.sha256 for dataset in datasets},
            config=config,
            versions=versions,
            files=hashes,
            goes_on_from=goes_on_from.name if goes_on_from else None,
        )
        adapter_folder.publish(built, folder, manifest)
    adapter = Adapter(
        assistant_id=assistant.id,
        cycle_id=cycle_id,
        version=version,
        name=name,
        digest=digest,
        base_model=assistant.base_model,
        rank=adapter_folder.rank(folder),
        size_bytes=sum(path.stat().st_size for path in folder.iterdir()),
    )
    session.add(adapter)
    session.flush()
    inherited = datasets_of(session, goes_on_from) if goes_on_from else []
    for dataset in {each.id: each for each in (*inherited, *datasets)}.values():
        session.add(
            AdapterDataset(adapter_id=adapter.id, dataset_id=dataset.id, stage=dataset.kind)
        )
    session.flush()
    return adapter


def of_cycle(session: Session, cycle_id: str) -> Adapter | None:
    """The adapter a cycle published, if it got that far."""
    return session.exec(select(Adapter).where(Adapter.cycle_id == cycle_id)).first()


def _published_by_a_crashed_attempt(
    assistant: Assistant, version: int, built: Path, datasets: list[Dataset]
) -> Path | None:
    """The folder that was moved but never registered; one of a cycle given up may lie beside it."""
    if built.exists():
        return None
    learned = {dataset.kind: dataset.sha256 for dataset in datasets}
    own = []
    for place in feedback_settings().adapters_dir.glob(f"{assistant.name}-v{version}-*"):
        manifest = adapter_folder.read_manifest(place)
        if manifest.assistant == assistant.name and manifest.datasets == learned:
            own.append(place)
    return max(own, key=lambda place: place.stat().st_mtime, default=None)


def folder_of(adapter: Adapter) -> Path:
    """Where an adapter's files lie. The name comes from the registry, never from a request."""
    return (feedback_settings().adapters_dir / adapter.name).resolve()


def get(session: Session, name: str) -> Adapter:
    """The adapter of that name, or NotFound."""
    found = session.exec(select(Adapter).where(Adapter.name == name)).first()
    if found is None:
        raise unknown(name)
    return found


def unknown(name: str) -> NotFound:
    """The error for an adapter that is not there, or not for whoever asks."""
    return NotFound(f"There is no adapter {name!r}. See `understudy adapters list`.")


def by_id(session: Session, adapter_id: str | None) -> Adapter | None:
    """The adapter a row refers to; None for the base model."""
    return session.get(Adapter, adapter_id) if adapter_id else None


def every(session: Session, assistant: Assistant) -> list[Adapter]:
    """An assistant's adapters, newest first."""
    return list(
        session.exec(
            select(Adapter)
            .where(Adapter.assistant_id == assistant.id)
            .order_by(col(Adapter.version).desc())
        )
    )


def history(session: Session, assistant: Assistant) -> list[Promotion]:
    """Every promotion of an assistant, newest first."""
    return list(
        session.exec(
            select(Promotion)
            .where(Promotion.assistant_id == assistant.id)
            .order_by(col(Promotion.sequence).desc())
        )
    )


def usable(session: Session, adapter: Adapter) -> bool:
    """Whether its files are still there, and stay there until this transaction has ended.

    Ask before you write a row that makes a conversation speak with it: on PostgreSQL this waits for a
    removal in progress and holds off the next one. SQLite's writers take turns anyway.
    """
    return _files_removed_at(session, adapter) is None


def kept(session: Session, adapter_id: str | None) -> tuple[Adapter | None, bool]:
    """The adapter a row refers to (None: the base model), and whether it is `usable`, in one look."""
    if adapter_id is None:
        return None, True
    held = select(Adapter).where(Adapter.id == adapter_id)
    found = session.exec(
        held.with_for_update(read=True, key_share=True).execution_options(populate_existing=True)
    ).one()
    return found, found.files_removed_at is None


def check_usable(session: Session, adapter: Adapter) -> None:
    """Raise Conflict for an adapter whose files were removed, saying what to do instead."""
    if removed_at := _files_removed_at(session, adapter):
        raise Conflict(
            f"The files of adapter {adapter.name!r} were removed on {removed_at:%Y-%m-%d}, so it can "
            "neither go live nor sit an exam again. Choose one that has its files (`understudy "
            "adapters list`), or run a cycle: it trains a new one from everything taught so far."
        )


def _files_removed_at(session: Session, adapter: Adapter) -> datetime | None:
    row = select(Adapter.files_removed_at).where(Adapter.id == adapter.id)
    return session.exec(row.with_for_update(read=True, key_share=True)).one()


def live(session: Session, assistant: Assistant) -> Promotion | None:
    """The promotion in force; None while the base model answers because nothing was promoted."""
    return session.exec(
        select(Promotion)
        .where(Promotion.assistant_id == assistant.id)
        .order_by(col(Promotion.sequence).desc())
        .limit(1)
    ).first()


def live_adapter(session: Session, assistant: Assistant) -> Adapter | None:
    """The adapter in force, or None for the base model."""
    promotion = live(session, assistant)
    return (
        session.get(Adapter, promotion.adapter_id) if promotion and promotion.adapter_id else None
    )


def speaker(session: Session, assistant: Assistant, topic: str | None) -> Adapter | None:
    """The adapter (None: the base model) that new conversations about a topic (None: unknown) get."""
    return by_id(session, excepted.speaker(live(session, assistant), topic))


def check_expected(
    session: Session, assistant: Assistant, live_now: str | None, before: str | None = None
) -> None:
    """Conflict when not this is live, or a rollback would not lead to that: whoever decided saw it so.

    None: whatever it is. Nothing changes between this check and the end of the transaction.
    """
    lock(session, assistant)
    found = live_adapter(session, assistant)
    name = found.name if found else BASE
    if live_now is not None and live_now != name:
        raise Conflict(
            f"{name!r} is live now, not {live_now!r} as you saw it: somebody changed it meanwhile. "
            "Nothing was done; look at the history and decide again."
        )
    if before is None:
        return
    past = back_to(session, assistant)
    earlier = by_id(session, past.adapter_id) if past else None
    if before != (earlier.name if earlier else BASE):
        raise Conflict(
            f"A rollback leads to {earlier.name if earlier else BASE!r} now, not to {before!r} as you "
            "saw it: somebody changed it meanwhile. Nothing was done; decide again."
        )


def promote(
    session: Session,
    assistant: Assistant,
    adapter: Adapter | None,
    approved_by: str,
    reason: str,
    decision_id: str | None = None,
    rolls_back: bool = False,
    except_topics: Sequence[str] = (),
) -> Promotion:
    """Make an adapter (None: the base model) live for new conversations, here and now; for all but
    `except_topics`, which whatever answers them now goes on answering.

    The service calls this once its engines were seen to compute it; people and the loop ask for it
    with promotions.request.
    """
    lock(session, assistant)
    check_fits(session, assistant, adapter)
    current = live(session, assistant)
    topics = excepted.chosen(assistant, current, except_topics)
    if is_live(current, adapter, topics):
        raise Conflict(f"{adapter.name if adapter else BASE!r} is live already.")
    kept = keeper(session, assistant, adapter, topics)
    promotion = Promotion(
        assistant_id=assistant.id,
        sequence=(current.sequence if current else 0) + 1,
        adapter_id=adapter.id if adapter else None,
        decision_id=decision_id,
        approved_by=approved_by,
        reason=reason,
        rolls_back=rolls_back,
        except_topics=topics,
        except_adapter_id=kept,
    )
    session.add(promotion)
    if adapter is not None and adapter.cycle_id:
        _no_longer_awaited(session, adapter.cycle_id, approved_by)
    session.flush()
    return promotion


def keeper(
    session: Session, assistant: Assistant, adapter: Adapter | None, topics: Sequence[str]
) -> str | None:
    """Id of the adapter (None: the base model) that answers these topics now and would go on while
    `adapter` is live for all others; Conflict where none may.
    """
    if not topics:
        return None
    kept = excepted.keeper(session, live(session, assistant), adapter, topics)
    check_fits(session, assistant, by_id(session, kept))
    return kept


def is_live(promotion: Promotion | None, adapter: Adapter | None, topics: Sequence[str]) -> bool:
    """Whether a promotion says just that: this adapter (None: the base model), for all but these topics."""
    wanted = (adapter.id if adapter else None, set(topics))
    if promotion is None:
        return wanted == (None, set())
    return wanted == (promotion.adapter_id, set(promotion.except_topics))


def check_fits(session: Session, assistant: Assistant, adapter: Adapter | None) -> None:
    """Conflict when an adapter is another assistant's, of another base model, or has no files."""
    if adapter is None:
        return
    if adapter.assistant_id != assistant.id:
        raise Conflict(f"Adapter {adapter.name!r} belongs to another assistant.")
    if adapter.base_model != assistant.base_model:
        raise Conflict(
            f"Adapter {adapter.name!r} was trained on {adapter.base_model!r}; "
            f"{assistant.name!r} now runs on {assistant.base_model!r}."
        )
    check_usable(session, adapter)


def _no_longer_awaited(session: Session, cycle_id: str, approved_by: str) -> None:
    """The cycle that waited for this promotion has got it, through whichever door."""
    cycle = session.get_one(Cycle, cycle_id)
    if cycle.state == CycleState.AWAITING:
        cycle.state = CycleState.PROMOTED
        cycle.reason = f"{cycle.reason or ''} Promoted by {approved_by}.".strip()
        session.add(cycle)


def back_to(
    session: Session, assistant: Assistant, past: list[Promotion] | None = None
) -> Promotion | None:
    """What a rollback would make live again, for all topics; None: the base model, as before any
    promotion.

    Passed over are adapters whose files were removed, and those that never answered all topics: nobody
    ever found them fit for that. `past`: the history, where it was read already.
    """
    past = history(session, assistant) if past is None else past
    gone = {each.id for each in every(session, assistant) if each.files_removed_at}
    others = (p for p in past if p.adapter_id != past[0].adapter_id and not p.except_topics)
    return next((p for p in others if p.adapter_id not in gone), None)


def rollback_target(session: Session, assistant: Assistant) -> Adapter | None:
    """The adapter a rollback returns to (None: the base model); Conflict if nothing was ever live."""
    if live(session, assistant) is None:
        raise Conflict(f"Nothing was ever promoted for {assistant.name!r}; the base model is live.")
    before = back_to(session, assistant)
    return by_id(session, before.adapter_id) if before else None


def record_swap(
    session: Session,
    adapter: Adapter,
    engine: str,
    verified: bool,
    reason: str,
    load_ms: int | None = None,
    probe_difference: float | None = None,
    boot: str = "",
) -> Swap:
    """Keep what came of asking an engine to hold an adapter."""
    swap = Swap(
        adapter_id=adapter.id,
        engine=engine,
        boot=boot,
        verified=verified,
        reason=reason,
        load_ms=load_ms,
        probe_difference=probe_difference,
    )
    session.add(swap)
    session.flush()
    return swap


def last_swap(session: Session, adapter: Adapter) -> Swap | None:
    """The newest word of an engine on an adapter."""
    return session.exec(
        select(Swap)
        .where(Swap.adapter_id == adapter.id)
        .order_by(col(Swap.created_at).desc(), col(Swap.id).desc())
        .limit(1)
    ).first()


def datasets_of(session: Session, adapter: Adapter) -> list[Dataset]:
    """What an adapter learned from, SFT first; also what it learned before it was trained on."""
    return list(
        session.exec(
            select(Dataset)
            .join(AdapterDataset, col(AdapterDataset.dataset_id) == Dataset.id)
            .where(AdapterDataset.adapter_id == adapter.id)
            .order_by(col(AdapterDataset.stage).desc())
        )
    )


def lock(session: Session, assistant: Assistant) -> None:
    """Writers to one assistant's registry take turns (SQLite's writers do so anyway)."""
    session.exec(select(Assistant).where(Assistant.id == assistant.id).with_for_update()).one()


def is_verified(session: Session, adapter: Adapter, engine: str, boot: str) -> bool:
    """Whether somebody saw this very run of an engine compute the adapter, and nobody else since."""
    last = session.exec(
        select(Swap.verified)
        .where(Swap.adapter_id == adapter.id, Swap.engine == engine, Swap.boot == boot)
        .order_by(col(Swap.created_at).desc(), col(Swap.id).desc())
        .limit(1)
    ).first()
    return bool(last)


def unspoken_since(session: Session, names: set[str], since: datetime) -> set[str]:
    """Those of these adapters with which no conversation has spoken since then."""
    spoken = (
        select(Conversation.adapter_id)
        .join(Assistant, col(Assistant.id) == Conversation.assistant_id)
        .where(col(Conversation.last_message_at) >= since)
    )
    return set(
        session.exec(
            select(Adapter.name).where(
                col(Adapter.name).in_(names),
                col(Adapter.id).not_in(spoken.where(col(Conversation.adapter_id).is_not(None))),
            )
        )
    )
