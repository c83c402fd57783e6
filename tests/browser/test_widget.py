"""The customer's chat widget in a real browser, on pages of another origin than the service's."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect
from sqlmodel import col, select
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

from feedback import assistants, conversations, handovers, sites, staff
from feedback.database import reading, writing
from feedback.desk_tables import HandoverReason
from feedback.settings import feedback_settings
from feedback.sites import Look
from feedback.tables import Conversation, Customer, Feedback, Message, Role, Speaker, now
from service.kept_secret import kept_secret
from service.visitors import identity_secret, proof
from tests.browser.conftest import hire, in_both_lights
from tests.service.conftest import Shop
from tests.service.talk import eventually
from tests.stand_in_engine import StandInEngine, serving

ROOT = Path(__file__).parents[2]
WIDGET = ROOT / "service" / "widget" / "widget.js"
SAMPLE = ROOT / "examples" / "shop"
MOST_BYTES = 15_000
Check = Callable[[Page], None]
Picture = Callable[[Page, str], None]


@dataclass
class Host:
    """A website on an origin of its own that carries the widget."""

    url: str = ""
    script: str = ""
    site: str = ""
    attributes: str = ""
    head: str = ""
    lang: str = "en"
    body: str = "<main><h1>A page</h1><button id='theirs'>Their button</button></main>"
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def app(self) -> Starlette:
        """The page at /, the sample shop at /shop/, and a record of everything else asked for."""
        return Starlette(
            routes=[
                Route("/", self._page),
                Route("/shop/", self._shop),
                Route("/shop/style.css", lambda _: FileResponse(SAMPLE / "style.css")),
                Route("/theirs.css", lambda _: Response(HOSTILE_CSS, media_type="text/css")),
                Route("/{rest:path}", self._record),
            ]
        )

    async def _page(self, request: Request) -> Response:
        tag = (
            f"<script src='{self.script}' data-site='{self.site}' {self.attributes} async></script>"
        )
        head = f"<meta name=viewport content='width=device-width'><title>Host</title>{self.head}"
        text = f"<!doctype html><html lang='{self.lang}'><head>{head}{tag}</head><body>{self.body}"
        return HTMLResponse(text, headers=self.headers)

    async def _shop(self, request: Request) -> Response:
        text = (SAMPLE / "index.html").read_text(encoding="utf-8")
        address = re.search(r'src="(http[^"]+)"', text)
        assert address
        return HTMLResponse(text.replace(address[1], self.script).replace("SITE_KEY", self.site))

    async def _record(self, request: Request) -> Response:
        self.asked.append(request.url.path)
        return Response(status_code=404)


# What careless and hostile pages do to everything on them.
HOSTILE_CSS = """
html { font-size: 60px; letter-spacing: 9px; direction: rtl; }
* { all: unset !important; }
button, textarea, input, form, p { display: none !important; }
div { position: static !important; opacity: 0 !important; transform: rotate(30deg) !important;
  width: 3px !important; font-size: 80px !important; color: #ff00ff !important; }
body { transform: translateX(500px); filter: blur(4px); }
"""


@pytest.fixture
def host(shop: Shop) -> Iterator[Host]:
    host = Host()
    with serving(host.app()) as host.url:
        host.script = f"{shop.url}/widget.js"
        put_on(shop, host)
        yield host


def put_on(shop: Shop, host: Host, **look: Any) -> None:
    """A site for the host's origin, with this look."""
    with writing(shop.database) as session:
        assistant = assistants.get(session, "shop")
        assistant.title = "Puddle & Pine"
        site = sites.create(session, assistant, "website", [host.url], Look(**look))
        host.site = site.public_key


def open_chat(page: Page, host: Host, path: str = "/") -> None:
    page.goto(host.url + path)
    page.get_by_role("button", name="Open chat").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def field_of(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Write a message")


def write(page: Page, text: str) -> None:
    field_of(page).fill(text)
    field_of(page).press("Enter")


def ask(page: Page, text: str) -> None:
    """Ask and wait for the whole answer."""
    before = answers(page).count()
    write(page, text)
    expect(answers(page)).to_have_count(before + 1)


def answers(page: Page) -> Locator:
    """Finished answers of the bot."""
    return page.get_by_role("log").locator(".assistant")


def stored(shop: Shop) -> list[Message]:
    with reading(shop.database) as session:
        return list(session.exec(select(Message).order_by(col(Message.position))))


def questions(shop: Shop) -> list[str]:
    return [each.text for each in stored(shop) if each.speaker == Speaker.CUSTOMER]


def only_conversation(shop: Shop) -> Conversation:
    with reading(shop.database) as session:
        return session.exec(select(Conversation)).one()


def bot_says(shop: Shop, text: str) -> None:
    """Put an answer into the log as it stands; the stand-in engine loses line breaks."""
    with writing(shop.database) as session:
        conversation = session.exec(select(Conversation)).one()
        conversations.say(session, conversation, Speaker.ASSISTANT, text, finished_at=now())


def bot_said(shop: Shop, text: str) -> None:
    """Put this in the place of the stand-in's last answer, for pictures."""
    with writing(shop.database) as session:
        said = session.exec(select(Message).where(Message.speaker == Speaker.ASSISTANT)).all()
        said[-1].text = text


def test_a_customer_asks_and_reads_the_answer_while_it_is_written(
    page: Page, host: Host, engine: StandInEngine, shop: Shop
) -> None:
    engine.words, engine.pause_seconds = 30, 0.05
    open_chat(page, host)
    expect(page.get_by_text("Hello! How can I help?")).to_be_visible()
    write(page, "How long may I return a raincoat?")
    growing = page.get_by_text("word3")
    expect(growing).to_be_visible()
    assert "word29" not in growing.inner_text()
    assert answers(page).count() == 0  # not in the live log before it is whole
    expect(answers(page)).to_contain_text("word29")
    assert answers(page).count() == 1
    assert questions(shop) == ["How long may I return a raincoat?"]
    assert only_conversation(shop).channel == "widget"


def test_a_reload_in_the_middle_of_an_answer_goes_on_and_asks_nothing_twice(
    page: Page, host: Host, engine: StandInEngine, shop: Shop
) -> None:
    engine.words, engine.pause_seconds = 40, 0.05
    open_chat(page, host)
    write(page, "A long one, please")
    expect(page.get_by_text("word5")).to_be_visible()
    page.reload()
    expect(page.get_by_role("dialog")).to_be_visible()  # it was open, it is open again
    expect(answers(page)).to_contain_text("word39", timeout=20_000)
    expect(page.get_by_text("A long one, please")).to_have_count(1)
    assert questions(shop) == ["A long one, please"]
    assert len(stored(shop)) == 2
    ask(page, "And another")
    page.reload()
    expect(answers(page)).to_have_count(2)
    assert len(stored(shop)) == 4


def test_a_reload_before_the_service_answered_at_all_sends_the_message_once(
    page: Page, host: Host, shop: Shop
) -> None:
    open_chat(page, host)
    page.route("**/messages", lambda route: route.abort())
    write(page, "Is anybody there?")
    expect(page.get_by_text("Is anybody there?")).to_be_visible()
    page.unroute(
        "**/messages"
    )  # first: Playwright may lose a request that it lets go while a page loads
    page.reload()
    expect(answers(page)).to_contain_text("Is anybody there?", timeout=20_000)
    assert questions(shop) == ["Is anybody there?"]


def test_while_the_engine_is_down_the_message_is_kept_and_then_sent_once(
    page: Page, host: Host, engine: StandInEngine, shop: Shop, accessible: Check
) -> None:
    engine.down = True
    open_chat(page, host)
    write(page, "Do you sell ponchos?")
    alert = page.get_by_role("alert").filter(has_text="Your message is kept")
    expect(alert).to_be_visible()
    in_both_lights(page, accessible)
    assert field_of(page).input_value() == ""
    engine.down = False
    page.get_by_role("button", name="Try now").click()
    expect(answers(page)).to_contain_text("You said: Do you sell ponchos?")
    expect(alert).to_have_count(0)
    assert questions(shop) == ["Do you sell ponchos?"]


def test_an_answer_that_breaks_off_goes_on_by_itself(
    page: Page, host: Host, engine: StandInEngine, shop: Shop
) -> None:
    engine.words, engine.break_after = 12, 4
    open_chat(page, host)
    write(page, "Tell me more")
    eventually(lambda: any(each.state == "interrupted" for each in stored(shop)))
    engine.break_after = None
    expect(answers(page)).to_contain_text("word11", timeout=30_000)
    assert questions(shop) == ["Tell me more"]


def test_offline_the_message_is_kept_and_sent_when_the_connection_is_back(
    page: Page, context: BrowserContext, host: Host, shop: Shop
) -> None:
    open_chat(page, host)
    ask(page, "First")
    context.set_offline(True)
    write(page, "Second")
    expect(page.get_by_text("What you write is kept and will be sent")).to_be_visible()
    expect(page.get_by_role("button", name="Send")).to_have_attribute("aria-disabled", "true")
    context.set_offline(False)
    expect(answers(page)).to_have_count(2)
    expect(page.get_by_text("No connection")).to_have_count(0)
    assert questions(shop) == ["First", "Second"]


def test_a_message_the_service_refuses_goes_back_into_the_field(page: Page, host: Host) -> None:
    open_chat(page, host)
    ask(page, "Short")
    write(page, "long " * 5000)
    expect(page.get_by_role("alert")).to_contain_text("expected at most")
    assert field_of(page).input_value().startswith("long long")
    field_of(page).fill("")
    ask(page, "Short again")
    expect(page.get_by_role("alert")).to_be_empty()


def test_a_token_that_no_longer_counts_begins_anew_and_leaves_the_screen_readable(
    page: Page, host: Host, shop: Shop
) -> None:
    open_chat(page, host)
    ask(page, "Before")
    with writing(shop.database) as session:
        site = sites.of_key(session, host.site)
        site.revoked_at = now()
        eventual = sites.create(session, assistants.get(session, "shop"), "new", [host.url])
        site.public_key, eventual.public_key = f"old-{site.id}", "site-moved"
        session.flush()
        eventual.public_key = host.site
    ask(page, "After")
    expect(page.get_by_text("A new one begins here.")).to_be_visible()
    expect(page.get_by_text("You said: Before")).to_be_visible()
    assert sorted(questions(shop)) == ["After", "Before"]


def test_thumbs_down_with_a_reason_is_stored_as_feedback(
    page: Page, host: Host, shop: Shop, accessible: Check
) -> None:
    open_chat(page, host)
    ask(page, "When do you open?")
    down = page.get_by_role("button", name="Not helpful")
    expect(down).to_have_attribute("aria-pressed", "false")
    down.click()
    expect(down).to_have_attribute("aria-pressed", "true")
    reason = page.get_by_role("textbox", name="What was wrong?")
    expect(reason).to_be_focused()
    in_both_lights(page, accessible)
    reason.fill("You close at 18:15")
    reason.press("Enter")
    expect(page.get_by_text("Thank you.")).to_be_visible()

    def given() -> list[Feedback]:
        with reading(shop.database) as session:
            return list(session.exec(select(Feedback).where(col(Feedback.note).is_not(None))))

    [row] = eventually(given)
    assert (row.value, row.note, row.kind) == (-1, "You close at 18:15", "rating")
    page.reload()
    expect(page.get_by_role("button", name="Not helpful")).to_have_attribute("aria-pressed", "true")


def test_a_person_takes_over_and_the_customer_rates_the_chat(
    page: Page, host: Host, shop: Shop, accessible: Check, picture: Picture
) -> None:
    put_on(shop, host, colour="#1f5c4a", greeting="Wet already? Ask away.")
    open_chat(page, host, "/shop/")
    ask(page, "My umbrella broke")
    bot_said(shop, "I am sorry to hear that. Lifetime-ish means **11 years**, ribs and handle.")
    page.reload()
    expect(page.get_by_text("I am sorry to hear that.")).to_be_visible()
    page.get_by_role("button", name="Talk to a person").click()
    expect(page.get_by_text("You are in line for a person.")).to_be_visible()
    expect(page.get_by_text("You are next.")).to_be_visible()
    expect(page.get_by_role("button", name="Talk to a person")).to_be_hidden()
    in_both_lights(page, accessible)
    write(page, "It is a rib, number *7* of eight")
    eventually(lambda: "It is a rib, number *7* of eight" in questions(shop))
    email = hire(shop.database, "jonas", Role.AGENT)
    about = only_conversation(shop)
    with writing(shop.database) as session:
        handovers.take(session, about, staff.get(session, email))
    expect(page.get_by_text("Jonas is here").first).to_be_visible()
    with writing(shop.database) as session:
        person = staff.get(session, email)
        handovers.send(session, about, person, "Send me a photo of the break, please.")
    message = page.get_by_role("log").locator(".agent")
    expect(message).to_contain_text("Send me a photo of the break")
    expect(message).to_contain_text("Jonas")
    expect(page.get_by_text("It is a rib, number *7* of eight")).to_have_count(1)
    in_both_lights(page, accessible)
    picture(page, "widget-person")
    page.reload()
    expect(page.get_by_text("Jonas is here").first).to_be_visible()
    page.get_by_role("button", name="Close chat").first.click()
    with writing(shop.database) as session:
        handovers.send(
            session, about, staff.get(session, email), "Found it: a new rib is on its way."
        )
    expect(page.get_by_role("button", name="New messages: 1")).to_be_visible()
    page.get_by_role("button", name="New messages: 1").click()
    expect(page.get_by_text("a new rib is on its way")).to_be_visible()
    with writing(shop.database) as session:
        handovers.close(session, about, staff.get(session, email))
    expect(page.get_by_text("How was this chat?")).to_be_visible()
    in_both_lights(page, accessible)
    page.get_by_role("button", name="4", exact=True).click()
    expect(page.get_by_text("Thank you.")).to_be_visible()
    assert only_conversation(shop).satisfaction == 4
    ask(page, "One more thing")  # writing opens the chat again, with the bot
    expect(page.get_by_text("This chat is closed")).to_have_count(0)


def test_an_agent_who_steps_in_while_the_bot_writes_silences_it(
    page: Page, host: Host, engine: StandInEngine, shop: Shop
) -> None:
    engine.words, engine.pause_seconds = 60, 0.1
    email = hire(shop.database, "ines", Role.AGENT)
    open_chat(page, host)
    write(page, "A long story")
    expect(page.get_by_text("word5")).to_be_visible()
    about = only_conversation(shop)
    with writing(shop.database) as session:
        handovers.take(session, about, staff.get(session, email))
    expect(page.get_by_text("Ines is here")).to_be_visible()
    with writing(shop.database) as session:
        handovers.send(session, about, staff.get(session, email), "I have this one.")
    expect(page.get_by_text("I have this one.")).to_be_visible()
    expect(page.get_by_text("This answer was not finished.")).to_be_visible()
    write(page, "Thanks, Ines")
    eventually(lambda: questions(shop) == ["A long story", "Thanks, Ines"])
    expect(page.get_by_text("Thanks, Ines")).to_have_count(1)
    expect(page.get_by_text("word59")).to_have_count(0)


def test_a_reload_after_a_person_took_over_does_not_make_the_bot_speak(
    page: Page, host: Host, engine: StandInEngine, shop: Shop
) -> None:
    engine.words, engine.pause_seconds = 60, 0.1
    email = hire(shop.database, "ines", Role.AGENT)
    open_chat(page, host)
    write(page, "A long story")
    expect(page.get_by_text("word5")).to_be_visible()
    page.goto("about:blank")
    with writing(shop.database) as session:
        handovers.take(session, only_conversation(shop), staff.get(session, email))
    sent: list[str] = []
    page.on("request", lambda asked: sent.append(f"{asked.method} {asked.url}"))
    page.goto(host.url)
    expect(page.get_by_text("Ines is here")).to_be_visible()
    page.wait_for_timeout(1500)
    assert [one for one in sent if one.startswith("POST")] == []


def test_a_message_that_asks_for_a_person_shows_the_queue(
    page: Page, host: Host, shop: Shop
) -> None:
    with writing(shop.database) as session:
        assistant = assistants.get(session, "shop")
        for name in ("earlier", "earlier still"):
            other = conversations.begin(session, assistant, None, name)
            handovers.request(session, other, HandoverReason.CUSTOMER_ASKED)
    open_chat(page, host)
    write(page, "Can I talk to a person?")
    expect(page.get_by_text("Ahead of you: 2")).to_be_visible()
    assert answers(page).count() == 0


def test_out_of_hours_the_customer_is_told_when_people_are_back(
    page: Page, host: Host, shop: Shop
) -> None:
    tomorrow = (now() + timedelta(days=1)).strftime("%A").lower()
    with writing(shop.database) as session:
        desk = {
            "hours": {tomorrow: [{"opens": "09:30", "closes": "17:00"}]},
            "reply_within_hours": 26,
        }
        assistants.get(session, "shop").desk = desk
    open_chat(page, host)
    page.get_by_role("button", name="Talk to a person").click()
    expect(page.get_by_text(f"Our people are back {tomorrow.title()}")).to_be_visible()
    expect(page.get_by_text("Expect a reply within 26 hours from then.")).to_be_visible()


def test_the_customer_ends_the_chat_saves_it_and_begins_another(
    page: Page, host: Host, shop: Shop, accessible: Check
) -> None:
    open_chat(page, host)
    ask(page, "What is a puddle worth?")
    page.get_by_role("button", name="More").click()
    in_both_lights(page, accessible)
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Save transcript").click()
    text = Path(downloading.value.path()).read_text(encoding="utf-8")
    assert "What is a puddle worth?" in text and "Puddle & Pine" in text
    assert re.fullmatch(r"conversation-\d{4}-\d\d-\d\d\.txt", downloading.value.suggested_filename)
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="End chat").click()
    expect(page.get_by_role("button", name="1, poor")).to_be_focused()
    expect(page.get_by_text("This chat is closed.")).to_be_visible()
    page.get_by_role("button", name="5, great").click()
    expect(page.get_by_text("Thank you.")).to_be_visible()
    ended = only_conversation(shop)
    assert (ended.satisfaction, ended.handling) == (5, "closed")
    page.get_by_role("dialog").get_by_role("button", name="New conversation").click()
    expect(answers(page)).to_have_count(0)
    expect(page.get_by_text("How was this chat?")).to_have_count(0)  # it was said already
    ask(page, "Hello again")
    with reading(shop.database) as session:
        assert len(session.exec(select(Conversation)).all()) == 2
        assert len(session.exec(select(Customer)).all()) == 1


def test_a_new_conversation_ends_the_old_one_and_asks_how_it_was(
    page: Page, host: Host, shop: Shop, accessible: Check
) -> None:
    open_chat(page, host)
    ask(page, "What is a puddle worth?")
    page.get_by_role("button", name="Talk to a person").click()
    expect(page.get_by_text("You are next.")).to_be_visible()
    old = only_conversation(shop)
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="New conversation").click()
    expect(page.get_by_text("How was this chat?")).to_be_visible()
    in_both_lights(page, accessible)
    page.get_by_role("button", name="2", exact=True).click()
    expect(page.get_by_text("Thank you.")).to_be_visible()
    ask(page, "Hello again")
    expect(page.get_by_text("How was this chat?")).to_have_count(0)
    with reading(shop.database) as session:
        left = conversations.get(session, old.id)
        [waited] = handovers.history(session, left)
    assert (left.satisfaction, left.handling, left.waiting_since) == (2, "closed", None)
    assert (waited.reason, waited.outcome) == ("customer_asked", "customer_left")
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="End chat").click()  # the new one is asked about, too
    expect(page.get_by_text("How was this chat?")).to_be_visible()


