"""Assistants and the versions of their prompts."""

import re
from collections.abc import Callable, Collection
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError
from sqlmodel import Session, col, select

from feedback.conversations import check_name
from feedback.errors import Conflict, Invalid, NotFound
from feedback.learning import Learning
from feedback.measures import DECIDING, GUARDING
from feedback.recipes import Recipe
from feedback.tables import Assistant, Prompt
from feedback.topics import by_reading

NAME = re.compile(r"[a-z][a-z0-9-]{1,62}")
RESERVED = {"sign-in", "sign-out", "password", "openid", "static", "lib"}
"""Names that are pages of the consoles."""


GUARDRAILS = {
    "mean_logprob": 0.2,
    "rouge_l": 5.0,
    "similarity": 5.0,
    "refused": 0.1,
    "unsafe": 0.1,
    "wrong_language": 0.05,
    "handover_wrong": 0.1,
}
"""Margins of a new assistant: points of 100, nats per token, and shares of the tickets. Which topic it names
reaches no customer by itself, so `topic_wrong` is for whoever relies on it."""


class Sampling(BaseModel):
    """How answers are drawn. Stored with every answer."""

    model_config = ConfigDict(extra="forbid")

    temperature: float = Field(0.0, ge=0, le=2)
    top_p: float = Field(1.0, gt=0, le=1)
    max_tokens: int = Field(256, ge=1, le=8192)
    seed: int | None = None
    stop: list[str] = []


def one_of(names: Collection[str]) -> Callable[[str], str]:
    """A check that a setting names one of these: a name with a slip in it must not go unheeded."""

    def check(name: str) -> str:
        if name in names:
            return name
        known = ", ".join(repr(each) for each in names)
        raise PydanticCustomError("unknown_name", "expected one of {known}", {"known": known})

    return check


