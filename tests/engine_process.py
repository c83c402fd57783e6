"""The real vLLM in a process of its own, started exactly as `understudy engine` starts it.

Any suite that needs an engine uses `running_engine`; it does not load adapters or ask questions.
"""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from feedback.settings import FeedbackSettings
from service.engine import launch
from service.engine.embedded_model import base_model, prepare
from service.settings import EMBEDDED_MODEL, ServiceSettings


@dataclass(frozen=True)
class EngineProcess:
    url: str
    api_key: str
    pid: int
    model: str
    log_path: Path


@contextmanager
def running_engine(
    var_dir: Path,
    *,
    settings: ServiceSettings | None = None,
    extra_env: dict[str, str] | None = None,
) -> Iterator[EngineProcess]:
    """Start vLLM on a free port, wait until it is healthy, and stop it at the end.

    Settings come from the environment; its secret is made in `var_dir`, the log is written there.
    """
    settings = (settings or ServiceSettings()).model_copy(update={"engine_port": free_port()})
    model = prepared_model(settings)
    device = launch.engine_device(settings)
    key = launch.engine_api_key(settings, var_dir)
    env = launch.environment(settings, model, device, key, os.environ) | (extra_env or {})
    log_path = var_dir / "engine.log"
    with log_path.open("w") as log:
        process = subprocess.Popen(
            launch.command(settings, model, device),
            env=env,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    url = f"http://{settings.engine_host}:{settings.engine_port}"
    try:
        _wait(process, url, settings.engine_start_timeout_seconds, log_path)
        yield EngineProcess(url, key, process.pid, model, log_path)
    finally:
        _stop(process)


def prepared_model(settings: ServiceSettings) -> str:
    """The base model's folder or hub id; the embedded one is made where it is missing."""
    models_dir = FeedbackSettings().models_dir
    if settings.model == EMBEDDED_MODEL:
        prepare(models_dir)
    return base_model(settings.model, models_dir)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(process: subprocess.Popen[bytes], url: str, timeout_seconds: float, log: Path) -> None:
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"vLLM ended with {process.returncode!r}:\n{_tail(log)}")
        try:
            if httpx.get(f"{url}/health", timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise TimeoutError(f"vLLM was not ready after {timeout_seconds!r} seconds:\n{_tail(log)}")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-40:])


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
