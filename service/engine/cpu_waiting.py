"""vLLM's processes wait for each other without burning a core.

Its scheduler spins while the worker computes, and the worker while the scheduler thinks: sensible beside a
GPU, but here each spinning process takes half a core from the two that compute. Installed by cpu_lora.py.
"""

from functools import wraps
from typing import Any


def install() -> None:
    """Readers of vLLM's shared memory sleep until they are notified. Safe to call again."""
    from vllm.distributed.device_communicators.shm_broadcast import SpinCondition

    original = SpinCondition.__init__
    if hasattr(original, "__wrapped__"):
        return

    @wraps(original)
    def without_spinning(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        self.busy_loop_s = -1.0

    SpinCondition.__init__ = without_spinning
