"""Customers' conversations: what is told is stored, what is stored is told once."""

import asyncio
import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from feedback.commits import Commits
from feedback.conversations import messages_of
from feedback.database import reading, writing
from feedback.tables import MessageState
from tests.service.conftest import Shop
from tests.service.talk import ask, begin, events, eventually, said, stream
from tests.stand_in_engine import StandInEngine


def test_a_question_is_answered_and_both_are_in_the_history(customer: httpx.Client) -> None:
    conversation = begin(customer, customer="ada")
    response = ask(customer, conversation["id"], "Is it waterproof?")
    assert response.status_code == 201
    assert response.json()["answer"]["text"] == "[base] You said: Is it waterproof?"
    history = customer.get(f"/v1/conversations/{conversation['id']}").json()
    assert [m["speaker"] for m in history["messages"]] == ["customer", "assistant"]
    assert history["customer"] == "ada"


def test_the_model_sees_the_prompt_and_the_conversation(
    customer: httpx.Client, engine: StandInEngine
) -> None:
    conversation = begin(customer)["id"]
    first = said(customer, conversation, "One")
    said(customer, conversation, "Two")
    assert engine.asked[-1]["messages"] == [
        {"role": "system", "content": "You are the shop."},
        {"role": "user", "content": "One"},
        {"role": "assistant", "content": first},
        {"role": "user", "content": "Two"},
    ]


def test_the_engine_begins_while_the_disk_still_writes_and_nobody_hears_of_it_before(
    customer: httpx.Client, engine: StandInEngine, shop: Shop
) -> None:
    conversation = begin(customer)["id"]
    asked, heard = threading.Event(), threading.Event()

    def wait(connection: object) -> None:  # the disk is slow until the engine was asked
        if not asked.is_set():
            eventually(lambda: engine.asked)
            asked.set()
            time.sleep(0.3)
            assert not heard.is_set()

    event.listen(shop.database, "commit", wait)
    with stream(customer, conversation, "A word?") as response:
        heard.set()
        told = list(events(response))
    event.remove(shop.database, "commit", wait)
    assert asked.is_set()
    assert told[-1][1]["text"] == "[base] You said: A word?"
    assert len(engine.asked) == 1


def test_a_question_that_the_disk_refuses_was_never_asked(
    customer: httpx.Client, engine: StandInEngine, shop: Shop
) -> None:
    conversation = begin(customer)["id"]

    def refuse(connection: object) -> None:
        eventually(lambda: engine.asked)
        raise OperationalError("COMMIT", {}, OSError("the disk is full"))

    engine.words, engine.pause_seconds = 60, 0.05
    event.listen(shop.database, "commit", refuse)
    failed = ask(customer, conversation, "Do you hear me?", key="k")
    event.remove(shop.database, "commit", refuse)
    assert failed.status_code == 503 and "try again" in failed.json()["error"]["message"]
    assert "disk" not in failed.text and failed.headers["Retry-After"]
    eventually(lambda: engine.aborted == 1)
    with reading(shop.database) as session:
        assert messages_of(session, conversation) == []

    engine.words = 0
    again = ask(customer, conversation, "Do you hear me?", key="k")
    assert again.json()["answer"]["text"] == "[base] You said: Do you hear me?"
    with reading(shop.database) as session:
        assert len(messages_of(session, conversation)) == 2


