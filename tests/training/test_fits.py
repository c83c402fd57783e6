"""A recipe whose adapter no engine would take is refused before it is trained."""

from typing import Any

import pytest

from feedback.errors import Invalid
from service.settings import ServiceSettings
from training import fits
from training.settings import TrainingSettings


@pytest.mark.parametrize(
    ("recipe", "sentence"),
    [
        ({"lora_rank": 32}, "up to rank 16"),
        ({"lora_modules": "q_proj, lm_head"}, "'lm_head', which the engine does not take"),
        (
            {"report_to": "tensorboard,no_such"},
            "Input should be 'tensorboard', 'mlflow' or 'wandb'",
        ),
        ({"stages": ""}, "at least 1 item"),
        ({"stages": "sft,ppo"}, "Input should be 'sft', 'dpo' or 'kto'"),
    ],
)
def test_what_cannot_be_served_is_refused(recipe: dict[str, Any], sentence: str) -> None:
    with pytest.raises((Invalid, ValueError), match=sentence):
        fits.check(TrainingSettings(**recipe), ServiceSettings())


def test_a_tracker_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fits, "find_spec", lambda name: None)
    with pytest.raises(Invalid, match="'mlflow', which is not installed here"):
        fits.check(TrainingSettings(report_to=("mlflow",)), ServiceSettings())


def test_the_defaults_fit() -> None:
    recipe = TrainingSettings(stages="sft, kto", lora_modules="q_proj,v_proj")
    fits.check(recipe, ServiceSettings())
    assert recipe.stages == ("sft", "kto")
    assert recipe.modules == ["q_proj", "v_proj"]
