"""Takes erased rows out of files: exports of datasets, probes of adapters, logs of runs.

A row is known by the hash of what it teaches, a probe's prompt by its own, so no text of the person is
needed. Files are replaced whole: a reader sees the old one or the new one. Called by erasing.py.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feedback import adapter_folder, traces
from feedback.canonical import canonical
from feedback.run_folder import JOB, LOCK, WEIGHTS
from feedback.traces import Words

BATCH = 1000
LOGS = (".txt", ".log", ".json", ".jsonl")
"""Of a run: files that are made of lines, of which some may go."""


@dataclass(frozen=True)
class Erased:
    """What is to be taken out: hashes of rows and of prompts."""

    rows: set[str]
    prompts: set[str]


@dataclass(frozen=True)
class Touched:
    """A file that was changed, and how."""

    path: Path
    what: str


def hash_of(value: object) -> str:
    """The hash by which a row or a prompt is known in files."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:32]


def row_hash(prompt: object, chosen: object, rejected: object) -> str:
    """The hash of a frozen row, whatever its split, weight or label."""
    return hash_of([prompt, chosen, rejected])


def _is_erased(row: dict[str, Any], erased: Erased) -> bool:
    """Whether an exported row is one of those; anything that is no such row is not."""
    try:
        if "messages" in row:  # as other_trainers.py writes it
            prompt, chosen, rejected = _of_messages(row)
        else:
            prompt, rejected = row["prompt"], row.get("rejected")
            chosen = row.get("completion") or row.get("chosen")
        return row_hash(prompt, _said(chosen), _said(rejected)) in erased.rows
    except (KeyError, IndexError, TypeError):
        return False


def _of_messages(row: dict[str, Any]) -> tuple[Any, Any, Any]:
    """The prompt and the answers of a row that is one list of messages, or such a list and a pair."""
    turns = [{key: turn[key] for key in ("role", "content")} for turn in row["messages"]]
    if "chosen" in row:
        return turns, row["chosen"], row["rejected"]
    return turns[:-1], turns[-1], None


def _said(answer: Any) -> Any:
    """An answer's text, whether it is a text, a turn, or a list of one."""
    turn = answer[0] if isinstance(answer, list) else answer
    return turn["content"] if isinstance(turn, dict) else turn


def clean_exports(folders: list[Path], erased: Erased) -> Iterator[Touched]:
    """Every JSONL and Parquet file below these folders, written anew without the erased rows."""
    if not erased.rows:
        return
    for folder in folders:
        for path in traces.files_under(folder):
            if path.suffix == ".jsonl":
                gone = _clean_jsonl(path, erased)
            elif path.suffix == ".parquet":
                gone = _clean_parquet(path, erased)
            else:
                continue
            if gone:
                yield Touched(path, f"written anew without {gone} {'row' if gone == 1 else 'rows'}")


def _clean_jsonl(path: Path, erased: Erased) -> int:
    gone = 0
    part = path.with_name(f"{path.name}.part")
    with (
        path.open(encoding="utf-8", errors="replace") as old,
        part.open("w", encoding="utf-8") as new,
    ):
        for line in old:
            if _line_is_erased(line, erased):
                gone += 1
            else:
                new.write(line)
    return _replace(part, path, gone)


def _line_is_erased(line: str, erased: Erased) -> bool:
    try:
        row = json.loads(line)
    except ValueError:
        return False
    return isinstance(row, dict) and _is_erased(row, erased)


