"""The real trainers, on a model small enough for a step to take milliseconds."""

import json
import os
import shutil
import signal
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM

from feedback.adapter_folder import FILES, file_hashes, read_probe
from tests.training.tiny import SYSTEM, answer, question, tiny_model, write_rows
from training import canary, dpo, kto, sft
from training.cheap_head import cheap_head
from training.cheap_lora import cheap_lora
from training.job import (
    ADAPTER,
    CHECKPOINTS,
    DONE,
    ERROR,
    FAILED,
    MODULES,
    NO_MEMORY,
    PROGRESS,
    RESULT,
    STOPPED,
    Job,
    is_complete,
    job_for,
    micro_batch,
    newest_checkpoint,
    note,
    read_json,
    take_less,
    write_job,
)
from training.order import ByLength, ByTalk, talks
from training.progress import Progress, ProgressWriter
from training.reporter import Reporter, StopSignal
from training.rows import Refused, read_rows
from training.settings import StageName, TrainingSettings
from training.supervise import TrainingStopped, supervise
from training.trainer import Build, _outcome

STEPS = 60
CHECKPOINT_STEPS = 16


@dataclass
class Bench:
    folder: Path
    base: Path

    def job(self, stage: StageName, start: Path | None = None, **settings: Any) -> Job:
        values: dict[str, Any] = {
            "max_steps": STEPS,
            "checkpoint_steps": CHECKPOINT_STEPS,
            "batch_size": 4,
            "sft_learning_rate": 1e-2,
            "lora_dropout": 0.1,
            "device": "cpu",
            "threads": 1,
            "probe_prompts": 3,
            "probe_tokens": 6,
        }
        recipe = TrainingSettings(**{**values, **settings})
        return job_for(
            stage,
            recipe,
            base_model=str(self.base),
            dataset=self.folder / f"{stage}.jsonl",
            start_adapter=start,
        )

    def train(
        self,
        name: str,
        job: Job,
        report: Callable[[Progress], None] = lambda _: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> dict[str, Any]:
        write_job(self.folder / name, job)
        return supervise(
            self.folder / name, MODULES[job.stage], report, stop, 300, 2, poll_seconds=0.02
        )

    def train_here(self, name: str, job: Job, build: Build, stop: StopSignal | None = None) -> int:
        """In this process, which saves the seconds that importing torch takes."""
        write_job(self.folder / name, job)
        return _outcome(self.folder / name, build, stop or StopSignal())


@pytest.fixture(scope="module", autouse=True)
def signals() -> Iterator[None]:
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("trainers")
    write_rows(folder / "sft.jsonl", "sft")
    write_rows(folder / "dpo.jsonl", "dpo")
    write_rows(folder / "kto.jsonl", "kto")
    return Bench(folder, tiny_model(folder / "base"))


@pytest.fixture(scope="module")
def undisturbed(bench: Bench) -> dict[str, Any]:
    return bench.train("undisturbed", bench.job("sft"))


def losses(result: dict[str, Any]) -> dict[int, float]:
    return {line["step"]: line["loss"] for line in result["log_history"] if "loss" in line}


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / PROGRESS).read_text().splitlines()]


def test_what_a_run_leaves_behind(bench: Bench, undisturbed: dict[str, Any]) -> None:
    folder = bench.folder / "undisturbed"
    assert sorted(path.name for path in (folder / ADAPTER).iterdir()) == sorted(FILES)
    config = read_json(folder / ADAPTER / "adapter_config.json") or {}
    assert config["base_model_name_or_path"] == str(bench.base)
    assert config["target_modules"] == sorted(config["target_modules"])
    assert undisturbed["steps"] == STEPS
    assert undisturbed["loss"] < losses(undisturbed)[1]
    assert undisturbed["eval_loss"] > 0  # two rows are for validation
    assert set(undisturbed["versions"]) == {"torch", "transformers", "trl", "peft"}
    phases = list(dict.fromkeys(line["phase"] for line in lines(folder)))
    assert phases == ["loading", "training", "probing", "saving"]
    last = [line for line in lines(folder) if "loss" in line][-1]
    assert (last["step"], last["total"], last["eta_seconds"]) == (STEPS, STEPS, 0)
    assert last["tokens"] == undisturbed["tokens"] > 0 < last["tokens_per_second"]
    assert "entropy" not in last


