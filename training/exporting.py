"""An adapter handed on: as a hub repository, merged into its base model, or as a GGUF file. No torch here.

All of it is made beside its place and moved there when it is whole and was checked; else nothing stays.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path, PurePath
from typing import Any

from feedback import adapter_folder, adapters, model_card, probes
from feedback.adapter_folder import CONFIG, MANIFEST, WEIGHTS
from feedback.base_model import hub_id, licence, shown
from feedback.card_shape import Named, markdown
from feedback.database import reading
from feedback.errors import Invalid, UnderstudyError
from feedback.model_card import GGUF_FILE, Form
from feedback.settings import feedback_settings
from feedback.tables import Adapter
from service.engine.embedded_model import base_model
from training.job import LOG, read_json, write_json
from training.merge_job import CHECKPOINT, ERROR, ORDER, REPORT, Order, Precision, Report
from training.supervise import ENVIRONMENT, last_lines

QUESTIONS = 4
TOKENS = 32
Say = Callable[[str], None]


class ExportFailed(UnderstudyError):
    """What came out is not what went in, or could not be made."""


def export(
    adapter: Adapter,
    to: Path,
    form: Form,
    say: Say,
    named: Named = Named.DECIDERS,
    precision: Precision | None = None,
) -> None:
    """Write an adapter to a new folder. Raises Invalid, Conflict or ExportFailed; then nothing is there."""
    check_target(to)
    with reading() as session:
        adapters.check_usable(session, adapter)
    folder = adapters.folder_of(adapter)
    say("Verifying the adapter's files.")
    adapter_folder.verify(folder, adapter.digest)
    with _whole(to) as part:
        checks: list[str] = []
        if form == Form.HUB:
            _hub(adapter, folder, part)
        else:
            checks = _merged(adapter, folder, part, form, say, precision)
        for sentence in checks:
            say(sentence)
        _licence(adapter, part)
        with reading() as session:
            card = markdown(model_card.card(session, adapter, named, form, checks))
        (part / "README.md").write_text(card, encoding="utf-8")
        for path in part.iterdir():
            path.chmod(0o644)


def check_target(to: Path) -> None:
    """Raise Invalid unless it is an empty folder, or none yet in a folder that is there."""
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise Invalid(f"Found something at {str(to)!r}; expected an empty folder, or none.")
    if not to.absolute().parent.is_dir():
        raise Invalid(f"Found no folder {str(to.absolute().parent)!r} to put {to.name!r} into.")


@contextmanager
def _whole(to: Path) -> Iterator[Path]:
    """A folder beside `to` that takes its place once it is whole."""
    to = to.absolute()
    part = to.with_name(f".{to.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        yield part
        os.replace(part, to)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _hub(adapter: Adapter, folder: Path, part: Path) -> None:
    """The weights as they are; what names this machine's folders names the hub's model instead.

    The probe stays here: only an engine of ours asks it.
    """
    shutil.copyfile(folder / WEIGHTS, part / WEIGHTS)
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    base = hub_id(adapter.base_model) or shown(adapter.base_model)
    write_json(part / CONFIG, {**config, "base_model_name_or_path": base})
    manifest = adapter_folder.read_manifest(folder).model_dump()
    manifest |= {
        "base_model": base,
        "config": _without_places(manifest["config"]),
        "files": {name: _sha256(part / name) for name in (WEIGHTS, CONFIG)},
    }
    write_json(part / MANIFEST, manifest)


def _without_places(value: Any) -> Any:
    """Paths by their last part alone."""
    if isinstance(value, dict):
        return {name: _without_places(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_without_places(each) for each in value]
    is_place = isinstance(value, str) and PurePath(value).is_absolute()
    return PurePath(value).name if is_place else value


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _licence(adapter: Adapter, part: Path) -> None:
    """A note on the base model's licence where it is known, or the file that lies beside its weights."""
    base = shown(adapter.base_model)
    beside = Path(adapter.base_model) / "LICENSE"
    if name := licence(adapter.base_model):
        text = (
            f"These weights were trained on {base}, whose licence is {name}. What applies to that applies to "
            "what holds it or is made of it. Under which licence you pass on the adapter is yours to say.\n"
        )
        (part / "LICENSE").write_text(text, encoding="utf-8")
    elif beside.is_file():
        shutil.copyfile(beside, part / "LICENSE")


def _merged(
    adapter: Adapter, folder: Path, part: Path, form: Form, say: Say, precision: Precision | None
) -> list[str]:
    """Merge in a process of its own; what was checked, in sentences."""
    needed = ["torch", "transformers", "peft", *(["gguf"] if form == Form.GGUF else [])]
    if missing := [name for name in needed if find_spec(name) is None]:
        raise Invalid(
            f"Merging needs {missing[0]!r}, which is not installed here: the extra 'training'."
        )
    cases = adapter_folder.read_probe(folder)
    prompts = [case.messages for case in cases] or _questions()
    file = GGUF_FILE.format(name=adapter.name)
    order = Order(
        base_model=base_model(adapter.base_model, feedback_settings().models_dir),
        adapter=folder,
        name=adapter.name,
        prompts=prompts[:QUESTIONS],
        tokens=TOKENS,
        precision=precision,
        gguf=file if form == Form.GGUF else None,
    )
    work = part / "work"
    work.mkdir()
    write_json(work / ORDER, order.model_dump(mode="json"))
    report = _merge(work, say)
    made = [work / file] if form == Form.GGUF else list((work / CHECKPOINT).iterdir())
    for path in made:
        path.rename(part / path.name)
    shutil.rmtree(work)
    return report.sentences


def _questions() -> list[list[dict[str, str]]]:
    """For an adapter whose probe is empty: what every assistant may be asked."""
    asked = [str(each["question"]) for each in probes.built_in()[:QUESTIONS]]
    return [[{"role": "user", "content": each}] for each in asked]


def _merge(work: Path, say: Say) -> Report:
    """Run the process, passing on its lines; it never outlives this one's wait."""
    with (
        (work / LOG).open("w", encoding="utf-8") as log,
        subprocess.Popen(  # noqa: S603 - our own module, no shell
            [sys.executable, "-m", "training.merging", str(work)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**ENVIRONMENT, **os.environ, "PYTHONUNBUFFERED": "1"},
        ) as process,
    ):
        assert process.stdout is not None
        try:
            for line in process.stdout:
                say(line.rstrip())
        except BaseException:  # Ctrl-C, too
            process.kill()
            raise
    found = read_json(work / REPORT)
    if process.returncode == 0 and found is not None:
        return Report(**found)
    error = read_json(work / ERROR)
    reason = (
        error["error"] if error else f"Merging ended: {process.returncode}.\n{last_lines(work)}"
    )
    raise ExportFailed(f"{reason} Nothing was written.")
