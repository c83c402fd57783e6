"""Frozen datasets as files: for our own trainers, and for whoever trains elsewhere.

Rows have the columns that TRL calls conversational: prompt and completion (SFT), or prompt, chosen and
rejected (DPO). A folder holds a file per split and a data card that the `datasets` library reads, too;
one of messages is for LLaMA-Factory and axolotl (other_trainers.py).
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from sqlmodel import Session, select

from feedback import other_trainers
from feedback.canonical import canonical
from feedback.datasets import explain, in_order, learned_by
from feedback.errors import Invalid
from feedback.tables import Dataset, DatasetItem, DatasetKind, Split

BATCH = 1000
"""Rows in memory at once."""
COLUMNS = {
    DatasetKind.SFT: ("prompt", "completion"),
    DatasetKind.DPO: ("prompt", "chosen", "rejected"),
    DatasetKind.KTO: ("prompt", "completion", "label"),
}


RowOf = Callable[[DatasetItem], dict[str, Any]]


class Format(StrEnum):
    """How a dataset is written."""

    JSONL = "jsonl"
    PARQUET = "parquet"
    FOLDER = "folder"
    MESSAGES = "messages"


def export(session: Session, dataset: Dataset, path: Path, form: Format = Format.JSONL) -> Path:
    """Write a dataset; what is there already is replaced, a folder only where it is empty."""
    ways: dict[Format, Callable[[Session, Dataset, Path], None]] = {
        Format.JSONL: _jsonl,
        Format.PARQUET: _parquet,
        Format.FOLDER: partial(_folder, row=_row_of_a_split),
        Format.MESSAGES: partial(_folder, row=other_trainers.row),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    ways[form](session, dataset, path)
    return path


def _rows(session: Session, dataset: Dataset) -> Iterator[DatasetItem]:
    """A dataset's rows, without those whose people were erased."""
    return (item for item in in_order(session, dataset) if item.erased_at is None)


def _row(item: DatasetItem) -> dict[str, Any]:
    answer = [{"role": "assistant", "content": item.chosen}]
    row: dict[str, Any] = {"split": item.split, "prompt": item.prompt}
    if item.rejected is not None:
        row |= {"chosen": answer, "rejected": [{"role": "assistant", "content": item.rejected}]}
    else:
        row |= {"completion": answer}
    if item.label is not None:
        row |= {"label": item.label}
    return row if item.weight == 1 else row | {"weight": item.weight}


def _jsonl(session: Session, dataset: Dataset, path: Path) -> None:
    with _whole(path) as part, part.open("w", encoding="utf-8") as file:
        for item in _rows(session, dataset):
            file.write(f"{canonical(_row(item))}\n")


def _parquet(session: Session, dataset: Dataset, path: Path) -> None:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise Invalid(
            "Parquet needs pyarrow, which is not installed here. Install the extra 'training', or "
            "export as jsonl."
        ) from None
    turn = pyarrow.list_(
        pyarrow.struct([("role", pyarrow.string()), ("content", pyarrow.string())])
    )
    fields = [
        ("split", pyarrow.string()),
        *((name, pyarrow.bool_() if name == "label" else turn) for name in COLUMNS[dataset.kind]),
    ]
    if _is_weighted(session, dataset):
        fields.append(("weight", pyarrow.float64()))
    schema = pyarrow.schema(fields)
    rows = (_row(item) for item in _rows(session, dataset))
    with _whole(path) as part, parquet.ParquetWriter(part, schema) as writer:
        while batch := list(islice(rows, BATCH)):
            writer.write_table(pyarrow.Table.from_pylist(batch, schema))


def _is_weighted(session: Session, dataset: Dataset) -> bool:
    other = select(DatasetItem.id).where(
        DatasetItem.dataset_id == dataset.id, DatasetItem.weight != 1
    )
    return session.exec(other.limit(1)).first() is not None


def _folder(session: Session, dataset: Dataset, path: Path, row: RowOf) -> None:
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise Invalid(f"Found something at {path}; expected an empty folder, or none.")
    part = path.with_name(f"{path.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        _fill(session, dataset, part, row)
        if row is other_trainers.row:
            _tell_others(dataset, part)
        os.replace(part, path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _tell_others(dataset: Dataset, folder: Path) -> None:
    splits = _splits(dataset)
    info = other_trainers.dataset_info(dataset, splits)
    (folder / "dataset_info.json").write_text(info, encoding="utf-8")
    if config := other_trainers.axolotl_config(dataset, splits):
        (folder / "axolotl.yml").write_text(config, encoding="utf-8")


def _row_of_a_split(item: DatasetItem) -> dict[str, Any]:
    return {name: value for name, value in _row(item).items() if name != "split"}


def _fill(session: Session, dataset: Dataset, folder: Path, row: RowOf) -> None:
    with ExitStack() as stack:
        files = {
            split: stack.enter_context((folder / f"{split}.jsonl").open("w", encoding="utf-8"))
            for split in _splits(dataset)
        }
        for item in _rows(session, dataset):
            files[Split(item.split)].write(f"{canonical(row(item))}\n")
    (folder / "README.md").write_text(card(session, dataset), encoding="utf-8")


def _splits(dataset: Dataset) -> list[Split]:
    """Those with rows: a library that reads a file without any fails."""
    counted = {Split.TRAIN: dataset.train_rows, Split.VALIDATION: dataset.validation_rows}
    return [split for split, rows in counted.items() if rows]


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its place once it is whole."""
    part = path.with_name(f"{path.name}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def card(session: Session, dataset: Dataset) -> str:
    """The data card in Markdown: what it is for, how feedback became rows, who learned from it."""
    files = "".join(f"  - split: {split}\n    path: {split}.jsonl\n" for split in _splits(dataset))
    what = {
        DatasetKind.SFT: "Answers to learn: prompt and completion.",
        DatasetKind.DPO: "Pairs: the answer to prefer and the one the bot had given.",
        DatasetKind.KTO: "Answers that customers and staff found good (label true) or bad.",
    }[DatasetKind(dataset.kind)]
    way = "\n".join(
        f"| {'' if key in ('feedback', 'topic_rows', 'rows') else 'left out: '}{said} | {number} |"
        for key, number, said in explain(dataset)
    )
    learned = ", ".join(adapter.name for adapter in learned_by(session, dataset)) or "no adapter"
    return (
        f"---\nconfigs:\n- config_name: default\n  data_files:\n{files}---\n\n# {dataset.name}\n\n{what} "
        f"Frozen {dataset.created_at:%Y-%m-%d %H:%M} UTC by Understudy; it is named by its content and "
        f"never changes.\n\n- SHA-256 of its rows: `{dataset.sha256}`\n- rows that teach: "
        f"{dataset.train_rows}, that validate: {dataset.validation_rows}\n- learned by: {learned}\n\n"
        "The same customer's rows are all in one split. No row comes from, or is close to, a held-out "
        f"ticket.\n\n## From feedback to rows\n\n| what | number |\n| --- | --- |\n{way}\n"
    )
