"""What people say about answers, over the API."""

import httpx
import pytest

from tests.service.talk import ask, begin


@pytest.fixture
def exchange(customer: httpx.Client) -> dict[str, dict[str, str]]:
    conversation = begin(customer)["id"]
    answered: dict[str, dict[str, str]] = ask(customer, conversation, "How long?").json()
    return answered


def test_a_correction_is_kept_with_author_and_time_and_a_newer_one_supersedes_it(
    agent: httpx.Client, exchange: dict[str, dict[str, str]]
) -> None:
    path = f"/v1/messages/{exchange['answer']['id']}"
    first = agent.post(f"{path}/corrections", json={"text": "Forty days."}).json()
    second = agent.post(f"{path}/corrections", json={"text": "40 days."}).json()
    assert first["author"] == "agent" and first["created_at"]
    assert second["supersedes_id"] == first["id"]
    states = [row["state"] for row in agent.get(f"{path}/feedback").json()]
    assert states == ["superseded", "active"]


def test_everyone_rates_and_flags_but_each_only_for_themselves(
    customer: httpx.Client, agent: httpx.Client, exchange: dict[str, dict[str, str]]
) -> None:
    path = f"/v1/messages/{exchange['answer']['id']}"
    assert customer.post(f"{path}/ratings", json={"value": -1}).status_code == 201
    assert agent.post(f"{path}/ratings", json={"value": 1}).status_code == 201
    assert customer.post(f"{path}/flags", json={"reason": "wrong_fact"}).status_code == 201
    rows = agent.get(f"{path}/feedback").json()
    assert [row["state"] for row in rows] == ["active"] * 3
    assert {row["author_role"] for row in rows} == {"customer", "agent"}


def test_a_demonstration_answers_a_customers_message(
    agent: httpx.Client, exchange: dict[str, dict[str, str]]
) -> None:
    question, answer = exchange["question"]["id"], exchange["answer"]["id"]
    body = {"text": "Forty days, mud forgiven."}
    assert agent.post(f"/v1/messages/{question}/demonstrations", json=body).status_code == 201
    refused = agent.post(f"/v1/messages/{answer}/demonstrations", json=body)
    assert refused.status_code == 422
    assert "answers a customer's message" in refused.json()["error"]["message"]


def test_feedback_is_withdrawn_by_its_author_only(
    agent: httpx.Client, operator: httpx.Client, exchange: dict[str, dict[str, str]]
) -> None:
    path = f"/v1/messages/{exchange['answer']['id']}/approvals"
    approval = agent.post(path, json={}).json()["id"]
    assert operator.post(f"/v1/feedback/{approval}/withdrawal").status_code == 404
    assert agent.post(f"/v1/feedback/{approval}/withdrawal").json()["state"] == "withdrawn"
    assert agent.post(f"/v1/feedback/{approval}/withdrawal").status_code == 409


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("ratings", {"value": 5}, "value"),
        ("flags", {"reason": "boring"}, "wrong_fact"),
        ("corrections", {"text": ""}, "empty"),
        ("corrections", {"words": "x"}, "words"),
    ],
)
def test_bad_feedback_is_refused_with_a_sentence(
    agent: httpx.Client,
    exchange: dict[str, dict[str, str]],
    kind: str,
    body: dict[str, object],
    expected: str,
) -> None:
    response = agent.post(f"/v1/messages/{exchange['answer']['id']}/{kind}", json=body)
    assert response.status_code == 422
    assert expected in response.json()["error"]["message"]


def test_a_cycle_is_requested_once_and_can_be_stopped(operator: httpx.Client) -> None:
    cycle = operator.post("/v1/cycles", json={}).json()
    assert cycle["state"] == "requested" and cycle["requested_by"] == "operator"
    assert operator.post("/v1/cycles", json={}).status_code == 409
    assert operator.post(f"/v1/cycles/{cycle['id']}/stop").json()["state"] == "stopped"
    assert [row["state"] for row in operator.get("/v1/cycles").json()] == ["stopped"]


def test_tickets_are_added_and_listed(operator: httpx.Client) -> None:
    ticket = {
        "name": "t1",
        "context": [{"role": "user", "content": "How long may I keep it?"}],
        "reference": "Forty days.",
        "must_say": ["forty"],
    }
    assert operator.post("/v1/tickets", json=ticket).status_code == 201
    assert operator.post("/v1/tickets", json=ticket).status_code == 409
    assert [row["name"] for row in operator.get("/v1/tickets").json()] == ["t1"]
