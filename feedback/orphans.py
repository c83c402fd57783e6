"""Adapter folders that no row names: left by a cycle that died between moving and registering them.

Also folders whose deletion was cut off. Looks only; called by prune.py.
"""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import ValidationError
from sqlmodel import Session, select

from feedback import adapter_folder, adapters, cycles
from feedback.retention import Verdict
from feedback.settings import feedback_settings
from feedback.tables import Adapter, Assistant

NAME = re.compile(r"(?P<assistant>.+)-v(?P<version>\d+)-[0-9a-f]{8}")


def plan(session: Session, assistant: Assistant, now: datetime) -> list[Verdict]:
    """A verdict for each folder with a name of this assistant's adapters that no row has."""
    known = set(session.exec(select(Adapter.name)))
    found = []
    for folder in folders():
        before = adapter_folder.set_aside_before(folder)
        named = NAME.fullmatch(before or folder.name)
        if named is None or named["assistant"] != assistant.name:
            continue
        size_bytes = adapter_folder.size_bytes(folder)
        if before is not None:
            safe = "Its removal was cut off; this finishes it."
            found.append(Verdict(before, size_bytes, safe=safe, begun=True))
        elif folder.name not in known:
            keep = _reasons(session, assistant, folder, int(named["version"]), now)
            found.append(Verdict(folder.name, size_bytes, keep, "" if keep else SAFE))
    return found


SAFE = (
    "It was never registered: its cycle died first, and none is open that could take it up. "
    "No answer was ever made with it."
)


def folders() -> list[Path]:
    """Every folder among the adapters' files, by name."""
    place = feedback_settings().adapters_dir
    return sorted(path for path in place.iterdir() if path.is_dir()) if place.is_dir() else []


def _reasons(
    session: Session, assistant: Assistant, folder: Path, version: int, now: datetime
) -> list[str]:
    """Why a folder without a row stays."""
    registered = adapters.every(session, assistant)
    newest = registered[0].version if registered else 0
    hours = feedback_settings().keep_orphan_hours
    reasons = []
    if not _says_it_is_of(folder, assistant):
        reasons.append("its adapter.json cannot be read or names another assistant: look at it")
    if version > newest + 1:
        reasons.append(
            f"is version {version}, and this database knows no later one than {newest}: "
            "it may be another database's"
        )
    if any(cycle.state in cycles.OPEN for cycle in cycles.every(session, assistant)):
        reasons.append("a cycle that is not finished may still register it")
    if _appeared_at(folder) > now - timedelta(hours=hours):
        reasons.append(f"appeared less than {hours:g} hours ago")
    return reasons


def _says_it_is_of(folder: Path, assistant: Assistant) -> bool:
    try:
        return adapter_folder.read_manifest(folder).assistant == assistant.name
    except (OSError, ValidationError):
        return False


def _appeared_at(folder: Path) -> datetime:
    """When it was moved here: moving a folder changes its status, not its content."""
    try:
        status = folder.stat()
    except FileNotFoundError:
        return datetime.now(UTC)  # somebody takes it away in this very moment
    return datetime.fromtimestamp(max(status.st_mtime, status.st_ctime), UTC)
