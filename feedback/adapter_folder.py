"""An adapter on disk: what is in the folder, and whether it is still what was published.

Safetensors only. `adapter.json` lies beside the weights and says where they come from; its digest is
part of the adapter's name.
"""

import contextlib
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from feedback.errors import Invalid
from feedback.ids import new_id

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
PROBE = "probe.json"
MANIFEST = "adapter.json"
FILES = (WEIGHTS, CONFIG, PROBE)


class Manifest(BaseModel):
    """`adapter.json`: an adapter's base, data, recipe and files."""

    model_config = ConfigDict(extra="forbid")

    name: str
    assistant: str
    version: int
    digest: str
    base_model: str
    datasets: dict[str, str]
    """Stage to dataset hash."""
    config: dict[str, Any]
    versions: dict[str, str]
    files: dict[str, str]
    """File name to SHA-256."""
    goes_on_from: str | None = None
    """The adapter that training began with; None: the base model."""


class ProbeCase(BaseModel):
    """A prompt, the trainer's own greedy answer to it, and how likely it found each token."""

    messages: list[dict[str, str]]
    answer: str
    tokens: list[int]
    adapter_logprobs: list[float]
    base_logprobs: list[float]


def file_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of each file an adapter consists of; raises Invalid if one is missing or foreign."""
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise Invalid(f"The adapter folder {folder.name!r} lacks {', '.join(missing)}.")
    foreign = sorted({path.name for path in folder.iterdir()} - {*FILES, MANIFEST})
    if foreign:
        raise Invalid(
            f"The adapter folder {folder.name!r} also holds {', '.join(foreign)}; "
            f"expected only {', '.join(FILES)}."
        )
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}


def digest(hashes: dict[str, str]) -> str:
    """One hash for all files."""
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


def rank(folder: Path) -> int:
    """The adapter's LoRA rank, from its own configuration."""
    return int(json.loads((folder / CONFIG).read_text())["r"])


def read_probe(folder: Path) -> list[ProbeCase]:
    """The trainer's own outputs, against which an engine is probed."""
    return [ProbeCase(**case) for case in json.loads((folder / PROBE).read_text())]


def read_manifest(folder: Path) -> Manifest:
    """`adapter.json` of a published folder."""
    return Manifest.model_validate_json((folder / MANIFEST).read_text(encoding="utf-8"))


def verify(folder: Path, expected_digest: str) -> None:
    """Raise Invalid unless the folder holds exactly the files that were published."""
    if not folder.is_dir():
        raise Invalid(f"The adapter folder {folder.name!r} is gone.")
    found = digest(file_hashes(folder))
    if found != expected_digest:
        raise Invalid(
            f"The adapter folder {folder.name!r} was changed: its files have the digest "
            f"{found[:12]}, expected {expected_digest[:12]}."
        )


def publish(built: Path, final: Path, manifest: Manifest) -> None:
    """Move a finished folder to its place at once: a reader sees all of it or nothing."""
    final.parent.mkdir(parents=True, exist_ok=True)
    if final.is_dir():  # the very same files, left by a cycle that died before it registered them
        verify(final, manifest.digest)
        shutil.rmtree(built)
        return
    (built / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    for path in built.iterdir():
        _sync(path)
    _sync(built)
    os.rename(built, final)
    _sync(final.parent)


def size_bytes(folder: Path) -> int:
    """What a folder takes on disk; 0 for one that is gone, or goes while we look."""
    total = 0
    for place, _, names in os.walk(folder):  # which passes over a folder that has gone
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += os.stat(os.path.join(place, name)).st_size
    return total


ASIDE = ".removed-"
"""How the name of a folder begins that waits to be deleted: nobody finds it under an adapter's name."""


def set_aside(folder: Path) -> Path:
    """Take a folder away from under its name at once; a reader sees all of it or nothing."""
    aside = folder.with_name(f"{ASIDE}{new_id()}-{folder.name}")
    os.rename(folder, aside)
    _sync(folder.parent)
    return aside


def set_aside_before(folder: Path) -> str | None:
    """The name a folder had before it was set aside; None for any other folder."""
    if not folder.name.startswith(ASIDE):
        return None
    return folder.name.removeprefix(ASIDE).partition("-")[2]


def delete(aside: Path) -> None:
    """Delete a folder that was set aside; another process may be at it, too."""
    shutil.rmtree(aside, ignore_errors=True)
    if aside.exists():
        raise PermissionError(f"{aside} could not be deleted whole.")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
