"""An export as messages is read by LLaMA-Factory's and axolotl's own readers, as it is.

Both are installed without what they would pull in; torchaudio, which LLaMA-Factory imports for sounds,
is an empty module here.
"""

import importlib.machinery
import json
import sys
import types
from pathlib import Path
from typing import Any

import datasets as hf
import pytest
import yaml
from sqlmodel import Session
from transformers import AutoTokenizer

from feedback import corrections, freezing
from feedback.exports import Format, export
from feedback.tables import Assistant, Dataset, DatasetKind, FeedbackKind, Role
from tests.feedback.said import answered, corrected
from tests.training.tiny import tiny_model

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture
def frozen(assistant: Assistant, session: Session) -> dict[DatasetKind, Dataset]:
    for number in range(14):
        corrected(session, assistant, f"Is rope {number} strong?", f"It holds {number} t.")
        _, liked = answered(
            session, assistant, f"And what of chain {number}, then?", f"Yes: {number}."
        )
        corrections.give(session, liked.id, FeedbackKind.RATING, "c", Role.CUSTOMER, value=1)
        corrections.give(session, liked.id, FeedbackKind.APPROVAL, "mara", Role.AGENT)
    made = freezing.freeze(session, assistant)
    return {DatasetKind(each.kind): each for each in made}


@pytest.fixture
def llama_factory(monkeypatch: pytest.MonkeyPatch) -> Any:
    module = types.ModuleType("torchaudio")
    module.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
    monkeypatch.setitem(sys.modules, "torchaudio", module)
    from llamafactory.data import converter, parser

    return types.SimpleNamespace(converter=converter, parser=parser)


def rows(folder: Path, split: str = "train") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{split}.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("kind", list(DatasetKind))
def test_llama_factory_reads_every_row_of_every_kind(
    session: Session,
    frozen: dict[DatasetKind, Dataset],
    kind: DatasetKind,
    llama_factory: Any,
    tmp_path: Path,
) -> None:
    dataset = frozen[kind]
    folder = export(session, dataset, tmp_path / "out", Format.MESSAGES)
    [told] = llama_factory.parser.get_dataset_list([f"{dataset.name}_train"], str(folder))
    convert = llama_factory.converter.get_dataset_converter(
        told.formatting, told, types.SimpleNamespace(media_dir=None)
    )
    read = [convert(row) for row in hf.load_dataset("json", data_files=str(folder / told.dataset_name), split="train", cache_dir=str(tmp_path / "cache"))]  # fmt: skip  # noqa: E501
    assert len(read) == dataset.train_rows
    for row, given in zip(read, rows(folder), strict=True):
        assert row["_system"] == "Be kind."
        assert [turn["role"] for turn in row["_prompt"]] == ["user"]
        assert row["_prompt"][-1]["content"] == given["messages"][1]["content"]
        answers = [turn["content"] for turn in row["_response"]]
        if kind == DatasetKind.DPO:
            assert answers == [given["chosen"]["content"], given["rejected"]["content"]]
        else:
            assert given["messages"][-1]["content"] in answers


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return AutoTokenizer.from_pretrained(tiny_model(tmp_path_factory.mktemp("model")))


def test_axolotl_trains_on_the_last_answer_alone(
    session: Session, frozen: dict[DatasetKind, Dataset], tokenizer: Any, tmp_path: Path
) -> None:
    from axolotl.prompt_strategies.chat_template import load
    from axolotl.utils.dict import DictDefault

    folder = export(session, frozen[DatasetKind.SFT], tmp_path / "out", Format.MESSAGES)
    config = yaml.safe_load((folder / "axolotl.yml").read_text())
    wanted = config["datasets"][0]
    cfg = DictDefault({**config, "sequence_len": 512, "train_on_inputs": False})
    strategy = load(tokenizer, cfg, ds_cfg=wanted)
    for row in rows(folder):
        read = strategy.tokenize_prompt(row)
        taught = [token for token in read["labels"] if token != -100]
        assert (
            tokenizer.decode(taught, skip_special_tokens=True)
            .strip()
            .endswith(row["messages"][-1]["content"])
        )
        assert row["messages"][1]["content"] not in tokenizer.decode(taught)


def test_axolotl_reads_pairs_by_its_chat_template(
    session: Session, frozen: dict[DatasetKind, Dataset], tokenizer: Any, tmp_path: Path
) -> None:
    from axolotl.prompt_strategies.dpo.chat_template import default
    from axolotl.utils.dict import DictDefault

    folder = export(session, frozen[DatasetKind.DPO], tmp_path / "out", Format.MESSAGES)
    config = yaml.safe_load((folder / "axolotl.yml").read_text())
    assert config["rl"] == "dpo"
    transform, *_ = default(DictDefault({**config, "chat_template": "tokenizer_default"}))
    for row in rows(folder):
        read = transform(row, tokenizer=tokenizer)
        assert row["messages"][-1]["content"] in read["prompt"]
        assert read["chosen"].startswith(row["chosen"]["content"])
        assert read["rejected"].startswith(row["rejected"]["content"])
