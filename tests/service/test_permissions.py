"""Who may call what: every route with every role, and nobody across assistants."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from evals.doors import DOORS
from feedback.tables import Role
from service.app import create_app
from service.permissions import Allow
from tests.service.conftest import Shop
from tests.service.talk import ask, begin
from tests.service.world import (
    PLACE,
    Ids,
    World,
    filled,
    flat,
    made_up,
    personal_key,
    status_and_text,
    without_ids,
)

CUSTOMER, AGENT, OPERATOR, ADMIN = map(str, Role)
EVERYONE = {CUSTOMER, AGENT, OPERATOR, ADMIN}
STAFF = {AGENT, OPERATOR, ADMIN}
OPERATORS = {OPERATOR, ADMIN}
ADMINS = {ADMIN}
EXPECTED = {
    "GET /health": "anyone",
    "GET /ready": "anyone",
    "POST /v1/conversations": EVERYONE,
    "GET /v1/conversations/{conversation_id}": EVERYONE,
    "GET /v1/conversations/{conversation_id}/messages/{message_id}": EVERYONE,
    "POST /v1/conversations/{conversation_id}/messages": EVERYONE,
    "GET /v1/models": EVERYONE,
    "GET /v1/models/{name}": EVERYONE,
    "POST /v1/chat/completions": EVERYONE,
    "POST /v1/messages/{message_id}/ratings": EVERYONE,
    "POST /v1/messages/{message_id}/flags": EVERYONE,
    "POST /v1/messages/{message_id}/corrections": STAFF,
    "POST /v1/messages/{message_id}/demonstrations": STAFF,
    "POST /v1/messages/{message_id}/approvals": STAFF,
    "GET /v1/messages/{message_id}/feedback": STAFF,
    "POST /v1/feedback/{feedback_id}/withdrawal": STAFF,
    "GET /v1/adapters": STAFF,
    "GET /v1/adapters/{name}": STAFF,
    "GET /v1/adapters/{name}/card": STAFF,
    "GET /v1/adapters/prune": STAFF,
    "POST /v1/adapters/prune": OPERATORS,
    "GET /v1/promotions": STAFF,
    "POST /v1/promotions": OPERATORS,
    "POST /v1/rollbacks": OPERATORS,
    "GET /v1/promotion-requests": STAFF,
    "GET /v1/engines": STAFF,
    "GET /v1/replays": STAFF,
    "POST /v1/replays": OPERATORS,
    "GET /v1/replays/{replay_id}": OPERATORS,
    "GET /v1/replays/{replay_id}/turns": OPERATORS,
    "POST /v1/replays/{replay_id}/decision": OPERATORS,
    "GET /v1/replays/{replay_id}/pairs/next": STAFF,
    "POST /v1/replay-turns/{turn_id}/votes": STAFF,
    "GET /v1/trials": STAFF,
    "POST /v1/trials": OPERATORS,
    "GET /v1/trials/{trial_id}": STAFF,
    "POST /v1/trials/{trial_id}/stop": OPERATORS,
    "GET /v1/ticket-proposals": STAFF,
    "POST /v1/ticket-proposals/{proposal_id}/accept": OPERATORS,
    "POST /v1/ticket-proposals/{proposal_id}/dismiss": OPERATORS,
    "POST /v1/cycles": OPERATORS,
    "GET /v1/cycles": STAFF,
    "GET /v1/cycles/{cycle_id}": STAFF,
    "POST /v1/cycles/{cycle_id}/stop": OPERATORS,
    "GET /v1/decisions": STAFF,
    "GET /v1/decisions/{decision_id}/judgements": STAFF,
    "GET /v1/judge-checks": STAFF,
    "GET /v1/decisions/{decision_id}/report": OPERATORS,
    "GET /v1/decisions/{decision_id}/report.html": OPERATORS,
    "GET /v1/datasets": STAFF,
    "GET /v1/datasets/{name}/diff/{newer}": STAFF,
    "GET /v1/near-copies": OPERATORS,
    "GET /v1/gate": STAFF,
    "PUT /v1/gate": OPERATORS,
    "GET /v1/recipe": STAFF,
    "PUT /v1/recipe": OPERATORS,
    "GET /v1/holds": OPERATORS,
    "POST /v1/holds/{hold_id}": OPERATORS,
    "GET /v1/redactions": OPERATORS,
    "POST /v1/redactions/try": OPERATORS,
    "GET /v1/tickets": STAFF,
    "POST /v1/tickets": OPERATORS,
    "POST /v1/tickets/probes": OPERATORS,
    "GET /v1/topics": STAFF,
    "PUT /v1/topics": OPERATORS,
    "PUT /v1/conversations/{conversation_id}/topic": STAFF,
    "GET /v1/eval-runs/{run_id}/choices": STAFF,
    "GET /v1/policies": STAFF,
    "POST /v1/policies": OPERATORS,
    "GET /v1/policies/{policy_id}": STAFF,
    "POST /v1/policies/{policy_id}/retirement": OPERATORS,
    "POST /v1/policies/{policy_id}/restoration": OPERATORS,
    "GET /v1/conversations": EVERYONE,
    "GET /v1/conversations/{conversation_id}/events": EVERYONE,
    "GET /v1/conversations/{conversation_id}/transcript": EVERYONE,
    "POST /v1/conversations/{conversation_id}/handover": EVERYONE,
    "POST /v1/conversations/{conversation_id}/satisfaction": {CUSTOMER},
    "POST /v1/conversations/{conversation_id}/take": STAFF,
    "POST /v1/conversations/{conversation_id}/take-over": OPERATORS,
    "POST /v1/conversations/{conversation_id}/release": STAFF,
    "POST /v1/conversations/{conversation_id}/close": EVERYONE,
    "POST /v1/conversations/{conversation_id}/drafts": STAFF,
    "POST /v1/conversations/{conversation_id}/replies": STAFF,
    "POST /v1/reviews": STAFF,
    "POST /v1/reviews/next": STAFF,
    "POST /v1/reviews/{review_id}/verdicts": STAFF,
    "GET /v1/agreement": STAFF,
    "GET /v1/disputes": OPERATORS,
    "GET /v1/learned": STAFF,
    "GET /v1/learned/news": STAFF,
    "GET /v1/learned/progress": STAFF,
    "GET /v1/forgetting": STAFF,
    "POST /v1/feedback/{feedback_id}/ticket": OPERATORS,
    "POST /v1/messages/{message_id}/incidents": STAFF,
    "POST /v1/feedback/{feedback_id}/rechecks": STAFF,
    "GET /v1/adapters/{name}/people": OPERATORS,
    "GET /v1/adapters/{name}/influences": OPERATORS,
    "GET /v1/messages/{message_id}/people": OPERATORS,
    "GET /v1/customers/{customer}/lineage": OPERATORS,
    "POST /v1/erasures/preview": OPERATORS,
    "POST /v1/erasures": OPERATORS,
    "GET /v1/erasures": OPERATORS,
    "GET /v1/erasures/{erasure_id}": OPERATORS,
    "GET /widget.js": "anyone",
    "GET /v1/widget/{site_key}": "anyone",
    "POST /v1/widget/{site_key}/visitors": "anyone",
    "GET /v1/staff": ADMINS,
    "POST /v1/staff": ADMINS,
    "POST /v1/staff/{person}/role": ADMINS,
    "POST /v1/staff/{person}/password-link": OPERATORS,
    "POST /v1/staff/{person}/disable": ADMINS,
    "POST /v1/staff/{person}/enable": ADMINS,
    "GET /v1/sites": OPERATORS,
    "POST /v1/sites": ADMINS,
    "PATCH /v1/sites/{site_id}": ADMINS,
    "POST /v1/sites/{site_id}/revoke": ADMINS,
    "GET /v1/audit": ADMINS,
    "GET /v1/audit.csv": ADMINS,
}
SENT: dict[str, dict[str, Any]] = {
    "POST /v1/conversations": {"assistant": "{assistant}"},
    "PUT /v1/topics": {"assistant": "{assistant}", "topics": ["returns", "shipping"]},
    "PUT /v1/conversations/{conversation_id}/topic": {"topic": None},
    "POST /v1/conversations/{conversation_id}/messages": {"text": "Hello"},
    "POST /v1/chat/completions": {
        "model": "{assistant}",
        "messages": [{"role": "user", "content": "Hello"}],
    },
    "POST /v1/messages/{message_id}/ratings": {"value": -1},
    "POST /v1/messages/{message_id}/flags": {"reason": "tone"},
    "POST /v1/messages/{message_id}/corrections": {"text": "Better so."},
    "POST /v1/messages/{message_id}/demonstrations": {"text": "Better so."},
    "POST /v1/messages/{message_id}/approvals": {},
    "POST /v1/messages/{message_id}/incidents": {"reason": "tone"},
    "POST /v1/promotions": {"adapter": "{name}", "reason": "why not"},
    "POST /v1/rollbacks": {"reason": "why not", "assistant": "{assistant}"},
    "POST /v1/cycles": {"assistant": "{assistant}"},
    "POST /v1/adapters/prune": {"assistant": "{assistant}"},
    "POST /v1/replays": {"assistant": "{assistant}", "adapter": "{name}"},
    "POST /v1/replay-turns/{turn_id}/votes": {"choice": "first"},
    "POST /v1/trials": {"adapter": "{name}", "reason": "why not"},
    "POST /v1/trials/{trial_id}/stop": {"reason": "why not"},
    "POST /v1/ticket-proposals/{proposal_id}/accept": {
        "assistant": "{assistant}",
        "reference": "You may.",
    },
    "PUT /v1/gate": {"gate": {}, "assistant": "{assistant}"},
    "PUT /v1/recipe": {"recipe": {"sft_epochs": 4}, "assistant": "{assistant}"},
    "POST /v1/holds/{hold_id}": {"outcome": "released", "assistant": "{assistant}"},
    "POST /v1/redactions/try": {"assistant": "{assistant}", "text": "I am Jane Whitfield."},
    "POST /v1/tickets": {
        "assistant": "{assistant}",
        "name": "of {conversation_id}",
        "context": [{"role": "user", "content": "May I?"}],
        "reference": "You may.",
    },
    "POST /v1/policies": {
        "assistant": "{assistant}",
        "name": "for {conversation_id}",
        "text": "Be kind.",
    },
    "POST /v1/conversations/{conversation_id}/handover": {},
    "POST /v1/conversations/{conversation_id}/satisfaction": {"value": 5},
    "POST /v1/conversations/{conversation_id}/replies": {"text": "Hello", "draft_id": "{draft_id}"},
    "POST /v1/reviews/{review_id}/verdicts": {"verdict": "approved"},
    "POST /v1/widget/{site_key}/visitors": {},
    "POST /v1/erasures/preview": {"assistant": "{assistant}", "customer": "{customer}"},
    "POST /v1/erasures": {
        "assistant": "{assistant}",
        "customer": "{customer}",
        "reason": "why not",
    },
    "POST /v1/staff": {
        "assistant": "{assistant}",
        "email": "new-{conversation_id}@example.com",
        "name": "New",
        "role": "agent",
    },
    "POST /v1/staff/{person}/role": {"role": "operator", "assistant": "{assistant}"},
    "PATCH /v1/sites/{site_id}": {"origins": ["https://new.example"]},
    "POST /v1/sites": {
        "assistant": "{assistant}",
        "name": "New",
        "origins": ["https://new.example"],
    },
}
"""What a call needs besides its path, so that it is refused for who calls and not for its shape."""
FOR_API_KEYS = {"POST /v1/chat/completions"}
"""Not for visitors, although they are customers: the door trusts the caller with a customer's name."""


