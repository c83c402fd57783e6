"""What an exam costs beyond the engine's own time for the same answers.

    python -m benchmarks.exam_cost [--tickets 60] [--rounds 3]

The real engine, the sample company's tickets and STAR's held-out ones, base model and a random adapter.
Taking turns in every round: the exam (answers, log-probabilities, scores, storing in SQLite); a bare loop
that posts the same chat requests; one that also posts the same scoring requests; at last the exam once
more, which finds its answers. All with the same number under way. Every turn has a cache salt of its own,
so that none finds the prompts of another in the engine's prefix cache.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from sqlalchemy import Engine as Database

from benchmarks import star
from evals import run
from evals.asking import Question, in_pool
from evals.settings import EvalsSettings
from feedback import adapters, assistant_file, assistants, exams, tickets
from feedback.database import database, migrate, reading, writing
from feedback.tables import Adapter, Assistant
from service.answering import Answer, mean_logprob
from service.fleet import Fleet
from service.hot_swap import HotSwap
from service.member import Member
from service.settings import EMBEDDED_MODEL, ServiceSettings
from service.vllm import Vllm
from tests.engine_process import EngineProcess, running_engine

ROOT = Path(__file__).parents[1]
SHOP = ROOT / "examples" / "puddle_and_pine"
OUT = ROOT / "benchmarks" / "results" / "2026-12-01-exam-cost.json"
ARMS = ("exam", "answers", "answers and scoring")


class Salted(Vllm):
    """A client whose requests share cached prompts only with others of the same salt."""

    salt = ""

    @asynccontextmanager
    async def _asked(
        self, method: str, path: str, body: dict[str, Any] | None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if body and path in ("/v1/chat/completions", "/v1/completions"):
            body = {**body, "cache_salt": self.salt}
        async with super()._asked(method, path, body) as response:
            yield response


class Bench:
    """One engine, one assistant with its tickets, and who answers them."""

    def __init__(self, process: EngineProcess, data: Database, assistant: Assistant) -> None:
        self.settings = ServiceSettings(engine_url=process.url)
        self.key, self.data, self.assistant = process.api_key, data, assistant
        self.turns = 0

    async def exam(self, adapter: Adapter | None, cache: bool = False) -> dict[str, Any]:
        """Seconds of the exam alone: the adapter is held and probed before."""
        async with self._engine() as (engine, swaps):
            async with swaps.engine_with(adapter):
                pass
            await engine.names()
            at = EvalsSettings(cache=cache, steadiness_tickets=0)
            started = time.perf_counter()
            sat = await run.sit(swaps, self.data, self.assistant, adapter, settings=at)
            seconds = time.perf_counter() - started
        with reading(self.data) as session:
            kept = exams.answers(session, sat)
        assert all(one.answer.error is None for one in kept)
        said = {one.ticket.external_id: one.answer.text for one in kept}
        tokens = sum(one.answer.completion_tokens for one in kept)
        return {"seconds": seconds, "tokens": tokens, "said": said}

    async def bare(self, adapter: Adapter | None, scoring: bool) -> dict[str, Any]:
        """Seconds of nothing but the requests."""
        with reading(self.data) as session:
            prompt = assistants.prompt_in_force(session, self.assistant).text
            listed = tickets.in_exam(session, self.assistant)
        sampling = run.greedy(self.assistant)
        asked = [run.question(ticket, adapter, prompt, sampling) for ticket in listed]
        said: dict[str, str] = {}
        tokens = 0
        async with self._engine() as (engine, swaps):
            async with swaps.engine_with(adapter):
                pass

            async def ask(one: Question) -> None:
                nonlocal tokens
                made = Answer(one.messages, one.sampling, one.model)
                async for _ in made.pieces(engine):
                    pass
                said[one.ticket.external_id] = made.text
                tokens += made.completion_tokens or 0
                if scoring:
                    await mean_logprob(engine, one.messages, one.ticket.reference, one.model)

            started = time.perf_counter()
            await in_pool(asked, ask, EvalsSettings().concurrency)
            seconds = time.perf_counter() - started
        return {"seconds": seconds, "tokens": tokens, "said": said}

    @asynccontextmanager
    async def _engine(self) -> AsyncIterator[tuple[Salted, HotSwap]]:
        engine = Salted(self.settings, self.key)
        self.turns += 1
        engine.salt = f"turn {self.turns}"
        fleet = Fleet(self.data, self.settings, self.key)
        fleet.members = [Member(engine, self.data, self.settings)]
        try:
            yield engine, HotSwap(fleet, self.data, self.settings)
        finally:
            await engine.close()


def held_out(data: Database, count: int) -> Assistant:
    """The sample company with its tickets and as many of STAR's as are missing."""
    with writing(data) as session:
        shop = assistant_file.read(SHOP / "assistant.toml")
        assistant = assistants.create(
            session, "shop", "Shop", EMBEDDED_MODEL, shop.prompt or "", "benchmark",
            topics=shop.topics, sampling=shop.sampling,
        )  # fmt: skip
        rows = [
            json.loads(line)
            for file in (SHOP / "tickets.jsonl", star.HELD_OUT)
            for line in file.read_text().splitlines()
        ]
        for row in rows[:count]:
            reference = row.get("reference") or row["final"]
            tickets.create(session, assistant, row["id"], row["context"], reference)
        return assistant