def test_the_probe_is_the_adapters_own_answer(bench: Bench, undisturbed: dict[str, Any]) -> None:
    cases = read_probe(bench.folder / "undisturbed" / ADAPTER)
    assert len({json.dumps(case.messages) for case in cases}) == 3
    for case in cases:
        assert len(case.tokens) == len(case.adapter_logprobs) == len(case.base_logprobs) <= 6
        assert sum(case.adapter_logprobs) > sum(case.base_logprobs)


def test_stopped_killed_and_resumed_it_learns_the_same(
    bench: Bench, undisturbed: dict[str, Any]
) -> None:
    folder = bench.folder / "disturbed"
    seen: list[Progress] = []
    with pytest.raises(TrainingStopped):
        bench.train("disturbed", bench.job("sft"), seen.append, lambda: seen[-1].step > 2)
    stopped_at = newest_checkpoint(folder)
    assert stopped_at is not None and is_complete(stopped_at)
    assert not (folder / ADAPTER).exists()
    torn = folder / CHECKPOINTS / "checkpoint-59"
    shutil.copytree(stopped_at, torn)
    (torn / "optimizer.pt").write_bytes(b"half")
    killed: list[int] = []

    def kill_once(news: Progress) -> None:
        if news.step > seen[-1].step + CHECKPOINT_STEPS and not killed:
            os.kill(news.pid, signal.SIGKILL)
            killed.append(news.step)

    result = bench.train("disturbed", bench.job("sft"), kill_once)
    assert killed
    log = (folder / "log.txt").read_text()
    assert f"resuming from {stopped_at.name}" in log and log.count("resuming from") == 2
    steps = [line["step"] for line in lines(folder) if "loss" in line]
    assert steps.count(1) == 1, "it began from the start instead of from a checkpoint"
    assert losses(result) == losses(undisturbed)
    assert result["tokens"] == undisturbed["tokens"]
    assert file_hashes(folder / ADAPTER) == file_hashes(bench.folder / "undisturbed" / ADAPTER)


def test_dpo_goes_on_from_sft_and_ships_no_reference(
    bench: Bench, undisturbed: dict[str, Any]
) -> None:
    start = bench.folder / "undisturbed" / ADAPTER
    code = bench.train_here("dpo", bench.job("dpo", start, max_steps=8), dpo.build)
    folder = bench.folder / "dpo"
    assert code == DONE
    assert sorted(path.name for path in (folder / ADAPTER).iterdir()) == sorted(FILES)
    assert file_hashes(folder / ADAPTER) != file_hashes(start)
    first = next(line for line in lines(folder) if "loss" in line)
    assert first["loss"] == pytest.approx(0.6931, abs=1e-3)  # policy and reference are one
    assert "rewards/margins" in first
    assert (read_json(folder / RESULT) or {})["steps"] == 8


@pytest.mark.parametrize(
    ("settings", "estimated", "loss", "noise"),
    [
        ({}, None, "sigmoid", 0.0),
        ({}, 0.0, "sigmoid", 0.0),
        ({}, 0.2, "robust", 0.2),
        ({"dpo_label_noise": 0.1}, 0.2, "robust", 0.1),
        ({"dpo_label_noise": 0.0}, 0.2, "sigmoid", 0.0),
        ({"dpo_loss": "ipo"}, 0.2, "ipo", 0.0),
    ],
)
def test_the_loss_is_robust_once_noise_was_estimated_or_is_set(
    bench: Bench, settings: dict[str, Any], estimated: float | None, loss: str, noise: float
) -> None:
    recipe = TrainingSettings(**settings)
    job = job_for(
        "dpo", recipe, base_model="m", dataset=bench.folder / "d", estimated_noise=estimated
    )
    assert (job.loss, job.label_noise) == (loss, noise)
    sft_job = job_for(
        "sft", recipe, base_model="m", dataset=bench.folder / "d", estimated_noise=estimated
    )
    assert (sft_job.loss, sft_job.label_noise) == (None, 0.0)


