"""What both trainers share: rows to tokens, the cheap head, checkpoints, progress, probe and result.

Not a framework: `sft.py` and `dpo.py` build a TRL trainer, and `main` below takes it from a job to an
adapter. Runs in a process of its own; nothing here knows the database or the service.
"""

import ctypes
import fcntl
import json
import math
import os
import random
import shutil
import signal
import sys
import time
import traceback
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# Beside other work on the same cores, threads that spin while they wait made a step of 5 s take 150.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import datasets
import peft
import torch
import transformers
import trl
from torch.nn.functional import cross_entropy
from torch.utils.data import Sampler
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache, GenerationConfig
from trl.trainer.utils import FusedCausalLMOutput

from feedback.adapter_folder import CONFIG, PROBE, ProbeCase
from training import job as files
from training.job import Job
from training.progress import ProgressWriter

PR_SET_PDEATHSIG = 1
NOT_COMPUTED = ("entropy", "logits/chosen", "logits/rejected")
"""TRL's statistics over the whole vocabulary, which the cheap head leaves out."""


class Refused(Exception):
    """Training cannot go on, for a reason a person can act on."""


class Stopped(Exception):
    """SIGTERM came; what was learned so far lies in a checkpoint."""


# Rows and tokens


@dataclass(frozen=True)
class Rows:
    """A dataset in tokens, and the prompts the probe may ask."""

    train: datasets.Dataset
    validation: datasets.Dataset | None
    prompts: list[list[dict[str, str]]]


Encode = Callable[[dict[str, Any], list[int], Any], dict[str, list[int]]]


def prompt_tokens(tokenizer: Any, messages: list[dict[str, str]]) -> list[int]:
    """A prompt exactly as the engine renders it."""
    rendered = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, return_dict=False, tokenize=True
    )
    return list(rendered)


def answer_tokens(tokenizer: Any, answer: list[dict[str, str]]) -> list[int]:
    """An answer as the model should say it: its text, then the token that ends a turn.

    Not the template's own rendering, which adds what follows the turn and is never generated.
    """
    text = tokenizer(answer[0]["content"], add_special_tokens=False)["input_ids"]
    return [*text, tokenizer.eos_token_id]


def read_rows(job: Job, tokenizer: Any, encode: Encode) -> Rows:
    """The job's dataset. Only rows of the split "train" teach."""
    kept: dict[str, list[dict[str, list[int]]]] = {"train": [], "validation": []}
    prompts: dict[str, list[dict[str, str]]] = {}
    too_long = 0
    for line in job.dataset.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        encoded = _fit(job, tokenizer, row, encode)
        if encoded is None:
            too_long += 1
            continue
        kept[row["split"]].append(encoded)
        prompts.setdefault(json.dumps(row["prompt"]), row["prompt"])
    print(
        f"rows: {len(kept['train'])} train, {len(kept['validation'])} validation, {too_long} too long"
    )
    if not kept["train"]:
        raise Refused(
            f"No row of {job.dataset.name!r} can be trained on: found {too_long} longer than "
            f"{job.max_length} tokens and {len(kept['validation'])} for validation only."
        )
    return Rows(
        train=datasets.Dataset.from_list(kept["train"]),
        validation=datasets.Dataset.from_list(kept["validation"]) if kept["validation"] else None,
        prompts=list(prompts.values())[: job.probe_prompts],
    )


def _fit(job: Job, tokenizer: Any, row: dict[str, Any], encode: Encode) -> dict[str, Any] | None:
    """The row in tokens; a long one loses its oldest turns, as it would when served, never its answer."""
    messages = list(row["prompt"])
    first = 1 if messages[0]["role"] == "system" else 0
    while True:
        encoded = encode(row, prompt_tokens(tokenizer, messages), tokenizer)
        if _length(encoded) <= job.max_length:
            return encoded
        if len(messages) <= first + 1:
            return None
        del messages[first : first + 2]  # a question and its answer


def _length(encoded: dict[str, list[int]]) -> int:
    if "input_ids" in encoded:
        return len(encoded["input_ids"])
    answers = (len(encoded["chosen_ids"]), len(encoded["rejected_ids"]))
    return len(encoded["prompt_ids"]) + max(answers)