def adapter_of(data: Database, assistant: Assistant, model: str, folder: Path) -> Adapter:
    """A random adapter, made in a process that may import torch."""
    built = folder / "built"
    subprocess.run(
        [sys.executable, "-m", "benchmarks.random_adapter", model, str(built), "1"], check=True
    )
    with writing(data) as session:
        return adapters.publish(session, assistant, built, [], {}, {})


async def measure(bench: Bench, sitters: dict[str, Adapter | None], rounds: int) -> dict[str, Any]:
    """Every arm in turn, round after round, turned round every second time."""
    seconds: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    last: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for number in range(rounds):
        for name, adapter in sitters.items():
            for arm in ARMS if number % 2 == 0 else ARMS[::-1]:
                found = (
                    await bench.exam(adapter)
                    if arm == "exam"
                    else await bench.bare(adapter, scoring=arm != "answers")
                )
                seconds[name][arm].append(found["seconds"])
                last[name][arm] = found
                print(f"round {number + 1} {name:8} {arm:20} {found['seconds']:6.1f} s", flush=True)
    result: dict[str, Any] = {}
    for name, adapter in sitters.items():
        again = (await bench.exam(adapter, cache=True))["seconds"]
        medians = {arm: statistics.median(each) for arm, each in seconds[name].items()}
        ours, bare = last[name]["exam"], last[name]["answers"]
        result[name] = {
            "seconds": {
                arm: [round(each, 2) for each in some] for arm, some in seconds[name].items()
            },
            "median_seconds": {arm: round(value, 2) for arm, value in medians.items()},
            "exam_over_answers": round(medians["exam"] / medians["answers"], 3),
            "exam_over_answers_and_scoring": round(
                medians["exam"] / medians["answers and scoring"], 3
            ),
            "again_seconds": round(again, 2),
            "times_faster_again": round(medians["exam"] / again, 1),
            "completion_tokens": {"exam": ours["tokens"], "answers": bare["tokens"]},
            "same_answers": sum(ours["said"][each] == text for each, text in bare["said"].items()),
        }
    return result


def main() -> None:
    """Measure, print, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickets", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    star.must_be_here()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FEEDBACK_VAR_DIR"] = folder
        migrate()
        with running_engine(Path(folder)) as process:
            assistant = held_out(database(), given.tickets)
            adapter = adapter_of(database(), assistant, process.model, Path(folder))
            bench = Bench(process, database(), assistant)
            sitters: dict[str, Adapter | None] = {"base": None, "adapter": adapter}
            asyncio.run(bench.exam(None))  # the first one warms the engine up
            found = asyncio.run(measure(bench, sitters, given.rounds))
    found = {"tickets": given.tickets, "at_once": EvalsSettings().concurrency, **found}
    given.out.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
