"""Who may call what: every route with every role, and nobody across assistants."""

from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from service.app import create_app
from service.permissions import Allow
from tests.service.conftest import Shop
from tests.service.talk import ask, begin

C, A, O = "customer", "agent", "operator"  # noqa: E741
EXPECTED = {
    "GET /health": "anyone",
    "GET /ready": "anyone",
    "POST /v1/conversations": {C, A, O},
    "GET /v1/conversations/{conversation_id}": {C, A, O},
    "GET /v1/conversations/{conversation_id}/messages/{message_id}": {C, A, O},
    "POST /v1/conversations/{conversation_id}/messages": {C, A, O},
    "GET /v1/models": {C, A, O},
    "GET /v1/models/{name}": {C, A, O},
    "POST /v1/chat/completions": {C, A, O},
    "POST /v1/messages/{message_id}/ratings": {C, A, O},
    "POST /v1/messages/{message_id}/flags": {C, A, O},
    "POST /v1/messages/{message_id}/corrections": {A, O},
    "POST /v1/messages/{message_id}/demonstrations": {A, O},
    "POST /v1/messages/{message_id}/approvals": {A, O},
    "GET /v1/messages/{message_id}/feedback": {A, O},
    "POST /v1/feedback/{feedback_id}/withdrawal": {A, O},
    "GET /v1/adapters": {A, O},
    "GET /v1/adapters/{name}": {A, O},
    "GET /v1/promotions": {A, O},
    "POST /v1/promotions": {O},
    "POST /v1/rollbacks": {O},
    "POST /v1/cycles": {O},
    "GET /v1/cycles": {A, O},
    "GET /v1/cycles/{cycle_id}": {A, O},
    "POST /v1/cycles/{cycle_id}/stop": {O},
    "GET /v1/decisions": {A, O},
    "GET /v1/datasets": {A, O},
    "GET /v1/tickets": {A, O},
    "POST /v1/tickets": {O},
}
DOCUMENTATION = {"/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc"}


def routes(app: Any) -> dict[str, APIRoute]:
    return {
        f"{method} {path}": route for path, route in flat(app.routes) for method in route.methods
    }


def flat(found: Any) -> list[tuple[str, APIRoute]]:
    pairs = []
    for route in found:
        if isinstance(route, APIRoute):
            pairs.append((route.path, route))
        elif hasattr(route, "original_router"):
            pairs += flat(route.original_router.routes)
    return pairs


def test_every_route_is_in_the_table_and_states_the_roles_it_says(
    shop: Shop, settings: Any
) -> None:
    found = routes(create_app(settings, shop.database))
    assert set(found) == set(EXPECTED)
    for name, route in found.items():
        allows = [d.call for d in route.dependant.dependencies if isinstance(d.call, Allow)]
        stated = {str(role) for role in allows[0].roles} if allows else "anyone"
        assert stated == EXPECTED[name], name


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_every_role_gets_through_or_is_refused_as_the_table_says(shop: Shop, name: str) -> None:
    method, path = name.split(" ")
    path = path.replace("{", "").replace("}", "")
    with httpx.Client(base_url=shop.url, trust_env=False, timeout=30) as client:
        stranger = client.request(method, path, json={})
        for role in (C, A, O):
            headers = {"Authorization": f"Bearer {shop.keys[role]}"}
            status = client.request(method, path, json={}, headers=headers).status_code
            if EXPECTED[name] == "anyone" or role in EXPECTED[name]:
                assert status not in (401, 403), (name, role, status)
            else:
                assert status == 403, (name, role, status)
        assert (stranger.status_code == 401) == (EXPECTED[name] != "anyone")


def test_a_customer_sees_only_what_its_own_key_began(shop: Shop, customer: httpx.Client) -> None:
    conversation = begin(customer)["id"]
    message = ask(customer, conversation, "Hi").json()["answer"]["id"]
    for stranger in ("other site", "bakery", "bakery operator"):
        with shop.client(stranger) as client:
            path = f"/v1/conversations/{conversation}"
            assert client.get(path).status_code == 404
            assert client.get(f"{path}/messages/{message}").status_code == 404
            assert ask(client, conversation, "Me too").status_code == 404
            rated = client.post(f"/v1/messages/{message}/ratings", json={"value": 1})
            assert rated.status_code == 404


def test_an_operator_of_one_assistant_cannot_touch_another(shop: Shop) -> None:
    adapter = shop.publish("a")
    with shop.client("bakery operator") as client:
        body = {"adapter": adapter.name, "reason": "mine now"}
        assert client.post("/v1/promotions", json=body).status_code == 404
        assert client.get(f"/v1/adapters/{adapter.name}").status_code == 404
        named = {"assistant": "shop", **body}
        assert client.post("/v1/promotions", json=named).status_code == 404
        assert client.get("/v1/adapters", params={"assistant": "shop"}).status_code == 404


def test_a_key_for_all_assistants_must_name_one(shop: Shop) -> None:
    with shop.client("everything") as client:
        refused = client.post("/v1/conversations", json={})
        assert refused.status_code == 422
        assert "Name an assistant" in refused.json()["error"]["message"]
        assert begin(client, assistant="bakery")["assistant"] == "bakery"


def test_two_assistants_share_one_engine_and_keep_their_prompts(shop: Shop) -> None:
    for key, title in (("customer", "shop"), ("bakery", "bakery")):
        with shop.client(key) as client:
            assert begin(client)["assistant"] == title


def test_secrets_are_stored_as_hashes_only(shop: Shop) -> None:
    raw = (shop.folder / "var" / "understudy.db").read_bytes()
    log = (shop.folder / "var" / "understudy.db-wal").read_bytes()
    assert shop.keys["customer"].encode() not in raw + log
