"""An exam's record in a real Chromium: read in both lights, on a narrow screen, printed on A4."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from evals import page as record_page
from evals import record
from feedback import adapters, decisions
from feedback.database import reading, writing
from feedback.tables import Decision
from tests.browser.conftest import in_both_lights
from tests.browser.test_operator import sign_in
from tests.console.trained import TOPICS, Trained, add_tickets, shop_of, teach, train
from tests.service.conftest import Shop

Accessible = Callable[[Page], None]
Picture = Callable[[Page, str], None]

GUARDRAILS = [
    ("must_say_broken", "left out what it must say", 0.17, 0.92, -0.75, -0.96, -0.5, 0.02),
    ("rouge_l", "ROUGE-L", 58.2, 31.9, 26.3, 17.0, 35.2, 2.0),
    ("length_ratio", "length", 1.04, 1.62, -0.58, -0.7, -0.44, 0.5),
]
DETAIL = {
    "needed": 240.0,
    "power": {"tickets": 24, "smallest_gain": 6.4, "more_for": {"half of that": 72}},
    "fresh": {"tickets": 9, "gain": 19.5},
    "used": {"tickets": 15, "gain": 26.7},
    "budget": {"spent": 0.0125, "left": 0.0375, "of": 0.05, "days": 365},
    "batching": {"tickets": 4, "differ": 0, "mean_difference": 0.0008},
}


@pytest.fixture
def trained(shop: Shop) -> Trained:
    """A candidate that passed with everything a gate may write down, but loses on fees."""
    teach(shop)
    add_tickets(shop, 24)
    with writing(shop.database) as session:
        first = shop.publish("before")
        adapters.promote(session, shop_of(session), first, "olga@example.com", "the first one")
    trained = train(shop)
    with writing(shop.database) as session:
        row = session.get_one(Decision, trained.decision.id)
        row.tickets, row.alpha, row.evidence, row.detail = 24, 1 / 240, 1312.0, DETAIL
        row.guardrails = [
            {
                "metric": metric, "title": title, "candidate": ours, "live": theirs,
                "difference": gain, "low": low, "high": high, "margin": margin, "passed": True,
                "sentence": "",
            }
            for metric, title, ours, theirs, gain, low, high, margin in GUARDRAILS
        ]  # fmt: skip
        row.topics = [
            {
                **each, "tickets": 6, "low": each["gain"] - 11 + number * 3,
                "high": each["gain"] + 9 - number * 2, "p": 0.004 if number == 3 else 1.0,
                "loses": number == 3,
            }
            for number, each in enumerate(row.topics)
        ]  # fmt: skip
        row.losing_topics = [TOPICS[3]]
        session.add(row)
    return trained


def test_an_operator_opens_the_record_from_the_candidates_page(
    page: Page, shop: Shop, trained: Trained, accessible: Accessible, picture: Picture
) -> None:
    sign_in(page, shop)
    page.goto(f"{shop.url}/console/shop/candidates/{trained.adapter.name}")
    with page.expect_download() as kept:
        page.get_by_role("link", name="JSON").click()
    assert kept.value.suggested_filename == f"exam-{trained.decision.id}.json"
    page.get_by_role("link", name="Report (HTML)").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(trained.adapter.name)
    expect(page.get_by_role("heading", name="Decision record")).to_be_visible()
    page.emulate_media(reduced_motion="reduce")
    in_both_lights(page, accessible)
    picture(page, "exam-record")
    page.evaluate("document.querySelector('#topics').scrollIntoView()")
    picture(page, "exam-record-topics")
    page.set_viewport_size({"width": 420, "height": 860})
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    accessible(page)


def test_the_file_alone_is_the_page_and_prints(
    page: Page, shop: Shop, trained: Trained, tmp_path: Path
) -> None:
    with reading(shop.database) as session:
        told = record.load(session, decisions.get(session, trained.decision.id))
    file = tmp_path / "report.html"
    file.write_text(record_page.html(told), encoding="utf-8")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    expect(page.get_by_role("heading", level=1)).to_have_text(trained.adapter.name)
    assert asked == [file.as_uri()], "it asks for nothing but itself"
    colour = "getComputedStyle(document.querySelector('.dot.good')).fill"
    assert page.evaluate(colour) == "rgb(21, 112, 59)", "its own style sheet is let through"
    pdf = page.pdf(format="A4", prefer_css_page_size=True)
    assert (
        pdf.startswith(b"%PDF")
        and 2 <= pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") <= 12
    )
    page.emulate_media(media="print", color_scheme="dark")
    paper = "getComputedStyle(document.documentElement).backgroundColor"
    assert page.evaluate(paper) == "rgb(255, 255, 255)", "paper is white, whatever the screen is"
    expect(page.get_by_role("navigation")).to_be_hidden()
    page.set_viewport_size(
        {"width": 688, "height": 1000}
    )  # what an A4 sheet leaves between its margins
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    columns = (
        "getComputedStyle(document.querySelector('.texts')).gridTemplateColumns.split(' ').length"
    )
    assert page.evaluate(columns) == 2, "answers stand side by side on paper, too"
