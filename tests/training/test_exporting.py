"""Adapters handed on: hub repositories, merged weights and GGUF files that answer as the adapter does."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from sqlalchemy import Engine
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPTNeoXConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)
from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS
from typer.testing import CliRunner

import understudy
from feedback import adapters, audit
from feedback.adapter_folder import CONFIG, MANIFEST, PROBE, WEIGHTS
from feedback.base_model import EMBEDDED_ID, EMBEDDED_LICENCE
from feedback.database import reading, writing
from feedback.errors import Conflict, Invalid
from feedback.model_card import Form
from feedback.tables import Adapter, Assistant, now
from tests.feedback.said import built_adapter
from tests.training.tiny import tiny_model
from training import exporting, gguf_file, merging
from training.exporting import ExportFailed, export
from training.merge_job import CHECKPOINT, Order, Precision
from training.probing import probe
from training.rows import PROBES, Refused, prompt_tokens

pytestmark = pytest.mark.parametrize("database_engine", ["sqlite"], indirect=True)

PROMPTS = [[{"role": "user", "content": asked}] for asked in PROBES[:3]]


def adapter_for(base: Path, folder: Path, scale: float = 0.3) -> Path:
    """A LoRA adapter with weights of its own, as a trainer leaves it."""
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    config = peft.LoraConfig(task_type="CAUSAL_LM", r=8, lora_alpha=16, target_modules="all-linear")
    adapted = peft.get_peft_model(model, config)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=scale)
    adapted.save_pretrained(str(folder))
    (folder / "README.md").unlink()
    tokenizer = AutoTokenizer.from_pretrained(base)
    cases = probe(adapted.eval(), tokenizer, PROMPTS, 8)
    (folder / PROBE).write_text(json.dumps([case.model_dump() for case in cases]))
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny") / "base")


@pytest.fixture
def owner(make_assistant: Callable[..., Assistant], base: Path) -> Assistant:
    return make_assistant(base_model=str(base))


@pytest.fixture
def adapter(owner: Assistant, base: Path, database_engine: Engine, tmp_path: Path) -> Adapter:
    built = adapter_for(base, tmp_path / "built")
    config = {"sft": {"base_model": str(base), "dataset": str(base / "rows.jsonl"), "seed": 17}}
    with writing(database_engine) as session:
        return adapters.publish(session, owner, built, [], config, {"peft": "0"})


def silent(_: str) -> None:
    """Nobody listens."""


def logits_of(model: Any, tokenizer: Any) -> Any:
    ids = torch.tensor([prompt_tokens(tokenizer, PROMPTS[0])])
    with torch.inference_mode():
        return model.eval()(input_ids=ids).logits.float()


def adapted(base: Path, adapter: Adapter) -> Any:
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    return peft.PeftModel.from_pretrained(model, str(adapters.folder_of(adapter)))


def test_a_hub_repository_has_the_weights_their_card_and_no_place_of_this_machine(
    adapter: Adapter, base: Path, tmp_path: Path
) -> None:
    to = tmp_path / "handed-on"
    export(adapter, to, Form.HUB, silent)
    assert {each.name for each in to.iterdir()} == {WEIGHTS, CONFIG, MANIFEST, "README.md"}
    folder = adapters.folder_of(adapter)
    assert (to / WEIGHTS).read_bytes() == (folder / WEIGHTS).read_bytes()
    manifest = json.loads((to / MANIFEST).read_text())
    assert manifest["digest"] == adapter.digest
    for name, sha256 in manifest["files"].items():
        assert hashlib.sha256((to / name).read_bytes()).hexdigest() == sha256
    assert json.loads((to / CONFIG).read_text())["base_model_name_or_path"] == base.name
    for name in (CONFIG, MANIFEST, "README.md"):
        assert str(base.parent) not in (to / name).read_text()
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(base)
    loaded = logits_of(peft.PeftModel.from_pretrained(model, str(to)), tokenizer)
    assert torch.equal(loaded, logits_of(adapted(base, adapter), tokenizer))


def test_the_note_on_the_base_models_licence_is_what_lies_beside_its_weights(
    adapter: Adapter, base: Path, tmp_path: Path
) -> None:
    (base / "LICENSE").write_text("Do as you please.")
    export(adapter, tmp_path / "handed-on", Form.HUB, silent)
    (base / "LICENSE").unlink()
    assert (tmp_path / "handed-on" / "LICENSE").read_text() == "Do as you please."


@pytest.mark.parametrize("form", Form)
def test_a_changed_adapter_is_not_handed_on(adapter: Adapter, tmp_path: Path, form: Form) -> None:
    (adapters.folder_of(adapter) / WEIGHTS).write_bytes(b"others")
    with pytest.raises(Invalid, match="was changed"):
        export(adapter, tmp_path / "handed-on", form, silent)
    assert not (tmp_path / "handed-on").exists()


def test_nor_is_one_whose_files_were_removed(
    adapter: Adapter, database_engine: Engine, tmp_path: Path
) -> None:
    with writing(database_engine) as session:
        adapter.files_removed_at = now()
        session.add(adapter)
    with pytest.raises(Conflict, match="were removed"):
        export(adapter, tmp_path / "handed-on", Form.HUB, silent)


def test_what_lies_at_the_target_stays(adapter: Adapter, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    for to in (full, full / "mine.txt"):
        with pytest.raises(Invalid, match="expected an empty folder, or none"):
            export(adapter, to, Form.HUB, silent)
    with pytest.raises(Invalid, match="Found no folder"):
        export(adapter, tmp_path / "nowhere" / "deep", Form.HUB, silent)
    assert (full / "mine.txt").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    export(adapter, tmp_path / "empty", Form.HUB, silent)
    assert (tmp_path / "empty" / "README.md").exists()


def test_the_command_merges_tells_how_far_it_is_and_notes_it_in_the_audit_log(
    adapter: Adapter, base: Path, database_engine: Engine, tmp_path: Path
) -> None:
    to = tmp_path / "merged"
    words = ["adapters", "export", adapter.name, "--as", "merged", "--to", str(to)]
    result = CliRunner().invoke(understudy.app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    said = result.output
    for line in ("Verifying", "Loading", "Merging", "no logit differs", "answers to 3 questions"):
        assert line in said
    assert {"README.md", "config.json", "model.safetensors", "tokenizer.json"} <= {
        each.name for each in to.iterdir()
    }
    assert not any(each.is_dir() for each in to.iterdir())
    tokenizer = AutoTokenizer.from_pretrained(to)
    merged = logits_of(AutoModelForCausalLM.from_pretrained(to), tokenizer)
    wanted = logits_of(adapted(base, adapter), tokenizer)
    assert float((merged - wanted).abs().max()) < 1e-3
    plain = logits_of(AutoModelForCausalLM.from_pretrained(base), tokenizer)
    assert float((merged - plain).abs().max()) > 0.1
    card = (to / "README.md").read_text()
    assert 'library_name: "transformers"' in card
    assert "Checked when it was made" in card
    with reading(database_engine) as session:
        [entry] = audit.every(session, act="adapter.export")
    assert (entry.subject, entry.detail) == (adapter.name, {"form": "merged", "to": str(to)})


def test_a_gguf_file_is_one_file_with_its_card(adapter: Adapter, tmp_path: Path) -> None:
    to, lines = tmp_path / "gguf", list[str]()
    export(adapter, to, Form.GGUF, lines.append)
    file = f"{adapter.name}.gguf"
    assert {each.name for each in to.iterdir()} == {"README.md", file}
    assert any("Loaded again from the GGUF file" in each for each in lines)
    assert file in (to / "README.md").read_text()
    AutoTokenizer.from_pretrained(to, gguf_file=file)


def test_where_a_check_fails_nothing_is_written(
    owner: Assistant, base: Path, database_engine: Engine, tmp_path: Path
) -> None:
    """Weights so large that float16 cannot hold them."""
    built = adapter_for(base, tmp_path / "huge", scale=1e6)
    with writing(database_engine) as session:
        adapter = adapters.publish(session, owner, built, [], {}, {})
    with pytest.raises(ExportFailed, match=r"does not answer .* Nothing was written\."):
        export(adapter, tmp_path / "merged", Form.MERGED, silent, precision="float16")
    assert not (tmp_path / "merged").exists()
    assert [each for each in tmp_path.iterdir() if each.name.endswith(".part")] == []


KINDS = {
    "llama": (LlamaForCausalLM, LlamaConfig, "gpt-2", {"tie_word_embeddings": False}),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config, "qwen2", {"tie_word_embeddings": False}),
}
TEMPLATE = (
    "{% for each in messages %}<|im_start|>{{ each.role }}\n{{ each.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def small_tokenizer(pre: str) -> Any:
    """Byte-level BPE with a few hundred tokens, so that reading them takes no time."""
    made = Tokenizer(models.BPE())
    whole: Any = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if pre != "gpt-2":
        split = pre_tokenizers.Split(Regex(GGUF_PRE_TOKENIZER_SPLITS[pre]), "isolated")
        parts = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        whole = pre_tokenizers.Sequence([split, parts])
    made.pre_tokenizer = whole
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(PROBES, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=TEMPLATE,
    )


@pytest.fixture(scope="module", params=["llama"])
def of_a_kind(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """A tiny model with a larger vocabulary than its tokenizer, and an adapter for it."""
    folder = tmp_path_factory.mktemp(request.param)
    model, config, pre, more = KINDS[request.param]
    tokenizer = small_tokenizer(pre)
    tokenizer.save_pretrained(str(folder / "base"))
    torch.manual_seed(0)
    made = config(
        vocab_size=512,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.2,
        **more,
    )
    model(made).save_pretrained(str(folder / "base"))
    return folder / "base", adapter_for(folder / "base", folder / "adapter")


@pytest.mark.parametrize(
    ("of_a_kind", "precision"),
    [
        ("llama", "float32"),
        ("llama", "float16"),
        ("llama", "bfloat16"),
        ("qwen2", "float32"),
    ],
    indirect=["of_a_kind"],
)
def test_a_gguf_file_of_each_architecture_answers_as_the_adapter_does(
    of_a_kind: tuple[Path, Path], database_engine: Engine, tmp_path: Path, precision: Precision
) -> None:
    base, built = of_a_kind
    order = Order(
        base_model=str(base), adapter=built, name="shop-v1", prompts=PROMPTS, tokens=8,
        precision=precision, gguf="shop-v1.gguf",
    )  # fmt: skip
    report = merging.run(order, tmp_path)
    assert report.gguf_difference is not None
    assert report.merged_difference <= report.gguf_difference + 1e-3
    assert report.gguf_difference < {"float32": 1e-3, "float16": 0.1, "bfloat16": 1.0}[precision]
    assert not (tmp_path / CHECKPOINT).exists()


def test_rows_left_out_of_the_file_are_found_out(
    of_a_kind: tuple[Path, Path],
    database_engine: Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As if the adapter had been forgotten: the base model's own weights are written."""
    base, built = of_a_kind
    order = Order(
        base_model=str(base), adapter=built, name="x", prompts=PROMPTS, tokens=8, gguf="x.gguf"
    )
    write = gguf_file.write

    def without_adapter(path: Path, name: str, model: Any, *more: Any) -> None:
        write(path, name, AutoModelForCausalLM.from_pretrained(base), *more)

    monkeypatch.setattr(gguf_file, "write", without_adapter)
    with pytest.raises(Refused, match="The GGUF file does not answer as base and adapter do"):
        merging.run(order, tmp_path)


