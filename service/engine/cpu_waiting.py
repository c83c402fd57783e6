"""vLLM's processes wait for each other without burning a core.

Its scheduler spins while the worker computes, and the worker while the scheduler thinks: sensible beside a
GPU, but here each spinning process takes half a core from the two that compute. Installed by cpu_lora.py.
"""

from functools import wraps
from typing import Any

LONGEST_SLEEP_MS = 50  # a notification sent before the reader is connected is lost


def install() -> None:
    """Readers of vLLM's shared memory sleep until they are notified. Safe to call again."""
    from vllm.distributed.device_communicators.shm_broadcast import SpinCondition

    spinning = SpinCondition.wait
    if hasattr(spinning, "__wrapped__"):
        return

    @wraps(spinning)
    def wait(self: Any, timeout_ms: int | None = None) -> None:
        self.busy_loop_s = -1.0
        capped = LONGEST_SLEEP_MS if timeout_ms is None else min(timeout_ms, LONGEST_SLEEP_MS)
        spinning(self, capped)

    SpinCondition.wait = wait
