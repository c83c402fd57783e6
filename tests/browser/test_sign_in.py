"""Signing in with a real browser."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from feedback import staff
from feedback.database import writing
from feedback.tables import Role
from tests.browser.conftest import hire, in_both_lights
from tests.console.conftest import PASSWORD
from tests.service.conftest import Shop


def test_a_person_without_a_role_is_let_in_and_told_what_is_missing(
    page: Page, shop: Shop, accessible: Callable[[Page], None], picture: Callable[[Page, str], None]
) -> None:
    hire(shop.database, "bea", Role.AGENT, "bakery")
    page.goto(f"{shop.url}/console")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    in_both_lights(page, accessible)
    picture(page, "sign-in")
    page.get_by_label("E-mail").fill("bea@example.com")
    page.get_by_label("Password").fill("wrong wrong wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("do not belong together")
    in_both_lights(page, accessible)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/console/bakery/inbox")


def test_pages_that_say_no_are_accessible(
    page: Page, shop: Shop, accessible: Callable[[Page], None]
) -> None:
    email = hire(shop.database, "mara", Role.AGENT)
    with writing(shop.database) as session:
        old = staff.make_reset(session, staff.get(session, email), "test")
        staff.make_reset(session, staff.get(session, email), "test")  # ends the one before
    page.goto(f"{shop.url}/console/password/{old}")
    expect(page.get_by_role("alert")).to_be_visible()
    in_both_lights(page, accessible)
    page.goto(f"{shop.url}/console/sign-in?next=/console/shop/inbox")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/console/shop/inbox")
    for path, heading in (
        ("shop/conversations/nothing", "That did not work"),  # not found
        ("shop/overview", "That did not work"),  # not for agents
        ("nowhere/inbox", "That did not work"),
    ):
        page.goto(f"{shop.url}/console/{path}")
        expect(page.get_by_role("heading", name=heading)).to_be_visible()
        in_both_lights(page, accessible)
    page.context.clear_cookies()
    page.goto(f"{shop.url}/console/openid")  # the page for somebody who is not signed in
    expect(page.get_by_role("heading", name="That did not work")).to_be_visible()
    in_both_lights(page, accessible)