@pytest.fixture
def tabs(page: Page, context: BrowserContext, host: Host) -> tuple[Page, Page]:
    """The same site in two tabs, both with the chat open and nothing said yet."""
    other = context.new_page()
    for tab in (page, other):
        open_chat(tab, host)
    return page, other


def test_two_tabs_are_one_chat(tabs: tuple[Page, Page], shop: Shop) -> None:
    one, other = tabs
    ask(one, "From the first tab")
    expect(other.get_by_text("You said: From the first tab")).to_be_visible()
    ask(other, "From the second tab")
    expect(one.get_by_text("You said: From the second tab")).to_be_visible()
    one.get_by_role("button", name="Helpful", exact=True).first.click()
    ask(other, "And again")
    one.reload()
    expect(answers(one)).to_have_count(3)
    expect(one.get_by_role("button", name="Helpful", exact=True).first).to_have_attribute(
        "aria-pressed", "true"
    )
    assert questions(shop) == ["From the first tab", "From the second tab", "And again"]
    assert only_conversation(shop)
    with reading(shop.database) as session:
        assert len(session.exec(select(Customer)).all()) == 1


def test_a_new_conversation_in_one_tab_is_the_other_tabs_too(
    tabs: tuple[Page, Page], shop: Shop
) -> None:
    one, other = tabs
    ask(one, "Old")
    expect(answers(other)).to_have_count(1)
    one.get_by_role("button", name="More").click()
    one.get_by_role("button", name="New conversation").click()
    expect(answers(other)).to_have_count(0)
    ask(other, "New")
    expect(answers(one)).to_have_count(1)
    with reading(shop.database) as session:
        assert len(session.exec(select(Conversation)).all()) == 2


