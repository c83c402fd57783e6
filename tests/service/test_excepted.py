"""Live for the other topics only, through the doors: the topic of the first message decides who answers."""

import logging
import time
from typing import Any

import httpx
import pytest

from feedback import adapters, assistants, conversations
from feedback.database import reading, writing
from feedback.tables import Adapter, Conversation, Message, MessageState, Speaker
from service.settings import ServiceSettings
from tests.service.conftest import Shop
from tests.service.talk import ask, begin, events, eventually, said, stream
from tests.stand_in_engine import StandInEngine, weights_in

TOPICS = ["returns", "refunds", "fees"]


@pytest.fixture
def settings(settings: ServiceSettings) -> ServiceSettings:
    return settings.model_copy(update={"topic_timeout_seconds": 2.0, "trial_poll_seconds": 0.05})


@pytest.fixture
def pair(shop: Shop, operator: httpx.Client) -> tuple[Adapter, Adapter]:
    """The older adapter answers refunds, the newer one everything else."""
    with writing(shop.database) as session:
        assistants.get(session, "shop").topics = TOPICS
    older, newer = shop.publish("older"), shop.publish("newer")
    assert promote(operator, older).status_code == 201
    assert promote(operator, newer, "refunds").status_code == 201
    return older, newer


@pytest.fixture
def in_force(pair: tuple[Adapter, Adapter], customer: httpx.Client) -> tuple[Adapter, Adapter]:
    """As soon as this service has noticed."""
    older, newer = pair
    eventually(lambda: words_of(newer) in about(customer, "fees"))
    return older, newer


def promote(operator: httpx.Client, adapter: Adapter, *topics: str) -> httpx.Response:
    body = {"adapter": adapter.name, "reason": "a test", "except_topics": list(topics)}
    return operator.post("/v1/promotions", json=body)


def words_of(adapter: Adapter) -> str:
    return f"[{weights_in(adapters.folder_of(adapter))}]"


def about(customer: httpx.Client, topic: str) -> str:
    """The answer to a first question about a topic."""
    return said(customer, begin(customer)["id"], f"Something about {topic}, please")


def stored(shop: Shop, ident: str) -> tuple[Conversation, list[Message]]:
    with reading(shop.database) as session:
        found = session.get_one(Conversation, ident)
        return found, [m for m in conversations.messages_of(session, ident)]


def choices(engine: StandInEngine) -> list[dict[str, Any]]:
    return [body for body in engine.asked if "structured_outputs" in body]


def test_the_first_message_decides_and_the_conversation_keeps_that_voice(
    shop: Shop, customer: httpx.Client, in_force: tuple[Adapter, Adapter], engine: StandInEngine
) -> None:
    older, newer = in_force
    engine.asked.clear()
    for topic, adapter in (("refunds", older), ("fees", newer), ("returns", newer)):
        ident = begin(customer)["id"]
        assert said(customer, ident, f"Hello, {topic}?").startswith(words_of(adapter))
        other = "fees" if topic == "refunds" else "refunds"
        assert said(customer, ident, f"And {other}?").startswith(words_of(adapter))
        talk, messages = stored(shop, ident)
        assert (talk.topic, talk.topic_by, talk.adapter_id) == (topic, "bot", adapter.id)
        answers = [each for each in messages if each.speaker == Speaker.ASSISTANT]
        assert {each.adapter_id for each in answers} == {adapter.id}
        assert {each.adapter_digest for each in answers} == {adapter.digest}
    assert len(choices(engine)) == 3 and len(engine.asked) == 3 + 6
    assert {body["model"] for body in choices(engine)} == {newer.name}


