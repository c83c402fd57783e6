"""What makes data worth trusting, in a real browser: two people disagree, agreement, policies."""

import pytest
from playwright.sync_api import Page, expect
from sqlmodel import Session

from feedback import assistants, corrections, disputes, policies, reviews, staff
from feedback.database import reading, writing
from feedback.desk_tables import Review, ReviewSource, Verdict
from feedback.tables import FeedbackKind, FlagReason, Message, Role
from tests.browser.conftest import hire, in_both_lights
from tests.browser.test_agent import Check, Picture, talked
from tests.console.conftest import PASSWORD
from tests.console.trained import add_tickets, shop_of, teach, train
from tests.feedback.test_reviews import judged
from tests.service.conftest import Shop

ASKED = "How long do I have to return a tent?"
SAID = "You can return any item within 14 days of delivery. Please keep the receipt."
ONE = "You can return any item within 40 days of delivery. You do not need the receipt."
OTHER = "Tents go back within 30 days, unused and with the receipt in the box they came in."


@pytest.fixture
def people(shop: Shop) -> None:
    for name in ("mara", "nils", "pia"):
        hire(shop.database, name, Role.AGENT)
    hire(shop.database, "olga", Role.OPERATOR)
    with writing(shop.database) as session:
        assistants.get(session, "shop").title = "Puddle & Pine"


def sign_in(page: Page, shop: Shop, name: str, path: str) -> None:
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    page.goto(f"{shop.url}/console/shop/{path}")
    page.get_by_label("E-mail").fill(f"{name}@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    page.goto(f"{shop.url}/console/shop/{path}")


def disputed(shop: Shop) -> Message:
    """An answer that Mara and Nils correct differently."""
    answer = talked(shop, "ines.alvarez", ASKED, SAID, -0.9)
    with writing(shop.database) as session:
        for name, text in (("mara", ONE), ("nils", OTHER)):
            author = f"{name}@example.com"
            for kind in (FeedbackKind.FLAG, FeedbackKind.CORRECTION):
                word = corrections.give(
                    session,
                    answer.id,
                    kind,
                    author,
                    Role.AGENT,
                    reason=FlagReason.WRONG_FACT if kind == FeedbackKind.FLAG else None,
                    text=text if kind == FeedbackKind.CORRECTION else None,
                )
            reviews.heard(session, word)
    return answer


def test_a_third_person_decides_between_two_corrections(
    page: Page, shop: Shop, people: None, accessible: Check, picture: Picture
) -> None:
    answer = disputed(shop)
    sign_in(page, shop, "pia", "review")
    expect(page.get_by_role("heading", name="Two corrections disagree")).to_be_visible()
    in_both_lights(page, accessible)
    picture(page, "dispute")
    page.get_by_role("button", name="Decide for this by mara@example.com").click()
    expect(page.get_by_text("Correction saved.")).to_be_visible()
    expect(page.get_by_role("heading", name="Nothing to review")).to_be_visible()
    with reading(shop.database) as session:
        words = corrections.that_teach(session, shop_of(session).id)
        out = disputes.withheld(session, shop_of(session), [(w, m) for w, m, _ in words])
        assert [w.author for w, _, _ in words if w.id in out] == ["nils@example.com"]
        assert {m.id for _, m, _ in words} == {answer.id}


def _seen_by_two(session: Session, answer: Message, first: str, second: str, same: bool) -> None:
    review = Review(
        assistant_id=shop_of(session).id,
        message_id=answer.id,
        source=ReviewSource.RANDOM,
        verdicts_needed=2,
    )
    session.add(review)
    session.flush()
    for name, verdict in ((first, Verdict.CORRECTED), (second, Verdict.CORRECTED)):
        made = verdict if same or name == first else Verdict.APPROVED
        text = ONE if made == Verdict.CORRECTED else None
        judged(session, review, staff.get(session, f"{name}@example.com"), made, text)


def test_agreement_and_policies_are_accessible_and_fit_a_narrow_screen(
    page: Page, shop: Shop, people: None, accessible: Check, picture: Picture
) -> None:
    pairs = [("mara", "nils"), ("nils", "pia"), ("pia", "mara")]
    answers = [talked(shop, f"c-{n}", f"Question {n}?", SAID, -0.4) for n in range(30)]
    with writing(shop.database) as session:
        for number, answer in enumerate(answers):
            first, second = pairs[number % 3]
            _seen_by_two(session, answer, first, second, same=number % 7 != 1)
    disputed(shop)
    teach(shop)
    add_tickets(shop)
    with writing(shop.database) as session:
        owner, olga = shop_of(session), "olga@example.com"
        old = policies.create(session, owner, "returns-2025", "30 days, with the receipt.", olga)
        policies.create(session, owner, "returns-2026", "40 days, worn or not.", olga)
        for word, _, _ in corrections.that_teach(session, owner.id)[-3:]:
            word.policy_id = old.id
    train(shop)
    with writing(shop.database) as session:
        policies.retire(session, policies.get(session, shop_of(session), "returns-2025"), olga)
    sign_in(page, shop, "olga", "agreement")
    expect(page.get_by_role("img", name="Estimated share of right verdicts")).to_be_visible()
    in_both_lights(page, accessible)
    picture(page, "agreement")
    page.goto(f"{shop.url}/console/shop/policies")
    expect(page.get_by_text("To examine again")).to_be_visible()
    in_both_lights(page, accessible)
    picture(page, "policies")
    page.set_viewport_size({"width": 420, "height": 860})
    for path in ("agreement", "policies"):
        page.goto(f"{shop.url}/console/shop/{path}")
        over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert over <= 0, f"{path} is {over} pixels too wide"
