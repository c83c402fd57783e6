"""Every page and every act of the consoles, with every role, at one's own and at another assistant."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from feedback.tables import Role
from service.app import create_app
from service.console.session import TakeSeat
from tests.console.conftest import hire, signed_in
from tests.service.conftest import Shop
from tests.service.test_permissions import flat

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
    "GET inbox",
    "GET inbox/list",
    "GET conversations/{conversation_id}",
    "GET conversations/{conversation_id}/timeline",
    "GET conversations/{conversation_id}/side",
    "POST conversations/{conversation_id}/take",
    "POST conversations/{conversation_id}/release",
    "POST conversations/{conversation_id}/close",
    "POST conversations/{conversation_id}/drafts",
    "POST conversations/{conversation_id}/replies",
    "POST messages/{message_id}/verdicts",
    "POST feedback/{feedback_id}/withdrawal",
    "GET review",
    "GET review/queue",
    "POST review/fill",
    "POST reviews/{review_id}/verdicts",
    "POST reviews/{review_id}/assign",
    "GET learned",
    "GET learned/list",
    "POST feedback/{feedback_id}/rechecks",
]
OF_OPERATORS = [
    "GET people",
    "POST people/{person}/password-link",
    "GET overview",
    "GET cycles",
    "POST cycles",
    "GET cycles/{cycle_id}",
    "GET cycles/{cycle_id}/progress",
    "POST cycles/{cycle_id}/stop",
    "POST candidates/{name}/promote",
    "POST candidates/{name}/reject",
    "GET history",
    "POST rollback",
    "POST prune",
    "GET datasets",
    "GET datasets/{name}",
    "GET tickets",
    "POST tickets",
    "POST tickets/retire",
    "GET settings",
    "POST settings/prompt",
    "POST settings/answers",
    "POST settings/gate",
    "POST settings/loop",
    "POST settings/desk",
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


def path_of(name: str, assistant: str) -> tuple[str, str]:
    method, path = name.split(" ")
    filled = path.replace("{", "").replace("}", "")
    return method, path if path.startswith("/") else f"/console/{assistant}/{filled}"


def status_of(client: httpx.Client, name: str, assistant: str) -> int:
    method, path = path_of(name, assistant)
    with client.stream(method, path, follow_redirects=False) as response:
        return response.status_code  # and leave: a live page would go on for ever


def test_every_page_is_in_the_table_and_states_the_roles_it_says(shop: Shop, settings: Any) -> None:
    found: dict[str, set[str]] = {}
    for path, route in flat(create_app(settings, shop.database).routes):
        if path.startswith("/console"):
            seats = [d.call for d in route.dependant.dependencies if isinstance(d.call, TakeSeat)]
            short = path.removeprefix("/console/{assistant}/")
            roles = {str(role) for role in seats[0].roles} if seats else ANYONE
            found |= {f"{method} {short}": roles for method in route.methods}
    assert found == EXPECTED


@pytest.fixture
def people(shop: Shop) -> Iterator[dict[str, httpx.Client]]:
    """One signed-in person per role at the shop, and an admin of the bakery."""
    with ExitStack() as open_ones:
        found = {
            str(role): open_ones.enter_context(
                signed_in(shop, hire(shop.database, f"the-{role}", role))
            )
            for role in (Role.AGENT, Role.OPERATOR, Role.ADMIN)
        }
        baker = hire(shop.database, "baker", Role.ADMIN, "bakery")
        found["baker"] = open_ones.enter_context(signed_in(shop, baker))
        yield found


def test_every_role_gets_through_or_is_refused_as_the_table_says(
    shop: Shop, people: dict[str, httpx.Client]
) -> None:
    for name in OF_AN_ASSISTANT:
        for role in STAFF:
            status = status_of(people[role], name, "shop")
            if role in EXPECTED[name]:
                assert status != 403, (name, role, status)
            else:
                assert status == 403, (name, role, status)
        assert status_of(people["baker"], name, "shop") == 404, name
        assert status_of(people["baker"], name, "bakery") != 403, name
        assert status_of(people["admin"], name, "bakery") == 404, name


def test_without_a_session_every_page_leads_to_the_sign_in(shop: Shop) -> None:
    with httpx.Client(base_url=shop.url, timeout=30, trust_env=False) as stranger:
        for name in OF_AN_ASSISTANT:
            assert status_of(stranger, name, "shop") == 303, name


def test_without_our_token_nothing_is_changed(shop: Shop, people: dict[str, httpx.Client]) -> None:
    admin = people["admin"]
    del admin.headers["X-CSRF-Token"]
    for name in OF_AN_ASSISTANT:
        if name.startswith("POST "):
            assert status_of(admin, name, "shop") == 403, name