def test_streams_and_the_openai_door_decide_alike(
    customer: httpx.Client, shop: Shop, in_force: tuple[Adapter, Adapter]
) -> None:
    older, newer = in_force
    for topic, adapter in (("refunds", older), ("fees", newer)):
        with stream(customer, begin(customer)["id"], f"Hello, {topic}?") as response:
            told = [data for name, data in events(response) if name == "answer"]
        assert told[0]["text"].startswith(words_of(adapter))
        before = [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello! What is it about?"},
        ]
        for earlier in ([], before):
            messages = [*earlier, {"role": "user", "content": f"It is {topic}, {len(earlier)}."}]
            body = {"model": "shop", "messages": messages}
            response = customer.post("/v1/chat/completions", json=body)
            text = response.json()["choices"][0]["message"]["content"]
            assert text.startswith(words_of(adapter))
            talk, _ = stored(shop, response.headers["X-Conversation-Id"])
            assert talk.topic == topic


@pytest.mark.parametrize("trouble", ["down", "slow"])
def test_where_the_topic_cannot_be_told_the_older_adapter_answers(
    customer: httpx.Client,
    shop: Shop,
    in_force: tuple[Adapter, Adapter],
    engine: StandInEngine,
    caplog: pytest.LogCaptureFixture,
    trouble: str,
) -> None:
    older, newer = in_force
    engine.choice_down, engine.choice_pause_seconds = trouble == "down", 30.0
    started, ident = time.monotonic(), begin(customer)["id"]
    with caplog.at_level(logging.WARNING, "service.settling"):
        answer = eventually(lambda: _text(ask(customer, ident, "My secret about fees")))
    assert answer.startswith(words_of(older))
    assert time.monotonic() - started < 10
    assert stored(shop, ident)[0].topic is None
    [record] = [each for each in caplog.records if each.name == "service.settling"]
    assert ident in record.getMessage() and "secret" not in record.getMessage()
    engine.choice_down, engine.choice_pause_seconds = False, 0.0
    engine.asked.clear()
    assert said(customer, ident, "Once more, fees").startswith(words_of(older))
    assert not choices(engine)
    eventually(lambda: words_of(newer) in about(customer, "fees"))


def _text(response: httpx.Response) -> str:
    return response.json()["answer"]["text"] if response.status_code == 201 else ""


def test_without_exceptions_no_topic_is_asked(
    customer: httpx.Client, shop: Shop, operator: httpx.Client, engine: StandInEngine
) -> None:
    with writing(shop.database) as session:
        assistants.get(session, "shop").topics = TOPICS
    adapter = shop.publish("a")
    promote(operator, adapter)
    eventually(lambda: begin(customer)["adapter"] == adapter.name)
    engine.asked.clear()
    ident = begin(customer)["id"]
    said(customer, ident, "refunds")
    said(customer, ident, "fees")
    assert len(engine.asked) == 2 and not choices(engine)
    assert stored(shop, ident)[0].topic is None


def test_a_topic_that_a_person_named_is_not_asked_for(
    customer: httpx.Client, shop: Shop, in_force: tuple[Adapter, Adapter], engine: StandInEngine
) -> None:
    older, newer = in_force
    engine.asked.clear()
    for topic, adapter in (("refunds", older), ("fees", newer)):
        ident = begin(customer)["id"]
        with writing(shop.database) as session:
            talk = conversations.get(session, ident)
            talk.topic, talk.topic_by = topic, "mara"
        assert said(customer, ident, "Hello?").startswith(words_of(adapter))
        talk, _ = stored(shop, ident)
        assert (talk.topic_by, talk.adapter_id) == ("mara", adapter.id)
    assert not choices(engine)


def test_an_engine_started_again_gets_both_back(
    customer: httpx.Client, in_force: tuple[Adapter, Adapter], engine: StandInEngine
) -> None:
    older, newer = in_force
    for _ in range(3):
        engine.restart()
        for topic, adapter in (("refunds", older), ("fees", newer)):
            assert about(customer, topic).startswith(words_of(adapter))


