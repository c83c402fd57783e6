"""Which of an assistant's topics a request is about: the model chooses, and can write nothing else.

Constrained decoding, greedy: Willard & Louf, "Efficient guided generation for large language models",
2023. Asked by exams (evals/run.py) and for real conversations by the loop (training/loop.py).
"""

from collections.abc import Sequence

from feedback.settings import feedback_settings
from feedback.topics import by_reading, render_topic_question
from feedback.transcript import ModelMessages
from service.vllm import BASE, Vllm


async def choose(
    engine: Vllm, topics: Sequence[str], turns: ModelMessages, adapter_name: str | None
) -> str:
    """The topic of the customer's request, one of `topics`; adapter None: the base model chooses.

    Raises Invalid where there is no topic or the customer said nothing, and like `Vllm.choose`.
    """
    topic_of = by_reading(topics)
    question = render_topic_question(turns, feedback_settings().transcript_max_chars)
    return topic_of[await engine.choose(adapter_name or BASE, question, list(topic_of))]
