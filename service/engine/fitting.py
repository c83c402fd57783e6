"""Would the engine take an adapter of this rank on these modules? Asked before one is trained. No torch."""

from collections.abc import Sequence

from feedback.errors import Invalid
from service.settings import ServiceSettings

NOT_SERVED = ("lm_head", "embed_tokens")
"""Modules that PEFT can adapt and the engine does not: the words a model reads and chooses among."""


def check_adapter(rank: int | None, modules: Sequence[str], engine: ServiceSettings) -> None:
    """Invalid, with what to change, for an adapter that could not be served. None: whatever rank."""
    if rank is not None and rank > engine.engine_max_lora_rank:
        raise Invalid(
            f"The rank (lora_rank) is {rank}, and the engine takes adapters up to rank "
            f"{engine.engine_max_lora_rank} (SERVICE_ENGINE_MAX_LORA_RANK), so it could not be served. Lower "
            "the first, or raise the second and restart the engine."
        )
    if refused := [name for name in modules if name in NOT_SERVED]:
        raise Invalid(
            f"The modules (lora_modules) name {refused[0]!r}, which the engine does not take from an "
            "adapter. Leave it out, or use 'all-linear'."
        )