def test_a_repeated_question_is_answered_though_the_answer_ends_before_it_is_told(
    customer: httpx.Client, engine: StandInEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = begin(customer)["id"]
    engine.words, engine.pause_seconds = 6, 0.1
    run = Commits.run

    async def told_late(self: Commits, work: Any, soon: Any = None) -> Any:
        result = await run(self, work, soon)
        if (
            soon is not None and len(engine.asked) == 1
        ):  # the second request; the first ends meanwhile
            await asyncio.sleep(1.5)
        return result

    with stream(customer, conversation, "A slow one", key="k") as response:
        told = events(response)
        next(told)
        monkeypatch.setattr(Commits, "run", told_late)
        with ThreadPoolExecutor(1) as second:
            again = second.submit(ask, customer, conversation, "A slow one", "k")
            first = list(told)[-1][1]
            assert again.result(10).json()["answer"]["text"] == first["text"]
    assert len(engine.asked) == 1


def test_staff_see_how_an_answer_was_made_and_customers_do_not(
    customer: httpx.Client, agent: httpx.Client
) -> None:
    conversation = begin(customer)["id"]
    ask(customer, conversation, "Hello")
    path = f"/v1/conversations/{conversation}"
    answer = agent.get(path).json()["messages"][1]
    assert answer["base_model"] == "embedded"
    assert answer["sampling"]["max_tokens"] == 64
    assert answer["prompt_id"]
    assert answer["completion_tokens"] == 4
    assert answer["latency_ms"] >= answer["time_to_first_token_ms"] >= 0
    assert "sampling" not in customer.get(path).json()["messages"][1]


def test_a_stream_tells_the_question_the_words_and_the_stored_answer(
    customer: httpx.Client,
) -> None:
    conversation = begin(customer)["id"]
    with stream(customer, conversation, "Is it green?") as response:
        told = list(events(response))
    assert told[0][0] == "question"
    assert told[-1][0] == "answer"
    assert "".join(data["text"] for name, data in told if name == "delta") == told[-1][1]["text"]
    assert told[-1][1]["state"] == "complete"


def test_the_same_idempotency_key_asks_once(customer: httpx.Client, engine: StandInEngine) -> None:
    conversation = begin(customer)["id"]
    first = ask(customer, conversation, "Hello", key="k1").json()
    second = ask(customer, conversation, "Hello", key="k1").json()
    assert first == second
    assert len(engine.asked) == 1
    other = ask(customer, conversation, "Something else", key="k1")
    assert other.status_code == 409
    assert "new key" in other.json()["error"]["message"]


def test_two_requests_with_one_key_at_once_share_one_answer(
    customer: httpx.Client, engine: StandInEngine
) -> None:
    conversation = begin(customer)["id"]
    engine.pause_seconds = 0.05
    answers: list[httpx.Response] = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(ask(customer, conversation, "Hi there", "k"))
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {response.status_code for response in answers} == {201}
    assert len({response.json()["answer"]["id"] for response in answers}) == 1
    assert len(engine.asked) == 1


def test_a_second_question_waits_for_the_first_answer(
    customer: httpx.Client, engine: StandInEngine
) -> None:
    conversation = begin(customer)["id"]
    engine.pause_seconds = 0.2
    with stream(customer, conversation, "A slow one") as response:
        told = events(response)
        next(told)
        refused = ask(customer, conversation, "Another")
        assert refused.status_code == 409
        assert "one question at a time" in refused.json()["error"]["message"]
        list(told)


def test_when_the_customer_leaves_the_engine_stops_and_the_part_is_kept(
    customer: httpx.Client, engine: StandInEngine, shop: Shop
) -> None:
    conversation = begin(customer)["id"]
    engine.words, engine.pause_seconds = 60, 0.05
    with stream(customer, conversation, "Tell me everything", key="k") as response:
        told = events(response)
        for _ in range(4):
            next(told)
    eventually(lambda: engine.aborted == 1)

    def stored() -> str | None:
        with reading(shop.database) as session:
            answer = messages_of(session, conversation)[1]
            return answer.text if answer.state == MessageState.INTERRUPTED else None

    part = eventually(stored)
    assert 3 <= len(part.split()) < 60

    engine.pause_seconds = 0.0
    resumed = ask(customer, conversation, "Tell me everything", key="k").json()["answer"]
    assert resumed["state"] == "complete"
    assert resumed["text"].startswith(part)
    assert resumed["text"].split() == ["[base]", *(f"word{n}" for n in range(1, 60))]


def test_a_customer_who_leaves_while_the_answer_is_stored_finds_it_whole(
    customer: httpx.Client, engine: StandInEngine, shop: Shop
) -> None:
    conversation = begin(customer)["id"]
    engine.words, engine.pause_seconds = 3, 0.2
    with stream(customer, conversation, "Short", key="k") as response:
        told = events(response)
        next(told)
        with writing(shop.database) as session:
            session.connection()  # the writer's lock: storing the answer waits for it
            list(itertools.islice(told, 3))
            time.sleep(0.3)
            response.close()
            time.sleep(0.3)
    answer = ask(customer, conversation, "Short", key="k").json()["answer"]
    assert answer["state"] == "complete" and answer["text"] == "[base] word1 word2"
    assert len(engine.asked) == 1


def test_when_a_waiting_customer_leaves_the_engine_stops_too(
    customer: httpx.Client, engine: StandInEngine
) -> None:
    conversation = begin(customer)["id"]
    engine.words, engine.pause_seconds = 60, 0.1
    with pytest.raises(httpx.ReadTimeout):
        customer.post(
            f"/v1/conversations/{conversation}/messages", json={"text": "Hi"}, timeout=0.5
        )
    eventually(lambda: engine.aborted == 1)


def test_one_of_two_followers_may_leave(customer: httpx.Client, engine: StandInEngine) -> None:
    conversation = begin(customer)["id"]
    engine.words, engine.pause_seconds = 20, 0.05
    with stream(customer, conversation, "Long", key="k") as leaving:
        leaver = events(leaving)
        next(leaver)
        with stream(customer, conversation, "Long", key="k") as staying:
            told = events(staying)
            next(told)
            leaving.close()
            rest = list(told)
    assert rest[-1][0] == "answer"
    assert engine.aborted == 0


def test_when_the_engine_is_down_the_message_is_kept_and_the_same_request_answers_later(
    customer: httpx.Client, engine: StandInEngine
) -> None:
    conversation = begin(customer)["id"]
    engine.down = True
    refused = ask(customer, conversation, "Anyone there?", key="k")
    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) > 0
    assert "Nothing was lost" in refused.json()["error"]["message"]
    messages = customer.get(f"/v1/conversations/{conversation}").json()["messages"]
    assert messages[0]["text"] == "Anyone there?"
    assert messages[1]["state"] == "failed"
    engine.down = False
    answered = ask(customer, conversation, "Anyone there?", key="k")
    assert answered.json()["answer"]["text"] == "[base] You said: Anyone there?"
    assert len(customer.get(f"/v1/conversations/{conversation}").json()["messages"]) == 2


