"""Loaded is not applied: does the engine answer with these weights as the trainer's own forward does?

An engine may accept an adapter and ignore it, mix it with another, or compute it wrongly. The trainer
left its own answers with the log-probability of each token, under the adapter and under the base; the
engine must come close to the first and stay away from the second.
"""

from pathlib import Path
from statistics import fmean

from feedback import adapter_folder
from feedback.errors import UnderstudyError
from service.vllm import Vllm


class ProbeFailed(UnderstudyError):
    """The engine does not compute what the trainer computed. The adapter must not take traffic."""


async def probe(engine: Vllm, name: str, folder: Path, tolerance: float) -> float:
    """The mean absolute difference to the trainer, in nats per token; raises ProbeFailed if too large.

    It must also be smaller than the difference between the trainer's base and adapter, or the
    engine could as well be answering with the base.
    """
    to_adapter: list[float] = []
    to_base: list[float] = []
    for case in adapter_folder.read_probe(folder):
        prompt = await engine.prompt_tokens(case.messages)
        found = await engine.logprobs(name, prompt, case.tokens)
        to_adapter += _differences(found, case.adapter_logprobs)
        to_base += _differences(found, case.base_logprobs)
    difference, from_base = fmean(to_adapter), fmean(to_base)
    if difference > tolerance:
        raise ProbeFailed(
            f"The engine's answers through {name!r} differ from the trainer's by {difference:.4f} "
            f"nats per token; expected at most {tolerance} (setting SERVICE_PROBE_TOLERANCE)."
        )
    if from_base <= difference:
        raise ProbeFailed(
            f"The engine's answers through {name!r} are as close to the base model's "
            f"({from_base:.4f} nats per token) as to the trainer's ({difference:.4f}); the adapter "
            "seems to be loaded but not applied."
        )
    return difference


def _differences(found: list[float], expected: list[float]) -> list[float]:
    return [abs(a - b) for a, b in zip(found, expected, strict=True)]
