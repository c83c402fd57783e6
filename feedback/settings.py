"""Where things are kept. Every package has one such class; the environment prefix is its name.

Order of precedence: environment, then the `[feedback]` section of `understudy.toml` (or of the file
named by UNDERSTUDY_TOML), then the defaults below.
"""

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)


def _number(value: object) -> object:
    """The environment holds text; a choice of numbers does not read it by itself."""
    return int(value) if isinstance(value, str) and value.isdigit() else value


def names_in(text: str) -> list[str]:
    """The names between commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def once_each(names: Any) -> Any:
    """The same; ValueError where one is named twice."""
    if names and len(set(names)) < len(names):
        raise ValueError(f"each is to be named once, found {', '.join(names)}")
    return names


def between_commas(value: object) -> object:
    """The environment, a form and a command line give lists as text; anything else stays as it is."""
    return names_in(value) if isinstance(value, str) else value


Rank = Annotated[Literal[1, 8, 16, 32, 64, 128, 256, 320, 512], BeforeValidator(_number)]
"""A LoRA rank that vLLM knows."""


class PackageSettings(BaseSettings):
    """Reads one package's section of `understudy.toml`, overridden by its environment variables."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Init arguments, environment, then the package's section of the one TOML file."""
        return (init_settings, env_settings, _Section(settings_cls, _in_file(settings_cls)))

    def told(self) -> dict[str, dict[str, str]]:
        """Each setting's value as text and where it came from. Secrets are only 'set' or 'not set'."""
        prefix = str(self.model_config.get("env_prefix"))
        environment = {name.upper() for name in os.environ}
        in_file = _in_file(type(self))
        found = {}
        for name, field in type(self).model_fields.items():
            variable = f"{prefix}{name}".upper()
            value = getattr(self, name)
            if variable in environment:
                source = variable
            elif name in in_file:
                source = "understudy.toml"
            else:
                default = field.get_default(call_default_factory=True)
                source = "default" if value == default else "set by the program"
            found[name] = {"value": _shown(value), "source": source}
        return found


def _in_file(settings_cls: type[BaseSettings]) -> dict[str, object]:
    """The package's section of `understudy.toml`."""
    section = str(settings_cls.model_config.get("env_prefix") or "").rstrip("_").lower()
    path = Path(os.environ.get("UNDERSTUDY_TOML", "understudy.toml"))
    values = TomlConfigSettingsSource(settings_cls, path).toml_data.get(section, {})
    return dict(values)


_HIDDEN = (
    (re.compile(r"(://[^/@\s:]*):[^/@\s]+@"), r"\1:(set)@"),
    (
        re.compile(r"(?i)([\w-]*(?:password|secret|token|key)[\w-]*)(\s*[=\s,'\"]+)[^\s&,'\"\]]+"),
        r"\1\2(set)",
    ),
)
"""Passwords in URLs and in arguments, whatever setting they stand in."""


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        return "set" if value.get_secret_value() else "not set"
    if isinstance(value, tuple):
        text = ",".join(value)
    else:
        text = json.dumps(value) if isinstance(value, list) else str(value)
    for pattern, instead in _HIDDEN:
        text = pattern.sub(instead, text)
    return text


class _Section(TomlConfigSettingsSource):
    """One section of an already parsed TOML file."""

    def __init__(self, settings_cls: type[BaseSettings], values: dict[str, object]) -> None:
        self.toml_file_path = None
        self.toml_data = values
        super(TomlConfigSettingsSource, self).__init__(settings_cls, values)