def test_what_waits_in_a_tab_that_is_gone_is_sent_by_another_and_once(
    tabs: tuple[Page, Page], engine: StandInEngine, shop: Shop
) -> None:
    one, other = tabs
    engine.down = True
    write(one, "Do you sell ponchos?")
    expect(one.get_by_role("alert").filter(has_text="Your message is kept")).to_be_visible()
    write(other, "Something else")
    assert field_of(other).input_value() == "Something else"  # one after the other
    one.close()
    engine.down = False
    expect(answers(other)).to_contain_text("You said: Do you sell ponchos?", timeout=40_000)
    ask(other, "Something else")
    assert questions(shop) == ["Do you sell ponchos?", "Something else"]


def test_two_tabs_that_send_at_once_lose_and_repeat_nothing(
    tabs: tuple[Page, Page], engine: StandInEngine, shop: Shop
) -> None:
    engine.words, engine.pause_seconds = 20, 0.05
    for tab in tabs:
        field_of(tab).fill("Hello from here")
    for tab in tabs:
        field_of(tab).press("Enter")
    for tab in tabs:
        expect(answers(tab)).to_have_count(1, timeout=30_000)
    typed = [field_of(tab).input_value() for tab in tabs]
    assert sorted(typed) == [
        "",
        "Hello from here",
    ]  # the second is kept until the first is answered
    assert questions(shop) == ["Hello from here"]


