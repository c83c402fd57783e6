"""The consoles' live counts in a real browser: few connections, and none lost for good."""

import re

from playwright.sync_api import BrowserContext, Page, Route, expect

from feedback import assistants, cycles
from feedback.database import writing
from feedback.tables import CycleState, Role
from tests.browser.conftest import hire
from tests.browser.test_agent import sign_in
from tests.browser.test_operator import sign_in as sign_in_operator
from tests.console.agents import talked
from tests.service.conftest import Shop

CONNECTIONS_PER_HOST = 6
HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def open_inbox(page: Page, shop: Shop) -> None:
    hire(shop.database, "mara", Role.AGENT)
    sign_in(page, shop)
    page.goto(f"{shop.url}/console/shop/inbox?view=all")


def test_hidden_tabs_do_not_keep_the_next_one_from_opening(
    context: BrowserContext, page: Page, shop: Shop
) -> None:
    open_inbox(page, shop)
    for _ in range(CONNECTIONS_PER_HOST):
        tab = context.new_page()
        with tab.expect_response(re.compile("/live")):
            tab.goto(page.url)
        tab.evaluate(HIDE, True)
    page.reload(timeout=10_000)
    talked(shop, "Is anybody there?", "ann")
    expect(page.get_by_text("Is anybody there?").first).to_be_visible()


def test_a_tab_that_is_seen_again_shows_what_happened_meanwhile(page: Page, shop: Shop) -> None:
    open_inbox(page, shop)
    talked(shop, "The first", "ann")
    expect(page.get_by_text("You said: The first")).to_be_visible()
    page.evaluate(HIDE, True)
    page.wait_for_timeout(300)
    talked(shop, "The second", "bob")
    page.wait_for_timeout(1500)
    expect(page.get_by_text("You said: The second")).to_have_count(0)
    with page.expect_request(re.compile("/live")) as asked:
        page.evaluate(HIDE, False)
    assert re.search(r"seen=\w+", asked.value.url)
    expect(page.get_by_text("You said: The second")).to_be_visible()


def test_a_proxys_error_does_not_end_the_live_counts(page: Page, shop: Shop) -> None:
    refused: list[str] = []

    def refuse(route: Route) -> None:
        refused.append(route.request.url)
        route.fulfill(status=502, body="Bad gateway")

    page.route(re.compile("/live"), refuse)
    open_inbox(page, shop)
    page.wait_for_timeout(1500)
    page.unroute(re.compile("/live"))
    before = len(refused)
    assert 1 <= before <= 4  # again, and with growing pauses
    talked(shop, "Back again?", "ann")
    expect(page.get_by_text("You said: Back again?")).to_be_visible(timeout=20_000)


def test_the_last_of_several_quick_changes_is_shown_too(page: Page, shop: Shop) -> None:
    sign_in_operator(page, shop)
    page.goto(f"{shop.url}/console/shop/overview")
    expect(page.get_by_text("On request")).to_be_visible()
    with writing(shop.database) as session:
        cycle = cycles.request(session, assistants.get(session, "shop"), "olga")
    expect(page.get_by_text("requested", exact=True)).to_be_visible(timeout=15_000)
    with writing(shop.database) as session:  # sooner than the page would look again
        cycles.finish(session, cycle, CycleState.STOPPED, "Enough.")
    expect(page.get_by_text("On request")).to_be_visible(timeout=15_000)