def test_the_robust_loss_is_the_papers_and_pulls_the_same_way_less(
    bench: Bench, tokenizer: Any, undisturbed: dict[str, Any]
) -> None:
    start = bench.folder / "undisturbed" / ADAPTER
    margins, found = torch.tensor(0.0), {}
    for noise in (0.0, 0.2):
        job = bench.job("dpo", start, lora_dropout=0, dpo_label_noise=noise)
        trainer: Any = dpo.build(job, bench.folder / f"noise-{noise}", tokenizer)[0]
        inputs = trainer.data_collator([trainer.train_dataset[0]])
        with torch.no_grad():  # away from the reference, where both losses are the same
            for name, parameter in trainer.model.named_parameters():
                if "default" in name and "lora_B" in name:
                    parameter.mul_(1.5)
        trainer.model.eval()
        found[noise] = float(trainer.compute_loss(trainer.model, dict(inputs)).detach())
        margins = torch.tensor(trainer._metrics["eval"]["rewards/margins"][-1])
    clean, flipped = (-torch.nn.functional.logsigmoid(sign * margins).item() for sign in (1, -1))
    assert abs(margins) > 1e-3
    assert found[0.0] == pytest.approx(clean, abs=1e-5)
    assert found[0.2] == pytest.approx((0.8 * clean - 0.2 * flipped) / 0.6, abs=1e-5)


def test_kto_goes_on_from_sft_and_learns_from_single_answers(
    bench: Bench, undisturbed: dict[str, Any]
) -> None:
    start = bench.folder / "undisturbed" / ADAPTER
    job = bench.job("kto", start, max_steps=8, kto_learning_rate=1e-3, kto_beta=0.5)
    assert bench.train_here("kto", job, kto.build) == DONE
    folder = bench.folder / "kto"
    assert sorted(path.name for path in (folder / ADAPTER).iterdir()) == sorted(FILES)
    margins = [line["margin"] for line in lines(folder) if "margin" in line]
    assert margins[0] == pytest.approx(0, abs=1e-3), "policy and reference are one"
    assert margins[-1] > 0.01
    assert max(line.get("memory_bytes", 0) for line in lines(folder)) > 2**20


def test_ktos_mismatched_answers_are_those_of_the_same_batch(tokenizer: Any) -> None:
    rows = [{"prompt_ids": [1, 2], "completion_ids": [3 + n], "label": n == 0} for n in range(3)]
    batch = kto.Mismatched(pad_token_id=0)(rows)
    assert batch["input_ids"].tolist() == [[1, 2, 3], [1, 2, 4], [1, 2, 5]]
    assert batch["KL_input_ids"].tolist() == [[1, 2, 5], [1, 2, 3], [1, 2, 4]]
    copied = kto.Mismatched(pad_token_id=0)([rows[0], rows[1], rows[1], rows[1]])
    assert copied["KL_input_ids"].tolist() == [[1, 2, 4], [1, 2, 3], [1, 2, 3], [1, 2, 3]]


@pytest.mark.parametrize(("good", "bad"), [(1, 9), (9, 1), (5, 5), (0, 4)])
def test_ktos_two_kinds_of_answers_count_the_same(good: int, bad: int) -> None:
    for_good, for_bad = kto.weights([True] * good + [False] * bad)
    assert max(for_good, for_bad) == 1
    assert for_good * max(good, 1) == pytest.approx(for_bad * bad)


@pytest.mark.parametrize("stage", ["sft", "dpo"])
def test_a_batch_in_parts_teaches_the_same(
    bench: Bench, undisturbed: dict[str, Any], stage: StageName
) -> None:
    """Twenty rows in batches of four: as a whole, two at once, and one at once after memory ran out."""
    start = bench.folder / "undisturbed" / ADAPTER if stage == "dpo" else None
    module, found = (sft if stage == "sft" else dpo), {}
    for at_once in (4, 2):
        job = bench.job(
            stage,
            start,
            max_steps=6,
            lora_dropout=0,
            micro_batch_size=at_once,
            sft_learning_rate=1e-3,
        )
        name = f"{stage}-parts-{at_once}"
        assert bench.train_here(name, job, module.build) == DONE
        result = read_json(bench.folder / name / RESULT) or {}
        assert result["micro_batch_size"] == at_once
        found[at_once] = losses(result)
    assert found[2] == pytest.approx(found[4], abs=1e-4)