class FeedbackSettings(PackageSettings):
    """Database and artifacts."""

    model_config = SettingsConfigDict(env_prefix="FEEDBACK_")

    var_dir: Path = Field(
        Path("var"),
        description="Folder for everything that is made while running: database, models, runs.",
    )
    models_dir: Path = Field(
        Path("var/models"), description="Folder of base models prepared on this machine."
    )
    database_url: str = Field(
        "",
        description="SQLAlchemy URL of SQLite or PostgreSQL. Empty: SQLite at <var_dir>/understudy.db.",
    )
    database_connections: int = Field(
        15,
        ge=2,
        description="PostgreSQL: connections of one process, at most. All processes together must stay "
        "below the server's max_connections.",
    )
    busy_timeout_seconds: float = Field(
        10.0, gt=0, description="How long a write waits for another writer on SQLite."
    )
    text_max_chars: int = Field(
        8000, gt=0, description="Longest message, correction or reference answer, in characters."
    )
    transcript_max_chars: int = Field(
        6000,
        gt=0,
        description="How much of a long conversation the model sees, in characters, newest turns "
        "first. Serving, training and exams share it.",
    )
    near_copy_similarity: float = Field(
        0.65,
        gt=0,
        le=1,
        description="Jaccard similarity of character trigrams from which two questions count as "
        "near-copies; such feedback never enters a dataset when the other is a held-out ticket.",
    )
    near_copy_meaning: float = Field(
        0.88,
        ge=0,
        le=1,
        description="Cosine of two questions' word vectors from which they count as near-copies, too, "
        "however they are put. 0: only trigrams are compared.",
    )
    validation_percent: int = Field(
        10,
        ge=0,
        le=50,
        description="Share of customers, in percent, whose rows validate training instead of teaching.",
    )

    password_min_chars: int = Field(12, ge=8, description="Shortest password of a member of staff.")
    password_link_hours: float = Field(
        72.0, gt=0, description="How long a link for choosing a password works."
    )
    sign_in_attempts: int = Field(
        5, ge=1, description="Wrong passwords in a row after which an account pauses."
    )
    sign_in_pause_seconds: float = Field(
        300.0, ge=0, description="How long such an account pauses."
    )
    session_hours: float = Field(12.0, gt=0, description="A session ends after this time.")
    session_idle_hours: float = Field(
        2.0, gt=0, description="A session ends when its owner was not seen for this long."
    )

    keep_adapter_days: float = Field(
        30.0,
        ge=1,
        description="An adapter's files are kept this long after it was published, was live, or spoke "
        "in a conversation; only then may `understudy adapters prune` remove them.",
    )
    keep_rollbacks: int = Field(
        3,
        ge=1,
        description="The files of so many adapters that were live before the present one are kept, "
        "however long ago that was.",
    )
    keep_orphan_hours: float = Field(
        24.0,
        ge=1,
        description="An adapter folder that no cycle registered is kept this long before it may go.",
    )

    card_watts: float = Field(
        100.0,
        ge=0,
        description="What a model card takes the training machine to draw, in watts: a small server at work. "
        "0: the card says nothing of energy and carbon.",
    )
    card_grams_co2_per_kwh: float = Field(
        480.0,
        ge=0,
        description="What a model card takes a kWh to emit, in grams of CO2: about the world's average of "
        "2023. 0: nothing of carbon.",
    )
    card_cost_per_hour: float = Field(
        0.1,
        ge=0,
        description="What a model card takes an hour of the training machine to cost, in your own money: a "
        "small rented one. 0: nothing of cost.",
    )

    erase_rewrite_max_mb: int = Field(
        1024,
        ge=0,
        description="After somebody was erased, SQLite's file, or each changed table of PostgreSQL, is "
        "written anew up to this size, so that no byte of deleted rows stays; that holds up writers. Larger "
        "ones are left, and the certificate says so.",
    )

    review_lock_seconds: float = Field(
        300.0, gt=0, description="How long an answer is one reviewer's before others are shown it."
    )
    replay_days: int = Field(
        7,
        ge=1,
        description="Days of real conversations that a replay draws from, if none are named.",
    )
    replay_turns: int = Field(
        50, ge=1, description="Answers that a replay asks again, at most, if no number is named."
    )
    replay_turns_limit: int = Field(
        1000, ge=1, description="More answers than these no replay may be asked for."
    )
    replay_lease_seconds: float = Field(
        600.0,
        gt=0,
        description="A replay in which no answer came for this long may be taken over by another "
        "process.",
    )

    @property
    def url(self) -> str:
        """The database URL in force."""
        return self.database_url or f"sqlite:///{self.var_dir / 'understudy.db'}"

    @property
    def adapters_dir(self) -> Path:
        """Published adapters, one immutable folder each."""
        return self.var_dir / "adapters"

    @property
    def datasets_dir(self) -> Path:
        """Exports of frozen datasets, one folder each, named by content."""
        return self.var_dir / "datasets"

    @property
    def runs_dir(self) -> Path:
        """Work folders of cycles: logs, checkpoints, progress."""
        return self.var_dir / "runs"


@cache
def feedback_settings() -> FeedbackSettings:
    """The settings of this process, read once."""
    return FeedbackSettings()
