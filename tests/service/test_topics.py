"""Topics over the API: the list, what a conversation is about, what an exam's answers chose."""

import httpx

from feedback import assistants, audit
from feedback.database import reading
from feedback.tables import Conversation
from tests.console.trained import add_tickets, teach, train
from tests.service.conftest import Shop
from tests.service.talk import begin

TOPICS = ["returns", "opening_hours"]


def set_topics(operator: httpx.Client, topics: list[str] = TOPICS) -> httpx.Response:
    return operator.put("/v1/topics", json={"assistant": "shop", "topics": topics})


def acts(shop: Shop) -> list[str]:
    with reading(shop.database) as session:
        return [entry.act for entry in audit.every(session)]


def test_an_operator_sets_the_list_and_staff_read_it(
    shop: Shop, operator: httpx.Client, agent: httpx.Client
) -> None:
    assert set_topics(operator).json() == {"assistant": "shop", "topics": TOPICS}
    assert agent.get("/v1/topics").json()["topics"] == TOPICS
    assert set_topics(operator).status_code == 200  # again: nothing is different
    assert acts(shop).count("assistant.change") == 1
    refused = set_topics(operator, ["a_b", "a b"])
    assert refused.status_code == 422 and "read the same" in refused.text
    assert agent.get("/v1/topics").json()["topics"] == TOPICS


def test_staff_say_what_a_conversation_is_about_and_it_is_on_record(
    shop: Shop, operator: httpx.Client, agent: httpx.Client, customer: httpx.Client
) -> None:
    set_topics(operator)
    talk = begin(customer)["id"]
    path = f"/v1/conversations/{talk}/topic"
    named = agent.put(path, json={"topic": "returns"}).json()
    assert named == {"conversation": talk, "topic": "returns", "topic_by": "agent"}
    assert acts(shop)[0] == "conversation.topic" or acts(shop)[-1] == "conversation.topic"
    wrong = agent.put(path, json={"topic": "weather"})
    assert wrong.status_code == 422 and "'opening_hours'" in wrong.text
    assert customer.put(path, json={"topic": "returns"}).status_code == 403
    agent.put(path, json={"topic": None})
    with reading(shop.database) as session:
        found = session.get_one(Conversation, talk)
        assert (found.topic, found.topic_by) == (None, None)


def test_a_run_says_what_its_answers_chose(shop: Shop, agent: httpx.Client) -> None:
    teach(shop)
    add_tickets(shop, 4)
    run = train(shop).decision.candidate_run_id
    told = agent.get(f"/v1/eval-runs/{run}/choices").json()
    assert set(told) == {"topics", "handovers"}
    with shop.client("bakery operator") as stranger:
        assert stranger.get(f"/v1/eval-runs/{run}/choices").status_code == 404
    with reading(shop.database) as session:
        assert assistants.get(session, "shop").topics == []