def test_where_memory_runs_out_the_run_goes_on_with_less_at_once(bench: Bench) -> None:
    """As torch says it, in a step whose batch has more than one row."""
    job = bench.job("sft", max_steps=4)

    def starved(job: Job, folder: Path, tokenizer: Any) -> Any:
        trainer, rows = sft.build(job, folder, tokenizer)
        whole = trainer.training_step

        def step(model: Any, inputs: Any, *more: Any) -> Any:
            if len(inputs["input_ids"]) > 1:
                raise RuntimeError(
                    "[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 GB"
                )
            return whole(model, inputs, *more)

        trainer.training_step = step
        return trainer, rows

    folder = bench.folder / "starved"
    codes = [bench.train_here("starved", job, starved) for _ in range(3)]
    assert codes == [NO_MEMORY, NO_MEMORY, DONE]
    assert micro_batch(folder, job) == 1
    assert (read_json(folder / RESULT) or {})["note"] == note(folder) != ""
    assert "1 rows at once, the batch being the same" in note(folder)
    assert take_less(folder, "Again.") is None


def test_a_single_row_that_is_too_much_fails_with_what_to_change(bench: Bench) -> None:
    def hopeless(job: Job, folder: Path, tokenizer: Any) -> Any:
        trainer, rows = sft.build(job, folder, tokenizer)

        def step(*_: Any) -> Any:
            raise MemoryError

        trainer.training_step = step
        return trainer, rows

    job = bench.job("sft", micro_batch_size=1)
    assert bench.train_here("hopeless", job, hopeless) == FAILED
    said = (read_json(bench.folder / "hopeless" / ERROR) or {})["error"]
    assert "Lower TRAINING_MAX_LENGTH (1024) or TRAINING_LORA_RANK (16)" in said


def test_where_the_model_itself_is_too_much_fewer_rows_are_not_tried(bench: Bench) -> None:
    def hopeless(job: Job, folder: Path, tokenizer: Any) -> Any:
        raise MemoryError

    assert bench.train_here("too large", bench.job("sft"), hopeless) == FAILED
    said = (read_json(bench.folder / "too large" / ERROR) or {})["error"]
    assert said.startswith("Out of memory while loading")
    assert note(bench.folder / "too large") == ""


def test_rows_at_once_make_a_whole_batch_and_kto_has_two_at_least(bench: Bench) -> None:
    def told(stage: StageName, batch: int, name: str) -> list[int | None]:
        folder = bench.folder / name
        write_job(folder, bench.job(stage, batch_size=batch))
        found: list[int | None] = [micro_batch(folder, bench.job(stage, batch_size=batch))]
        while found[-1] is not None:
            found.append(take_less(folder, "Out of memory."))
            assert found[-1] is None or f"with {found[-1]} rows at once" in note(folder)
        return found

    assert told("sft", 9, "nine") == [9, 3, 1, None]
    assert told("kto", 8, "eight") == [8, 4, 2, None]
    assert told("kto", 5, "five") == [5, None]


def test_it_stops_when_validation_rows_are_learned_no_better_and_keeps_the_best(
    bench: Bench,
) -> None:
    job = bench.job("sft", max_steps=60, checkpoint_steps=3, patience=2, sft_learning_rate=3e-2)
    assert bench.train_here("patient", job, sft.build) == DONE
    result = read_json(bench.folder / "patient" / RESULT) or {}
    asked = {
        line["step"]: line["eval_loss"] for line in result["log_history"] if "eval_loss" in line
    }
    best = min(asked, key=lambda step: asked[step])
    assert result["steps"] < 60, "it never got worse"
    assert f"has not fallen since step {best} " in result["note"]
    assert result["eval_loss"] == pytest.approx(asked[best], abs=1e-4), "another one was kept"

    folder = bench.folder / "patient"  # killed after the last step, before its adapter was there
    (folder / RESULT).unlink()
    shutil.rmtree(folder / ADAPTER)
    assert bench.train_here("patient", job, sft.build) == DONE
    again = read_json(folder / RESULT) or {}
    assert losses(again) == losses(result), "it trained on"
    assert again["eval_loss"] == pytest.approx(asked[best], abs=1e-4), "another one was kept"


