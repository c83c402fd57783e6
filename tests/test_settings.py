"""Settings come from the environment and one file, and a wrong one is a sentence."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from evals.settings import EvalsSettings
from feedback.settings import FeedbackSettings, PackageSettings
from service.settings import ServiceSettings
from training.settings import TrainingSettings

EVERY: list[type[PackageSettings]] = [
    FeedbackSettings,
    ServiceSettings,
    EvalsSettings,
    TrainingSettings,
]


@pytest.mark.parametrize("settings", EVERY)
def test_every_setting_can_be_set_from_the_environment_to_its_own_default(
    settings: type[PackageSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = str(settings.model_config.get("env_prefix"))
    monkeypatch.delenv("FEEDBACK_VAR_DIR")
    before = settings()
    for name, field in settings.model_fields.items():
        value = field.get_default(call_default_factory=True)
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        text = json.dumps(value) if isinstance(value, bool | list) else str(value)
        if isinstance(value, tuple):  # names between commas
            text = ",".join(value)
        monkeypatch.setenv(prefix + name.upper(), text)
    assert settings() == before


@pytest.mark.parametrize("settings", EVERY)
def test_every_setting_says_what_it_does(settings: type[PackageSettings]) -> None:
    for name, field in settings.model_fields.items():
        assert field.description, name


def test_the_file_gives_a_value_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "understudy.toml"
    path.write_text("[service]\nport = 9000\n[training]\nsft_epochs = 2\n")
    monkeypatch.setenv("UNDERSTUDY_TOML", str(path))
    assert ServiceSettings().port == 9000
    assert TrainingSettings().sft_epochs == 2
    monkeypatch.setenv("SERVICE_PORT", "9001")
    assert ServiceSettings().port == 9001


def test_an_unknown_name_in_the_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "understudy.toml"
    path.write_text("[service]\nprot = 9000\n")
    monkeypatch.setenv("UNDERSTUDY_TOML", str(path))
    with pytest.raises(ValidationError, match="prot"):
        ServiceSettings()


def test_a_wrong_value_is_a_sentence_that_names_the_setting() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "understudy", "service"],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "SERVICE_PORT": "eighty"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "SERVICE_PORT is 'eighty'" in done.stderr
    assert "Traceback" not in done.stderr