def test_an_answer_shows_lists_bold_code_and_safe_links(page: Page, host: Host, shop: Shop) -> None:
    open_chat(page, host)
    ask(page, "Hi")
    bot_says(
        shop,
        "Write **PINE-BACK** on it:\n\n- wash it\n- `dry` it\n\n1. pack\n2. post\n\n"
        "```\nDRIP 12\n  indented\n```\nSee https://shop.example/returns. Or "
        "[write](mailto:help@shop.example).",
    )
    page.reload()
    last = answers(page).nth(1).locator(".said")
    expect(last.locator("strong")).to_have_text("PINE-BACK")
    expect(last.locator("ul li")).to_have_text(["wash it", "dry it"])
    expect(last.locator("ol li")).to_have_text(["pack", "post"])
    assert last.locator("pre").text_content() == "DRIP 12\n  indented\n"
    links = last.locator("a")
    expect(links).to_have_text(["https://shop.example/returns", "write"])
    assert [links.nth(n).get_attribute("href") for n in (0, 1)] == [
        "https://shop.example/returns",
        "mailto:help@shop.example",
    ]
    expect(links.first).to_have_attribute("rel", "noopener noreferrer")
    expect(links.first).to_have_attribute("target", "_blank")


def shared_payloads() -> list[str] | None:
    """Texts that try to become markup, where the shared data is at hand."""
    found = ROOT.parent / "shared" / "data" / "jailbreak.jsonl"
    if not found.exists():
        return None
    rows = [json.loads(line) for line in found.read_text(encoding="utf-8").splitlines()]
    return [row["text"] for row in rows if row["kind"] == "markup_or_code_injection"]


