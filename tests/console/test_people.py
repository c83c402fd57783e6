"""Who may change whose account, and what the page of people gives away."""

from collections.abc import Iterator

import httpx
import pytest

from feedback import api_keys, assistants, staff
from feedback.database import reading, writing
from feedback.tables import Role
from tests.console.conftest import hire, signed_in
from tests.service.conftest import Shop


def without_role(shop: Shop, name: str, invited_by: str = "test") -> str:
    """The id of somebody who was let in and has no role any more."""
    with writing(shop.database) as session:
        person, _ = staff.invite(session, f"{name}@example.com", name.title(), invited_by)
        return person.id


@pytest.fixture
def boss(shop: Shop) -> Iterator[httpx.Client]:
    """An admin of the shop alone."""
    with signed_in(shop, hire(shop.database, "boss", Role.ADMIN)) as client:
        yield client


def link_status(client: httpx.Client, person: str) -> int:
    return client.post(f"/console/shop/people/{person}/password-link").status_code


def test_an_account_without_a_role_is_claimed_neither_by_operators_nor_by_admins_of_one_assistant(
    shop: Shop, olga: httpx.Client, boss: httpx.Client, ada: httpx.Client
) -> None:
    new = without_role(shop, "newcomer")
    assert [link_status(client, new) for client in (olga, boss, ada)] == [403, 403, 200]
    role = {"role": "agent", "scope": "shop"}
    assert boss.post(f"/console/shop/people/{new}/role", data=role).status_code == 403
    gone = boss.post(f"/console/shop/people/{new}/disable", data={"disabled": "true"})
    assert gone.status_code == 403
    for client, sees in ((olga, False), (boss, False), (ada, True)):
        assert ("newcomer@" in client.get("/console/shop/people").text) == sees


def test_who_invited_somebody_may_send_them_another_link(
    shop: Shop, olga: httpx.Client, boss: httpx.Client
) -> None:
    new = without_role(shop, "newcomer", "boss@example.com")
    assert [link_status(client, new) for client in (olga, boss)] == [403, 200]
    assert "newcomer@" in boss.get("/console/shop/people").text
    # Her link is not an invitation: it makes her nobody's inviter.
    late = without_role(shop, "late")
    with writing(shop.database) as session:
        staff.make_reset(session, staff.get(session, late), "boss@example.com")
    assert link_status(boss, late) == 403


def test_a_key_that_bears_the_inviters_name_is_not_the_inviter(shop: Shop) -> None:
    new = without_role(shop, "newcomer", "boss@example.com")
    with writing(shop.database) as session:
        owner = assistants.get(session, "shop")
        _, secret = api_keys.create(session, "boss@example.com", Role.ADMIN, owner)
    headers = {"Authorization": f"Bearer {secret}"}
    answer = httpx.post(
        f"{shop.url}/v1/staff/{new}/password-link", headers=headers, trust_env=False
    )
    assert answer.status_code == 403 and "has no role" in answer.text


def test_what_somebody_does_for_other_assistants_is_not_told(
    shop: Shop, olga: httpx.Client, ada: httpx.Client
) -> None:
    email = hire(shop.database, "mara", Role.AGENT)
    with writing(shop.database) as session:
        person, bakery = staff.get(session, email), assistants.get(session, "bakery")
        staff.grant(session, person, Role.ADMIN, bakery, "test")
    assert "bakery" not in olga.get("/console/shop/people").text
    assert "admin of bakery" in " ".join(ada.get("/console/shop/people").text.split())


def test_over_the_api_an_admin_hears_of_the_roles_at_their_own_assistants_only(shop: Shop) -> None:
    email = hire(shop.database, "mara", Role.AGENT)
    hire(shop.database, "baker", Role.AGENT, "bakery")
    with writing(shop.database) as session:
        person = staff.get(session, email)
        staff.grant(session, person, Role.OPERATOR, assistants.get(session, "bakery"), "test")
        root = api_keys.create(session, "root", Role.ADMIN)[1]
    with shop.client("admin") as admin:
        found = admin.get("/v1/staff").json()
        assert [(one["name"], one["roles"]) for one in found] == [("Mara", {"shop": "agent"})]
        changed = admin.post(f"/v1/staff/{email}/password-link")
        assert changed.status_code == 403 and "bakery" not in changed.text
    with httpx.Client(base_url=shop.url, trust_env=False, timeout=30) as everything:
        headers = {"Authorization": f"Bearer {root}"}
        roles = {p["name"]: p["roles"] for p in everything.get("/v1/staff", headers=headers).json()}
    assert roles == {
        "Mara": {"shop": "agent", "bakery": "operator"},
        "Baker": {"bakery": "agent"},
    }
    with reading(shop.database) as session:
        assert staff.invited_by(session, staff.get(session, email)) == "test"