class ByLength(Sampler):
    """Batches of rows of like length, shuffled anew each epoch by seed and epoch alone.

    transformers' own group_by_length sorts nothing in a set of a few batches, and takes its order
    from a global generator, so that a resumed run sees other batches than an uninterrupted one.
    """

    def __init__(self, lengths: list[int], batch_size: int, seed: int) -> None:
        self.lengths = lengths
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch, also before a resumed one."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        chance = random.Random(f"{self.seed}:{self.epoch}")  # noqa: S311 - an order, not a secret
        rows = list(range(len(self.lengths)))
        chance.shuffle(rows)
        spare = len(rows) % self.batch_size  # the short batch comes last, whatever its rows' length
        full = sorted(rows[spare:], key=lambda row: self.lengths[row] * chance.uniform(0.9, 1.1))
        batches = [full[i : i + self.batch_size] for i in range(0, len(full), self.batch_size)]
        chance.shuffle(batches)
        yield from (row for batch in [*batches, rows[:spare]] for row in batch)


# Model


def device_of(job: Job) -> str:
    """Where this job computes."""
    if job.device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return job.device


def load_model(job: Job) -> Any:
    """The base model, or it with the adapter to go on from."""
    dtype = torch.float32 if device_of(job) == "cpu" else torch.bfloat16
    model = AutoModelForCausalLM.from_pretrained(job.base_model, dtype=dtype)
    if job.start_adapter is None:
        return model
    return peft.PeftModel.from_pretrained(model, str(job.start_adapter), is_trainable=True)


def new_adapter(job: Job) -> peft.LoraConfig | None:
    """The adapter to begin with; None when the job goes on from one."""
    if job.start_adapter is not None:
        return None
    modules: str | list[str] = job.lora_modules
    if job.lora_modules != "all-linear":
        modules = [name.strip() for name in job.lora_modules.split(",")]
    return peft.LoraConfig(
        task_type="CAUSAL_LM",
        r=job.lora_rank,
        lora_alpha=job.lora_alpha,
        lora_dropout=job.lora_dropout,
        target_modules=modules,
    )


def common_arguments(job: Job, folder: Path) -> dict[str, Any]:
    """What the SFT and the DPO configuration have in common."""
    cpu = device_of(job) == "cpu"
    return {
        "output_dir": str(folder / files.CHECKPOINTS),
        "use_cpu": cpu,
        "bf16": not cpu,
        "gradient_checkpointing": not cpu,
        "per_device_train_batch_size": job.batch_size,
        "per_device_eval_batch_size": job.batch_size,
        "num_train_epochs": job.epochs,
        "max_steps": job.max_steps or -1,
        "learning_rate": job.learning_rate,
        "lr_scheduler_type": job.schedule,
        "warmup_steps": job.warmup,
        "weight_decay": 0.0,
        "max_length": None,  # rows were fitted by read_rows
        "seed": job.seed,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "steps",
        "save_steps": job.checkpoint_steps,
        "save_total_limit": 2,
        "report_to": [],
        "disable_tqdm": True,
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": not cpu,
    }


def cheap_head(model: Any) -> None:
    """Make TRL's fused head cheap on a CPU; the loss stays the same.

    TRL's own multiplies every position by the vocabulary and takes entropy and mean logits there; on a
    GPU its kernel skips unlabelled positions, so there, and for heads that scale or cap their logits, it
    stays. Here the head sees labelled positions only, and the tokens all rows begin with (the system
    prompt) go through the body once per batch instead of once per row.
    """
    base = model.get_base_model()
    config = base.config.get_text_config()
    special = ("final_logit_softcapping", "logit_scale", "output_multiplier", "lm_head_multiplier")
    if base.device.type != "cpu" or any(
        getattr(config, name, None) is not None for name in (*special, "logits_scaling")
    ):
        return
    plain_forward = base.forward

    def forward(
        self: Any, *args: Any, fused_lm_head: bool = False, labels: Any = None, **inputs: Any
    ) -> Any:
        if not fused_lm_head:
            return plain_forward(*args, labels=labels, **inputs)
        hidden, labels = _hidden_states(self, labels=labels, **inputs)
        mask = labels != -100
        logits = self.get_output_embeddings()(hidden[mask]).float()
        wanted = labels[mask]
        log_probs = -cross_entropy(logits, wanted, reduction="none")
        zeros = log_probs.new_zeros(mask.shape)
        return FusedCausalLMOutput(
            log_probs=zeros.masked_scatter(mask, log_probs),
            entropy=zeros,
            mean_logits=zeros,
            is_top1=mask.new_zeros(mask.shape).masked_scatter(mask, logits.argmax(-1) == wanted),
            label_mask=mask,
        )

    base.forward = types.MethodType(forward, base)


