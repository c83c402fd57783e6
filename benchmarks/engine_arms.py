"""What `benchmarks.engine` compares: each arm answers a batch of prompts and says how long it took.

An engine that is not being asked is stopped (SIGSTOP), so that all of them can be up in one run and take
turns. Called by benchmarks/engine.py only.
"""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx

from service.engine import launch
from service.settings import ServiceSettings
from service.vllm import Vllm
from tests.engine_process import free_port, prepared_model

OURS = (
    "VLLM_CPU_OMP_THREADS_BIND",
    "LD_PRELOAD",
    "TORCH_COMPILE_DISABLE",
    "GLIBC_TUNABLES",
    "THP_MEM_ALLOC_ENABLE",
)
KEY = "benchmark"
ADAPTER = "measured"


@dataclass(frozen=True)
class Timed:
    """One batch: how many tokens came, in how many seconds, and the first one after how many."""

    tokens: int
    seconds: float
    first_token_seconds: float


class Arm(Protocol):
    name: str
    ready_seconds: float

    def answer(self, prompts: list[str], tokens: int) -> Timed: ...


@dataclass
class EngineArm:
    """A vLLM over HTTP, asked as the service asks it: streaming, with log-probabilities."""

    name: str
    settings: ServiceSettings
    process: subprocess.Popen[bytes]
    model: str
    ready_seconds: float

    def answer(self, prompts: list[str], tokens: int) -> Timed:
        with self.running():
            return asyncio.run(self._answer(prompts, tokens))

    @contextmanager
    def running(self) -> Iterator[None]:
        os.killpg(self.process.pid, signal.SIGCONT)
        try:
            yield
        finally:
            os.killpg(self.process.pid, signal.SIGSTOP)

    async def _answer(self, prompts: list[str], tokens: int) -> Timed:
        engine = Vllm(self.settings, KEY)
        try:
            await engine.names()  # the connection, and a process that has just been woken
            started = time.perf_counter()
            made = await asyncio.gather(*(self._one(engine, p, tokens) for p in prompts))
            seconds = time.perf_counter() - started
        finally:
            await engine.close()
        first = sorted(at - started for _, at in made)[len(made) // 2]
        return Timed(sum(count for count, _ in made), seconds, first)

    async def _one(self, engine: Vllm, prompt: str, tokens: int) -> tuple[int, float]:
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": prompt}],
            "logprobs": True,
            "temperature": 0.0,
            "max_tokens": tokens,
            "ignore_eos": True,
        }
        count, first_at = 0, 0.0
        async for chunk in engine.chat(body):
            first_at = first_at or time.perf_counter()
            if usage := chunk.get("usage"):
                count = usage["completion_tokens"]
        assert count == tokens
        return count, first_at


@contextmanager
def engine_arm(
    name: str, adapter: Path, folder: Path, inherited: Mapping[str, str]
) -> Iterator[EngineArm]:
    """Start one, wait until it is ready, give it the adapter, and stop it at the end."""
    port = free_port()
    settings = ServiceSettings(engine_port=port, engine_url=f"http://127.0.0.1:{port}")
    line, env = started_as(name, settings, prepared_model(settings), inherited)
    started = time.perf_counter()
    with (folder / f"{name}.log").open("w") as log:
        process = subprocess.Popen(line, env=env, stdout=log, stderr=log, process_group=0)
    try:
        _wait(process, settings.engine_url, folder / f"{name}.log")
        arm = EngineArm(name, settings, process, "base", time.perf_counter() - started)
        if name != "base":
            asyncio.run(_load(settings, adapter))
            arm.model = ADAPTER
        os.killpg(process.pid, signal.SIGSTOP)
        yield arm
    finally:
        with suppress(ProcessLookupError):  # it ended by itself
            os.killpg(process.pid, signal.SIGCONT)
        process.terminate()
        try:
            process.wait(timeout=30)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def started_as(
    name: str, settings: ServiceSettings, model: str, inherited: Mapping[str, str]
) -> tuple[list[str], dict[str, str]]:
    """'ours': as `understudy engine` starts it. 'stock': vLLM's own threads and operators, same
    limits. 'base': ours without LoRA and our plugin, compiled."""
    line = launch.command(settings, model, "cpu")
    env = launch.environment(settings, model, "cpu", KEY, inherited)
    if name == "stock":
        env = {k: v for k, v in env.items() if k not in OURS} | {"VLLM_PLUGINS": ""}
    if name == "base":
        env.pop("TORCH_COMPILE_DISABLE", None)
        env["VLLM_PLUGINS"] = ""
        line = _without(line, "--enable-lora", "--max-loras", "--max-cpu-loras", "--max-lora-rank")
    return line, env


def _without(line: list[str], *flags: str) -> list[str]:
    kept: list[str] = []
    skip_value = False
    for part in line:
        if part.startswith("--"):
            skip_value = part in flags
        if not skip_value:
            kept.append(part)
    return kept


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    while process.poll() is None:
        try:
            if httpx.get(f"{url}/health", timeout=2, trust_env=False).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"vLLM ended with {process.returncode!r}; see {str(log)!r}.")


async def _load(settings: ServiceSettings, adapter: Path) -> None:
    engine = Vllm(settings, KEY)
    await engine.load(ADAPTER, adapter)
    await engine.close()


class PeftArm:
    """transformers and PEFT in this process: generate() on all prompts as one left-padded batch."""

    name = "peft"

    def __init__(self, model: str, adapter: Path) -> None:
        started = time.perf_counter()
        import torch
        from peft import PeftModel
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self._torch = torch
        self._tokenizer = AutoTokenizer.from_pretrained(model, padding_side="left")
        base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
        self._network: Any = PeftModel.from_pretrained(base, str(adapter)).eval()
        self.ready_seconds = time.perf_counter() - started

    def answer(self, prompts: list[str], tokens: int) -> Timed:
        started = time.perf_counter()
        batch = self._tokenizer.apply_chat_template(
            [[{"role": "user", "content": prompt}] for prompt in prompts],
            add_generation_prompt=True,
            padding=True,
            return_tensors="pt",
            return_dict=True,
        )
        limits = {"max_new_tokens": tokens, "min_new_tokens": tokens, "do_sample": False}
        with self._torch.inference_mode():
            output = self._network.generate(**batch, **limits)
        made = output[:, batch["input_ids"].shape[1] :].numel()
        seconds = time.perf_counter() - started
        return Timed(made, seconds, seconds)
