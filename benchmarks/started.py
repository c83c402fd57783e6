"""What a benchmark starts as a user would: an engine on a core of its own, and the service over several."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from service.engine import launch
from service.settings import ServiceSettings
from tests.engine_process import free_port, prepared_model


class Engine:
    """vLLM on one core: may be killed without warning and started again at the same address."""

    def __init__(self, folder: Path, settings: ServiceSettings, key: str, core: int) -> None:
        folder.mkdir(parents=True)
        self._log = folder / "engine.log"
        self._settings = settings.model_copy(update={"engine_port": free_port()})
        self._key, self._core = key, core
        self.model = prepared_model(self._settings)
        self.url = f"http://{settings.engine_host}:{self._settings.engine_port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        device = launch.engine_device(self._settings)
        own = {**os.environ, "VLLM_CPU_OMP_THREADS_BIND": str(self._core)}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                launch.command(self._settings, self.model, device),
                env=launch.environment(self._settings, self.model, device, self._key, own),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + self._settings.engine_start_timeout_seconds
        while not _answers(self.url):
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError(f"the engine did not start; see {self._log}")
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
