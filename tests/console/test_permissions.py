"""Every page and every act of the consoles, with every role, at one's own and at another assistant."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from evals.doors import DOORS
from feedback import assistants, staff
from feedback.database import writing
from feedback.tables import Role
from service.app import create_app
from service.console.session import TakeSeat
from tests.console.conftest import hire, signed_in
from tests.console.test_operator_pages import DESK
from tests.service.conftest import Shop
from tests.service.world import (
    PLACE,
    Ids,
    World,
    filled,
    flat,
    made_up,
    status_and_text,
    without_ids,
)

STAFF = {"agent", "operator", "admin"}
OPERATORS = {"operator", "admin"}
ADMINS = {"admin"}
ANYONE: set[str] = set()
"""Needs no session. Paths without a leading slash are of one assistant: /console/{assistant}/…"""

OF_ANYONE = [
    "GET /console/sign-in",
    "POST /console/sign-in",
    "GET /console/password/{secret}",
    "POST /console/password/{secret}",
    "GET /console/openid",
    "GET /console/openid/return",
]
OF_STAFF = [
    "POST /console/sign-out",
    "GET /console",
    "GET live",
    "GET candidates",
    "GET candidates/{name}",
    "GET candidates/{name}/card",
    "GET candidates/{name}/card.md",
    "GET gate",
    "GET inbox",
    "GET inbox/list",
    "GET conversations/{conversation_id}",
    "GET conversations/{conversation_id}/timeline",
    "GET conversations/{conversation_id}/side",
    "POST conversations/{conversation_id}/take",
    "POST conversations/{conversation_id}/release",
    "POST conversations/{conversation_id}/close",
    "POST conversations/{conversation_id}/topic",
    "POST conversations/{conversation_id}/drafts",
    "POST conversations/{conversation_id}/replies",
    "POST messages/{message_id}/verdicts",
    "POST feedback/{feedback_id}/withdrawal",
    "GET review",
    "GET review/queue",
    "POST review/fill",
    "POST reviews/{review_id}/verdicts",
    "POST reviews/{review_id}/assign",
    "GET vote",
    "POST vote/{turn_id}",
    "GET learned",
    "GET learned/list",
    "GET learned/{feedback_id}",
    "GET messages/{message_id}/incident",
    "POST messages/{message_id}/incident",
    "GET agreement",
    "POST feedback/{feedback_id}/rechecks",
]
OF_OPERATORS = [
    "GET people",
    "POST people/{person}/password-link",
    "POST conversations/{conversation_id}/take-over",
    "POST feedback/{feedback_id}/ticket",
    "GET forgetting",
    "GET overview",
    "GET cycles",
    "POST cycles",
    "GET cycles/{cycle_id}",
    "GET cycles/{cycle_id}/progress",
    "POST cycles/{cycle_id}/stop",
    "GET candidates/{name}/influences",
    "GET decisions/{decision_id}/report",
    "GET decisions/{decision_id}/report.json",
    "POST candidates/{name}/promote",
    "POST candidates/{name}/reject",
    "POST candidates/{name}/trial",
    "GET replays",
    "POST replays",
    "GET replays/{replay_id}",
    "POST replays/{replay_id}/sides",
    "GET replays/{replay_id}/export",
    "POST replays/{replay_id}/decision",
    "GET trials",
    "GET trials/{trial_id}",
    "POST trials/{trial_id}/stop",
    "GET history",
    "POST rollback",
    "POST prune",
    "GET datasets",
    "GET datasets/near-copies",
    "GET datasets/holds",
    "POST datasets/holds/{hold_id}",
    "GET datasets/{name}",
    "GET datasets/{name}/diff/{newer}",
    "GET erasures",
    "POST erasures",
    "POST erasures/preview",
    "GET erasures/{erasure_id}",
    "GET erasures/{erasure_id}/certificate",
    "GET personal-data",
    "POST personal-data",
    "GET tickets",
    "POST tickets",
    "POST tickets/probes",
    "POST tickets/retire",
    "POST tickets/proposed/{proposal_id}",
    "GET policies",
    "POST policies",
    "POST policies/{policy_id}/retire",
    "POST policies/{policy_id}/restore",
    "GET settings",
    "POST settings/prompt",
    "POST settings/answers",
    "POST settings/gate",
    "POST settings/loop",
    "POST settings/swap",
    "POST settings/topics",
    "POST settings/desk",
    "POST settings/learning",
    "POST settings/recipe",
]
OF_ADMINS = [
    "POST people",
    "POST people/{person}/role",
    "POST people/{person}/disable",
    "GET sites",
    "POST sites",
    "POST sites/{site_id}",
    "POST sites/{site_id}/revoke",
    "GET audit",
    "GET audit/export",
]
EXPECTED = {
    **dict.fromkeys(OF_ANYONE, ANYONE),
    **dict.fromkeys(OF_STAFF, STAFF),
    **dict.fromkeys(OF_OPERATORS, OPERATORS),
    **dict.fromkeys(OF_ADMINS, ADMINS),
}
OF_AN_ASSISTANT = sorted(name for name in EXPECTED if " /" not in name)


SENT: dict[str, dict[str, str]] = {
    "POST people": {
        "email": "new-{conversation_id}@example.com",
        "name": "New",
        "role": "agent",
        "scope": "{assistant}",
    },
    "POST people/{person}/role": {"role": "operator", "scope": "{assistant}"},
    "POST people/{person}/disable": {"disabled": "true"},
    "POST sites": {"name": "New", "origins": "https://new.example"},
    "POST sites/{site_id}": {"origins": "https://new.example"},
    "POST conversations/{conversation_id}/replies": {"text": "Hello", "draft_id": "{draft_id}"},
    "POST messages/{message_id}/verdicts": {"verdict": "approved"},
    "POST messages/{message_id}/incident": {"reason": "wrong_fact"},
    "POST reviews/{review_id}/verdicts": {"verdict": "approved"},
    "POST reviews/{review_id}/assign": {"staff_id": "{staff_id}"},
    "POST candidates/{name}/promote": {"reason": "why not"},
    "POST candidates/{name}/reject": {"reason": "why not"},
    "POST candidates/{name}/trial": {"reason": "why not", "percent": "10"},
    "POST vote/{turn_id}": {"choice": "first"},
    "POST replays": {"adapter": "{name}"},
    "POST trials/{trial_id}/stop": {"reason": "why not"},
    "POST tickets/proposed/{proposal_id}": {"reference": "You may."},
    "POST rollback": {"reason": "why not"},
    "POST tickets": {
        "name": "of {conversation_id}",
        "question": "May I?",
        "reference": "You may.",
    },
    "POST personal-data": {"text": "I am Jane Whitfield."},
    "POST tickets/retire": {"name": "{ticket}"},
    "POST policies": {"name": "for {conversation_id}", "text": "Be kind."},
    "POST erasures": {"customer": "{customer}", "reason": "why not"},
    "POST erasures/preview": {"customer": "{customer}"},
    "POST settings/prompt": {"text": "You are kind."},
    "POST settings/answers": {"temperature": "0", "top_p": "1", "max_tokens": "64"},
    "POST settings/gate": {
        "metric": "chrf",
        "min_gain": "0",
        "confidence": "0.95",
        "min_tickets": "6",
    },
    "POST settings/desk": DESK,
    "POST settings/learning": {"held_out_percent": "15"},
    "POST settings/recipe": {"sft_epochs": "4"},
    "POST datasets/holds/{hold_id}": {"outcome": "released"},
}
"""What a form holds, so that an act is refused for who does it and not for what was left out."""


def path_of(name: str, assistant: str, ids: dict[str, str]) -> tuple[str, str]:
    method, path = name.split(" ")
    whole = path if path.startswith("/") else f"/console/{assistant}/{path}"
    return method, filled(whole, ids)


def call(client: httpx.Client, name: str, assistant: str, ids: Ids) -> tuple[int, str]:
    """The page or act of an assistant, with these ids in its path and its form."""
    method, path = path_of(name, assistant, ids)
    more = {"data": filled(SENT[name], ids)} if name in SENT else {}
    return status_and_text(client, method, path, ids, **more)


@pytest.fixture
def world(shop: Shop) -> World:
    return World(shop)


def test_every_page_is_in_the_table_and_states_the_roles_it_says(shop: Shop, settings: Any) -> None:
    found: dict[str, set[str]] = {}
    for path, route in flat(create_app(settings, shop.database, DOORS).routes):
        if path.startswith("/console"):
            seats = [d.call for d in route.dependant.dependencies if isinstance(d.call, TakeSeat)]
            short = path.removeprefix("/console/{assistant}/")
            roles = {str(role) for role in seats[0].roles} if seats else ANYONE
            found |= {f"{method} {short}": roles for method in route.methods}
    assert found == EXPECTED


@pytest.fixture
def people(shop: Shop) -> Iterator[dict[str, httpx.Client]]:
    """One signed-in person per role at the shop, and one per role at the bakery."""
    with ExitStack() as open_ones:
        found = {}
        for assistant, who in (("shop", ""), ("bakery", "baker-")):
            for role in (Role.AGENT, Role.OPERATOR, Role.ADMIN):
                email = hire(shop.database, f"{who}{role}", role, assistant)
                found[f"{who}{role}"] = open_ones.enter_context(signed_in(shop, email))
        yield found


def test_every_role_gets_through_to_real_ids_or_is_refused_as_the_table_says(
    people: dict[str, httpx.Client], world: World
) -> None:
    for name in OF_AN_ASSISTANT:
        for role in sorted(STAFF):
            status, text = call(people[role], name, "shop", world.ids(f"{role}@example.com"))
            if role in EXPECTED[name]:  # 409: it is as it is told to be already
                assert status < 400 or status == 409, (name, role, status, text)
            else:
                assert status == 403, (name, role, status)


def test_another_assistants_pages_are_not_there(
    people: dict[str, httpx.Client], world: World
) -> None:
    for name in OF_AN_ASSISTANT:
        for role in sorted(STAFF):
            baker, ids = people[f"baker-{role}"], world.ids(f"{role}@example.com")
            status, text = call(baker, name, "shop", ids)
            nowhere, told = call(baker, name, "nowhere", ids)
            assert status == nowhere == 404, (name, role, status, nowhere)
            assert text.replace("shop", "nowhere") == told, (name, role)


def test_with_another_assistants_ids_ones_own_pages_say_what_they_say_of_made_up_ones(
    people: dict[str, httpx.Client], world: World, ada: httpx.Client
) -> None:
    callers = {role: people[f"baker-{role}"] for role in sorted(STAFF)} | {"everything": ada}
    with_ids = [name for name in OF_AN_ASSISTANT if PLACE.search(f"{name} {SENT.get(name)}")]
    assert len(with_ids) > 25
    for name in with_ids:
        for who, client in callers.items():
            if name in OF_BODIES or (who == "everything" and "{person}" in name):
                continue  # who may act for every assistant knows everybody
            real = world.ids("mara@example.com")
            other = made_up(real)
            status, text = call(client, name, "bakery", real)
            _, told = call(client, name, "bakery", other)
            may = who == "everything" or who in EXPECTED[name]
            assert status == (404 if may else 403), (name, who, status, text)
            said, of_made_up = text.split("<main")[-1], told.split("<main")[-1]
            assert without_ids(said, real) == without_ids(of_made_up, other), (name, who)


OF_BODIES = {"POST people", "POST policies", "POST tickets"}
"""Their forms hold what is to be, not the id of what is."""


def test_without_a_session_every_page_leads_to_the_sign_in(shop: Shop, world: World) -> None:
    with httpx.Client(base_url=shop.url, timeout=30, trust_env=False) as stranger:
        for name in OF_AN_ASSISTANT:
            assert call(stranger, name, "shop", world.ids("nobody"))[0] == 303, name


def test_without_our_token_nothing_is_changed(
    people: dict[str, httpx.Client], world: World
) -> None:
    admin = people["admin"]
    del admin.headers["X-CSRF-Token"]
    for name in OF_AN_ASSISTANT:
        if name.startswith("POST "):
            assert call(admin, name, "shop", world.ids("admin@example.com"))[0] == 403, name


def test_what_a_colleague_does_for_another_assistant_is_not_told(
    shop: Shop, people: dict[str, httpx.Client]
) -> None:
    with writing(shop.database) as session:
        mara, _ = staff.invite(session, "mara@example.com", "Mara", "test")
        for name, role in (("shop", Role.OPERATOR), ("bakery", Role.AGENT)):
            staff.grant(session, mara, role, assistants.get(session, name), "test")
    baker = people["baker-admin"]
    page = baker.get("/console/bakery/people").text
    assert "mara@example.com" in page
    assert "shop" not in page and "agent@example.com" not in page.replace("baker-agent", "")
    refused = baker.post("/console/bakery/people/mara@example.com/disable", data={"disabled": "1"})
    assert refused.status_code == 403 and "operator" not in refused.text.split("<main")[1]
