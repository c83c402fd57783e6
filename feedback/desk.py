"""How an assistant's support desk works: opening hours, when a person takes over, what is reviewed.

Kept in `assistant.desk`. Pure: nothing here reads a row or the clock.
"""

import unicodedata
from datetime import datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from feedback.desk_tables import HandoverReason
from feedback.errors import Invalid
from feedback.phrases import BOT_CANNOT, CUSTOMER_ASKS
from feedback.tables import Assistant, Expects


class Day(StrEnum):
    """A day of the week."""

    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"


class Span(BaseModel):
    """A part of a day in which people are there."""

    model_config = ConfigDict(extra="forbid")

    opens: time
    closes: time


def _known_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"found the time zone {name!r}, expected one like 'Europe/Berlin'")
    return name


class Rule(BaseModel):
    """Customers' words that always go to a person."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=80, description="Shown to agents as the reason.")
    phrases: list[str] = Field(min_length=1, description="Any of these in the customer's message.")


class Desk(BaseModel):
    """An assistant's support desk."""

    model_config = ConfigDict(extra="forbid")

    timezone: Annotated[str, AfterValidator(_known_zone)] = Field(
        "UTC", description="Where the opening hours are meant."
    )
    hours: dict[Day, list[Span]] = Field(
        {}, description="When people are there, by day. Empty: always."
    )
    reply_within_hours: int = Field(
        24,
        ge=1,
        description="What a customer is told to expect out of hours, counted from the opening.",
    )
    customer_asks: list[str] = Field(
        CUSTOMER_ASKS,
        description="Customers' phrases that ask for a person.",
    )
    bot_cannot: list[str] = Field(
        BOT_CANNOT,
        description="Phrases in an answer that say the bot cannot.",
    )
    rules: list[Rule] = Field([], description="Topics that always go to a person.")
    low_confidence: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Answers below this mean token probability count as low confidence.",
    )
    review_percent: int = Field(
        5, ge=0, le=100, description="Share of answers put into the review queue at random."
    )
    second_review_percent: int = Field(
        20, ge=0, le=100, description="Share of reviewed answers that a second person looks at."
    )


def desk_of(assistant: Assistant) -> Desk:
    """How an assistant's desk works."""
    return Desk(**assistant.desk)


def check_desk(given: dict[str, object]) -> Desk:
    """A desk from a form or a file, or Invalid with what is wrong in it."""
    try:
        return Desk.model_validate(given)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
            for problem in error.errors()
        )
        raise Invalid(f"The desk's settings are not right. {problems}.") from None


def why_hand_over(desk: Desk, question: str, answer: str = "") -> tuple[HandoverReason, str] | None:
    """Why a person should take over after this exchange, with the words that say so; or None."""
    asked, said = _plain(question), _plain(answer)
    for phrase in desk.customer_asks:
        if _phrase(phrase) in asked:
            return HandoverReason.CUSTOMER_ASKED, f"said “{phrase}”"
    for rule in desk.rules:
        if any(_phrase(phrase) in asked for phrase in rule.phrases):
            return HandoverReason.RULE, rule.name
    for phrase in desk.bot_cannot:
        if _phrase(phrase) in said:
            return HandoverReason.BOT_CANNOT, f"said “{phrase}”"
    return None


def side_taken(desk: Desk, question: str, answer: str) -> Expects:
    """What the desk would make of this exchange: a hand-over to a person, or an answer."""
    handed_over = why_hand_over(desk, question, answer) is not None
    return Expects.HANDOVER if handed_over else Expects.ANSWER


def _plain(text: str) -> str:
    """As phrases are compared: without capitals, accents, vowel marks and curly apostrophes."""
    bare = text.casefold()
    if not bare.isascii():
        parts = unicodedata.normalize("NFKD", bare.replace("\u2019", "'"))
        bare = "".join(each for each in parts if not unicodedata.combining(each))
    return " ".join(bare.split())


@lru_cache(maxsize=1000)
def _phrase(text: str) -> str:
    """A desk's phrases are compared with every message."""
    return _plain(text)


def is_open(desk: Desk, at: datetime) -> bool:
    """Whether people are there. `at` is aware."""
    if not any(desk.hours.values()):
        return True
    local = at.astimezone(ZoneInfo(desk.timezone))
    spans = desk.hours.get(list(Day)[local.weekday()], [])
    return any(span.opens <= local.time() < span.closes for span in spans)


def next_opening(desk: Desk, at: datetime) -> datetime | None:
    """When people are there again (aware, in the desk's own zone); None while they are."""
    if is_open(desk, at):
        return None
    zone = ZoneInfo(desk.timezone)
    local = at.astimezone(zone)
    for ahead in range(8):
        day = (local + timedelta(days=ahead)).date()
        for span in sorted(desk.hours.get(list(Day)[day.weekday()], []), key=lambda s: s.opens):
            opening = datetime.combine(day, span.opens, tzinfo=zone)
            if opening > local:
                return opening
    return None