def routes(app: Any) -> dict[str, APIRoute]:
    return {
        f"{method} {path}": route for path, route in flat(app.routes) for method in route.methods
    }


def of_the_api(shop: Shop, settings: Any) -> dict[str, APIRoute]:
    found = routes(create_app(settings, shop.database, DOORS))
    return {name: route for name, route in found.items() if " /console" not in name}


def names_an_assistant(route: APIRoute) -> bool:
    return "assistant" in [one.name for one in route.dependant.query_params]


@pytest.fixture
def world(shop: Shop) -> World:
    return World(shop)


@pytest.fixture
def client(shop: Shop) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=shop.url, trust_env=False, timeout=30) as client:
        yield client


def call(
    client: httpx.Client, token: str, name: str, ids: Ids, query: bool = False
) -> tuple[int, str]:
    """The route called with these ids, in its path, its query and its body."""
    method, path = name.split(" ")
    more: dict[str, Any] = {"headers": {"Authorization": f"Bearer {token}"}} if token else {}
    if query:
        more["params"] = {"assistant": ids["{assistant}"]}
    if name in SENT:
        more["json"] = filled(SENT[name], ids)
    return status_and_text(client, method, filled(path, ids), ids, **more)


def test_every_route_is_in_the_table_and_states_the_roles_it_says(
    shop: Shop, settings: Any
) -> None:
    found = of_the_api(shop, settings)
    assert set(found) == set(EXPECTED)
    assert set(SENT) == {name for name, route in found.items() if route.body_field}
    for name, route in found.items():
        allows = [d.call for d in route.dependant.dependencies if isinstance(d.call, Allow)]
        stated = {str(role) for role in allows[0].roles} if allows else "anyone"
        assert stated == EXPECTED[name], name


