"""Promotions take effect in the running engine, one voice per conversation, and can be undone."""

import itertools

import httpx
from sqlmodel import select

from feedback import adapters
from feedback.database import reading
from feedback.tables import Swap
from tests.service.conftest import Shop
from tests.service.talk import begin, eventually, said
from tests.stand_in_engine import StandInEngine, weights_in


def promote(operator: httpx.Client, name: str) -> httpx.Response:
    return operator.post("/v1/promotions", json={"adapter": name, "reason": "a test"})


def voice(customer: httpx.Client) -> str | None:
    return begin(customer)["adapter"] or "base"


def swaps(shop: Shop) -> list[Swap]:
    with reading(shop.database) as session:
        return list(session.exec(select(Swap)))


def test_new_conversations_speak_with_the_promoted_adapter_and_old_ones_keep_theirs(
    shop: Shop, customer: httpx.Client, operator: httpx.Client
) -> None:
    old = begin(customer)["id"]
    assert said(customer, old, "Hi").startswith("[base]")
    first, second = shop.publish("a"), shop.publish("b")
    assert promote(operator, first.name).status_code == 201
    eventually(lambda: voice(customer) == first.name)
    middle = begin(customer)["id"]
    promote(operator, second.name)
    eventually(lambda: voice(customer) == second.name)
    new = begin(customer)["id"]
    assert said(customer, old, "Hi").startswith("[base]")
    assert said(customer, middle, "Hi").startswith(f"[{weights_in(adapters.folder_of(first))}]")
    assert said(customer, new, "Hi").startswith(f"[{weights_in(adapters.folder_of(second))}]")


def test_a_rollback_is_another_promotion(
    shop: Shop, customer: httpx.Client, operator: httpx.Client
) -> None:
    first, second = shop.publish("a"), shop.publish("b")
    promote(operator, first.name)
    promote(operator, second.name)
    eventually(lambda: voice(customer) == second.name)
    assert operator.post("/v1/rollbacks", json={"reason": "worse"}).json()["adapter"] == first.name
    eventually(lambda: voice(customer) == first.name)
    assert promote(operator, "base").json()["adapter"] == "base"
    eventually(lambda: voice(customer) == "base")
    history = operator.get("/v1/promotions").json()
    assert [row["sequence"] for row in history] == [4, 3, 2, 1]
    assert {row["approved_by"] for row in history} == {"operator"}


def test_an_adapter_the_engine_ignores_takes_no_traffic(
    shop: Shop, customer: httpx.Client, operator: httpx.Client, engine: StandInEngine
) -> None:
    good = shop.publish("a")
    promote(operator, good.name)
    eventually(lambda: voice(customer) == good.name)
    engine.ignore_adapters = True
    ignored = shop.publish("b")
    promote(operator, ignored.name)
    refused = eventually(lambda: [swap for swap in swaps(shop) if not swap.verified])[0]
    assert "differ from the trainer's" in refused.reason
    assert voice(customer) == good.name
    assert ignored.name not in engine.adapters
    seen = operator.get(f"/v1/adapters/{ignored.name}").json()
    assert seen["verified"] is False and "nats" in seen["verified_reason"]


def test_files_changed_after_publishing_are_refused(
    shop: Shop, customer: httpx.Client, operator: httpx.Client
) -> None:
    adapter = shop.publish("a")
    (adapters.folder_of(adapter) / "adapter_model.safetensors").write_bytes(b"other weights")
    promote(operator, adapter.name)
    refused = eventually(lambda: [swap for swap in swaps(shop) if not swap.verified])[0]
    assert "was changed" in refused.reason
    assert voice(customer) == "base"


def test_an_engine_that_restarted_gets_its_adapters_back(
    shop: Shop, customer: httpx.Client, operator: httpx.Client, engine: StandInEngine
) -> None:
    adapter = shop.publish("a")
    promote(operator, adapter.name)
    eventually(lambda: voice(customer) == adapter.name)
    conversation = begin(customer)["id"]
    weights = weights_in(adapters.folder_of(adapter))
    for _ in range(3):
        engine.restart()
        assert said(customer, conversation, "Hi").startswith(f"[{weights}]")


def test_fifty_promotions_and_rollbacks_leave_a_whole_history(
    shop: Shop, customer: httpx.Client, operator: httpx.Client
) -> None:
    pair = [shop.publish("a"), shop.publish("b")]
    promote(operator, pair[0].name)
    promote(operator, pair[1].name)
    for turn in range(48):
        if turn % 2:
            assert promote(operator, pair[1].name).status_code == 201
        else:
            assert operator.post("/v1/rollbacks", json={"reason": "again"}).status_code == 201
    history = operator.get("/v1/promotions").json()
    assert [row["sequence"] for row in history] == list(range(50, 0, -1))
    assert all(a["adapter"] != b["adapter"] for a, b in itertools.pairwise(history))
    eventually(lambda: voice(customer) == history[0]["adapter"])


def test_an_act_on_something_else_than_was_seen_is_refused(
    shop: Shop, operator: httpx.Client
) -> None:
    first, second = shop.publish("first"), shop.publish("second")
    asked = {"adapter": first.name, "reason": "x", "expected": second.name}
    refused = operator.post("/v1/promotions", json=asked)
    assert refused.status_code == 409
    assert "'base' is live now" in refused.json()["error"]["message"]
    assert operator.post("/v1/promotions", json={**asked, "expected": "base"}).status_code == 201
    back = {"reason": "x", "expected": "base"}
    assert operator.post("/v1/rollbacks", json=back).status_code == 409
    assert operator.post("/v1/rollbacks", json={**back, "expected": first.name}).status_code == 201


def test_promoting_what_is_live_or_unknown_is_refused_with_a_sentence(
    shop: Shop, operator: httpx.Client
) -> None:
    assert promote(operator, "base").status_code == 409
    assert promote(operator, "../../etc/passwd").status_code == 404
    assert operator.post("/v1/rollbacks", json={"reason": "x"}).status_code == 409
    foreign = shop.publish("c", assistant="bakery")
    assert promote(operator, foreign.name).status_code == 404