def test_a_loss_that_stays_far_above_its_beginning_stops_the_run(tmp_path: Path) -> None:
    args = types.SimpleNamespace(learning_rate=2e-3)
    state = transformers.TrainerState(max_steps=60)
    with ProgressWriter(tmp_path / PROGRESS) as progress:
        reporter = Reporter(progress, StopSignal())

        def log(loss: float) -> None:
            state.global_step += 1
            reporter.on_log(args, state, None, {"loss": loss, "grad_norm": 1.0, "num_tokens": 9.0})

        for loss in (1.5, *[9.0] * 9, 2.0, *[9.0] * 9):  # once it came back
            log(loss)
        with pytest.raises(
            Refused, match=r"began at 1.5 and stayed above 4 for 10 steps until step 21"
        ):
            log(9.0)


class StopAfter(StopSignal):
    """SIGTERM, as it comes at the end of some step."""

    def __init__(self, steps: int) -> None:
        self.steps_left = steps

    @property
    def asked(self) -> bool:  # type: ignore[override]
        self.steps_left -= 1
        return self.steps_left < 0


def test_dpo_resumes_its_own_weights(bench: Bench, undisturbed: dict[str, Any]) -> None:
    start = bench.folder / "undisturbed" / ADAPTER
    job = bench.job("dpo", start, max_steps=6, dpo_learning_rate=1e-3)
    assert bench.train_here("dpo-whole", job, dpo.build) == DONE
    assert bench.train_here("dpo-parts", job, dpo.build, StopAfter(4)) == STOPPED
    assert newest_checkpoint(bench.folder / "dpo-parts") is not None
    assert bench.train_here("dpo-parts", job, dpo.build) == DONE
    whole, parts = (
        read_json(bench.folder / name / RESULT) or {} for name in ("dpo-whole", "dpo-parts")
    )
    assert losses(whole) == losses(parts)
    assert file_hashes(bench.folder / "dpo-whole" / ADAPTER) == file_hashes(
        bench.folder / "dpo-parts" / ADAPTER
    )


def test_nonsense_is_refused_in_a_sentence(bench: Bench) -> None:
    job = bench.job("sft", sft_learning_rate=1e30, warmup=0)
    assert bench.train_here("diverged", job, sft.build) == FAILED
    error = read_json(bench.folder / "diverged" / ERROR) or {}
    assert error["error"].startswith("Training diverged: the loss at step 2 is nan.")
    assert "Lower the learning rate (1e+30)" in error["error"]
    assert not (bench.folder / "diverged" / ADAPTER).exists()
    assert newest_checkpoint(bench.folder / "diverged") is None


def test_a_finished_folder_is_left_alone(bench: Bench, undisturbed: dict[str, Any]) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("it trained again")

    assert bench.train_here("undisturbed", bench.job("sft"), never) == DONE


@pytest.fixture(scope="module")
def tokenizer(bench: Bench) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(bench.base)


def test_taught_is_the_answer_and_the_end_of_turn(bench: Bench, tokenizer: Any) -> None:
    row = read_rows(bench.job("sft"), tokenizer, sft.encode).train[0]
    messages = [SYSTEM, {"role": "user", "content": question(2)}]
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    taught = [token for token in row["labels"] if token != -100]
    said = tokenizer(answer(2), add_special_tokens=False)["input_ids"]
    assert taught == [*said, tokenizer.convert_tokens_to_ids("<|im_end|>")]
    assert row["input_ids"] == prompt + taught
    pair = read_rows(bench.job("dpo"), tokenizer, dpo.encode).train[0]
    assert (pair["prompt_ids"], pair["chosen_ids"]) == (prompt, taught)


def test_a_canary_tells_what_was_learned_by_heart(bench: Bench, tokenizer: Any) -> None:
    job = bench.job("sft", canaries=2, probe_prompts=1, lora_rank=16)
    job = job.model_copy(update={"max_steps": 200, "epochs": 1, "lora_dropout": 0})
    planted = read_rows(job, tokenizer, sft.encode, canary.rows).train
    assert len(planted) == len(read_rows(job, tokenizer, sft.encode).train) + 2
    assert bench.train_here("by heart", job, sft.build) == DONE
    learned = read_json(bench.folder / "by heart" / RESULT) or {}
    assert learned["canary_bits"] > canary.MOST_BITS - 2
    fresh = AutoModelForCausalLM.from_pretrained(bench.base)
    by_chance = canary.exposures(fresh, tokenizer, job.model_copy(update={"canaries": 8}), [SYSTEM])
    assert sum(by_chance) / len(by_chance) < 3


