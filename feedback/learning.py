"""How an assistant learns: what is held out, redacted, limited, held and kept, and for how long.

Kept in `assistant.learning`. Pure: nothing here reads a row or the clock.
"""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from feedback.tables import Assistant


def _compiles(pattern: str) -> str:
    try:
        found = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"found the pattern {pattern!r}, which is no pattern: {error}") from None
    if found.match(""):
        raise ValueError(
            f"found the pattern {pattern!r}, which matches no text at all; expected some"
        )
    return pattern


Percent = Annotated[float, Field(ge=0, le=100)]
Type = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{1,30}$")]
Pattern = Annotated[str, Field(min_length=1, max_length=300), AfterValidator(_compiles)]


class Learning(BaseModel):
    """An assistant's rules for turning feedback into data."""

    model_config = ConfigDict(extra="forbid")

    held_out_percent: Percent = Field(
        15.0,
        description="Share of customers, in percent, whose corrections become exam tickets before anyone "
        "trains on them. Chosen by a hash of who they are.",
    )
    held_out_most: int = Field(
        500, ge=0, description="No further corrections become tickets when so many are in force."
    )
    held_out_seals: int = Field(
        5,
        ge=0,
        description="A correction becomes no ticket when it would keep more than so many other customers' "
        "corrections from teaching, being too close to them: what is asked often must be learned.",
    )
    sealed_percent: Percent = Field(
        20.0,
        description="Share of the tickets made from corrections, in percent, that is asked only when "
        "an adapter is about to go live.",
    )
    replay_percent: Percent = Field(
        100.0,
        description="Share of what the live adapter has learned already, in percent, that is taught again "
        "beside what is new, so that old skills stay.",
    )
    rows_per_author: int | None = Field(
        None,
        ge=1,
        description="Most rows that rest on one author's words, newest first. None: all.",
    )
    rows_per_customer: int | None = Field(
        50,
        ge=1,
        description="Most rows from one customer's conversations, newest first. None: all.",
    )
    rows_per_topic: int | None = Field(
        None, ge=1, description="Most rows of one topic, newest first. None: all."
    )
    teach_topics: bool = Field(
        True,
        description="Whether each word also teaches the topic of its question, where a person or an import "
        "named one of the assistant's topics. What the bot named teaches nothing.",
    )
    author_weights: dict[str, Annotated[float, Field(ge=0, le=10)]] = Field(
        {}, description="How much a row by this author counts, against 1. 0: it does not teach."
    )
    topic_weights: dict[str, Annotated[float, Field(ge=0, le=10)]] = Field(
        {}, description="How much a row of this topic counts, against 1. 0: it does not teach."
    )
    longest_times: float = Field(
        3.0,
        ge=1,
        description="A correction this many times longer than the answer, or shorter, makes no preference "
        "pair: else a model learns length, not content.",
    )
    patterns: dict[Type, Pattern] = Field(
        {},
        description="The house's own personal data by type, as regular expressions, such as "
        '{"ORDER_NUMBER": "PP-[0-9]{6}"}. Redacted before training like all personal data.',
    )
    house_words_from: int = Field(
        3,
        ge=2,
        description="What answers tell to so many different customers (a number, an address, a name) is the "
        "house's own and stays in answers; what fewer were told counts as theirs.",
    )
    redact_before_storage: bool = Field(
        False,
        description="Whether messages and feedback are stored with personal data redacted already.",
    )
    keep_conversations_days: float | None = Field(
        None,
        ge=1,
        description="Conversations that ended this long ago are erased with all that came of them. "
        "None: they are kept.",
    )
    author_rows_a_day: int = Field(
        200,
        ge=1,
        description="More corrections by one author within a day are held for a person's decision.",
    )
    one_sided_from: int = Field(
        20,
        ge=5,
        description="Fewest words by one author before their direction is judged; see docs/operators.md.",
    )


def learning_of(assistant: Assistant) -> Learning:
    """An assistant's rules, with the defaults for what it does not say."""
    return Learning(**assistant.learning)
