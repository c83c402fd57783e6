"""Finishes erasures: files, the search for what is left, the database's own file, the next cycle.

An erasure whose row has no end is a job. Whoever is killed in the middle of it, the next process that
runs `finish` goes on; every step may be repeated. Called by the command, and by the loop for the rest.
"""

import contextlib
import fcntl
import logging
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlmodel import Session

from feedback import (
    adapter_folder,
    adapters,
    compaction,
    cycles,
    erased_files,
    erasure,
    erasures,
    traces,
    whose_words,
)
from feedback.audit import Actor
from feedback.database import database, reading, writing
from feedback.erased_files import Erased
from feedback.erasures import PENDING
from feedback.learning import learning_of
from feedback.settings import feedback_settings
from feedback.tables import Adapter, Assistant, Cycle, now
from feedback.traces import Words
from feedback.trust_tables import Erasure
from feedback.whose_words import Subject

log = logging.getLogger(__name__)

TRIES = 5
"""How often an erasure is begun anew when somebody says something about the person at that moment."""
BATCH = 100
"""Conversations that a retention run takes out in one transaction."""
EVERY = timedelta(days=1)
"""How often conversations that have expired are erased."""
LOCK = "erasing.lock"
RETENTION = Actor("retention", "policy")


def erase(
    engine: Engine,
    assistant: Assistant,
    subject: Subject,
    by: Actor,
    reason: str,
    into: str | None = None,
) -> Erasure:
    """One person's words out of the database, in a transaction of its own; the rest is for `finish`.

    Begun anew where somebody added a row about them meanwhile, which the database does not let dangle.
    `into`: the id of an erasure that goes on.
    """
    for left in reversed(range(TRIES)):
        try:
            with writing(engine) as session:
                known = erasures.get(session, into) if into else None
                return erasure.erase(session, assistant, subject, by, reason, known)
        except (IntegrityError, OperationalError) as error:
            if not left or not _may_try_again(error):
                raise
    raise AssertionError("unreachable")


def _may_try_again(error: Exception) -> bool:
    return isinstance(error, IntegrityError) or "deadlock" in str(error)


def erase_expired(engine: Engine, assistant: Assistant, by: Actor = RETENTION) -> Erasure | None:
    """All conversations that are older than the assistant keeps them, batch by batch; one erasure.

    None where nothing is due. Between batches others write.
    """
    days = learning_of(assistant).keep_conversations_days
    if days is None:
        return None
    before = now() - timedelta(days=days)
    row: Erasure | None = None
    while True:
        with reading(engine) as session:
            ids = whose_words.expired(session, assistant, before, BATCH)
        if not ids:
            return row
        subject, reason = whose_words.of_expired(assistant, ids), f"kept for {days:g} days"
        row = erase(engine, assistant, subject, by, reason, row.id if row else None)


def is_due(session: Session, assistant: Assistant) -> bool:
    """Whether a conversation is older than the assistant keeps them; looked for once a day."""
    days = learning_of(assistant).keep_conversations_days
    last = erasures.last_retention(session, assistant)
    if days is None or (last is not None and now() - last < EVERY):
        return False
    return bool(whose_words.expired(session, assistant, now() - timedelta(days=days), 1))


def finish_all(engine: Engine | None = None) -> list[str]:
    """Go on with every erasure that has not come to its end; returns the ids of those that wait still."""
    engine = engine or database()
    with reading(engine) as session:
        waiting = erasures.unfinished(session)
    return [ident for ident in waiting if finish(engine, ident).finished_at is None]


def finish(engine: Engine, erasure_id: str) -> Erasure:
    """Files, search, compaction and cycle of one erasure. Safe to repeat; one process at a time.

    The row comes back without an end where another process is at it, or a cycle has to end first.
    """
    with _alone() as is_mine:
        row = _row(engine, erasure_id)
        if not is_mine or row.finished_at is not None:
            return row
        for step in (_clean_files, _clean_probes, _search, _compact, _drop_weights, _request_cycle):
            if not step(engine, erasure_id):
                return _row(engine, erasure_id)
        with writing(engine) as session:
            row = erasures.get(session, erasure_id)
            row.finished_at = now()
            row.certificate = {**row.certificate, "remains": _remains(engine, row.certificate)}
        return row


