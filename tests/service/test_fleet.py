"""Several engines behind one service: who answers, who is left out, and what a promotion needs."""

import threading
import time
from collections.abc import Iterator
from functools import partial

import httpx
import pytest
from pydantic import SecretStr
from sqlmodel import select

from feedback import adapters, assistants, promotions
from feedback.assistants import SwapPolicy
from feedback.database import reading, writing
from feedback.errors import Conflict
from feedback.tables import Adapter, Message, Speaker, Swap
from service.app import create_app
from service.fleet import resolved
from service.hot_swap import decide
from service.member import Word
from service.settings import ServiceSettings
from tests.service.conftest import Shop
from tests.service.talk import ask, begin, events, eventually, said, stream
from tests.service.test_hot_swap import promote, voice
from tests.stand_in_engine import StandInEngine, serving, stand_in_engine, weights_in


@pytest.fixture
def second() -> Iterator[StandInEngine]:
    with stand_in_engine() as running:
        yield running


@pytest.fixture
def settings(engine: StandInEngine, second: StandInEngine) -> ServiceSettings:
    return ServiceSettings(
        engine_url=f"{engine.url}, {second.url}",
        engine_api_key=SecretStr(engine.api_key),
        swap_poll_seconds=0.05,
        swap_quorum=1.0,
        stall_timeout_seconds=5.0,
        answer_timeout_seconds=20.0,
    )


def answers(shop: Shop) -> list[Message]:
    with reading(shop.database) as session:
        rows = session.exec(select(Message).where(Message.speaker == Speaker.ASSISTANT))
        return list(rows)


def words_of(shop: Shop, name: str) -> list[Swap]:
    with reading(shop.database) as session:
        adapter = adapters.get(session, name)
        return list(session.exec(select(Swap).where(Swap.adapter_id == adapter.id)))


def holds_only(engine: StandInEngine, adapter: Adapter) -> bool:
    return set(engine.adapters) == {adapter.name}


def words_in(adapter: Adapter) -> str:
    return f"[{weights_in(adapters.folder_of(adapter))}]"


def test_a_promotion_is_verified_on_every_engine_before_anybody_hears_it(
    shop: Shop, operator: httpx.Client, engine: StandInEngine, second: StandInEngine
) -> None:
    adapter = shop.publish("a")
    done = promote(operator, adapter.name)
    assert done.status_code == 201 and done.json()["state"] == "done"
    assert adapter.name in engine.adapters and adapter.name in second.adapters
    assert {word.engine for word in words_of(shop, adapter.name)} == {engine.url, second.url}


def test_a_promotion_that_too_few_engines_can_compute_does_not_happen_and_says_why(
    shop: Shop, customer: httpx.Client, operator: httpx.Client, second: StandInEngine
) -> None:
    second.ignore_adapters = True
    adapter = shop.publish("a")
    refused = promote(operator, adapter.name)
    assert refused.status_code == 409
    assert f"1 of 2 engines were seen to compute it, 2 are needed. {second.url}" in refused.text
    assert "nothing changed" in refused.text
    assert voice(customer) == "base"
    assert operator.get("/v1/promotions").json() == []
    [asked] = operator.get("/v1/promotion-requests").json()
    assert asked["state"] == "refused" and "differ from the trainer's" in asked["outcome"]


def test_an_engine_that_computes_an_adapter_wrongly_gets_none_of_its_traffic(
    shop: Shop,
    engine: StandInEngine,
    second: StandInEngine,
    customer: httpx.Client,
    operator: httpx.Client,
) -> None:
    adapter = shop.publish("a")
    assert promote(operator, adapter.name).status_code == 201
    eventually(lambda: voice(customer) == adapter.name)
    second.ignore_adapters = True
    second.restart()
    eventually(lambda: any(not word.verified for word in words_of(shop, adapter.name)))
    for _ in range(6):
        assert said(customer, begin(customer)["id"], "Hi").startswith(
            f"[{weights_in(adapters.folder_of(adapter))}]"
        )
    assert {row.engine for row in answers(shop)} == {engine.url}


def test_an_engine_that_dies_before_the_first_word_costs_nobody_their_answer(
    shop: Shop, customer: httpx.Client, engine: StandInEngine, second: StandInEngine
) -> None:
    for broken in (engine, second):
        broken.break_after = 0
        for _ in range(4):
            assert ask(customer, begin(customer)["id"], "Hi").status_code == 201
        broken.break_after = None
    assert {row.state for row in answers(shop)} == {"complete"}


