"""The first page: straight to the only assistant, or a table of all of one's own."""

import re

import httpx

from feedback import assistants, staff
from feedback.database import writing
from feedback.tables import Role
from tests.console.agents import asks_for_a_person, talked
from tests.console.conftest import hire, signed_in
from tests.console.trained import month_of_talks, shop_of, teach, train
from tests.service.conftest import Shop


def rows(page: str) -> list[str]:
    return [re.sub(r"<[^>]+>|\s+", " ", row) for row in page.split("<tr>")[2:]]


def test_with_one_assistant_one_is_there_at_once(mara: httpx.Client, olga: httpx.Client) -> None:
    assert mara.get("/console").url.path == "/console/shop/inbox"
    assert olga.get("/console").url.path == "/console/shop/overview"
    assert "All assistants" not in mara.get("/console").text


def test_with_several_each_has_a_line_and_leads_where_ones_role_begins(shop: Shop) -> None:
    teach(shop)
    trained = train(shop)
    month_of_talks(shop, [None])
    talk, _ = talked(shop)
    asks_for_a_person(shop, talk)
    email = hire(shop.database, "mixed", Role.OPERATOR)
    with writing(shop.database) as session:
        assistants.create(session, "bank", "The bank", "embedded", "Be kind.", "test")
        person = staff.get(session, email)
        staff.grant(session, person, Role.AGENT, shop_of(session, "bakery"), "test")
    with signed_in(shop, email) as mixed:
        shown = mixed.get("/console")
    assert shown.url.path == "/console" and "The bank" not in shown.text
    of_shop, of_bakery = sorted(rows(shown.text), key=lambda row: "bakery" in row)
    assert trained.adapter.name in of_shop and "the base model" in of_shop
    assert re.search(r"\d+ +waiting", of_shop) and re.search(r"\d+ % +of 120", of_shop)
    assert "nobody" in of_bakery and "nothing" in of_bakery and "of 0 who" in of_bakery
    for link in (
        "shop/overview",
        "bakery/inbox",
        "shop/inbox?view=waiting",
        f"shop/candidates/{trained.adapter.name}",
    ):
        assert f'href="/console/{link}"' in shown.text


def test_without_a_role_the_page_says_whom_to_ask_and_one_may_leave(shop: Shop) -> None:
    email = hire(shop.database, "gone", Role.AGENT)
    with writing(shop.database) as session:
        staff.take_role(session, staff.get(session, email), shop_of(session))
    with signed_in(shop, email) as gone:
        shown = gone.get("/console")
        assert shown.status_code == 200 and "Nothing here for you yet" in shown.text
        assert "no role yet" in shown.text
        assert gone.get("/console/shop/inbox").status_code == 404
        assert "Sign in" in gone.post("/console/sign-out").text
