"""What a request is about: the question put to the model, and the topics of an assistant as it reads them.

The question is rendered here alone, for asking (service/topics.py) and for teaching (lessons.py). The
topics are not listed in it: the engine lets the model write nothing else (docs/operators.md). No tables
here: the trainers read this, too.
"""

from collections.abc import Iterable

from feedback.errors import Invalid

QUESTION = "Name the topic of the customer's request."
BOT = "bot"
"""What stands in `Conversation.topic_by` where the model named the topic."""
TOPIC = "topic"
"""What stands in `DatasetItem.edit` of a row that teaches a topic."""


def render_topic_question(turns: list[dict[str, str]], max_chars: int) -> list[dict[str, str]]:
    """What the model is asked about a conversation: what the customer said, at most `max_chars` of it.

    Of more, the newest is kept. Raises Invalid where the customer said nothing.
    """
    said = "\n\n".join(turn["content"] for turn in turns if turn["role"] == "user")[-max_chars:]
    if not said.strip():
        raise Invalid("The customer said nothing here; a topic is named from the customer's words.")
    return [{"role": "system", "content": QUESTION}, {"role": "user", "content": said}]


def readable(topic: str) -> str:
    """A topic as the model reads and writes it: "card_arrival" is "card arrival"."""
    return topic.replace("_", " ").strip()


def by_reading(topics: Iterable[str]) -> dict[str, str]:
    """Each topic by how the model writes it.

    Raises Invalid where two read the same, or one is empty.
    """
    found: dict[str, str] = {}
    for topic in topics:
        reading = readable(topic)
        if not reading:
            raise Invalid(f"A topic is empty: {topic!r}. Give every topic a name.")
        if reading in found:
            raise Invalid(
                f"The topics {found[reading]!r} and {topic!r} read the same. Keep one of them."
            )
        found[reading] = topic
    return found
