"""The recipe over the API: read by staff, set by operators, refused where no engine would serve it."""

from typing import Any

import httpx
import pytest

from feedback import audit
from feedback.database import reading
from tests.service.conftest import Shop


def put(operator: httpx.Client, recipe: dict[str, Any]) -> httpx.Response:
    return operator.put("/v1/recipe", json={"assistant": "shop", "recipe": recipe})


def own(client: httpx.Client) -> dict[str, Any]:
    told = client.get("/v1/recipe").json()
    return {name: value for name, value in told.items() if value is not None}


def test_an_operator_sets_it_as_a_whole_and_staff_read_it(
    shop: Shop, operator: httpx.Client, agent: httpx.Client
) -> None:
    assert own(agent) == {}
    assert put(operator, {"stages": ["sft"], "sft_epochs": 3}).status_code == 200
    assert put(operator, {"stages": ["sft"], "sft_epochs": 3}).status_code == 200
    assert own(agent) == {"stages": ["sft"], "sft_epochs": 3}
    assert put(operator, {"lora_rank": 8}).status_code == 200
    assert own(agent) == {"lora_rank": 8}, "what is not given is as the settings say"
    assert agent.put("/v1/recipe", json={"recipe": {}}).status_code == 403
    with reading(shop.database) as session:
        changes = audit.every(session, act="assistant.change")
    assert [entry.detail["after"] for entry in changes] == [
        {"lora_rank": 8},
        {"stages": ["sft"], "sft_epochs": 3.0},
    ]


@pytest.mark.parametrize(
    ("recipe", "sentence"),
    [
        ({"lora_rank": 64}, "takes adapters up to rank 16"),
        ({"lora_modules": "q_proj,embed_tokens"}, "does not take from an adapter"),
        ({"epochs": 3}, "epochs"),
        ({"dpo_beta": 0}, "greater than 0"),
    ],
)
def test_what_could_not_be_trained_or_served_is_refused(
    operator: httpx.Client, agent: httpx.Client, recipe: dict[str, Any], sentence: str
) -> None:
    refused = put(operator, recipe)
    assert refused.status_code == 422 and sentence in refused.text
    assert own(agent) == {}
