"""Understudy's long-running parts as child processes: started, watched, restarted, ended together.

For one machine (`understudy up`, the demo). A cluster has its own supervisor.
"""

import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from feedback.errors import UnderstudyError

log = logging.getLogger(__name__)

GRACE_SECONDS = 15.0
BACKOFF_SECONDS = (1.0, 2.0, 5.0, 15.0, 30.0)
STEADY_SECONDS = 120.0
"""A child that lived this long starts its back-off anew."""


class Child:
    """One part: `understudy NAME` with its own log file."""

    def __init__(self, name: str, log_path: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self.log_path = log_path
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._deaths = 0
        self._restart_at: float | None = None

    @property
    def pid(self) -> int:
        """The process id; for the engine it is vLLM's own."""
        assert self._process is not None, f"{self.name} was never started"
        return self._process.pid

    def start(self) -> None:
        """Start it in a session of its own, so that Ctrl-C reaches only us and we end it in order."""
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "understudy", self.name],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=self._environment,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        self._started = time.monotonic()
        self._restart_at = None

    def keep_alive(self) -> str | None:
        """Restart it if it died, after a pause that grows; a sentence when something happened."""
        if self._restart_at is not None:
            if time.monotonic() < self._restart_at:
                return None
            self.start()
            return f"{self.name} was started again (process {self.pid})."
        if self._process is None or (code := self._process.poll()) is None:
            return None
        if time.monotonic() - self._started > STEADY_SECONDS:
            self._deaths = 0
        _signal_group(self._process.pid, signal.SIGKILL)  # its own children must not outlive it
        pause = BACKOFF_SECONDS[min(self._deaths, len(BACKOFF_SECONDS) - 1)]
        self._deaths += 1
        self._restart_at = time.monotonic() + pause
        return f"{self.name} ended ({_why(code)}); starting it again in {pause:g} s. See {self.log_path}."

    def ended(self) -> str | None:
        """How it ended, or None while it runs."""
        code = self._process.poll() if self._process else None
        return None if code is None else _why(code)

    def end(self) -> None:
        """SIGTERM, patience, then SIGKILL, for it and everything it started."""
        if self._process is None:
            return
        _signal_group(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            log.warning("%s did not end within %g s and is killed", self.name, GRACE_SECONDS)
        _signal_group(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def last_lines(self, count: int = 12) -> str:
        """The end of its log, for an error message."""
        if not self.log_path.exists():
            return ""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-count:])


class Processes:
    """The parts of one deployment. Leaving the context ends every one of them."""

    def __init__(self, names: list[str], logs_dir: Path, environment: Mapping[str, str]) -> None:
        self._children = {
            name: Child(name, logs_dir / f"{name}.log", environment) for name in names
        }

    def __enter__(self) -> "Processes":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for child in reversed(self._children.values()):
            child.end()

    def __getitem__(self, name: str) -> Child:
        return self._children[name]

    def start(self, *names: str) -> None:
        """Start the named parts, or all."""
        for name in names or self._children:
            self._children[name].start()

    def keep_alive(self) -> list[str]:
        """What happened to the parts since the last look."""
        news = [child.keep_alive() for child in self._children.values()]
        return [sentence for sentence in news if sentence]

    def wait_until(self, is_ready: Callable[[], bool], name: str, timeout_seconds: float) -> None:
        """Wait for a part; UnderstudyError with the end of its log when it ends or takes too long."""
        child = self._children[name]
        deadline = time.monotonic() + timeout_seconds
        while not is_ready():
            ended = child.ended()
            if ended or time.monotonic() > deadline:
                happened = (
                    f"ended ({ended})" if ended else f"was not ready in {timeout_seconds:g} s"
                )
                raise UnderstudyError(
                    f"The {name} {happened}. The end of {child.log_path}:\n{child.last_lines()}"
                )
            time.sleep(0.2)


def _die_with_parent() -> None:
    """Linux ends the child when we are killed, so that no engine is ever left behind."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return


def _why(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
