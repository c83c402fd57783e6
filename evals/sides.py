"""What sat an exam and what its sitting cost: weights with their lineage, one run with its tokens and times.

Used by record.py. Of people behind the weights it tells numbers only.
"""

import hashlib
from datetime import datetime
from pathlib import PurePath

from sqlmodel import Session

from evals.record_shapes import Behind, Data, Run, Side, Weights
from evals.report import Sat
from feedback import adapter_folder, adapters, lineage
from feedback.adapter_folder import Manifest
from feedback.tables import Adapter, Assistant, DatasetKind, Prompt


def side(session: Session, assistant: Assistant, sat: Sat) -> Side:
    """One side of an exam."""
    adapter = adapters.by_id(session, sat.run.adapter_id)
    return Side(weights=_weights(session, assistant, adapter), run=_run(session, sat))


def seconds_between(begun: datetime, ended: datetime | None) -> float | None:
    """How long something took; None while it has not ended."""
    return round((ended - begun).total_seconds(), 1) if ended else None


def _weights(session: Session, assistant: Assistant, adapter: Adapter | None) -> Weights:
    if adapter is None:
        base = _without_place(assistant.base_model)
        return Weights(name=adapters.BASE, digest=None, base_model=base)
    manifest = _manifest(adapter)
    return Weights(
        name=adapter.name,
        digest=adapter.digest,
        base_model=_without_place(adapter.base_model),
        version=adapter.version,
        rank=adapter.rank,
        published_at=adapter.created_at,
        files_removed_at=adapter.files_removed_at,
        versions=manifest.versions if manifest else {},
        files=manifest.files if manifest else {},
        datasets=_datasets(session, adapter),
        behind=_behind(session, adapter),
    )


def _without_place(base_model: str) -> str:
    """A model kept in a folder goes by the folder's name: where it lies is this machine's business."""
    path = PurePath(base_model)
    return path.name if path.is_absolute() else base_model


def _manifest(adapter: Adapter) -> Manifest | None:
    folder = adapters.folder_of(adapter)
    is_there = (folder / adapter_folder.MANIFEST).is_file()
    return adapter_folder.read_manifest(folder) if is_there else None


def _datasets(session: Session, adapter: Adapter) -> list[Data]:
    return [
        Data(
            name=each.name,
            stage=str(DatasetKind(each.kind)),
            sha256=each.sha256,
            train_rows=each.train_rows,
            validation_rows=each.validation_rows,
        )
        for each in adapters.datasets_of(session, adapter)
    ]


def _behind(session: Session, adapter: Adapter) -> Behind:
    counted = lineage.counted_behind(session, adapter)
    return Behind(
        words=counted.words,
        authors=counted.authors,
        conversations=counted.conversations,
        customers=counted.customers,
        erased_rows=counted.erased_rows,
    )


def _run(session: Session, sat: Sat) -> Run:
    prompt = session.get_one(Prompt, sat.run.prompt_id)
    made = [one.answer for one in sat.answers if not one.answer.cached]
    return Run(
        run=sat.run.id,
        begun_at=sat.run.created_at,
        finished_at=sat.run.finished_at,
        prompt_version=prompt.version,
        prompt_sha256=hashlib.sha256(prompt.text.encode()).hexdigest(),
        sampling=sat.run.sampling,
        tickets=sat.run.tickets,
        answered=len(sat.answers) - sat.failed,
        cached=len(sat.answers) - len(made),
        completion_tokens=sum(each.completion_tokens for each in made),
        engine_seconds=round(sum(each.latency_ms for each in made) / 1000, 1),
        wall_seconds=seconds_between(sat.run.created_at, sat.run.finished_at),
    )
