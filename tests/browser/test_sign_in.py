"""Signing in with a real browser."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from feedback.tables import Role
from tests.browser.conftest import hire
from tests.console.conftest import PASSWORD
from tests.service.conftest import Shop


def test_a_person_without_a_role_is_let_in_and_told_what_is_missing(
    page: Page, shop: Shop, accessible: Callable[[Page], None], picture: Callable[[Page, str], None]
) -> None:
    hire(shop.database, "bea", Role.AGENT, "bakery")
    page.goto(f"{shop.url}/console")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    accessible(page)
    picture(page, "sign-in")
    page.get_by_label("E-mail").fill("bea@example.com")
    page.get_by_label("Password").fill("wrong wrong wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("do not belong together")
    accessible(page)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/console/bakery/inbox")