OURS = [
    "<img src=/stolen onerror=\"document.title='run'\">",
    "<script>document.title='run'</script>",
    "<svg/onload=\"document.title='run'\"><style>*{display:none}</style>",
    "[click](javascript:document.title='run') [x](data:text/html,<script>1</script>)",
    "[a](https://x.example/\"onmouseover=\"document.title='run') ![i](/stolen)",
    "**<b onclick=alert(1)>bold</b>** `<i>code</i>`\n- <iframe src=/stolen></iframe>",
    "```\n</code></pre><img src=/stolen>\n```",
    "javascript:alert(1) vbscript:x file:///etc/passwd //evil.example",
    "<form action=/stolen><input name=card></form><base href=/stolen>",
]


@pytest.mark.parametrize("kind", ["ours", "shared"])
def test_hostile_text_stays_text_on_both_sides(
    page: Page, host: Host, shop: Shop, kind: str
) -> None:
    payloads = OURS if kind == "ours" else shared_payloads()
    if payloads is None:
        pytest.skip("The shared data (jailbreak.jsonl) is not here.")
    open_chat(page, host)
    ask(page, payloads[0])  # streamed, as the stand-in echoes it
    with writing(shop.database) as session:
        conversation = session.exec(select(Conversation)).one()
        for text in payloads:
            for speaker in (Speaker.CUSTOMER, Speaker.ASSISTANT):
                conversations.say(session, conversation, speaker, text, finished_at=now())
    asked: list[str] = []
    page.reload()
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: pytest.fail(f"a dialog opened: {dialog.message}"))
    expect(answers(page)).to_have_count(len(payloads) + 1)
    page.wait_for_timeout(300)
    customers = page.get_by_role("log").locator(".mine .said")
    assert customers.all_text_contents() == [payloads[0].strip(), *payloads]
    assert customers.locator("*").count() == 0
    allowed = ["A", "CODE", "LI", "OL", "P", "PRE", "STRONG", "UL"]
    inside = answers(page).locator(".said *")
    found = inside.evaluate_all(
        "all => all.map(e => [e.tagName, e.getAttributeNames(), e.protocol || ''])"
    )
    for tag, names, protocol in found:
        assert tag in allowed
        assert set(names) <= {"href", "rel", "target", "title", "tabindex", "start"}
        assert protocol in ("", "http:", "https:", "mailto:")
    assert page.title() == "Host"
    assert host.asked in ([], ["/favicon.ico"])
    assert all(url.startswith((shop.url, host.url)) for url in asked)


