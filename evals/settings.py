"""Settings of the exam. Environment prefix: EVALS_. What a gate demands belongs to the assistant."""

from functools import cache
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from feedback.settings import PackageSettings


class EvalsSettings(PackageSettings):
    """How the exam is run."""

    model_config = SettingsConfigDict(env_prefix="EVALS_")

    concurrency: int = Field(
        16, ge=1, description="Tickets answered at once while the engine has nobody else to answer."
    )
    concurrency_beside_customers: int = Field(
        2,
        ge=1,
        description="Tickets answered at once while the engine also answers others. All of an exam "
        "comes after customers wherever not everything finds room.",
    )
    cache: bool = Field(
        True,
        description="Whether an exam takes answers from earlier ones: the same weights, question, "
        "prompt, sampling and engine. Scores are always worked out anew.",
    )
    steadiness_tickets: int = Field(
        4,
        ge=0,
        description="Tickets of each exam that the candidate answers once more, alone, to see how far "
        "an answer moves when others are computed beside it. 0: none.",
    )
    attempts: int = Field(
        8,
        ge=1,
        description="How often a ticket is asked when the engine is down; with the pauses of the "
        "default, long enough for an engine to be restarted (a minute and a half).",
    )
    backoff_seconds: float = Field(
        1.0,
        ge=0,
        description="Pause before the second attempt; each further one is twice as long, at most "
        "30 seconds.",
    )
    fixed_chrf: float = Field(
        60.0,
        gt=0,
        le=100,
        description="A correction counts as fixed when the bot's answer now reaches this chrF "
        "against it and holds every number of it.",
    )
    judge_url: str = Field(
        "",
        description="An OpenAI-compatible endpoint whose model judges pairs of answers, such as "
        "http://127.0.0.1:8001/v1. Empty: nobody is asked.",
    )
    judge_model: str = Field(
        "base",
        description="The judging model, as that endpoint names it ('base' on our own engine).",
    )
    judge_api_key: SecretStr = Field(
        SecretStr(""),
        description="The endpoint's key. Empty: none, or the engine's own where the URL is our engine.",
    )
    judge_concurrency: int = Field(4, ge=1, description="Questions the judge has at once.")
    judge_timeout_seconds: float = Field(
        60.0, gt=0, description="How long one reply of the judge may take."
    )
    judge_attempts: int = Field(
        4, ge=1, description="How often the judge is asked when it is busy, down or too slow."
    )
    judge_max_tokens: int = Field(
        64,
        gt=0,
        description="Longest reply, in tokens. Give a model that thinks before it answers more.",
    )
    judge_instructions: str = Field(
        "Which answer would a good support agent rather send? Prefer what is true, answers the "
        "customer's question and follows the house's rules; length, politeness and order are no merits.",
        min_length=1,
        description="What the judge is asked; how it must reply is added.",
    )
    judge_sees_reference: bool = Field(
        True, description="Show the judge the agent's own answer to a ticket, too."
    )
    judge_redact: bool | Literal["auto"] = Field(
        "auto",
        description="Take personal data out of what the judge sees. auto: yes, unless the endpoint is "
        "our own engine.",
    )
    bootstrap_samples: int = Field(10_000, ge=1000, description="Resamples behind an interval.")


@cache
def evals_settings() -> EvalsSettings:
    """The settings of this process, read once."""
    return EvalsSettings()