def test_every_role_of_the_shop_is_let_through_to_real_ids_or_refused_as_the_table_says(
    shop: Shop, settings: Any, world: World, client: httpx.Client
) -> None:
    tokens = {"visitor": world.visitor, CUSTOMER: shop.keys["customer"]}
    for role in (Role.AGENT, Role.OPERATOR, Role.ADMIN):
        tokens[str(role)] = personal_key(shop, f"the-{role}", role, "shop")
    for name, route in of_the_api(shop, settings).items():
        stranger, _ = call(client, "", name, world.ids("nobody"))
        assert (stranger == 401) == (EXPECTED[name] != "anyone"), name
        for who, token in tokens.items():
            ids = world.ids(f"the-{who}@example.com")
            status, text = call(client, token, name, ids, names_an_assistant(route))
            if is_let_through(who, CUSTOMER if who == "visitor" else who, name):
                # 409: it is as it is told to be already
                assert status < 400 or status == 409, (name, who, status, text)
            else:
                assert status == 403, (name, who, status, text)


def is_let_through(who: str, role: str, name: str) -> bool:
    if "visitor" in who and name in FOR_API_KEYS:
        return False
    return EXPECTED[name] == "anyone" or role in EXPECTED[name]


@dataclass(frozen=True)
class Stranger:
    who: str
    role: str
    token: str


