"""An agent's day in a real browser: complaints, a customer who waits, the review queue."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from feedback import assistants, conversations, corrections, handovers, rechecks, reviews
from feedback.database import reading, writing
from feedback.desk_tables import HandoverReason, RecheckState
from feedback.tables import FeedbackKind, FlagReason, Message, MessageState, Role
from tests.browser.conftest import hire, in_both_lights
from tests.console.conftest import PASSWORD
from tests.service.conftest import Shop

Check = Callable[[Page], None]
Picture = Callable[[Page, str], None]
TALKS = [
    (
        "ines.alvarez",
        "How long do I have to return a tent?",
        "You can return any item within 14 days of delivery. Please keep the receipt.",
        -0.9,
    ),
    (
        "tom.becker",
        "Does the Heron jacket come in size XXL?",
        "The Heron jacket comes in sizes XS to XL. We do not make it in XXL at the moment.",
        -0.12,
    ),
    (
        "priya.nair",
        "My stove smells of gas when I turn it off. Is that normal?",
        "That can happen. Try it again tomorrow.",
        -1.3,
    ),
    (
        "joon.park",
        "Can I change the address of an order I placed an hour ago?",
        "Yes. Open the order in your account and choose “Change address” until it is packed.",
        -0.2,
    ),
    (
        "lena.fischer",
        "Which sleeping bag is warm enough for minus five degrees?",
        "The Spruce 400 is comfortable down to minus seven degrees, so it is a good choice.",
        -0.3,
    ),
]
RIGHT = "You can return any item within 40 days of delivery. You do not need the receipt."


def talked(shop: Shop, who: str, question: str, answer: str, logprob: float) -> Message:
    """A conversation that happened; returns the bot's answer."""
    with writing(shop.database) as session:
        owner = assistants.get(session, "shop")
        conversation = conversations.begin(session, owner, None, who, channel="widget")
        prompt = assistants.prompt_in_force(session, owner)
        _, row = conversations.ask(
            session, conversation, question, prompt, None, owner.base_model, {}
        )
        done = MessageState.COMPLETE
        timings = {"time_to_first_token_ms": 210, "latency_ms": 1840, "completion_tokens": 21}
        return conversations.finish(
            session, row.id, done, text=answer, mean_logprob=logprob, **timings
        )


@pytest.fixture
def day(shop: Shop) -> dict[str, Message]:
    """A small morning: one complaint, one customer who waits, some talk."""
    answers = {talk[0]: talked(shop, *talk) for talk in TALKS}
    with writing(shop.database) as session:
        assistants.get(session, "shop").title = "Puddle & Pine"
        complaint = answers["ines.alvarez"].id
        corrections.give(
            session,
            complaint,
            FeedbackKind.FLAG,
            "ines",
            Role.CUSTOMER,
            reason=FlagReason.WRONG_FACT,
        )
        waiting = conversations.get(session, answers["priya.nair"].conversation_id)
        handovers.request(session, waiting, HandoverReason.CUSTOMER_ASKED, "pressed the button")
    hire(shop.database, "mara", Role.AGENT)
    hire(shop.database, "nils", Role.AGENT)
    return answers


def sign_in(page: Page, shop: Shop) -> None:
    page.goto(f"{shop.url}/console")
    page.get_by_label("E-mail").fill("mara@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/console/shop/inbox")


def test_a_complaint_is_corrected_with_keys_only(
    page: Page, shop: Shop, day: dict[str, Message], accessible: Check, picture: Picture
) -> None:
    sign_in(page, shop)
    expect(page.get_by_text("waiting 0 min")).to_be_visible()
    page.goto(f"{shop.url}/console/shop/inbox?view=all")
    in_both_lights(page, accessible)
    picture(page, "inbox")
    page.goto(f"{shop.url}/console/shop/inbox?view=flagged")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="ines.alvarez")).to_be_visible()
    in_both_lights(page, accessible)
    picture(page, "conversation")
    page.keyboard.press("e")
    field = page.get_by_label("The answer it should have given")
    expect(field).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.type(RIGHT)
    expect(page.locator(".diff ins").first).to_be_visible()
    page.keyboard.press("Alt+2")
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    expect(page.get_by_label("Wrong fact")).to_be_checked()
    in_both_lights(page, accessible)
    picture(page, "correct")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Correction saved.")).to_be_visible()
    expect(page.get_by_text("No complaints")).to_be_visible()
    with writing(shop.database) as session:
        owner = assistants.get(session, "shop")
        mine = corrections.every(session, owner, FeedbackKind.CORRECTION)[0][0]
        assert (mine.text, mine.author) == (RIGHT, "mara@example.com")
        asked = rechecks.request(session, mine, "test")
        now_right = "You can return any item within 40 days. You need no receipt."
        rechecks.finish(session, asked, RecheckState.FIXED, None, now_right, 78.0, 41.0)
    page.get_by_role("link", name="My corrections").click()
    expect(page.get_by_text("How long do I have to return a tent?").first).to_be_visible()
    expect(page.get_by_text(now_right)).to_be_visible()
    in_both_lights(page, accessible)
    picture(page, "learned")


