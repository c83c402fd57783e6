"""The gate's page in a real browser: what is promised, what is left, what the tickets can tell."""

from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from feedback import assistants, decisions, exams
from feedback.database import writing
from feedback.tables import Role, now
from tests.browser.conftest import hire, in_both_lights
from tests.browser.test_agent import Check, Picture
from tests.browser.test_trust import sign_in
from tests.console.trained import add_tickets, shop_of, train
from tests.service.conftest import Shop

pytestmark = pytest.mark.browser
POWER = {"customers": 61, "smallest_gain": 16.4, "needed": {"5": 612, "10": 171}}


@pytest.fixture
def looked_at(shop: Shop) -> None:
    """Nine looks over three months: two passed, one lost on a topic."""
    hire(shop.database, "olga", Role.OPERATOR)
    add_tickets(shop)
    adapter = train(shop).adapter
    with writing(shop.database) as session:
        owner = shop_of(session)
        owner.title = "Puddle & Pine"
        for week, evidence in enumerate((3.1, 0.2, 2600, 41, 310, 8, 1900, 77, 12_000)):
            ours, theirs = exams.open_runs(session, owner, [adapter, None], None)
            passed = evidence > 1040 and week != 6
            decision = decisions.record(
                session, owner, ours, theirs, assistants.gate_of(owner), promote=passed, reasons=[],
                metric="chrf", tickets=64, gain=4.0 + week, alpha=0.05 / 52, evidence=evidence,
                losing_topics=["refunds"] if week == 6 else [], detail={"power": POWER},
            )  # fmt: skip
            decision.created_at = now() - timedelta(days=70 - 7 * week)
            session.add(decision)


def test_an_operator_sees_what_is_promised_and_what_is_left(
    looked_at: None, page: Page, shop: Shop, accessible: Check, picture: Picture
) -> None:
    sign_in(page, shop, "olga", "gate")
    expect(page.get_by_role("heading", name="Gate", exact=True)).to_be_visible()
    expect(page.get_by_text("a worse adapter passes with a chance of at most 5 %")).to_be_visible()
    expect(page.get_by_text("4.33 % of 5 %")).to_be_visible()  # seven refused of 52
    expect(page.get_by_text("a gain of 16.4")).to_be_visible()
    expect(page.get_by_text("tickets of about 171 customers: 110 more")).to_be_visible()
    expect(page.get_by_text("loses on refunds")).to_be_visible()
    in_both_lights(page, accessible)
    picture(page, "gate")
    page.set_viewport_size({"width": 420, "height": 860})
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    page.get_by_role("link", name="Change it").click()
    expect(page.get_by_label("Guardrails")).to_be_visible()