def test_a_hostile_page_with_a_strict_policy_does_not_change_the_widget(
    page: Page, host: Host, shop: Shop
) -> None:
    look = """() => {
      const root = document.getElementById('understudy-widget').shadowRoot;
      return ['.launcher', '.panel', 'textarea', '.send', '.assistant .said', 'h2'].map((name) => {
        const one = root.querySelector(name), style = getComputedStyle(one);
        const box = one.getBoundingClientRect();
        return [name, box.x, box.y, box.width, box.height, style.display, style.opacity, style.color,
          style.backgroundColor, style.fontSize, style.fontFamily, style.letterSpacing, style.direction];
      });
    }"""
    open_chat(page, host)
    ask(page, "Same on every page?")
    page.mouse.move(5, 5)  # the launcher grows a little under the pointer
    page.wait_for_timeout(300)
    plain = page.evaluate(look)
    host.head = "<link rel=stylesheet href=/theirs.css>"
    host.headers["Content-Security-Policy"] = (
        f"default-src 'self'; script-src 'self' {shop.url}; connect-src 'self' {shop.url}; "
        "style-src 'self'"
    )
    page.reload()
    expect(answers(page)).to_have_count(1)
    expect(page.locator("#theirs")).to_be_hidden()
    page.wait_for_timeout(300)
    assert page.evaluate(look) == plain
    ask(page, "Still working?")


def test_a_page_that_the_site_does_not_name_gets_no_widget(
    page: Page, host: Host, shop: Shop
) -> None:
    stranger = Host(script=host.script, site=host.site)
    with serving(stranger.app()) as stranger.url:
        with page.expect_console_message(lambda message: "not shown" in message.text):
            page.goto(stranger.url)
        assert page.locator("#understudy-widget").count() == 0
        status = page.request.get(
            f"{shop.url}/v1/widget/{host.site}", headers={"Origin": stranger.url}
        ).status
        assert status == 403


def test_everything_works_with_the_keyboard_alone(page: Page, host: Host) -> None:
    page.goto(host.url)
    launcher = page.get_by_role("button", name="Open chat")
    expect(launcher).to_be_visible()
    expect(launcher).to_have_attribute("aria-expanded", "false")
    page.locator("#theirs").focus()
    page.keyboard.press("Tab")
    expect(launcher).to_be_focused()
    page.keyboard.press("Enter")
    expect(field_of(page)).to_be_focused()
    page.keyboard.type("One")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("two")
    page.keyboard.press("Enter")
    expect(answers(page)).to_have_count(1)
    expect(page.locator(".mine .said")).to_have_text("One\ntwo")
    seen: list[str] = []
    for _ in range(12):
        page.keyboard.press("Shift+Tab")
        focused = (
            "document.getElementById('understudy-widget').shadowRoot.activeElement"
            "?.getAttribute('aria-label') || ''"
        )
        seen.append(page.evaluate(focused))
    for name in ("Not helpful", "Helpful", "Messages", "Close chat", "More"):
        assert name in seen
    page.get_by_role("button", name="More").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="New conversation")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="More")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("button", name="Open chat")).to_be_focused()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_state_is_accessible(
    page: Page, host: Host, shop: Shop, accessible: Check, picture: Picture, theme: str
) -> None:
    put_on(shop, host, theme=theme, colour="#1f5c4a" if theme == "light" else "#e9b32f")
    page.goto(f"{host.url}/shop/")
    expect(page.get_by_role("button", name="Open chat")).to_be_visible()
    accessible(page)
    page.get_by_role("button", name="Open chat").click()
    page.wait_for_timeout(300)  # until it has faded in
    accessible(page)
    ask(page, "How do I send a raincoat back?")
    bot_said(
        shop,
        "You have **40 days**, and mud is forgiven.\n\n1. Write `PINE-BACK` on the parcel.\n"
        "2. Leave it at any Heron Point.\n\nMore at https://puddle-and-pine.example/returns",
    )
    page.reload()
    expect(answers(page)).to_contain_text("mud is forgiven")
    page.mouse.move(5, 5)
    page.wait_for_timeout(300)
    accessible(page)
    picture(page, "widget" if theme == "light" else "widget-dark")
    page.get_by_role("button", name="Not helpful").last.click()
    page.get_by_role("button", name="Talk to a person").click()
    expect(page.get_by_text("You are in line")).to_be_visible()
    accessible(page)
    page.context.set_offline(True)
    write(page, "Hello?")
    expect(page.get_by_text("No connection")).to_be_visible()
    accessible(page)
    page.context.set_offline(False)