def test_a_waiting_customer_gets_an_edited_draft_and_the_bot_a_correction(
    page: Page, shop: Shop, day: dict[str, Message], accessible: Check, picture: Picture
) -> None:
    sign_in(page, shop)
    page.get_by_role("link", name="priya.nair").click()
    expect(page.get_by_role("heading", name="priya.nair")).to_be_visible()
    page.keyboard.press("t")
    expect(page.get_by_text("The bot is silent until you hand back.")).to_be_visible()
    page.keyboard.press("d")
    reply = page.get_by_label("Your answer")
    expect(reply).to_have_value(
        "[base] You said: My stove smells of gas when I turn it off. Is that normal?"
    )
    in_both_lights(page, accessible)
    reply.fill("No. Close the valve, take the stove outside and do not use it again.")
    expect(page.locator("#draft-diff ins").first).to_be_visible()
    picture(page, "take-over")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Correction saved.")).to_be_visible()
    expect(page.locator("#timeline").get_by_text("Close the valve")).to_be_visible()
    with reading(shop.database) as session:
        owner = assistants.get(session, "shop")
        row, about, _ = corrections.every(session, owner, FeedbackKind.CORRECTION)[0]
        assert about.state == MessageState.DRAFT
        assert row.text == "No. Close the valve, take the stove outside and do not use it again."
        talk = conversations.get(session, day["priya.nair"].conversation_id)
    with writing(shop.database) as session:
        conversations.write(session, conversations.get(session, talk.id), "Thank you, Mara!")
    expect(page.locator("#timeline").get_by_text("Thank you, Mara!")).to_be_visible()
    page.keyboard.press("h")
    expect(page.get_by_role("button", name="Take over")).to_be_visible()


def test_ten_answers_are_reviewed_with_keys_only(
    page: Page, shop: Shop, day: dict[str, Message], accessible: Check, picture: Picture
) -> None:
    for number in range(5):
        question = f"Do you ship to Norway, and what does it cost for {number + 2} items?"
        talked(shop, f"c{number}", question, "Yes, we do. It costs 9 euros.", -1.0)
    with writing(shop.database) as session:
        owner = assistants.get(session, "shop")
        owner.desk = {"low_confidence": 1.0, "second_review_percent": 0}
        reviews.fill(session, owner)
    sign_in(page, shop)
    page.goto(f"{shop.url}/console/shop/review")
    in_both_lights(page, accessible)
    picture(page, "review")
    for left in range(10, 0, -1):
        expect(page.locator("#queue .fact b").first).to_have_text(str(left))
        expect(page.locator(".review")).to_be_focused()
        if left % 5 == 0:
            page.keyboard.press("f")
            page.keyboard.press("4")
        elif left % 5 == 1:
            page.keyboard.press("e")
            expect(page.get_by_label("The answer it should have given")).to_be_focused()
            page.keyboard.type(" And more.")
            page.keyboard.press("Alt+2")
            page.keyboard.press("Control+Enter")
        else:
            page.keyboard.press("a")
    expect(page.get_by_text("Nothing to review")).to_be_visible()
    in_both_lights(page, accessible)
    with reading(shop.database) as session:
        given = [str(row.kind) for row, _, _ in corrections.every(session, owner)]
    assert sorted(given) == ["approval"] * 6 + ["correction"] * 2 + ["flag"] * 5


def test_the_inbox_finds_as_one_types_and_follows_what_happens(
    page: Page, shop: Shop, day: dict[str, Message], accessible: Check
) -> None:
    sign_in(page, shop)
    page.keyboard.press("/")
    page.keyboard.type("sleepi")
    expect(page.get_by_role("link", name="lena.fischer")).to_be_visible()
    expect(page.get_by_role("link", name="priya.nair")).to_have_count(0)
    page.get_by_role("searchbox").fill("zebra")
    expect(page.get_by_text("Nothing found")).to_be_visible()
    in_both_lights(page, accessible)
    page.get_by_role("searchbox").fill("")
    expect(page.get_by_role("link", name="priya.nair")).to_be_visible()
    with writing(shop.database) as session:
        talk = conversations.get(session, day["tom.becker"].conversation_id)
        handovers.request(session, talk, HandoverReason.CUSTOMER_ASKED)
    expect(page.get_by_role("link", name="tom.becker")).to_be_visible()
    expect(page.locator(".count.hot").first).to_have_text("2")
