"""Starting, watching and stopping cycles in the console."""

import httpx

from feedback import audit, cycles
from feedback.database import reading, writing
from feedback.tables import Cycle, CycleState, StageState
from tests.console.trained import LOSSES, shop_of, teach, train
from tests.service.conftest import Shop


def requested(shop: Shop, assistant: str = "shop") -> Cycle:
    with writing(shop.database) as session:
        return cycles.request(session, shop_of(session, assistant), "test")


def test_an_operator_starts_a_cycle_and_comes_to_its_page(olga: httpx.Client, shop: Shop) -> None:
    teach(shop)
    assert "<b>6</b> answers to learn from" in olga.get("/console/shop/cycles").text
    shown = olga.post("/console/shop/cycles")
    assert shown.status_code == 200
    assert "Waiting for a loop to take it up." in shown.text
    with reading(shop.database) as session:
        [cycle] = cycles.every(session, shop_of(session))
        [entry] = audit.every(session, act="cycle.request")
    assert str(shown.url).endswith(f"/cycles/{cycle.id}?done=requested")
    assert (entry.actor, entry.subject) == ("olga@example.com", f"cycle {cycle.id}")


def test_a_second_cycle_is_refused_while_one_is_open(olga: httpx.Client, shop: Shop) -> None:
    cycle = requested(shop)
    assert olga.post("/console/shop/cycles").status_code == 409
    assert f"cycles/{cycle.id}" in olga.get("/console/shop/cycles").text


def test_the_page_follows_the_stages(olga: httpx.Client, shop: Shop) -> None:
    cycle = requested(shop)
    with writing(shop.database) as session:
        cycles.claim(session, "loop", 60, cycle.id)
        stage = cycles.begin_stage(session, cycle, "sft")
        cycles.report(
            session, stage.id, done=12, total=40, eta_seconds=75.0, curve=LOSSES[:12],
            log_tail="step 12 <loss>",
        )  # fmt: skip
    path = f"/console/shop/cycles/{cycle.id}/progress?state=running"
    shown = olga.get(path)
    assert "12 of 40 · about 1 min 15 s left" in shown.text
    assert '<progress max="40" value="12"' in shown.text
    assert "Loss by step" in shown.text
    assert "step 12 &lt;loss&gt;" in shown.text
    assert "HX-Refresh" not in shown.headers
    with writing(shop.database) as session:
        cycles.report(session, stage.id, state=StageState.FAILED, error="out of memory")
        cycles.finish(session, cycle, CycleState.FAILED, "The trainer gave up.")
    shown = olga.get(path)
    assert shown.headers["HX-Refresh"] == "true"
    assert "out of memory" in shown.text
    assert "The trainer gave up." in shown.text


def test_a_cycle_that_ended_leads_to_its_candidate(olga: httpx.Client, shop: Shop) -> None:
    trained = train(shop)
    shown = olga.get(f"/console/shop/cycles/{trained.cycle.id}").text
    assert "Look and decide" in shown
    assert f"/console/shop/candidates/{trained.adapter.name}" in shown


def test_each_stage_says_what_it_left(olga: httpx.Client, shop: Shop) -> None:
    teach(shop)
    shown = olga.get(f"/console/shop/cycles/{train(shop).cycle.id}").text
    for left in (
        "5 new tickets, 1 of them sealed",
        "61 new texts of 184",
        "38 answers, 31 pairs, 4 thumbs",
        "learned by heart: 1.4 of 7 bits",
    ):
        assert left in shown


def test_an_operator_stops_a_cycle(olga: httpx.Client, shop: Shop) -> None:
    cycle = requested(shop)
    assert "Stopped by olga@example.com." in olga.post(f"/console/shop/cycles/{cycle.id}/stop").text
    assert olga.post(f"/console/shop/cycles/{cycle.id}/stop").status_code == 409
    with reading(shop.database) as session:
        assert len(audit.every(session, act="cycle.stop")) == 1


def test_agents_neither_start_nor_stop_nor_see(mara: httpx.Client, shop: Shop) -> None:
    cycle = requested(shop)
    assert mara.post("/console/shop/cycles").status_code == 403
    assert mara.post(f"/console/shop/cycles/{cycle.id}/stop").status_code == 403
    assert mara.get(f"/console/shop/cycles/{cycle.id}").status_code == 403


def test_a_wrong_token_starts_and_stops_nothing(olga: httpx.Client, shop: Shop) -> None:
    cycle = requested(shop)
    olga.headers["X-CSRF-Token"] = "0" * 64
    assert olga.post("/console/shop/cycles").status_code == 403
    assert olga.post(f"/console/shop/cycles/{cycle.id}/stop").status_code == 403


def test_another_assistants_cycle_is_not_there(olga: httpx.Client, shop: Shop) -> None:
    cycle = requested(shop, "bakery")
    assert olga.get(f"/console/shop/cycles/{cycle.id}").status_code == 404
    assert olga.get(f"/console/shop/cycles/{cycle.id}/progress").status_code == 404
    assert olga.post(f"/console/shop/cycles/{cycle.id}/stop").status_code == 404