def _hidden_states(
    model: Any, *, input_ids: Any, attention_mask: Any, labels: Any, **_: Any
) -> tuple[Any, Any]:
    """The body's output at all positions that predict a label, with the labels they predict."""
    shared = _shared_prefix(input_ids, labels)
    if shared == 0:
        body = model.base_model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False)
        return body.last_hidden_state[:, :-1], labels[:, 1:]
    cache = DynamicCache(config=model.config)
    model.base_model(input_ids=input_ids[:1, :shared], past_key_values=cache, use_cache=True)
    cache.batch_repeat_interleave(len(input_ids))
    body = model.base_model(
        input_ids=input_ids[:, shared:],
        attention_mask=attention_mask,
        past_key_values=cache,
        use_cache=True,
    )
    hidden = body.last_hidden_state[:, :-1]
    # TRL wants a column per predicted token; nothing in the shared part predicts a label
    return torch.nn.functional.pad(hidden, (0, 0, shared, 0)), labels[:, 1:]


def _shared_prefix(input_ids: Any, labels: Any) -> int:
    """How many tokens all rows begin with, short of the one that predicts the first label."""
    if len(input_ids) == 1:
        return 0
    differs = ((input_ids != input_ids[:1]) | (labels != -100)).any(dim=0)
    until = int(differs.int().argmax()) if bool(differs.any()) else 0
    return max(0, until - 1)


class Shared:
    """What both trainers do otherwise than TRL: our own rows, order and statistics, no model card."""

    args: Any
    model: Any
    train_dataset: Any
    _metrics: Any

    def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
        return dataset

    def _get_train_sampler(self, train_dataset: Any = None) -> ByLength:
        lengths = [_length(row) for row in train_dataset or self.train_dataset]
        return ByLength(lengths, self.args.per_device_train_batch_size, self.args.seed)

    def _save(self, output_dir: str, state_dict: Any = None) -> None:
        self.model.save_pretrained(
            output_dir, selected_adapters=["default"], save_embedding_layers=False
        )

    def _load_from_checkpoint(self, checkpoint: str, model: Any = None) -> None:
        """transformers, seeing that there is a reference too, would load that and not the adapter."""
        weights = peft.load_peft_weights(checkpoint, device=str(self.model.device))
        peft.set_peft_model_state_dict(self.model, weights, adapter_name="default")

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """Checkpoints are not for the hub."""

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Without the statistics the cheap head does not compute."""
        for metrics in self._metrics.values():
            for name in NOT_COMPUTED:
                metrics.pop(name, None)
        super().log(logs, start_time)  # type: ignore[misc]


Build = Callable[[Job, Path, Any], Any]
"""job, run folder, tokenizer -> a TRL trainer and the prompts of its rows."""


# Progress, stop and checkpoints


class Reporter(transformers.TrainerCallback):
    """Writes progress, heeds SIGTERM at the end of a step, stops on nonsense, marks checkpoints."""

    def __init__(self, progress: ProgressWriter, stop: "StopSignal") -> None:
        self.progress = progress
        self.stop = stop
        self.started = time.monotonic()
        self.first_step = 0
        self.first_tokens = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the clock; a resumed run counts from its checkpoint."""
        self.started = time.monotonic()
        self.first_step = state.global_step
        self.first_tokens = tokens_in(state)
        self.progress.write("training", step=state.global_step, total=state.max_steps)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Save and stop once SIGTERM came."""
        if self.stop.asked:
            control.should_save = True
            control.should_training_stop = True

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
        """One line per optimizer step."""
        if "loss" not in logs:
            return
        for name in ("loss", "grad_norm"):
            if not math.isfinite(logs.get(name, 0.0)):
                raise Refused(
                    f"Training diverged: the {name} at step {state.global_step} is {logs[name]}. "
                    f"Lower the learning rate ({args.learning_rate:g})."
                )
        seconds = max(time.monotonic() - self.started, 1e-6)
        done = state.global_step - self.first_step
        tokens = logs.get("num_tokens", 0.0)
        self.progress.write(
            "training",
            step=state.global_step,
            total=state.max_steps,
            tokens=int(tokens),
            tokens_per_second=round((tokens - self.first_tokens) / seconds, 1),
            eta_seconds=round(seconds / done * (state.max_steps - state.global_step), 1),
            **{name: value for name, value in logs.items() if name not in ("num_tokens", "epoch")},
        )

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Only a marked checkpoint is resumed from."""
        files.mark_complete(Path(args.output_dir) / f"checkpoint-{state.global_step}")