def test_what_has_no_place_in_a_gguf_file_is_refused_with_what_has(
    base: Path, database_engine: Engine
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(base)
    with pytest.raises(Refused, match="'llama', 'qwen2'; found 'gpt_neox'"):
        gguf_file.check(GPTNeoXConfig(), tokenizer)
    scaled = LlamaConfig(
        rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}
    )
    with pytest.raises(Refused, match="found rope_type 'linear'"):
        gguf_file.check(scaled, tokenizer)
    tokenizer.backend_tokenizer.pre_tokenizer = None
    with pytest.raises(Refused, match="byte-level BPE"):
        gguf_file.check(LlamaConfig(), tokenizer)


def test_an_adapter_whose_probe_is_empty_is_asked_the_built_in_questions(
    database_engine: Engine,
) -> None:
    asked = exporting._questions()
    assert len(asked) == exporting.QUESTIONS
    assert all(each[0]["content"] for each in asked)


def test_of_the_model_that_ships_in_a_package_name_and_licence_are_known(
    assistant: Assistant, database_engine: Engine, tmp_path: Path
) -> None:
    with writing(database_engine) as session:
        built = built_adapter(tmp_path / "built")
        made = adapters.publish(session, assistant, built, [], {}, {})
    to = tmp_path / "handed-on"
    export(made, to, Form.HUB, silent)
    assert EMBEDDED_LICENCE in (to / "LICENSE").read_text()
    config = json.loads((to / CONFIG).read_text())
    assert config["base_model_name_or_path"] == EMBEDDED_ID