def strangers(shop: Shop, world: World) -> tuple[list[Stranger], list[Stranger]]:
    """Everybody of the bakery, and the shop's other customers."""
    of_the_bakery = [
        Stranger("the bakery's site", CUSTOMER, shop.keys["bakery"]),
        Stranger("a visitor of the bakery", CUSTOMER, world.visitor_of_the_bakery),
    ]
    for role in (Role.AGENT, Role.OPERATOR, Role.ADMIN):
        token = personal_key(shop, f"baker-{role}", role, "bakery")
        of_the_bakery.append(Stranger(f"{role} of the bakery", str(role), token))
    of_the_shop = [
        Stranger("another site of the shop", CUSTOMER, shop.keys["other site"]),
        Stranger("another visitor of the shop", CUSTOMER, world.other_visitor),
    ]
    return of_the_bakery, of_the_shop


def test_a_stranger_cannot_tell_a_real_id_from_a_made_up_one(
    shop: Shop, settings: Any, world: World, client: httpx.Client
) -> None:
    of_the_bakery, of_the_shop = strangers(shop, world)
    asked = set()
    for name, route in of_the_api(shop, settings).items():
        query = names_an_assistant(route)
        if EXPECTED[name] == "anyone" or not (query or PLACE.search(f"{name} {SENT.get(name)}")):
            continue
        private = "{conversation_id}" in name or "{message_id}" in name
        for stranger in [*of_the_bakery, *(of_the_shop if private else [])]:
            real = world.ids("mara@example.com")
            other = made_up(real)
            status, text = call(client, stranger.token, name, real, query)
            _, told = call(client, stranger.token, name, other, query)
            let_through = is_let_through(stranger.who, stranger.role, name)
            assert status == (404 if let_through else 403), (name, stranger.who, text)
            assert without_ids(text, real) == without_ids(told, other), (name, stranger.who)
            asked.add(name)
    assert {name for name in EXPECTED if "{" in name} - asked == {
        "GET /v1/widget/{site_key}",
        "POST /v1/widget/{site_key}/visitors",
    }


def test_a_customer_sees_only_what_its_own_key_began(shop: Shop, customer: httpx.Client) -> None:
    conversation = begin(customer)["id"]
    message = ask(customer, conversation, "Hi").json()["answer"]["id"]
    for stranger in ("other site", "bakery", "bakery operator"):
        with shop.client(stranger) as client:
            path = f"/v1/conversations/{conversation}"
            assert client.get(path).status_code == 404
            assert client.get(f"{path}/messages/{message}").status_code == 404
            assert ask(client, conversation, "Me too").status_code == 404
            assert client.post(f"{path}/close").status_code == 404
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