def test_a_rollback_and_a_full_promotion_end_it(
    customer: httpx.Client,
    operator: httpx.Client,
    in_force: tuple[Adapter, Adapter],
    engine: StandInEngine,
) -> None:
    older, newer = in_force
    [first, _] = operator.get("/v1/promotions").json()
    assert (first["except_topics"], first["except_adapter"]) == (["refunds"], older.name)
    listed = {each["name"]: each for each in operator.get("/v1/adapters").json()}
    assert listed[older.name]["answers_topics"] == ["refunds"] and not listed[older.name]["live"]
    assert promote(operator, newer).status_code == 201
    eventually(lambda: about(customer, "refunds").startswith(words_of(newer)))
    assert operator.post("/v1/rollbacks", json={"reason": "x"}).json()["adapter"] == older.name
    eventually(lambda: about(customer, "fees").startswith(words_of(older)))
    engine.asked.clear()
    assert about(customer, "refunds").startswith(words_of(older))
    assert not choices(engine)
    assert promote(operator, newer, "tents").status_code == 422


def test_the_same_request_sent_again_asks_the_topic_again_as_nothing_was_said(
    customer: httpx.Client, shop: Shop, in_force: tuple[Adapter, Adapter], engine: StandInEngine
) -> None:
    _, newer = in_force
    ident = begin(customer)["id"]
    engine.break_after = 0
    assert ask(customer, ident, "fees?", "key").status_code == 503
    engine.break_after = None
    again = eventually(lambda: _text(ask(customer, ident, "fees?", "key")))
    assert again.startswith(words_of(newer))
    talk, messages = stored(shop, ident)
    assert [each.state for each in messages] == [MessageState.COMPLETE] * 2
    assert talk.adapter_id == messages[1].adapter_id == newer.id


def test_a_canary_is_met_by_the_other_topics_only_and_is_promoted_for_these(
    customer: httpx.Client, operator: httpx.Client, shop: Shop, in_force: tuple[Adapter, Adapter]
) -> None:
    older, newer = in_force
    candidate = shop.publish("candidate")
    policy = {
        "window_seconds": 0.2, "promote": True, "alpha_pass": 0.45, "margins": {"error": 0.9},
    }  # fmt: skip
    body = {"adapter": candidate.name, "reason": "x", "share": 0.5, "policy": policy}
    trial = operator.post("/v1/trials", json=body).json()
    met: dict[str, set[str | None]] = {"refunds": set(), "fees": set()}
    spoke: dict[str, set[str]] = {"refunds": set(), "fees": set()}

    def visit(number: int) -> bool:
        for topic in met:
            ident = begin(customer, customer=f"c{number}")["id"]
            spoke[topic].add(said(customer, ident, f"{topic}?").split()[0])
            met[topic].add(stored(shop, ident)[0].trial_arm)
        return bool(operator.get(f"/v1/trials/{trial['id']}").json()["state"] == "promoted")

    assert any(visit(number) for number in range(200))
    assert met["refunds"] == {None} and spoke["refunds"] == {words_of(older)}
    assert {"candidate", "live"} <= met["fees"]
    assert spoke["fees"] >= {words_of(candidate), words_of(newer)}
    live = eventually(lambda: _live(operator, candidate))
    assert (live["except_topics"], live["except_adapter"]) == (["refunds"], older.name)


def _live(operator: httpx.Client, adapter: Adapter) -> dict[str, Any] | None:
    newest: dict[str, Any] = operator.get("/v1/promotions").json()[0]
    return newest if newest["adapter"] == adapter.name else None


def test_a_shadow_is_not_compared_with_what_the_live_adapter_did_not_say(
    customer: httpx.Client, operator: httpx.Client, shop: Shop, in_force: tuple[Adapter, Adapter]
) -> None:
    candidate = shop.publish("candidate")
    body = {"adapter": candidate.name, "reason": "x", "share": 0.999, "kind": "shadow"}
    assert operator.post("/v1/trials", json=body).status_code == 201
    kept: list[str] = []

    def shadowed() -> bool:
        kept.append(begin(customer)["id"])
        said(customer, kept[-1], "refunds?")
        ident = begin(customer)["id"]
        said(customer, ident, "fees?")
        time.sleep(0.1)
        return any(each.state == MessageState.SHADOW for each in stored(shop, ident)[1])

    eventually(shadowed)
    time.sleep(0.3)
    assert {m.state for ident in kept for m in stored(shop, ident)[1]} == {MessageState.COMPLETE}