@pytest.mark.parametrize("fault", ["stall_after", "break_after"])
def test_an_answer_cut_off_midway_says_so_and_goes_on_when_asked_again(
    customer: httpx.Client, engine: StandInEngine, fault: str
) -> None:
    conversation = begin(customer)["id"]
    engine.words = 10
    setattr(engine, fault, 5)
    with stream(customer, conversation, "Long", key="k") as response:
        told = list(events(response))
    assert told[-1][0] == "error"
    assert told[-1][1]["retry_after_seconds"] > 0
    setattr(engine, fault, None)
    whole = ask(customer, conversation, "Long", key="k").json()["answer"]["text"]
    assert whole.split() == ["[base]", *(f"word{n}" for n in range(1, 10))]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"text": ""}, "empty"),
        ({"text": "   "}, "empty"),
        ({"text": "x" * 9000}, "FEEDBACK_TEXT_MAX_CHARS"),
        ({"text": "a\x00b"}, "NUL"),
        ({"text": 7}, "text"),
        ({"words": "hi"}, "words"),
    ],
)
def test_a_bad_message_is_refused_with_a_sentence_and_stores_nothing(
    customer: httpx.Client, body: dict[str, object], expected: str
) -> None:
    conversation = begin(customer)["id"]
    response = customer.post(f"/v1/conversations/{conversation}/messages", json=body)
    assert response.status_code == 422
    assert expected in response.json()["error"]["message"]
    assert customer.get(f"/v1/conversations/{conversation}").json()["messages"] == []


def test_a_body_over_the_limit_is_refused_unread(customer: httpx.Client) -> None:
    response = customer.post("/v1/conversations", content=b" " * 2_000_000)
    assert response.status_code == 413
    assert "SERVICE_BODY_MAX_BYTES" in response.json()["error"]["message"]


def test_what_was_being_written_when_the_service_died_can_be_resumed(
    customer: httpx.Client, shop: Shop, engine: StandInEngine
) -> None:
    from sqlmodel import select

    from feedback.conversations import ask as store_question
    from feedback.conversations import close_abandoned, get
    from feedback.tables import Prompt

    conversation = begin(customer)["id"]
    with writing(shop.database) as session:
        row = get(session, conversation)
        prompt = session.exec(select(Prompt).where(Prompt.assistant_id == row.assistant_id)).one()
        store_question(session, row, "Hello", prompt, None, "embedded", {}, "k", "dead-host:1")
    refused = ask(customer, conversation, "Hello", key="k")
    assert refused.status_code == 409
    with writing(shop.database) as session:
        assert close_abandoned(session, "another:1", 3600) == 0
        assert close_abandoned(session, "dead-host:1", 3600) == 1
    assert ask(customer, conversation, "Hello", key="k").json()["answer"]["state"] == "complete"


def test_health_tells_alive_from_ready(shop: Shop, engine: StandInEngine) -> None:
    with httpx.Client(base_url=shop.url, trust_env=False) as anyone:
        assert anyone.get("/health").status_code == 200
        assert anyone.get("/ready").status_code == 200
        engine.down = True
        assert anyone.get("/health").status_code == 200
        assert anyone.get("/ready").status_code == 503
