"""What was learned and lost, incidents and forgetting, in a real browser."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from feedback import adapters, freezing, rechecks
from feedback.database import writing
from feedback.desk_tables import RecheckState
from feedback.tables import Adapter, Conversation, Message, Role
from tests.browser.conftest import hire, in_both_lights
from tests.browser.test_agent import Check, Picture, talked
from tests.browser.test_trust import sign_in
from tests.console.trained import TAUGHT, TOPICS, shop_of, teach
from tests.service.conftest import Shop
from tests.stand_in_engine import build_adapter

SAID = "You can return any item for ever, and we pay you 90 euros. Please keep the receipt."


@pytest.fixture
def people(shop: Shop) -> None:
    hire(shop.database, "mara", Role.AGENT)
    hire(shop.database, "olga", Role.OPERATOR)
    with writing(shop.database) as session:
        owner = shop_of(session)
        owner.title, owner.topics = "Puddle & Pine", list(TOPICS)


def three_adapters(shop: Shop) -> list[Adapter]:
    """Each was live and was asked every correction; the last has lost one that was right."""
    teach(shop)
    line = []
    for number, seed in enumerate("abc"):
        built = build_adapter(Path(shop.folder) / f"line-{seed}", seed)
        with writing(shop.database) as session:
            owner = shop_of(session)
            frozen = list(freezing.freeze(session, owner))
            adapter = adapters.publish(session, owner, built, frozen, {}, {})
            promotion = adapters.promote(session, owner, adapter, "olga@example.com", "Better.")
            due = rechecks.due(session, owner, promotion, 50)
            rechecks.request_round(session, owner, promotion, due)
            for place, row in enumerate(rechecks.requested(session, 50)):
                word = rechecks.get(session, row.feedback_id)
                talk = session.get_one(Message, word.message_id).conversation_id
                session.get_one(Conversation, talk).topic = TOPICS[place % 3]
                right = place <= number + 2 and not (number == 2 and place == 1)
                state = RecheckState.FIXED if right else RecheckState.NOT_YET
                if number == 2 and place == 1:
                    state = RecheckState.REGRESSED
                said = word.text if right else "Please see our website for the details."
                rechecks.finish(session, row, state, adapter, said, 92.0 if right else 21.0, 18.0)
            line.append(adapter)
    return line


def test_what_was_learned_and_lost_is_told_and_a_lost_one_becomes_a_ticket(
    page: Page, shop: Shop, people: None, accessible: Check, picture: Picture
) -> None:
    *_, last = three_adapters(shop)
    sign_in(page, shop, "mara", "inbox")
    place = page.get_by_role("link", name="My corrections")
    expect(place.locator(".count")).to_be_visible()
    place.click()
    expect(page.get_by_role("heading", name="Since your last visit")).to_be_visible()
    expect(page.get_by_text(f"6 of 6 corrections checked against {last.name}.")).to_be_visible()
    in_both_lights(page, accessible)
    picture(page, "news")
    page.reload()
    expect(page.get_by_role("heading", name="Since your last visit")).to_be_visible()
    expect(page.get_by_role("link", name="My corrections").locator(".count")).to_have_count(0)
    page.get_by_role("button", name="Sign out").click()
    sign_in(page, shop, "olga", f"candidates/{last.name}")
    expect(page.get_by_role("heading", name="Corrections asked again")).to_be_visible()
    in_both_lights(page, accessible)
    page.locator("#rechecked").scroll_into_view_if_needed()
    picture(page, "rechecked")
    page.locator("#rechecked .lost a").first.click()
    expect(page.get_by_role("heading", name="Or examine with it")).to_have_count(0)
    expect(page.get_by_text("Or examine with it.")).to_be_visible()
    in_both_lights(page, accessible)
    picture(page, "correction")
    page.get_by_role("button", name="Make it a ticket").click()
    expect(page.get_by_text("from the next cycle on it examines, and no longer")).to_be_visible()
    expect(page.get_by_role("heading", name="It is a ticket")).to_be_visible()


def test_forgetting_is_drawn_told_and_fits_a_narrow_screen(
    page: Page, shop: Shop, people: None, accessible: Check, picture: Picture
) -> None:
    three_adapters(shop)
    sign_in(page, shop, "olga", "forgetting")
    expect(page.get_by_role("img", name="Share of corrections fixed")).to_be_visible()
    expect(page.get_by_role("heading", name="Backward transfer")).to_be_visible()
    expect(page.locator("#lost").get_by_role("link", name=TAUGHT[1][0])).to_be_visible()
    page.get_by_text("The same as a table").first.click()
    expect(page.get_by_role("table", name="").first).to_be_visible()
    in_both_lights(page, accessible)
    page.get_by_text("The same as a table").first.click()
    page.evaluate("scrollTo(0, 0)")
    picture(page, "forgetting")
    page.get_by_role("link", name="Who learned it first").click()
    in_both_lights(page, accessible)
    page.set_viewport_size({"width": 420, "height": 860})
    over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert over <= 0, f"the page is {over} pixels too wide"


def test_an_incident_becomes_a_ticket_with_words_taken_from_the_bad_answer(
    page: Page, shop: Shop, people: None, accessible: Check, picture: Picture
) -> None:
    answer = talked(shop, "ines.alvarez", "How long do I have to return a tent?", SAID, -0.9)
    sign_in(page, shop, "olga", f"conversations/{answer.conversation_id}")
    page.get_by_role("link", name="Report an incident").click()
    page.get_by_label("Wrong fact").check()
    page.evaluate(
        """() => { const text = document.getElementById('bad-answer').firstChild;
        const at = text.data.indexOf('for ever');
        getSelection().setBaseAndExtent(text, at, text, at + 8); }"""
    )
    page.get_by_role("button", name="Take over what is selected").click()
    expect(page.get_by_label("Must not say")).to_have_value("for ever")
    page.get_by_label("The answer an agent would give").fill("You have 40 days.")
    in_both_lights(page, accessible)
    picture(page, "incident")
    page.get_by_role("button", name="Make it a ticket").click()
    expect(page.get_by_text("The incident is a ticket now.")).to_be_visible()
    expect(page.get_by_text("must not say: for ever")).to_be_visible()
    expect(page.get_by_text("from an incident")).to_be_visible()
