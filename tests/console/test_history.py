"""What was live when, and the way back."""

import httpx

from feedback import adapters, audit
from feedback.database import reading, writing
from tests.console.trained import shop_of
from tests.feedback.said import long_ago
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


def test_what_may_go_is_listed_with_its_reasons_and_removed_by_one_button(
    olga: httpx.Client, shop: Shop
) -> None:
    assert 'id="disk"' not in olga.get("/console/shop/history").text
    refused = shop.publish("refused")
    assert "Remove the files of" not in olga.get("/console/shop/history").text
    first, second = promoted_twice(shop)
    with writing(shop.database) as session:
        long_ago(session)
    shown = olga.get("/console/shop/history").text
    assert "Remove the files of 1 adapter…" in shown
    assert f'data-confirm="Remove the files of {refused.name} (0.0 MB)?' in shown
    assert "It never went live and sat no exam." in shown
    assert "a rollback would return to it; " in shown
    assert "is one of the last 3 that were live before" in shown
    done = olga.post("/console/shop/prune", data={"names": [refused.name, second]}).text
    assert "The files are removed." in done
    assert "Remove the files of" not in done
    assert not adapters.folder_of(refused).exists()
    assert "files removed on" in olga.get("/console/shop/candidates").text
    page = olga.get(f"/console/shop/candidates/{refused.name}").text
    assert "it cannot go live again" in page
    assert "Why promote it?" not in page
    with reading(shop.database) as session:
        [entry] = audit.every(session, act="adapter.prune")
    assert (entry.actor, entry.subject) == ("olga@example.com", refused.name)
    assert first in olga.post("/console/shop/rollback", data={"reason": "as promised"}).text


def test_removing_nothing_changes_nothing(olga: httpx.Client, shop: Shop) -> None:
    shop.publish("refused")
    with writing(shop.database) as session:
        long_ago(session)
    assert "nothing was changed" in olga.post("/console/shop/prune").text
    assert "Remove the files of 1 adapter…" in olga.get("/console/shop/history").text
