"""Removes the files of adapters that nothing names any more, in two steps that survive a kill.

First the rows are marked, in a transaction that looks again at what still names them (`mark`); then
the folders are deleted, by whoever may write there (`sweep`): the command, the service, or the loop.
"""

import logging
import os
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from feedback import adapter_folder, audit, orphans, retention
from feedback.audit import Actor
from feedback.retention import Verdict
from feedback.settings import feedback_settings
from feedback.tables import Adapter, Assistant

log = logging.getLogger(__name__)

READ_ONLY = "this process may only read the adapters' folder: prune where the loop runs"


@dataclass(frozen=True)
class Plan:
    """What may go and what stays, with the reasons."""

    remove: list[Verdict]
    keep: list[Verdict]

    @property
    def remove_bytes(self) -> int:
        """What a removal would free."""
        return sum(each.size_bytes for each in self.remove)

    @property
    def keep_bytes(self) -> int:
        """What stays on disk."""
        return sum(each.size_bytes for each in self.keep)


def plan(session: Session, assistant: Assistant, now: datetime) -> Plan:
    """A verdict for each adapter that has files, and for folders that no adapter has. Looks only."""
    strays = orphans.plan(session, assistant, now)
    if not os.access(feedback_settings().adapters_dir, os.W_OK):
        strays = [each if each.begun else _not_from_here(each) for each in strays]
    found = [*retention.plan(session, assistant, now), *strays]
    return Plan(
        [each for each in found if each.may_go], [each for each in found if not each.may_go]
    )


def _not_from_here(stray: Verdict) -> Verdict:
    """A folder without a row is taken away by whoever decides it; there is nothing to mark."""
    return Verdict(stray.name, stray.size_bytes, [*stray.keep, READ_ONLY])


def mark(
    session: Session,
    assistant: Assistant,
    actor: Actor,
    now: datetime,
    names: list[str] | None = None,
) -> list[Verdict]:
    """Decide, for good, whose files go: rows marked, folders without a row set aside, all noted.

    `names` limits it to what a person agreed to. What is named again by now stays. Call `sweep` once
    this transaction is committed.
    """
    _lock(session, assistant)
    free = _lock_unused(session, _chosen(session, assistant, now, names))
    session.expire_all()  # and look again, now that nobody can begin to use them
    taken = []
    for each in _chosen(session, assistant, now, names):
        if each.begun or each.name in free:
            _decide(session, assistant, actor, each, now)
            taken.append(each)
    session.flush()
    return taken


def _chosen(
    session: Session, assistant: Assistant, now: datetime, names: list[str] | None
) -> list[Verdict]:
    found = plan(session, assistant, now).remove
    return [each for each in found if names is None or each.name in names]


def _decide(
    session: Session, assistant: Assistant, actor: Actor, verdict: Verdict, now: datetime
) -> None:
    if verdict.begun:
        return
    if verdict.adapter is not None:
        verdict.adapter.files_removed_at = now
        session.add(verdict.adapter)
    else:
        adapter_folder.set_aside(feedback_settings().adapters_dir / verdict.name)
    audit.record(
        session,
        actor,
        "adapter.prune",
        verdict.name,
        assistant.id,
        size_bytes=verdict.size_bytes,
        safe=verdict.safe,
    )


def _lock(session: Session, assistant: Assistant) -> None:
    """As for promotions and publications: they take turns with a removal."""
    session.exec(select(Assistant).where(Assistant.id == assistant.id).with_for_update()).one()


def _lock_unused(session: Session, chosen: list[Verdict]) -> set[str]:
    """The names of those that no transaction uses right now; `adapters.usable` waits from here on."""
    ids = [each.adapter.id for each in chosen if each.adapter and not each.begun]
    rows = select(Adapter.name).where(col(Adapter.id).in_(ids)).with_for_update(skip_locked=True)
    return {*session.exec(rows), *(each.name for each in chosen if each.adapter is None)}


def sweep(session: Session) -> list[str]:
    """Delete the files of every adapter that is marked, and what was set aside before.

    Safe to repeat, and to run in several processes at once. Returns the names of what is left because
    this process may not delete it; the loop will.
    """
    marked = set(
        session.exec(select(Adapter.name).where(col(Adapter.files_removed_at).is_not(None)))
    )
    left = []
    for folder in orphans.folders():
        before = adapter_folder.set_aside_before(folder)
        if before is None and folder.name not in marked:
            continue
        try:
            adapter_folder.delete(folder if before else adapter_folder.set_aside(folder))
        except FileNotFoundError:
            continue  # another process was quicker
        except OSError as error:
            log.debug("the files of %s stay for now: %s", before or folder.name, error)
            left.append(before or folder.name)
    return left