@contextlib.contextmanager
def _alone() -> Iterator[bool]:
    """Whether no other process of this machine finishes an erasure now; held until the block ends."""
    place = feedback_settings().var_dir
    place.mkdir(parents=True, exist_ok=True)
    with (place / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True


def _row(engine: Engine, erasure_id: str) -> Erasure:
    with reading(engine) as session:
        return erasures.get(session, erasure_id)


def _tell(engine: Engine, erasure_id: str, **more: Any) -> None:
    with writing(engine) as session:
        row = erasures.get(session, erasure_id)
        row.certificate = {**row.certificate, **more}
        session.add(row)


def _erased(row: Erasure) -> Erased:
    known = row.certificate.get(PENDING, {})
    return Erased(set(known.get("rows", [])), set(known.get("prompts", [])))


def _words(row: Erasure) -> Words:
    known = row.certificate.get(PENDING, {})
    return Words(known.get("names", []), known.get("texts", []))


# Files


def _clean_files(engine: Engine, erasure_id: str) -> bool:
    """Exports and runs without their rows; lines of logs in which they are quoted."""
    row, settings = _row(engine, erasure_id), feedback_settings()
    if PENDING not in row.certificate:
        return True
    folders = [settings.datasets_dir, settings.runs_dir]
    with reading(engine) as session:
        words = _words(row)
        words = words.less(traces.said_by_others(session, words.texts))
    touched = [
        *erased_files.clean_exports(folders, _erased(row)),
        *erased_files.clean_logs(settings.runs_dir, words),
    ]
    told = [{"path": _shown(each.path), "what": each.what} for each in touched]
    _tell(engine, erasure_id, files=[*row.certificate.get("files", []), *told])
    return True


def _shown(path: Path) -> str:
    with contextlib.suppress(ValueError):
        return str(path.relative_to(feedback_settings().var_dir))
    return str(path)


def _clean_probes(engine: Engine, erasure_id: str) -> bool:
    """Prompts of theirs out of the probes of adapters, whose digest then is another."""
    row = _row(engine, erasure_id)
    files, last = list(row.certificate.get("files", [])), []
    for each in row.certificate.get("adapters", []):
        with reading(engine) as session:
            adapter = adapters.get(session, each["name"])
        folder = adapters.folder_of(adapter)
        probe = erased_files.probe_without(folder, _erased(row)) if folder.is_dir() else None
        if probe is None:
            continue
        if probe.gone:
            _replace_probe(engine, adapter, folder, probe)
            files.append(
                {"path": _shown(folder / adapter_folder.PROBE), "what": _cases(probe.gone)}
            )
        if probe.kept_last:
            last.append(adapter.name)
    _tell(engine, erasure_id, files=files, probes_with_their_words=last)
    return True


def _cases(number: int) -> str:
    return f"{number} {'question' if number == 1 else 'questions'} taken out of the probe"


def _replace_probe(
    engine: Engine, adapter: Adapter, folder: Path, probe: erased_files.Probe
) -> None:
    """First the row, then the files: killed between, the next run finds the same probe to write."""
    digest = erased_files.new_digest(folder, probe)
    known = adapter_folder.digest(adapter_folder.file_hashes(folder))
    if adapter.digest not in (known, digest):
        log.warning("adapter=%s: its files are not what was published", adapter.name)
    with writing(engine) as session:
        row = adapters.get(session, adapter.name)
        if row.digest == known:
            row.digest = digest
            session.add(row)
    erased_files.write_probe(folder, probe)


def _drop_weights(engine: Engine, erasure_id: str) -> bool:
    """What is left of runs and searches that learned from them; of those at work, once they have ended."""
    row, runs = _row(engine, erasure_id), feedback_settings().runs_dir
    names = [each["name"] for each in row.certificate.get("adapters", [])]
    with reading(engine) as session:
        of_adapters = {adapters.get(session, name).cycle_id for name in names}
        idents = {*of_adapters, *row.certificate.get("stopped_cycles", [])} - {None}
        found = [cycles.get(session, str(ident)) for ident in sorted(map(str, idents))]
    still_open = {cycle.id for cycle in found if cycle.state in cycles.OPEN}
    stages = {stage for cycle in found for stage in (runs / cycle.id).glob("*/")}
    stages |= set(erased_files.stages_that_read(runs, set(row.certificate.get("datasets", []))))
    idle = {
        stage
        for stage in stages
        if stage.parent.name not in still_open and not erased_files.is_at_work(stage)
    }
    gone = [each for stage in sorted(idle) for each in erased_files.drop_weights(stage)]
    if gone:
        told = [{"path": _shown(each.path), "what": each.what} for each in gone]
        _tell(engine, erasure_id, files=[*row.certificate.get("files", []), *told])
    return idle == stages and not still_open


# The search


def _search(engine: Engine, erasure_id: str) -> bool:
    """Look for them everywhere, and drop what was looked for."""
    row, settings = _row(engine, erasure_id), feedback_settings()
    if PENDING not in row.certificate:
        return True
    words = _words(row)
    with reading(engine) as session:
        shared = traces.said_by_others(session, words.texts)
        words = words.less(shared)
        places = traces.in_database(session, words, erasure_id)
    found, files, size = traces.in_files(words, _searched_files(settings.var_dir))
    told = {
        "names": len(words.names),
        "texts": len(words.texts),
        "also_said_by_others": len(shared),
        "in_database": [{"place": each.where, "rows": each.count} for each in places],
        "in_files": [{"path": _shown(path), "words": count} for path, count in found],
        "files_searched": files,
        "bytes_searched": size,
    }
    with writing(engine) as session:
        row = erasures.get(session, erasure_id)
        row.certificate = {**erasures.without_pending(row.certificate), "search": told}
        session.add(row)
    return True


def _searched_files(var_dir: Path) -> Iterator[Path]:
    """Everything under var but base models, which learned nothing here, and SQLite's own files."""
    for path in traces.files_under(var_dir, [feedback_settings().models_dir]):
        if not path.name.startswith(compaction.file_name()) and path.name != LOCK:
            yield path


def _compact(engine: Engine, erasure_id: str) -> bool:
    """No byte stays behind in pages that the database has freed."""
    row = _row(engine, erasure_id)
    done = compaction.compact(engine, list(_changed(row.certificate)))
    _tell(engine, erasure_id, database=done.told, database_left=done.left)
    return done.is_whole


def _changed(certificate: dict[str, Any]) -> set[str]:
    counts = Counter(certificate.get("removed", {})) + Counter(certificate.get("emptied", {}))
    scrubbed = {name.partition(".")[0] for name in certificate.get("scrubbed", {})}
    return {*counts, *scrubbed, "erasure"}


# The next cycle


def _request_cycle(engine: Engine, erasure_id: str) -> bool:
    """Have the assistant learn again without them, where weights that knew them can still speak."""
    with writing(engine) as session:
        row = erasures.get(session, erasure_id)
        assistant = session.get_one(Assistant, row.assistant_id)
        if row.cycle_id is not None or not _wants_cycle(row.certificate):
            return True
        open_one = next(iter(erasure.open_cycles(session, assistant)), None)
        if open_one is not None and not _learns_without(session, row, open_one):
            return False
        cycle = open_one or cycles.request(session, assistant, erasure.BY)
        row.cycle_id = cycle.id
        said = "was open already and freezes without them" if open_one else "was asked for"
        row.certificate = {**row.certificate, "cycle": f"Cycle {cycle.id} {said}."}
        session.add(row)
        return True


def _wants_cycle(certificate: dict[str, Any]) -> bool:
    """Retention asks for none: the next one on schedule learns without what has expired."""
    if certificate.get("what") == "retention":
        return False
    with_files = any(each["files"] for each in certificate.get("adapters", []))
    return with_files or bool(certificate.get("stopped_cycles"))


def _learns_without(session: Session, row: Erasure, cycle: Cycle) -> bool:
    """Whether an open cycle knows nothing of them: it froze nothing yet, or after they were gone."""
    if cycle.stop_requested_by is not None:
        return False
    frozen = erasure.frozen_by(session, cycle)
    return not frozen & set(row.certificate.get("datasets", []))


def _remains(engine: Engine, certificate: dict[str, Any]) -> list[str]:
    """What an erasure cannot reach, in sentences for whoever has to answer for it."""
    held = [each["name"] for each in certificate.get("adapters", []) if each["files"]]
    remains = []
    if held:
        remains.append(
            f"The weights of {', '.join(held)} learned from them and stay until something else is live "
            "and `understudy adapters prune` removes their files."
        )
    for name in certificate.get("probes_with_their_words", []):
        remains.append(
            f"The probe of {name} has no other question than theirs; it goes with the adapter's files."
        )
    remains += certificate.get("database_left", [])
    remains.append(compaction.beyond(engine))
    remains.append(
        "Hashes of training rows and of datasets stay, from which no text can be read; and the ids of "
        "what is gone, in the audit log."
    )
    return remains


def wait_reason(row: Erasure) -> str:
    """Why an erasure has not come to its end."""
    if PENDING in row.certificate:
        return "Its files are not looked through yet; the loop does that, or run it again."
    if row.certificate.get("database_left"):
        return " ".join(row.certificate["database_left"])
    return "Training that had read their words is being stopped or is at work; the loop goes on with it."