def _clean_parquet(path: Path, erased: Erased) -> int:
    """Rows out of a Parquet file; without pyarrow the whole file goes, as it can be exported again."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        path.unlink()
        return 1
    gone = 0
    part = path.with_name(f"{path.name}.part")
    try:
        file = parquet.ParquetFile(path)
    except ValueError:  # no Parquet, whatever it is called
        return 0
    with parquet.ParquetWriter(part, file.schema_arrow) as writer:
        for batch in file.iter_batches(BATCH):
            rows = batch.to_pylist()
            kept = [row for row in rows if not _is_erased(row, erased)]
            gone += len(rows) - len(kept)
            writer.write_table(pyarrow.Table.from_pylist(kept, file.schema_arrow))
    file.close()
    return _replace(part, path, gone)


def _replace(part: Path, path: Path, gone: int) -> int:
    if gone:
        _sync(part)
        os.replace(part, path)
    else:
        part.unlink()
    return gone


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def clean_logs(folder: Path, words: Words) -> Iterator[Touched]:
    """Lines of a run's logs in which somebody was quoted."""
    sought = traces.patterns(words)
    longest = max((len(each.pattern) for each in sought), default=0)
    for path in traces.files_under(folder):
        if path.suffix not in LOGS or not sought:
            continue
        if not traces.count_in_file(path, sought, longest):
            continue
        gone = 0
        part = path.with_name(f"{path.name}.part")
        with path.open("rb") as old, part.open("wb") as new:
            for line in iter(old.readline, b""):
                if any(each.search(line) for each in sought):
                    gone += 1
                else:
                    new.write(line)
        if _replace(part, path, gone):
            yield Touched(path, f"written anew without {gone} {'line' if gone == 1 else 'lines'}")


def drop_weights(stage: Path) -> Iterator[Touched]:
    """What a stage of a run learned: checkpoints, and an adapter that was never published."""
    for name in WEIGHTS:
        if (stage / name).is_dir():
            shutil.rmtree(stage / name)
            yield Touched(stage / name, "removed: weights that learned from them and speak nowhere")


def stages_that_read(runs: Path, datasets: set[str]) -> Iterator[Path]:
    """Folders of trainers that were given one of these datasets, of whatever cycle, search or command."""
    for job in sorted(runs.rglob(JOB)):
        try:
            dataset = json.loads(job.read_text(encoding="utf-8"))["dataset"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if Path(dataset).stem in datasets:
            yield job.parent


def is_at_work(stage: Path) -> bool:
    """Whether a trainer holds this folder now."""
    try:
        with (stage / LOCK).open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


# Probes


@dataclass(frozen=True)
class Probe:
    """An adapter's probe as it will be: without the cases that ask what an erased person asked."""

    text: str
    gone: int
    kept_last: bool
    """Whether all cases are theirs. One stays then: an engine must be able to verify a live adapter."""

    @property
    def sha256(self) -> str:
        """The hash the file will have."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def probe_without(folder: Path, erased: Erased) -> Probe | None:
    """The probe of an adapter's folder without erased prompts; None when nothing of them is in it."""
    path = folder / adapter_folder.PROBE
    if not erased.prompts or not path.is_file():
        return None
    cases = json.loads(path.read_text(encoding="utf-8"))
    kept = [case for case in cases if hash_of(case["messages"]) not in erased.prompts]
    if len(kept) == len(cases):
        return None
    stays = kept or cases[:1]
    text = json.dumps(stays, indent=2, ensure_ascii=False) + "\n"
    return Probe(text, len(cases) - len(stays), kept_last=not kept)


def new_digest(folder: Path, probe: Probe) -> str:
    """The digest of an adapter's files once the probe is in place."""
    hashes = adapter_folder.file_hashes(folder)
    return adapter_folder.digest({**hashes, adapter_folder.PROBE: probe.sha256})


def write_probe(folder: Path, probe: Probe) -> None:
    """Put the probe in place, and what `adapter.json` says of it."""
    _write(folder / adapter_folder.PROBE, probe.text)
    manifest = adapter_folder.read_manifest(folder)
    manifest.files[adapter_folder.PROBE] = probe.sha256
    manifest.digest = adapter_folder.digest(manifest.files)
    _write(folder / adapter_folder.MANIFEST, manifest.model_dump_json(indent=2) + "\n")


def _write(path: Path, text: str) -> None:
    # Beside the folder: whoever verifies it at this moment finds nothing foreign in it.
    part = path.parent.with_name(f".{path.parent.name}-{path.name}.part")
    part.write_text(text, encoding="utf-8")
    _sync(part)
    os.replace(part, path)
