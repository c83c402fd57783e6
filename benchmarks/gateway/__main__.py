"""Measures every gateway in one run, in turn, again and again; medians go to benchmarks/results.

python -m benchmarks.gateway [--rounds 3] [--seconds 4] [--only understudy proxy litellm]
"""

import argparse
import contextlib
import importlib.metadata
import json
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from benchmarks.gateway import gateways
from benchmarks.gateway.gateways import KEY, OTHER_CORE, Gateway
from feedback.tables import now

STREAMS = (1, 16, 64)
FAST = {"first_ms": 1, "step_ms": 1}
"""Never waits for the engine: how many answers a gateway can finish."""
PACED = {"first_ms": 30, "step_ms": 10}
"""As a GPU would write: what a gateway adds."""
VERSIONS = ("fastapi", "starlette", "uvicorn", "uvloop", "httptools", "aiohttp", "sqlalchemy")


def load(gateway: Gateway, seconds: float, **how: float) -> dict[str, float]:
    """One run against one gateway, with what the gateway's process spent on it."""
    spec = {**gateway.spec(), "seconds": seconds, "warm_seconds": 1.0, **how}
    command = ["taskset", "-c", OTHER_CORE, sys.executable, "-m", "benchmarks.gateway.load"]
    gateway.wake()
    before = gateway.cpu_seconds()
    run = subprocess.run([*command, json.dumps(spec)], capture_output=True, text=True, check=False)
    cpu_seconds = gateway.cpu_seconds() - before
    gateway.sleep()
    if run.returncode or (found := json.loads(run.stdout))["failed"] or not found["answers"]:
        raise RuntimeError(f"{gateway.name}: {run.stdout}{run.stderr[-2000:]}")
    found["memory_mib"] = round(gateway.memory_mib(), 1)
    if gateway.process:
        found["cpu_ms_per_answer"] = round(cpu_seconds * 1000 / found["asked"], 3)
    del found["failed"], found["asked"]
    return dict(found)


class Table:
    """Figures per gateway and load, several rounds of each; their medians in the end."""

    def __init__(self, known: dict[str, dict[str, dict[str, float]]]) -> None:
        self.known = known
        """Medians so far, those of earlier parts included."""
        self._runs: dict[str, dict[str, list[dict[str, float]]]] = defaultdict(
            lambda: defaultdict(list)
        )

    def add(self, gateway: str, load: str, found: dict[str, float]) -> None:
        runs = self._runs[gateway][load]
        runs.append(found)
        self.known.setdefault(gateway, {})[load] = {
            name: round(statistics.median(run[name] for run in runs), 3) for name in found
        }
        shown = "  ".join(f"{name} {value}" for name, value in found.items())
        print(f"{gateway:36} {load:22} {shown}", flush=True)


@contextlib.contextmanager
def compared(words: argparse.Namespace) -> Iterator[list[Gateway]]:
    """All gateways, running and asleep, over one engine."""
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(gateways.vllm() if words.vllm else gateways.scripted_engine())
        url = f"http://127.0.0.1:{port}"
        found = [Gateway("straight to the engine", port, "openai", "base", KEY)]
        if "proxy" in words.only:
            found += stack.enter_context(gateways.bare_proxy(url))
        if "understudy" in words.only:
            found += stack.enter_context(gateways.understudy(url, words.database))
        if "litellm" in words.only:
            found += stack.enter_context(gateways.litellm(url, words.litellm))
        for gateway in found:
            gateway.sleep()
            gateway.real = words.vllm
        yield found


def pace(engine: Gateway, how: dict[str, int]) -> None:
    httpx.post(f"http://127.0.0.1:{engine.port}/pace", json=how, trust_env=False)


def fast(words: argparse.Namespace, found: list[Gateway], table: Table) -> None:
    """How many answers each can finish."""
    pace(found[0], FAST)
    for streams in STREAMS:
        for gateway in found:
            seconds = words.seconds * (2 if gateway.name == "LiteLLM" else 1)  # it answers slowly
            table.add(
                gateway.name, f"fast, {streams} streams", load(gateway, seconds, streams=streams)
            )


def paced(words: argparse.Namespace, found: list[Gateway], table: Table) -> None:
    """What each adds to answers as a GPU writes them."""
    pace(found[0], PACED)
    for streams in STREAMS:
        for gateway in found:
            if gateway.name != "LiteLLM" or streams == 1:  # more is beyond its capacity
                how = load(gateway, words.seconds, streams=streams)
                table.add(gateway.name, f"paced, {streams} streams", how)


def half(words: argparse.Namespace, found: list[Gateway], table: Table) -> None:
    """The same at half of what each has processor time for, the questions coming at random moments."""
    pace(found[0], PACED)
    for gateway in found[1:]:
        loads = table.known[gateway.name]
        spent = loads.get("paced, 16 streams", loads["paced, 1 streams"])["cpu_ms_per_answer"]
        rate = round(1000 / spent / 2, 1)
        how = load(gateway, words.seconds, per_second=rate)
        table.add(gateway.name, "half load", {**how, "asked_per_second": rate})
        straight = load(found[0], words.seconds, per_second=rate)
        added = {
            name: round(how[name] - straight[name], 3)
            for name in ("first_ms_p50", "first_ms_p99", "between_ms_p50", "between_ms_p99")
        }
        table.add(gateway.name, "half load, added to the engine's own", added)


def real(words: argparse.Namespace, found: list[Gateway], table: Table) -> None:
    """What each adds to vLLM itself: one customer alone, and a few."""
    for streams in (1, 4):
        for gateway in found:
            how = load(gateway, words.seconds, streams=streams)
            table.add(gateway.name, f"vLLM, {streams} streams", how)


PARTS = {"fast": fast, "paced": paced, "half": half}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--only", nargs="+", default=["proxy", "understudy", "litellm"])
    parser.add_argument("--database", help="URL of an empty database; without it: SQLite")
    parser.add_argument(
        "--vllm", action="store_true", help="the embedded engine itself; adds to the file"
    )
    parser.add_argument("--litellm", type=Path, default=Path("var/litellm"))
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    words = parser.parse_args()
    path = words.results / f"{now():%Y-%m-%d}-gateway.json"
    report: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    table = Table(report.get("medians", {}))
    with compared(words) as found:
        for part in [real] if words.vllm else [PARTS[each] for each in words.parts]:
            for _ in range(words.rounds):
                part(words, found, table)
    report |= {
        "command": "python -m benchmarks.gateway",
        "machine": f"{machine()}, 2 cores: the gateway alone on one, engine and load on the other",
        "versions": {name: importlib.metadata.version(name) for name in VERSIONS}
        | {"python": platform.python_version(), "litellm": gateways.LITELLM.partition("==")[2]},
        "rounds": words.rounds,
        "seconds": words.seconds,
        "commit_ms_p50": commit_ms(),
        "medians": table.known,
    }
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(f"Written to {path}")


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(line.partition(": ")[2] for line in lines if line.startswith("model name"))


def commit_ms() -> float:
    """What the disk asks for one durable SQLite commit: no gateway that logs can add less."""
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        log = sqlite3.connect(f"{folder}/log.db", isolation_level=None)
        for statement in (
            "PRAGMA journal_mode=WAL",
            "PRAGMA synchronous=FULL",
            "CREATE TABLE said (x)",
        ):
            log.execute(statement)
        for _ in range(200):
            started = time.perf_counter()
            log.execute("INSERT INTO said VALUES ('word')")
            taken.append((time.perf_counter() - started) * 1000)
        log.close()
    return round(statistics.median(taken), 3)


if __name__ == "__main__":
    main()
