"""The one renderer of a conversation into model messages, for serving, training and evals alike.

If these three ever disagreed on a single token, training would teach what serving never asks.
"""

from collections.abc import Iterable
from typing import Protocol

from feedback.tables import UNSEEN, MessageState, Speaker

ModelMessages = list[dict[str, str]]
"""What a chat template takes: [{"role": "system" | "user" | "assistant", "content": str}, …]."""


class Said(Protocol):
    """What of a message the model may come to see: its row, or only these columns."""

    @property
    def speaker(self) -> str: ...  # noqa: D102
    @property
    def text(self) -> str: ...  # noqa: D102
    @property
    def state(self) -> str: ...  # noqa: D102


ROLES = {Speaker.CUSTOMER: "user", Speaker.ASSISTANT: "assistant", Speaker.AGENT: "assistant"}

NOT_SAID = (MessageState.WRITING, *UNSEEN)


def turns(messages: Iterable[Said]) -> ModelMessages:
    """Stored messages as model turns. What the customer never saw a word of is left out."""
    return [
        {"role": ROLES[Speaker(message.speaker)], "content": message.text}
        for message in messages
        if message.text and message.state not in NOT_SAID
    ]


def render(prompt: str, conversation: ModelMessages, max_chars: int) -> ModelMessages:
    """System prompt and conversation as the model sees them.

    Neighbours of one role are joined, as chat templates demand alternation. Of a conversation longer
    than `max_chars` the newest turns are kept; the last one always is. A conversation never opens
    with an answer: one at the cut would be an answer to nothing.
    """
    joined: ModelMessages = []
    for turn in conversation:
        if joined and joined[-1]["role"] == turn["role"]:
            joined[-1] = {**turn, "content": f"{joined[-1]['content']}\n\n{turn['content']}"}
        else:
            joined.append(dict(turn))
    kept: ModelMessages = []
    chars = 0
    for turn in reversed(joined):
        chars += len(turn["content"])
        if kept and chars > max_chars:
            break
        kept.insert(0, turn)
    while len(kept) > 1 and kept[0]["role"] == "assistant":
        kept.pop(0)
    return ([{"role": "system", "content": prompt}] if prompt else []) + kept