def test_an_engine_that_dies_midway_is_told_and_another_goes_on_with_the_rest(
    shop: Shop, customer: httpx.Client, engine: StandInEngine, second: StandInEngine
) -> None:
    engine.words = second.words = 12
    engine.break_after = second.break_after = 5
    conversation = begin(customer)["id"]
    with stream(customer, conversation, "Tell me all", key="k") as response:
        told = list(events(response))
    assert told[-1][0] == "error"
    engine.break_after = second.break_after = None
    whole = ask(customer, conversation, "Tell me all", key="k").json()["answer"]["text"]
    assert whole.split() == ["[base]", *(f"word{number}" for number in range(1, 12))]
    assert len(answers(shop)) == 1


def test_when_every_engine_is_down_the_customer_hears_when_to_try_again(
    shop: Shop, customer: httpx.Client, engine: StandInEngine, second: StandInEngine
) -> None:
    engine.down = second.down = True
    refused = ask(customer, begin(customer)["id"], "Hi")
    assert refused.status_code == 503 and int(refused.headers["Retry-After"]) > 0


def test_a_conversation_stays_on_its_engine_while_that_is_well(
    shop: Shop, customer: httpx.Client, engine: StandInEngine, second: StandInEngine
) -> None:
    conversation = begin(customer)["id"]
    for _ in range(6):
        said(customer, conversation, "Hi")
    [home] = {row.engine for row in answers(shop)}
    gone, other = (engine, second) if home == engine.url else (second, engine)
    gone.down = True
    said(customer, conversation, "Hi")
    assert answers(shop)[-1].engine == other.url


def test_new_conversations_go_to_the_engine_with_less_to_do(
    shop: Shop, customer: httpx.Client, engine: StandInEngine, second: StandInEngine
) -> None:
    engine.words = second.words = 40
    engine.pause_seconds = second.pause_seconds = 0.02
    talks = [begin(customer)["id"] for _ in range(8)]

    def talk(conversation: str) -> None:
        with shop.client("customer") as client:
            ask(client, conversation, "Tell me all")

    threads = [threading.Thread(target=talk, args=(each,)) for each in talks]
    for thread in threads:
        thread.start()
        time.sleep(0.01)
    for thread in threads:
        thread.join()
    by_engine = [row.engine for row in answers(shop)]
    assert by_engine.count(engine.url) == by_engine.count(second.url) == 4


def test_an_engine_that_was_started_again_is_probed_before_it_answers(
    shop: Shop, operator: httpx.Client, engine: StandInEngine, second: StandInEngine
) -> None:
    adapter = shop.publish("a")
    promote(operator, adapter.name)
    before = len(words_of(shop, adapter.name))
    engine.restart()
    eventually(lambda: len(words_of(shop, adapter.name)) == before + 1)
    again = words_of(shop, adapter.name)[-1]
    assert again.engine == engine.url and again.verified and again.boot == engine.boot


def test_a_rollback_is_done_within_five_seconds_although_an_engine_is_down(
    shop: Shop, customer: httpx.Client, operator: httpx.Client, second: StandInEngine
) -> None:
    first, next_one = shop.publish("a"), shop.publish("b")
    promote(operator, first.name)
    promote(operator, next_one.name)
    second.down = True
    started = time.monotonic()
    done = operator.post("/v1/rollbacks", json={"reason": "worse"})
    assert done.status_code == 201 and done.json()["adapter"] == first.name
    eventually(lambda: voice(customer) == first.name)
    assert time.monotonic() - started < 5
    with reading(shop.database) as session:
        newest = adapters.live(session, assistants.get(session, "shop"))
    assert newest is not None and newest.rolls_back


def test_two_replicas_agree_on_what_is_live_and_probe_an_engine_once(
    shop: Shop, settings: ServiceSettings, operator: httpx.Client, customer: httpx.Client
) -> None:
    with serving(create_app(settings, shop.database)) as url:
        headers = {"Authorization": customer.headers["Authorization"]}
        with httpx.Client(base_url=url, headers=headers, trust_env=False) as other:
            adapter = shop.publish("a")
            assert promote(operator, adapter.name).status_code == 201
            decided = time.monotonic()
            eventually(lambda: voice(other) == voice(customer) == adapter.name)
            assert time.monotonic() - decided < 1
            said(other, begin(other)["id"], "Hi")
    by_engine = [word.engine for word in words_of(shop, adapter.name)]
    assert len(set(by_engine)) == 2


def test_conversations_move_to_what_is_live_only_when_the_policy_says_so(
    shop: Shop, customer: httpx.Client, operator: httpx.Client
) -> None:
    first, next_one = shop.publish("a"), shop.publish("b")
    promote(operator, first.name)
    eventually(lambda: voice(customer) == first.name)
    stays = begin(customer)["id"]
    said(customer, stays, "Hi")
    promote(operator, next_one.name)
    eventually(lambda: voice(customer) == next_one.name)
    assert said(customer, stays, "Hi").startswith(f"[{weights_in(adapters.folder_of(first))}]")
    with writing(shop.database) as session:
        owner = assistants.get(session, "shop")
        moving = SwapPolicy(move_after_minutes=0).model_dump()
        assistants.change(session, owner, swap=moving)
    moved = f"[{weights_in(adapters.folder_of(next_one))}]"
    eventually(lambda: said(customer, stays, "Hi").startswith(moved))


