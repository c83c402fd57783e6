"""What is exported is read as it is by the libraries it is for: `datasets` and TRL themselves."""

from pathlib import Path
from typing import Any

import datasets as hf
import pytest
from sqlmodel import Session
from trl.data_utils import is_conversational

from feedback import freezing
from feedback.errors import Invalid
from feedback.exports import Format, export
from feedback.tables import Assistant, Dataset
from tests.feedback.said import NIGHT, SHOES, SPOON, corrected

NAMES = {"sft": ["prompt", "completion"], "dpo": ["prompt", "chosen", "rejected"]}


@pytest.fixture
def frozen(assistant: Assistant, session: Session) -> tuple[Dataset, Dataset]:
    for number in range(12):
        corrected(session, assistant, f"{NIGHT} {number}", f"Air it ☂ {number}.", f"c-{number}")
    corrected(session, assistant, SHOES, "In yellow.\nOnly.", "otis")
    corrected(session, assistant, SPOON, "None.", "wren")
    sft, dpo, _ = freezing.freeze(session, assistant)
    assert sft.train_rows and sft.validation_rows
    return sft, dpo


def plain(rows: Any) -> list[dict[str, Any]]:
    return [{name: row[name] for name in row if name != "split"} for row in rows]


@pytest.mark.parametrize("kind", [0, 1])
def test_every_format_is_read_as_the_same_rows(
    session: Session, frozen: tuple[Dataset, Dataset], kind: int, tmp_path: Path
) -> None:
    dataset, cache = frozen[kind], str(tmp_path / "cache")
    lines = export(session, dataset, tmp_path / "made" / "rows.jsonl")
    table = export(session, dataset, tmp_path / "rows.parquet", Format.PARQUET)
    folder = export(session, dataset, tmp_path / "folder", Format.FOLDER)
    as_lines = hf.load_dataset("json", data_files=str(lines), split="train", cache_dir=cache)
    as_table = hf.load_dataset("parquet", data_files=str(table), split="train", cache_dir=cache)
    by_split = hf.load_dataset(str(folder), cache_dir=cache)
    assert plain(as_lines) == plain(as_table)
    assert set(by_split) == {"train", "validation"}
    for split, rows in by_split.items():
        assert plain(rows) == plain(as_lines.filter(lambda row, split=split: row["split"] == split))
        assert set(rows.column_names) == set(NAMES[dataset.kind])
        assert all(is_conversational(row) for row in rows)
    assert len(as_lines) == dataset.train_rows + dataset.validation_rows
    assert not list(tmp_path.rglob("*.part"))


def test_the_card_says_what_it_is_and_how_it_came_to_be(
    session: Session, frozen: tuple[Dataset, Dataset], tmp_path: Path
) -> None:
    sft, _ = frozen
    said = (export(session, sft, tmp_path / "folder", Format.FOLDER) / "README.md").read_text()
    assert sft.name in said and sft.sha256 in said
    assert "| corrections, approvals and demonstrations in force | 14 |" in said
    assert "| rows frozen | 14 |" in said


def test_a_folder_with_something_in_it_is_left_alone(
    session: Session, frozen: tuple[Dataset, Dataset], tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(Invalid, match="expected an empty folder"):
        export(session, frozen[0], tmp_path, Format.FOLDER)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["mine.txt"]
