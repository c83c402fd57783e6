"""Measures every gateway in one run, in turn, again and again; medians go to benchmarks/results.

python -m benchmarks.gateway [--rounds 3] [--seconds 4] [--only understudy proxy litellm]
"""

import argparse
import contextlib
import importlib.metadata
import json
import platform
import statistics
import subprocess
import sys
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

    def __init__(self) -> None:
        self._runs: dict[str, dict[str, list[dict[str, float]]]] = defaultdict(
            lambda: defaultdict(list)
        )

    def add(self, gateway: str, load: str, found: dict[str, float]) -> None:
        self._runs[gateway][load].append(found)
        shown = "  ".join(f"{name} {value}" for name, value in found.items())
        print(f"{gateway:36} {load:22} {shown}", flush=True)

    def median(self, gateway: str, load: str, figure: str) -> float:
        runs = self._runs[gateway][load]
        return round(statistics.median(run[figure] for run in runs), 3)

    def medians(self) -> dict[str, dict[str, dict[str, float]]]:
        return {
            gateway: {
                load: {figure: self.median(gateway, load, figure) for figure in runs[0]}
                for load, runs in loads.items()
            }
            for gateway, loads in self._runs.items()
        }


@contextlib.contextmanager
def compared(words: argparse.Namespace) -> Iterator[list[Gateway]]:
    """All gateways, running and asleep, over one engine."""
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(gateways.scripted_engine())
        url = f"http://127.0.0.1:{port}"
        found = [Gateway("straight to the engine", port, "openai", "base", KEY)]
        if "proxy" in words.only:
            found += stack.enter_context(gateways.bare_proxy(url))
        if "understudy" in words.only:
            found += stack.enter_context(gateways.understudy(url))
        if "litellm" in words.only:
            found += stack.enter_context(gateways.litellm(url, words.litellm))
        for gateway in found:
            gateway.sleep()
        yield found


def pace(engine: Gateway, how: dict[str, int]) -> None:
    httpx.post(f"http://127.0.0.1:{engine.port}/pace", json=how, trust_env=False)


def measure(words: argparse.Namespace) -> Table:
    table = Table()
    with compared(words) as found:
        for _ in range(words.rounds):
            pace(found[0], FAST)
            for streams in STREAMS:
                for gateway in found:
                    how = load(gateway, words.seconds, streams=streams)
                    table.add(gateway.name, f"fast, {streams} streams", how)
            pace(found[0], PACED)
            for streams in STREAMS:
                for gateway in found:
                    if gateway.name != "LiteLLM" or streams == 1:  # beyond its capacity
                        how = load(gateway, words.seconds, streams=streams)
                        table.add(gateway.name, f"paced, {streams} streams", how)
            for gateway in found[1:]:
                rate = table.median(gateway.name, "fast, 16 streams", "answers_per_second") / 2
                how = load(gateway, words.seconds, per_second=rate)
                table.add(gateway.name, "paced, half load", {**how, "asked_per_second": rate})
                straight = load(found[0], words.seconds, per_second=rate)
                table.add(found[0].name, f"paced, as {gateway.name}", straight)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--only", nargs="+", default=["proxy", "understudy", "litellm"])
    parser.add_argument("--litellm", type=Path, default=Path("var/litellm"))
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    words = parser.parse_args()
    medians = measure(words).medians()
    report: dict[str, Any] = {
        "command": "python -m benchmarks.gateway",
        "machine": f"{platform.processor() or platform.machine()}, gateway alone on one core",
        "versions": {name: importlib.metadata.version(name) for name in VERSIONS}
        | {"python": platform.python_version(), "litellm": gateways.LITELLM.partition("==")[2]},
        "rounds": words.rounds,
        "seconds": words.seconds,
        "medians": medians,
    }
    path = words.results / f"{now():%Y-%m-%d}-gateway.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(f"Written to {path}")


if __name__ == "__main__":
    main()