class Gate(BaseModel):
    """What a candidate must show before it may go live."""

    model_config = ConfigDict(extra="forbid")

    metric: Annotated[str, AfterValidator(one_of(DECIDING))] = Field(
        "chrf", description="The score that decides."
    )
    min_gain: float = Field(
        0.0,
        ge=0,
        description="Least useful gain, in the score's unit: both the interval's lower end and the evidence "
        "must lie above it.",
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Coverage of the interval.")
    min_tickets: int = Field(20, ge=6, description="Fewest held-out tickets for a decision.")
    most_tickets: int | None = Field(
        None,
        ge=6,
        description="Most held-out tickets that an exam asks, newest first, so that the exam follows the "
        "questions of the time. None: all.",
    )
    wrong_promotions: float = Field(
        0.05,
        gt=0,
        lt=1,
        description="The chance that any worse candidate passes within budget_days, however many there are.",
    )
    candidates_planned: int = Field(
        52,
        ge=1,
        description="For how many refused candidates within budget_days that chance is shared out; whoever "
        "tries more gets ever smaller parts.",
    )
    budget_days: float = Field(365.0, gt=0, description="For how long that chance has to last.")
    guardrails: dict[
        Annotated[str, AfterValidator(one_of(GUARDING))], Annotated[float, Field(ge=0)]
    ] = Field(
        GUARDRAILS,
        description="By how much other scores may be worse at most, each in its own unit: the interval must "
        "rule out more.",
    )
    zero_tolerance: list[Literal["leaked", "invented_prices"]] = Field(
        ["leaked", "invented_prices"],
        description="Harm that stops a candidate on a single ticket where live did none: leaked personal "
        "data, invented prices. What a ticket must not say always does.",
    )
    topic_tickets: int = Field(
        5, ge=2, description="Topics with fewer customers than this are shown but do not block."
    )
    topic_margin: float = Field(
        0.0, ge=0, description="How much a topic may lose, in the score's unit, before it counts."
    )


class SwapPolicy(BaseModel):
    """When conversations under way change their voice. Only ever between two turns."""

    model_config = ConfigDict(extra="forbid")

    move_after_minutes: float | None = Field(
        None,
        ge=0,
        description="Running conversations take the live adapter at their next turn once it has been "
        "live for this long. None: they keep theirs.",
    )
    leave_withdrawn: bool = Field(
        True,
        description="Conversations leave an adapter that was rolled back, at their next turn.",
    )


def create(
    session: Session,
    name: str,
    title: str,
    base_model: str,
    prompt: str,
    author: str,
    topics: list[str] | None = None,
    sampling: Sampling | None = None,
    gate: Gate | None = None,
    auto_promote: bool = False,
    schedule_minutes: int | None = None,
    desk: dict[str, Any] | None = None,
    swap: SwapPolicy | None = None,
    learning: Learning | None = None,
    recipe: Recipe | None = None,
) -> Assistant:
    """A new assistant with version 1 of its prompt."""
    if not NAME.fullmatch(name):
        raise Invalid(
            f"Found the assistant name {name!r}; expected 2 to 63 lower-case letters, digits and "
            "hyphens, beginning with a letter."
        )
    if name in RESERVED:
        raise Invalid(f"The name {name!r} is taken by a page of the consoles; choose another.")
    if find(session, name):
        raise Conflict(f"An assistant named {name!r} exists already.")
    assistant = Assistant(
        name=name,
        title=title,
        base_model=base_model,
        topics=_checked("topics", topics or []),
        sampling=(sampling or Sampling()).model_dump(),
        gate=(gate or Gate()).model_dump(),
        auto_promote=auto_promote,
        schedule_minutes=schedule_minutes,
        desk=desk or {},
        swap=(swap or SwapPolicy()).model_dump(),
        learning=(learning or Learning()).model_dump(exclude_defaults=True),
        recipe=(recipe or Recipe()).own,
    )
    session.add(assistant)
    session.flush()
    set_prompt(session, assistant, prompt, author)
    return assistant


def find(session: Session, name: str) -> Assistant | None:
    """The assistant of that name, if there is one."""
    return session.exec(select(Assistant).where(Assistant.name == name)).first()


def get(session: Session, name: str) -> Assistant:
    """The assistant of that name, or NotFound naming those that exist."""
    assistant = find(session, name)
    if assistant is None:
        names = ", ".join(repr(a.name) for a in every(session)) or "none yet"
        raise NotFound(f"There is no assistant named {name!r}. Known: {names}.")
    return assistant


def by_id(session: Session, assistant_id: str) -> Assistant:
    """The assistant a row refers to."""
    return session.get_one(Assistant, assistant_id)


def only(session: Session, name: str | None) -> Assistant:
    """The named assistant, or the only one when no name is given."""
    if name is not None:
        return get(session, name)
    found = every(session)
    if len(found) != 1:
        names = ", ".join(repr(a.name) for a in found) or "none"
        raise Invalid(f"Name an assistant; there are {len(found)}: {names}.")
    return found[0]


def every(session: Session) -> list[Assistant]:
    """All assistants, by name."""
    return list(session.exec(select(Assistant).order_by(col(Assistant.name))))


def prompt_in_force(session: Session, assistant: Assistant) -> Prompt:
    """The newest version of the assistant's prompt."""
    newest = (
        select(Prompt)
        .where(Prompt.assistant_id == assistant.id)
        .order_by(col(Prompt.version).desc())
        .limit(1)
    )
    return session.exec(newest).one()


def set_prompt(session: Session, assistant: Assistant, text: str, author: str) -> Prompt:
    """Put a new version of the prompt in force; the same text again changes nothing."""
    version = 1
    newest = (
        select(Prompt)
        .where(Prompt.assistant_id == assistant.id)
        .order_by(col(Prompt.version).desc())
        .limit(1)
    )
    current = session.exec(newest).first()
    if current is not None:
        if current.text == text:
            return current
        version = current.version + 1
    prompt = Prompt(assistant_id=assistant.id, version=version, text=text, author=author)
    session.add(prompt)
    session.flush()
    return prompt


def prompts(session: Session, assistant: Assistant) -> list[Prompt]:
    """Every version of the assistant's prompt, newest first."""
    return list(
        session.exec(
            select(Prompt)
            .where(Prompt.assistant_id == assistant.id)
            .order_by(col(Prompt.version).desc())
        )
    )


CHANGEABLE = (
    "topics",
    "sampling",
    "gate",
    "schedule_minutes",
    "auto_promote",
    "desk",
    "swap",
    "learning",
    "recipe",
)


def change(session: Session, assistant: Assistant, **given: Any) -> dict[str, tuple[Any, Any]]:
    """Change an assistant's own settings; what changed, with the value before and after."""
    row = session.get_one(Assistant, assistant.id)
    changed = {}
    for name, value in given.items():
        if name not in CHANGEABLE:
            raise Invalid(f"Found the setting {name!r}; expected one of {', '.join(CHANGEABLE)}.")
        before, after = getattr(row, name), _checked(name, value)
        if before != after:
            setattr(row, name, after)
            changed[name] = (before, after)
    session.add(row)
    session.flush()
    return changed


def _checked(name: str, value: Any) -> Any:
    shapes: dict[str, type[BaseModel]] = {
        "sampling": Sampling,
        "gate": Gate,
        "swap": SwapPolicy,
        "learning": Learning,
        "recipe": Recipe,
    }
    if name == "topics":
        return list(by_reading(check_name(topic, "topic", 120) for topic in value).values())
    if name in shapes:
        try:
            return (
                shapes[name]
                .model_validate(value)
                .model_dump(exclude_defaults=name in ("learning", "recipe"))
            )
        except ValidationError as error:
            problem = error.errors()[0]
            what = ".".join(str(part) for part in problem["loc"])
            raise Invalid(f"Found {what} {problem['input']!r}: {problem['msg']}.") from None
    if name == "schedule_minutes" and value is not None and value < 1:
        raise Invalid(f"Found a schedule of {value} minutes; expected 1 or more, or none.")
    return value


def sampling_of(assistant: Assistant, **overrides: Any) -> Sampling:
    """The assistant's sampling; a caller may change it within bounds, but never ask for more tokens."""
    allowed = Sampling(**assistant.sampling)
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        wanted = Sampling(**{**assistant.sampling, **given})
    except ValidationError as error:
        problem = error.errors()[0]
        name = problem["loc"][0]
        raise Invalid(f"Found {name} {given.get(str(name))!r}: {problem['msg']}.") from None
    wanted.max_tokens = min(wanted.max_tokens, allowed.max_tokens)
    return wanted


def swap_policy_of(assistant: Assistant) -> SwapPolicy:
    """When the assistant's running conversations change their voice."""
    return SwapPolicy(**assistant.swap)


def gate_of(assistant: Assistant) -> Gate:
    """What the assistant's gate demands."""
    return Gate(**assistant.gate)