def tokens_in(state: Any) -> float:
    """Real tokens seen up to here, from the log kept in a checkpoint."""
    return max((float(line.get("num_tokens", 0)) for line in state.log_history), default=0.0)


class StopSignal:
    """Remembers that SIGTERM or SIGINT came."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, *_: Any) -> None:
        self.asked = True

    def check(self) -> None:
        """Raise Stopped if asked."""
        if self.asked:
            raise Stopped


def learn(trainer: Any, folder: Path, stop: StopSignal) -> None:
    """Train from the newest good checkpoint, or from the start, to the last step."""
    checkpoint = files.newest_checkpoint(folder)
    if checkpoint is None:
        trainer.train()
    else:
        print(f"resuming from {checkpoint.name}")
        state = transformers.TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
        trainer._total_train_tokens = tokens_in(state)
        if state.global_step < state.max_steps:
            trainer.train(resume_from_checkpoint=str(checkpoint))
        else:  # transformers would take one step too many
            trainer._load_from_checkpoint(str(checkpoint))
            trainer.state = state
    if trainer.state.global_step < trainer.state.max_steps:
        stop.check()
    for name, parameter in trainer.model.named_parameters():
        if parameter.requires_grad and not bool(torch.isfinite(parameter).all()):
            raise Refused(f"Training diverged: {name} is not finite. Lower the learning rate.")


# Results


def save_adapter(trainer: Any, job: Job, cases: list[ProbeCase], folder: Path) -> None:
    """Write `adapter/` at once: the trained adapter, no reference, and the probe."""
    partial = folder / f"{files.ADAPTER}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    trainer.model.peft_config["default"].base_model_name_or_path = job.base_model
    trainer.model.save_pretrained(
        str(partial), selected_adapters=["default"], save_embedding_layers=False
    )
    (partial / "README.md").unlink(missing_ok=True)
    config = json.loads((partial / CONFIG).read_text(encoding="utf-8"))
    if isinstance(config["target_modules"], list):  # a set in PEFT: its order changes by process
        config["target_modules"].sort()
    files.write_json(partial / CONFIG, config)
    files.write_json(partial / PROBE, [case.model_dump() for case in cases])
    for path in partial.iterdir():
        path.chmod(0o644)  # safetensors writes for its own user only; the engine may be another
    shutil.rmtree(folder / files.ADAPTER, ignore_errors=True)
    partial.rename(folder / files.ADAPTER)


def probe(
    model: Any, tokenizer: Any, prompts: list[list[dict[str, str]]], tokens: int
) -> list[ProbeCase]:
    """The trained model's own greedy answers, and how likely it and the base find each token."""
    rendered = [prompt_tokens(tokenizer, messages) for messages in prompts]
    width = max(map(len, rendered))
    padded = [[tokenizer.pad_token_id] * (width - len(ids)) + ids for ids in rendered]
    mask = [[0] * (width - len(ids)) + [1] * len(ids) for ids in rendered]
    greedy = GenerationConfig(
        do_sample=False,
        max_new_tokens=tokens,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.inference_mode():
        generated = model.generate(
            input_ids=torch.tensor(padded, device=model.device),
            attention_mask=torch.tensor(mask, device=model.device),
            generation_config=greedy,
        )
        cases = []
        for messages, prompt, row in zip(prompts, rendered, generated[:, width:], strict=True):
            said = _until(row.tolist(), tokenizer.eos_token_id)
            whole = torch.tensor([prompt + said], device=model.device)
            adapter = _log_probs(model, whole, len(said))
            with model.disable_adapter():
                base = _log_probs(model, whole, len(said))
            case = ProbeCase(
                messages=messages,
                answer=tokenizer.decode(said, skip_special_tokens=True),
                tokens=said,
                adapter_logprobs=adapter,
                base_logprobs=base,
            )
            cases.append(case)
    return cases


def _until(tokens: list[int], end: int) -> list[int]:
    """An answer with the token that ends it, without the padding behind."""
    return tokens[: tokens.index(end) + 1] if end in tokens else tokens


def _log_probs(model: Any, whole: Any, said: int) -> list[float]:
    """The log-probabilities of the last `said` tokens, from one forward pass."""
    logits = model(input_ids=whole, use_cache=False).logits[0, -said - 1 : -1].float()
    return logits.log_softmax(-1).gather(-1, whole[0, -said:, None])[:, 0].tolist()


def run(job: Job, folder: Path, build: Build, stop: StopSignal, progress: ProgressWriter) -> None:
    """From a job to `adapter/` and `result.json`."""
    started_at, started = datetime.now(UTC), time.monotonic()
    progress.write("loading")
    if job.threads:
        torch.set_num_threads(job.threads)
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(job.base_model)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    trainer, prompts = build(job, folder, tokenizer)
    cheap_head(trainer.model)
    trainer.add_callback(Reporter(progress, stop))
    stop.check()
    learning = time.monotonic()
    learn(trainer, folder, stop)
    learned = time.monotonic() - learning
    evaluated = trainer.evaluate() if trainer.eval_dataset is not None else {}
    trainer.model.eval()
    progress.write("probing")
    stop.check()
    cases = probe(trainer.model, tokenizer, prompts, job.probe_tokens)
    progress.write("saving")
    save_adapter(trainer, job, cases, folder)
    history = [line for line in trainer.state.log_history if "loss" in line]
    steps = trainer.state.global_step - (history[0]["step"] - 1 if history else 0)
    tokens = int(tokens_in(trainer.state))
    result = {
        "stage": job.stage,
        "loss": history[-1]["loss"],
        "eval_loss": evaluated.get("eval_loss"),
        "steps": steps,
        "tokens": tokens,
        "seconds": round(time.monotonic() - started, 1),
        "training_seconds": round(learned, 1),
        "started_at": started_at.isoformat(),
        "finished_at": datetime.now(UTC).isoformat(),
        "versions": {
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "trl": trl.__version__,
            "peft": peft.__version__,
        },
        "log_history": trainer.state.log_history,
    }
    files.write_json(folder / files.RESULT, result)


def die_with(supervisor: int) -> None:
    """Have the kernel kill this process when its supervisor dies, so that no two train in one folder."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:
        sys.exit(files.STOPPED)


def main(build: Build) -> None:
    """The process: `python -m training.sft RUN_DIR [PID of the supervisor]`."""
    folder = Path(sys.argv[1])
    if len(sys.argv) > 2:
        die_with(int(sys.argv[2]))
    stop = StopSignal()
    with (folder / files.LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a trainer still at work here finishes first
        sys.exit(_outcome(folder, build, stop))


def _outcome(folder: Path, build: Build, stop: StopSignal) -> int:
    if (folder / files.RESULT).exists():
        return files.DONE
    (folder / files.ERROR).unlink(missing_ok=True)
    try:
        with ProgressWriter(folder / files.PROGRESS) as progress:
            run(files.read_job(folder), folder, build, stop, progress)
    except Stopped:
        return files.STOPPED
    except Exception as error:
        traceback.print_exc()
        reason = str(error) if isinstance(error, Refused) else f"{type(error).__name__}: {error}"
        files.write_json(folder / files.ERROR, {"error": reason})
        return files.FAILED
    return files.DONE