@pytest.mark.parametrize("colour", ["#ffffff", "#e9b32f", "#777777", "#0f766e", "#000000"])
def test_text_on_the_brands_colour_is_readable(page: Page, host: Host, colour: str) -> None:
    host.attributes = f"data-colour='{colour}'"
    open_chat(page, host)
    shown = page.evaluate(
        "() => { const s = getComputedStyle(document.getElementById('understudy-widget')"
        ".shadowRoot.querySelector('.head')); return [s.color, s.backgroundColor]; }"
    )
    text, ground = ([int(part) for part in re.findall(r"\d+", one)] for one in shown)
    assert contrast(text, ground) >= 4.5


def contrast(one: list[int], other: list[int]) -> float:
    def luminance(rgb: list[int]) -> float:
        parts = [value / 255 for value in rgb[:3]]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted([luminance(one), luminance(other)], reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_arabic_reads_from_right_to_left(page: Page, host: Host, accessible: Check) -> None:
    host.lang = "ar-EG"
    page.goto(host.url)
    page.get_by_role("button", name="فتح المحادثة").click()
    panel = page.get_by_role("dialog")
    expect(page.get_by_text("مرحبًا! كيف يمكنني المساعدة؟")).to_be_visible()
    assert panel.evaluate("e => getComputedStyle(e).direction") == "rtl"
    title = panel.get_by_role("heading").bounding_box()
    close = panel.get_by_role("button", name="إغلاق المحادثة").bounding_box()
    assert title and close and close["x"] < title["x"]
    page.wait_for_timeout(300)
    in_both_lights(page, accessible)


def test_the_site_chooses_words_side_and_language_and_the_tag_has_the_last_word(
    page: Page, host: Host, shop: Shop
) -> None:
    put_on(
        shop, host, title="Die Pfütze", greeting="Nass geworden?", language="de", position="left",
        texts={"person": "Mit Mara sprechen"},
    )  # fmt: skip
    page.goto(host.url)
    launcher = page.get_by_role("button", name="Chat öffnen")
    box = launcher.bounding_box()
    assert box and box["x"] < 100
    launcher.click()
    expect(page.get_by_role("dialog", name="Die Pfütze")).to_be_visible()
    expect(page.get_by_text("Nass geworden?")).to_be_visible()
    expect(page.get_by_role("button", name="Mit Mara sprechen")).to_be_visible()
    host.attributes = "data-language=es data-position=right"
    page.reload()
    box = page.get_by_role("button", name="Cerrar chat").last.bounding_box()
    assert box and box["x"] > 1000


@pytest.mark.parametrize("language", ["en", "de", "es", "ar"])
def test_every_language_has_every_text(language: str) -> None:
    blocks = dict(re.findall(r"^    (\w\w): \{\n(.*?)^    \},", WIDGET.read_text(), re.S | re.M))
    names = {each: set(re.findall(r"(\w+): \"", text)) for each, text in blocks.items()}
    assert names[language] == names["en"]
    used = set(re.findall(r"\bt\(\"(\w+)\"", WIDGET.read_text()))
    assert used <= names["en"]
    assert sorted(sites.TEXTS) == sorted(names["en"])


def test_on_a_phone_the_panel_fills_the_screen(
    page: Page, host: Host, shop: Shop, picture: Picture, accessible: Check
) -> None:
    page.set_viewport_size({"width": 360, "height": 640})
    open_chat(page, host, "/shop/")
    ask(page, "Do you rent tents?")
    bot_said(shop, "Yes: **22 euros** a night, two nights at least. Bring it back dry.")
    page.reload()
    page.get_by_role("button", name="Open chat").click()
    expect(page.get_by_text("Bring it back dry.")).to_be_visible()
    page.wait_for_timeout(300)
    box = page.get_by_role("dialog").bounding_box()
    assert box == {"x": 0, "y": 0, "width": 360, "height": 640}
    for part in (field_of(page), page.get_by_role("button", name="Send")):
        inside = part.bounding_box()
        assert inside and inside["x"] >= 0 and inside["x"] + inside["width"] <= 360
        assert inside["y"] + inside["height"] <= 640
    assert field_of(page).evaluate("e => parseFloat(getComputedStyle(e).fontSize)") >= 16
    expect(page.locator(".launcher")).to_be_hidden()
    in_both_lights(page, accessible)
    picture(page, "widget-phone")
    page.get_by_role("button", name="Close chat").click()
    expect(page.get_by_role("button", name="Open chat")).to_be_focused()


def test_a_visitor_whom_the_site_vouches_for_is_that_customer_and_nobody_else(
    page: Page, host: Host, shop: Shop
) -> None:
    secret = kept_secret(feedback_settings().var_dir, "service_secret_key")
    with reading(shop.database) as session:
        right = proof(identity_secret(secret, sites.of_key(session, host.site)), "ada")
    host.attributes = f"data-user=ada data-user-hash={right}"
    open_chat(page, host)
    ask(page, "It is me")
    with reading(shop.database) as session:
        assert session.exec(select(Customer)).one().external_id == "ada"
    page.evaluate("localStorage.clear()")  # as on another device
    page.reload()
    expect(page.get_by_text("It is me", exact=True)).to_be_visible()
    host.attributes = ""  # ada has signed out
    page.reload()
    expect(page.get_by_text("Hello! How can I help?")).to_be_visible()
    page.wait_for_timeout(500)
    expect(page.get_by_text("It is me", exact=True)).to_have_count(0)
    assert page.evaluate("JSON.stringify({...localStorage})") == "{}"
    host.attributes = "data-user=ada data-user-hash=wrong"
    page.reload()
    write(page, "Let me in")
    expect(page.get_by_role("alert")).to_contain_text("That did not work")
    assert field_of(page).input_value() == "Let me in"
    assert questions(shop) == ["It is me"]


def test_the_sample_shop_carries_the_widget(
    page: Page, host: Host, shop: Shop, accessible: Check, picture: Picture
) -> None:
    put_on(shop, host, colour="#1f5c4a", greeting="Wet already? Ask away.")
    page.goto(f"{host.url}/shop/")
    expect(page.get_by_role("button", name="Open chat")).to_be_visible()
    in_both_lights(page, accessible)
    picture(page, "shop")
    page.get_by_role("button", name="Open chat").click()
    ask(page, "How long may I return it?")
    page.wait_for_timeout(300)
    in_both_lights(page, accessible)


def test_a_reader_hears_an_answer_once(page: Page, host: Host, engine: StandInEngine) -> None:
    engine.words, engine.pause_seconds = 20, 0.03
    open_chat(page, host)
    page.evaluate(
        """() => { window.heard = [];
        const log = document.getElementById('understudy-widget').shadowRoot.querySelector('[role=log]');
        new MutationObserver((all) => all.forEach((one) => one.addedNodes.forEach(
          (node) => heard.push(node.textContent)))).observe(log, {childList: true, subtree: true}); }"""
    )
    ask(page, "Read this to me")
    heard = page.evaluate("heard")
    assert len([text for text in heard if "word" in text]) == 1


def test_with_reduced_motion_nothing_moves(page: Page, host: Host) -> None:
    page.emulate_media(reduced_motion="reduce")
    open_chat(page, host)
    moving = "e => getComputedStyle(e).animationName"
    assert page.get_by_role("dialog").evaluate(moving) == "none"


def test_the_page_does_not_move_or_wait_when_the_widget_arrives(page: Page, host: Host) -> None:
    page.add_init_script(
        """window.shifted = 0; window.slow = [];
        const watch = (type, tell) => new PerformanceObserver((list) =>
          list.getEntries().forEach(tell)).observe({type, buffered: true});
        watch('layout-shift', (one) => { shifted += one.value; });
        watch('longtask', (one) => slow.push(Math.round(one.duration)));"""
    )
    page.goto(f"{host.url}/shop/")
    expect(page.get_by_role("button", name="Open chat")).to_be_visible()
    page.wait_for_timeout(300)
    print("long tasks in ms:", page.evaluate("slow"))
    assert page.evaluate("shifted") == 0


def test_the_widget_is_small_and_sent_compressed(shop: Shop) -> None:
    with httpx.stream("GET", f"{shop.url}/widget.js", trust_env=False) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        assert len(b"".join(answer.iter_raw())) <= MOST_BYTES
    plain = {"Accept-Encoding": "identity"}
    answer = httpx.get(f"{shop.url}/widget.js", headers=plain, trust_env=False)
    assert "content-encoding" not in answer.headers
    lines = WIDGET.read_text(encoding="utf-8").splitlines(keepends=True)
    assert answer.text == "".join(line for line in lines if not line.lstrip().startswith("//"))


def test_the_script_parses_no_text_as_markup_or_code() -> None:
    text = WIDGET.read_text(encoding="utf-8")
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
    ):
        assert word not in text
