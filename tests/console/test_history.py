"""What was live when, and the way back."""

import httpx

from feedback import adapters, audit
from feedback.database import reading, writing
from tests.console.trained import shop_of
from tests.service.conftest import Shop


def promoted_twice(shop: Shop) -> tuple[str, str]:
    first, second = shop.publish("first"), shop.publish("second")
    for adapter in (first, second):
        with writing(shop.database) as session:
            adapters.promote(session, shop_of(session), adapter, "jon", f"because {adapter.name}")
    return first.name, second.name


def test_every_promotion_is_shown_newest_first(olga: httpx.Client, shop: Shop) -> None:
    assert "Nothing was promoted yet" in olga.get("/console/shop/history").text
    first, second = promoted_twice(shop)
    shown = olga.get("/console/shop/history").text
    assert shown.index(f"because {second}") < shown.index(f"because {first}")
    assert f"{second} from" in shown
    assert f"Roll back from {second} to {first}" in shown


def test_rolling_back_is_another_promotion_with_a_reason(olga: httpx.Client, shop: Shop) -> None:
    first, second = promoted_twice(shop)
    assert olga.post("/console/shop/rollback", data={"reason": ""}).status_code == 422
    shown = olga.post("/console/shop/rollback", data={"reason": "too curt"})
    assert "Rolled back." in shown.text
    with reading(shop.database) as session:
        live = adapters.live_adapter(session, shop_of(session))
        [entry] = audit.every(session, act="adapter.roll_back")
    assert live is not None
    assert live.name == first
    assert entry.detail == {"reason": "too curt", "before": second}


def test_there_is_nothing_to_roll_back_before_a_promotion(olga: httpx.Client) -> None:
    assert olga.post("/console/shop/rollback", data={"reason": "x"}).status_code == 409


def test_only_operators_with_their_token_roll_back(
    olga: httpx.Client, mara: httpx.Client, shop: Shop
) -> None:
    promoted_twice(shop)
    assert mara.post("/console/shop/rollback", data={"reason": "x"}).status_code == 403
    olga.headers["X-CSRF-Token"] = "0" * 64
    assert olga.post("/console/shop/rollback", data={"reason": "x"}).status_code == 403
    assert olga.post("/console/bakery/rollback", data={"reason": "x"}).status_code == 404
