"""Settings of the exam. Environment prefix: EVALS_. What a gate demands belongs to the assistant."""

from functools import cache

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from feedback.settings import PackageSettings


class EvalsSettings(PackageSettings):
    """How the exam is run."""

    model_config = SettingsConfigDict(env_prefix="EVALS_")

    concurrency: int = Field(
        16, ge=1, description="Tickets answered at once, so that customers keep their share."
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
    bootstrap_samples: int = Field(10_000, ge=1000, description="Resamples behind an interval.")


@cache
def evals_settings() -> EvalsSettings:
    """The settings of this process, read once."""
    return EvalsSettings()
