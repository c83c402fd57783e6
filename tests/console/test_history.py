"""What was live when, and the way back."""

import re

import httpx

from feedback import adapters, audit, promotions
from feedback.database import reading, writing
from tests.console.trained import shop_of
from tests.feedback.said import long_ago
from tests.service.conftest import Shop
from tests.stand_in_engine import StandInEngine


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


def test_withdrawing_a_promotion_that_waits_is_not_called_a_rollback(
    olga: httpx.Client, shop: Shop, engine: StandInEngine
) -> None:
    _, second = promoted_twice(shop)
    engine.down = True  # so that it waits
    third = shop.publish("third")
    with writing(shop.database) as session:
        promotions.request(session, shop_of(session), third, "jon", "better still")
    shown = olga.post("/console/shop/rollback", data={"reason": "no, wait"}).text
    assert "is withdrawn" in shown and "Rolled back." not in shown
    with reading(shop.database) as session:
        live = adapters.live_adapter(session, shop_of(session))
    assert live is not None and live.name == second


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


def fields_of(page: str, action: str) -> dict[str, str]:
    """The hidden fields of the form that posts there, as the page came."""
    form = page.partition(f'action="{action}"')[2].partition("</form>")[0]
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form))


def test_two_operators_who_both_roll_back_do_it_once(
    olga: httpx.Client, ada: httpx.Client, shop: Shop
) -> None:
    first, second = promoted_twice(shop)
    forms = [
        {
            **fields_of(who.get("/console/shop/history").text, "/console/shop/rollback"),
            "reason": "x",
        }
        for who in (olga, ada)
    ]
    assert all(form["expected"] == second for form in forms)
    assert olga.post("/console/shop/rollback", data=forms[0]).status_code == 200
    late = ada.post("/console/shop/rollback", data=forms[1])
    assert late.status_code == 409
    assert f"{first}&#39; is live now, not &#39;{second}" in late.text
    with reading(shop.database) as session:
        assert len(adapters.history(session, shop_of(session))) == 3


def test_a_rollback_goes_only_to_what_the_page_named(olga: httpx.Client, shop: Shop) -> None:
    first, second = promoted_twice(shop)
    form = fields_of(olga.get("/console/shop/history").text, "/console/shop/rollback")
    third = shop.publish("third")
    for name in (third.name, second):  # the same is live again, but something else came before it
        with writing(shop.database) as session:
            adapter = adapters.get(session, name)
            adapters.promote(session, shop_of(session), adapter, "jon", "meanwhile")
    late = olga.post("/console/shop/rollback", data={**form, "reason": "x"})
    assert late.status_code == 409
    assert f"leads to &#39;{third.name}&#39; now, not to &#39;{first}" in late.text


def test_a_promotion_is_refused_when_something_else_is_live_by_now(
    olga: httpx.Client, shop: Shop
) -> None:
    first, second = shop.publish("first"), shop.publish("second")
    path = f"/console/shop/candidates/{second.name}"
    form = fields_of(olga.get(path).text, f"{path}/promote")
    assert form["expected"] == "base"
    with writing(shop.database) as session:
        adapters.promote(session, shop_of(session), first, "jon", "meanwhile")
    late = olga.post(f"{path}/promote", data={**form, "reason": "better"})
    assert late.status_code == 409
    assert "Nothing was done" in late.text
    form = fields_of(olga.get(path).text, f"{path}/promote")
    assert olga.post(f"{path}/promote", data={**form, "reason": "better"}).status_code == 200


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