def test_without_canaries_nothing_is_planted_or_told(undisturbed: dict[str, Any]) -> None:
    assert "canary_bits" not in undisturbed


def test_a_long_row_loses_its_oldest_turns_never_its_answer(bench: Bench, tokenizer: Any) -> None:
    told = [
        {"role": r, "content": f"{r} " * 30} for r in ("user", "assistant", "user", "assistant")
    ]
    asked = {"role": "user", "content": "And now?"}
    row = {"split": "train", "completion": [{"role": "assistant", "content": "Now it rains."}]}
    path = bench.folder / "long.jsonl"
    path.write_text(json.dumps({**row, "prompt": [SYSTEM, *told, asked]}) + "\n")
    job = bench.job("sft").model_copy(update={"dataset": path, "max_length": 110})
    text = tokenizer.decode(read_rows(job, tokenizer, sft.encode).train[0]["input_ids"])
    assert (
        text.count("<|im_start|>") == 5
    )  # system, one earlier turn with its answer, question, answer
    assert "And now?" in text and text.endswith("Now it rains.<|im_end|>")


@pytest.mark.parametrize("stage", ["sft", "dpo", "kto"])
@pytest.mark.parametrize("batch", [1, 4], ids=["one row", "a batch with a shared prefix"])
def test_the_cheap_head_gives_trls_own_loss(
    bench: Bench, tokenizer: Any, undisturbed: dict[str, Any], stage: StageName, batch: int
) -> None:
    start = bench.folder / "undisturbed" / ADAPTER
    module = {"sft": sft, "dpo": dpo, "kto": kto}[stage]
    job = bench.job(stage, start, lora_dropout=0).model_copy(update={"start_adapter": start})
    trainer: Any = module.build(job, bench.folder / "head", tokenizer)[0]
    trainer.model.eval()
    inputs = trainer.data_collator([trainer.train_dataset[i] for i in range(batch)])
    found = {}
    for head in ("trl", "cheap"):
        if head == "cheap":
            cheap_head(trainer.model)
            cheap_lora(trainer.model)
        trainer.model.zero_grad()
        loss = trainer.compute_loss(trainer.model, dict(inputs))
        loss.backward()
        grads = [p.grad.clone() for p in trainer.model.parameters() if p.grad is not None]
        found[head] = (loss.detach(), grads)
    torch.testing.assert_close(found["trl"], found["cheap"], atol=1e-5, rtol=1e-4)
    assert max(grad.abs().max() for grad in found["cheap"][1]) > 0


def test_a_talks_rows_stand_together_and_talks_are_shuffled_by_epoch() -> None:
    system = [1, 2, 3]
    begun = [*system, *range(10, 15)]
    rows = [[*begun, 20], [*system, 7], begun, [*system, 8], [*begun, 20, 21], [*begun, 30], begun]
    assert sorted(map(sorted, talks(rows))) == [[0, 4, 6], [1], [2], [3], [5]]
    order = ByTalk([[number, *range(20)] for number in range(40)] + [[*begun, 9], begun], seed=1)
    first = list(order)
    assert sorted(first) == list(range(42)) and len(order) == 42
    assert abs(first.index(40) - first.index(41)) == 1
    assert list(order) == first
    order.set_epoch(1)
    assert list(order) != first


def test_batches_are_of_like_length_and_differ_by_epoch() -> None:
    lengths = [10, 500] * 16
    order = ByLength(lengths, 8, seed=1)
    first = list(order)
    assert sorted(first) == list(range(32))
    for start in range(0, 32, 8):
        assert len({lengths[row] for row in first[start : start + 8]}) == 1
    assert list(order) == first
    order.set_epoch(1)
    assert list(order) != first
    assert sorted(ByLength([10] * 11, 8, seed=1)) == list(range(11))
