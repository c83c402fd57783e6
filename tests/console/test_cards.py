"""An adapter's model card in the console and over the API."""

import httpx
import pytest

from tests.console.trained import Trained, add_tickets, teach, train
from tests.service.conftest import Shop


@pytest.fixture
def trained(shop: Shop) -> Trained:
    teach(shop)
    add_tickets(shop)
    return train(shop)


def test_the_candidates_page_leads_to_its_card_and_that_to_a_file(
    mara: httpx.Client, trained: Trained
) -> None:
    path = f"/console/shop/candidates/{trained.adapter.name}"
    assert f'href="{path}/card"' in mara.get(path).text
    shown = mara.get(f"{path}/card").text
    for section in ("Data", "Recipe", "Results", "Limits", "Energy and cost", "Lineage"):
        assert f"<h2>{section}</h2>" in shown
    assert f'href="{path}/card.md"' in shown
    assert "chrF rises by 24 on average" in shown
    file = mara.get(f"{path}/card.md")
    assert file.headers["content-type"].startswith("text/markdown")
    assert f"{trained.adapter.name}.md" in file.headers["content-disposition"]
    assert file.text.startswith("---\n")
    for told in (shown, file.text):
        assert (
            "My parcel never came" not in told and "mara@example.com" not in told.split("Data")[-1]
        )


def test_over_the_api_authors_are_named_to_operators_alone(shop: Shop, trained: Trained) -> None:
    path = f"/v1/adapters/{trained.adapter.name}/card"
    with shop.client("agent") as agent:
        told = agent.get(path)
        assert agent.get(path, params={"named": "everybody"}).status_code == 403
    assert told.status_code == 200
    assert told.headers["content-type"].startswith("text/markdown")
    assert "jon@example.com" not in told.text
    with shop.client("operator") as operator:
        assert "jon@example.com" in operator.get(path, params={"named": "everybody"}).text
        assert "olga" not in operator.get(path, params={"named": "nobody"}).text
