"""The gateways that are compared: each a process pinned to one core, its engine the scripted one.

LiteLLM lives in an environment of its own, made on first use: its pins are not ours.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from benchmarks.started import Engine
from feedback import api_keys, assistants
from feedback.assistants import Sampling
from feedback.database import connect, migrate, writing
from feedback.tables import Role
from service.settings import ServiceSettings

GATEWAY_CORE, OTHER_CORE = "0", "1"
LITELLM = "litellm[proxy]==1.106.2"
KEY = "sk-benchmark"


@dataclass
class Gateway:
    """Something that answers questions on a port. `process`: whose processor time counts."""

    name: str
    port: int
    door: str
    model: str
    key: str
    process: psutil.Process | None = None
    real: bool = False
    """Whether the engine behind it is vLLM, whose words nobody knows beforehand."""

    def spec(self) -> dict[str, object]:
        return {
            "port": self.port,
            "door": self.door,
            "model": self.model,
            "key": self.key,
            "real": self.real,
        }

    def cpu_seconds(self) -> float:
        """Processor time used so far, by all threads and children."""
        if self.process is None:
            return 0.0
        return sum(sum(each.cpu_times()[:2]) for each in self._all())

    def memory_mib(self) -> float:
        return sum(each.memory_info().rss for each in self._all()) / 2**20 if self.process else 0.0

    def _all(self) -> list[psutil.Process]:
        assert self.process is not None
        return [self.process, *self.process.children(recursive=True)]

    def wake(self) -> None:
        for each in self._all() if self.process else []:
            each.send_signal(signal.SIGCONT)

    def sleep(self) -> None:
        """A gateway that is not measured does nothing meanwhile."""
        for each in self._all() if self.process else []:
            each.send_signal(signal.SIGSTOP)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(
    core: str, command: list[str], url: str, env: dict[str, str] | None = None
) -> Iterator[psutil.Process]:
    """A process on one core, ready when `url` answers."""
    log = tempfile.NamedTemporaryFile("w+", suffix=".log", delete=False)  # noqa: SIM115
    process = subprocess.Popen(
        ["taskset", "-c", core, *command], stdout=log, stderr=log, env={**os.environ, **(env or {})}
    )
    try:
        deadline = time.monotonic() + 120
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(
                    f"{command!r} did not start:\n{Path(log.name).read_text()[-3000:]}"
                )
            time.sleep(0.1)
        yield psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code < 500
    except httpx.TransportError:
        return False


@contextlib.contextmanager
def scripted_engine() -> Iterator[int]:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.gateway.scripted_engine", str(port)]
    with running(OTHER_CORE, command, f"http://127.0.0.1:{port}/health"):
        yield port


@contextlib.contextmanager
def vllm() -> Iterator[int]:
    """The embedded engine, as `understudy engine` starts it, on the other core."""
    settings = ServiceSettings(engine_kv_cache_gib=0.5)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        engine = Engine(Path(folder) / "engine", settings, KEY, int(OTHER_CORE))
        stack.callback(engine.stop)
        engine.start()
        yield int(engine.url.rpartition(":")[2])


@contextlib.contextmanager
def bare_proxy(engine_url: str) -> Iterator[list[Gateway]]:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.gateway.bare_proxy", str(port), engine_url]
    with running(GATEWAY_CORE, command, f"http://127.0.0.1:{port}/") as process:
        yield [Gateway("bare proxy", port, "openai", "base", KEY, process)]


@contextlib.contextmanager
def understudy(engine_url: str, database_url: str | None = None) -> Iterator[list[Gateway]]:
    """The service as `understudy service` starts it, by both its doors."""
    port, folder = free_port(), Path(tempfile.mkdtemp(prefix="gateway-"))
    database_url = database_url or f"sqlite:///{folder / 'understudy.db'}"
    database = connect(database_url)
    migrate(database)
    with writing(database) as session:
        shop = assistants.create(
            session, "shop", "Shop", "embedded", "You are the shop.", "benchmark",
            sampling=Sampling(max_tokens=32),
        )  # fmt: skip
        key = api_keys.create(session, "benchmark", Role.CUSTOMER, shop)[1]
    name = f"Understudy ({database.dialect.name})"
    database.dispose()
    env = {
        "FEEDBACK_VAR_DIR": str(folder),
        "FEEDBACK_DATABASE_URL": database_url,
        "SERVICE_ENGINE_URL": engine_url,
        "SERVICE_ENGINE_API_KEY": KEY,
        "SERVICE_PORT": str(port),
        "SERVICE_ENGINE_MAX_NUM_SEQS": "256",  # the scripted engine takes whatever comes
    }
    command = [sys.executable, "-m", "understudy", "service"]
    with running(GATEWAY_CORE, command, f"http://127.0.0.1:{port}/ready", env) as process:
        yield [
            Gateway(f"{name}, conversations", port, "conversations", "shop", key, process),
            Gateway(f"{name}, OpenAI door", port, "openai", "shop", key, process),
        ]


@contextlib.contextmanager
def litellm(engine_url: str, environment: Path) -> Iterator[list[Gateway]]:
    """LiteLLM's proxy as its documentation starts it: one worker, no database, one key."""
    if not (environment / "bin/litellm").exists():
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        subprocess.run([environment / "bin/pip", "install", "--quiet", LITELLM], check=True)
    model = {"model": "openai/base", "api_base": f"{engine_url}/v1", "api_key": KEY}
    config = {
        "model_list": [{"model_name": "base", "litellm_params": model}],
        "general_settings": {"master_key": KEY},
    }
    written = Path(tempfile.mkdtemp(prefix="litellm-")) / "config.yaml"
    written.write_text(json.dumps(config))  # JSON is YAML
    port = free_port()
    command = [environment / "bin/litellm", "--config", written, "--port", port, "--num_workers", 1]
    env = {"LITELLM_LOG": "ERROR", "LITELLM_TELEMETRY": "False", "NO_PROXY": "*"}
    env["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    ready = f"http://127.0.0.1:{port}/health/liveliness"
    with running(GATEWAY_CORE, [str(word) for word in command], ready, env) as process:
        yield [Gateway("LiteLLM", port, "openai", "base", KEY, process)]