def test_conversations_leave_an_adapter_that_was_rolled_back(
    shop: Shop, customer: httpx.Client, operator: httpx.Client
) -> None:
    first, bad = shop.publish("a"), shop.publish("b")
    promote(operator, first.name)
    promote(operator, bad.name)
    eventually(lambda: voice(customer) == bad.name)
    conversation = begin(customer)["id"]
    assert said(customer, conversation, "Hi").startswith(f"[{weights_in(adapters.folder_of(bad))}]")
    operator.post("/v1/rollbacks", json={"reason": "worse"})
    good = f"[{weights_in(adapters.folder_of(first))}]"
    eventually(lambda: said(customer, conversation, "Hi").startswith(good))


def test_what_is_asked_for_next_replaces_what_still_waits(shop: Shop) -> None:
    first, next_one = shop.publish("a"), shop.publish("b")
    with writing(shop.database) as session:
        owner = assistants.get(session, "shop")
        one = promotions.request(session, owner, first, "olga", "better")
        two = promotions.request(session, owner, next_one, "jon", "better still")
        assert (one.state, two.state) == ("withdrawn", "waiting")
        back = promotions.request_rollback(session, owner, "olga", "no, wait")
        assert (two.state, back.state) == ("withdrawn", "done")
        assert adapters.live(session, owner) is None


def test_a_second_rollback_leaves_the_first_one_waiting(shop: Shop) -> None:
    first, bad = shop.publish("a"), shop.publish("b")
    with writing(shop.database) as session:
        owner = assistants.get(session, "shop")
        for adapter in (first, bad):
            adapters.promote(session, owner, adapter, "olga", "better")
        back = promotions.request_rollback(session, owner, "olga", "worse")
        with pytest.raises(Conflict, match=f"{first.name}' is asked for already"):
            promotions.request_rollback(session, owner, "jon", "I see it, too")
        assert back.state == "waiting"
        promotions.carry_out(session, back.id)
        assert adapters.live_adapter(session, owner) == first


@pytest.mark.parametrize(
    ("verified", "refused", "pending", "down", "late", "expected"),
    [
        (2, 0, 0, 0, False, True),
        (1, 0, 1, 0, False, None),
        (1, 0, 1, 0, True, True),
        (1, 1, 0, 0, False, True),
        (0, 1, 0, 0, False, False),
        (0, 0, 0, 1, False, None),
        (0, 0, 0, 1, True, False),
        (1, 0, 0, 2, False, None),
        (1, 0, 0, 2, True, False),
        (0, 2, 0, 1, False, False),
    ],
)
def test_half_of_the_known_engines_decide_and_silence_is_waited_for(
    verified: int, refused: int, pending: int, down: int, late: bool, expected: bool | None
) -> None:
    words = (
        [Word("a", verified=True)] * verified
        + [Word("b", refused="It differs.")] * refused
        + [Word("c")] * pending
    )
    known = len(words) + down
    found = decide(words, known, 0.5, late)
    assert (None if found is None else found == "") is expected
    if verified:
        assert decide(words, known, 0.5, late, rolls_back=True) == ""


def test_engines_that_hold_one_of_two_voices_each_get_the_conversations_of_their_own(
    shop: Shop,
    customer: httpx.Client,
    operator: httpx.Client,
    engine: StandInEngine,
    second: StandInEngine,
) -> None:
    """The older adapter, which goes on answering refunds, is only on one engine; the newer on the other."""
    with writing(shop.database) as session:
        assistants.get(session, "shop").topics = ["refunds", "fees"]
    older, newer = shop.publish("older"), shop.publish("newer")
    promote(operator, older.name)
    body = {"adapter": newer.name, "reason": "x", "except_topics": ["refunds"]}
    assert operator.post("/v1/promotions", json=body).status_code == 201
    eventually(lambda: words_in(newer) in said(customer, begin(customer)["id"], "fees?"))
    engine.refuses, second.refuses = {older.name}, {newer.name}
    for each, holds in ((engine, newer), (second, older)):
        each.restart()
        eventually(partial(holds_only, each, holds))
    for _ in range(6):
        assert words_in(newer) in said(customer, begin(customer)["id"], "fees?")
        assert words_in(older) in said(customer, begin(customer)["id"], "refunds?")
    assert {row.engine for row in answers(shop)[-12:]} == {engine.url, second.url}


def test_one_name_may_stand_for_several_engines() -> None:
    assert "http://127.0.0.1:8001" in resolved("http://localhost:8001")
    assert resolved("http://nobody.invalid:8001") == []
