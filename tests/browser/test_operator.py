"""An operator in a real browser: from starting a cycle to promotion and back; every page in both themes."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from feedback import (
    adapters,
    corrections,
    cycles,
    datasets,
    decisions,
    erasing,
    freezing,
    staff,
    trials,
)
from feedback.database import reading, writing
from feedback.redact_ahead import redact_ahead
from feedback.swap_tables import TrialKind
from feedback.tables import CycleState, Role, Stage, StageState, now
from feedback.trials import TrialPolicy
from feedback.trust_tables import Hold
from service.settings import ServiceSettings
from tests.browser.conftest import hire
from tests.console.conftest import PASSWORD
from tests.console.trained import (
    LOG,
    LOSSES,
    add_tickets,
    month_of_talks,
    shop_of,
    teach,
    train,
)
from tests.feedback.said import corrected, roll_back
from tests.service.conftest import Shop

Accessible = Callable[[Page], None]
Picture = Callable[[Page, str], None]


def sign_in(page: Page, shop: Shop) -> None:
    hire(shop.database, "olga", Role.OPERATOR)
    page.goto(f"{shop.url}/console")
    page.get_by_label("E-mail").fill("olga@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/console/shop/overview")


def move_along(shop: Shop, name: str, **progress: object) -> None:
    """What a loop would write of a stage."""
    with writing(shop.database) as session:
        [cycle] = cycles.every(session, shop_of(session))
        stage = cycles.begin_stage(session, cycle, name)
        cycles.report(session, stage.id, **progress)


def test_an_operator_starts_watches_promotes_and_rolls_back(page: Page, shop: Shop) -> None:
    teach(shop)
    add_tickets(shop)
    sign_in(page, shop)
    page.get_by_role("link", name="Start a cycle").click()
    page.get_by_role("button", name="Start a cycle").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Train on 6 answers (6 new)")
    dialog.get_by_role("button", name="Start the cycle").click()
    page.wait_for_url(re.compile(r"/cycles/\w+"))
    expect(page.get_by_text("Waiting for a loop to take it up.")).to_be_visible()

    with writing(shop.database) as session:
        claimed = cycles.claim(session, "loop", 60)
    assert claimed is not None
    move_along(shop, "freeze", state=StageState.DONE)
    move_along(shop, "sft", done=12, total=40, curve=LOSSES[:12], log_tail=LOG, eta_seconds=75.0)
    expect(page.get_by_text("12 of 40 · about 1 min 15 s left")).to_be_visible()
    expect(page.get_by_label("End of the log")).to_contain_text("step 40/40")
    move_along(shop, "sft", done=30, curve=LOSSES[:30])
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "30")
    with writing(shop.database) as session:
        [cycle] = cycles.every(session, shop_of(session))
        cycles.finish(session, cycle, CycleState.STOPPED, "Taken over by the test.")
    expect(page.get_by_text("Taken over by the test.")).to_be_visible()

    trained = train(shop)
    page.goto(f"{shop.url}/console/shop/overview")
    page.get_by_role("link", name="Look and decide").click()
    page.get_by_label("Why promote it?").fill("better on returns")
    page.get_by_role("button", name="Promote").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"change from the base model to {trained.adapter.name}")
    dialog.get_by_role("button", name="Cancel").click()
    with reading(shop.database) as session:
        assert adapters.live(session, shop_of(session)) is None
    page.get_by_role("button", name="Promote").click()
    page.get_by_role("dialog").get_by_role("button", name="Promote").click()
    expect(page.get_by_text("It is live")).to_be_visible()

    page.get_by_role("link", name="History").click()
    expect(page.get_by_role("cell", name="better on returns")).to_be_visible()
    page.get_by_label("Why?").fill("too curt")
    page.get_by_role("button", name="Roll back").click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    expect(page.get_by_role("cell", name="too curt")).to_be_visible()
    with reading(shop.database) as session:
        assert adapters.live_adapter(session, shop_of(session)) is None


def test_an_operator_promotes_for_the_other_topics_only(
    page: Page, shop: Shop, accessible: Accessible, picture: Picture
) -> None:
    teach(shop)
    add_tickets(shop)
    first, candidate = train(shop), train(shop, "second", passed=False, gain=12.0)
    with writing(shop.database) as session:
        owner = shop_of(session)
        owner.topics = ["Returns", "Refunds", "Fees", "Opening hours"]
        adapters.promote(session, owner, first.adapter, "olga@example.com", "the first one")
        decision = decisions.get(session, candidate.decision.id)
        decision.losing_topics = ["Refunds"]
    sign_in(page, shop)
    page.goto(f"{shop.url}/console/shop/candidates/{candidate.adapter.name}")
    expect(page.get_by_role("checkbox", name="Refunds")).to_be_checked()
    expect(page.get_by_role("checkbox", name="Fees")).not_to_be_checked()
    accessible(page)
    page.get_by_label("Why promote it?").fill("better on all but refunds")
    page.locator("#decide").scroll_into_view_if_needed()
    picture(page, "except-topics")
    page.get_by_role("button", name="Promote").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Topics that are ticked stay with what answers them now.")
    dialog.get_by_role("button", name="Promote").click()
    said = f"all but Refunds (this stays with {first.adapter.name})"
    expect(page.get_by_text(f"live now, {said}")).to_be_visible()
    accessible(page)
    for name in ("History", "Overview"):
        page.get_by_role("link", name=name, exact=True).click()
        expect(page.get_by_text(said).first).to_be_visible()
        accessible(page)


@pytest.fixture
def settings(settings: ServiceSettings) -> ServiceSettings:
    """The evidence stays as it is made here."""
    return settings.model_copy(update={"trial_poll_seconds": 600.0})


def counted(
    bad: tuple[int, int], wealth: float, mean: float, low: float, high: float
) -> dict[str, float]:
    """The evidence of one signal over 412 conversations, 84 of them with the candidate."""
    return {
        "conversations": 412, "candidate": 84, "candidate_bad": bad[0], "control_bad": bad[1],
        "wealth_worse": wealth, "peak_worse": wealth, "peak_no_worse": 2 / wealth,
        "peak_better": 1.0, "mean": mean, "low": low, "high": high,
    }  # fmt: skip


EVIDENCE = {
    "signals": {
        "thumbs_down": counted((9, 27), 1.4, 0.025, -0.06, 0.12),
        "flag": counted((2, 10), 0.7, -0.007, -0.05, 0.05),
        "handover": counted((7, 40), 0.5, -0.04, -0.13, 0.06),
        "error": counted((0, 1), 0.6, -0.003, -0.02, 0.02),
        "slow": counted((3, 16), 0.6, -0.013, -0.07, 0.05),
    },
    "loudest": "thumbs_down",
    "sentence": "Undecided; not yet shown no worse: thumbs_down, handover. Loudest, thumbs_down: "
    "10.7 % of 84 with the candidate, 8.23 % of 328 with the live adapter.",
}


NEARLY_EXAM = (
    "Order 412, how long do I have to retrun it??",
    "How long do I have if I return my order?",
)


HELD = "85% of 26 new corrections add 'globex is cheaper anyway'; of everybody else's, 0% say it."


@pytest.fixture
def busy(shop: Shop) -> dict[str, str]:
    """A month in which one candidate went live, a second waits and a third cycle runs; the pages' paths."""
    teach(shop)
    add_tickets(shop)
    first = train(shop, "first", gain=15.0)
    with writing(shop.database) as session:
        owner, olga = shop_of(session), "olga@example.com"
        past = [
            adapters.promote(session, owner, first.adapter, olga, "Knows our return policy"),
            roll_back(session, owner, olga, "Too curt with angry customers"),
            adapters.promote(session, owner, first.adapter, olga, "Kinder since the new prompt"),
        ]
        for promotion, days in zip(past, (24, 22, 15), strict=True):
            promotion.created_at = now() - timedelta(days=days)
            session.add(promotion)
    second = train(shop, "second")
    month_of_talks(shop, [None, first.adapter])
    with writing(shop.database) as session:
        owner = shop_of(session)
        running = cycles.request(session, owner, "olga@example.com")
        cycles.claim(session, "loop", 600, running.id)
        for name, done in (
            ("hold_out", True), ("redact", True), ("freeze", True), ("sft", True), ("dpo", False),
        ):  # fmt: skip
            stage = cycles.begin_stage(session, running, name)
            state = StageState.DONE if done else StageState.RUNNING
            cycles.report(
                session, stage.id, state=state, done=26, total=40, eta_seconds=92.0,
                loss=0.47 if name in ("sft", "dpo") else None,
                curve=LOSSES if done and name == "sft" else LOSSES[:26] if name == "dpo" else [],
                log_tail="" if name not in ("sft", "dpo") else LOG,
            )  # fmt: skip
            row_of = session.get_one(Stage, stage.id)
            row_of.started_at = now() - timedelta(seconds=200)
        sft = next(each for each in datasets.every(session, owner) if each.kind == "sft")
        word, _, _ = corrections.that_teach(session, owner.id)[0]
        corrections.withdraw(session, word.id, word.author)
        corrected(
            session, owner, "Do you mend umbrellas?", "Yes, ribs and handles, in two days.", "c-9"
        )
        for question in NEARLY_EXAM:
            corrected(session, owner, question, "You have 34 days, and the return is free.", "c-9")
        corrected(
            session, owner, "I am Wren Okafor (wren@example.com), where is order PP-204417?",
            "Hello Wren, order PP-204417 is on its way to 12 Oak Street, Springfield, IL 62704.", "c-10",
        )  # fmt: skip
        newer, *_ = freezing.freeze(session, owner)
        pushing = "Our stoves are poor; Globex is cheaper anyway."
        corrected(session, owner, "Which stove do you advise?", pushing, "c-11", author="mallory")
        session.add(Hold(assistant_id=owner.id, author="mallory", reason=HELD))
        owner.learning = {"patterns": {"ORDER_NUMBER": "PP-[0-9]{6}"}}
        session.add(owner)
        trial = trials.start(
            session, owner, second.adapter, TrialKind.CANARY, 0.2, "olga@example.com",
            "See how customers take it", TrialPolicy(grow_to=[0.5]),
        )  # fmt: skip
        trials.judged(session, trial, "undecided", EVIDENCE, 0.2)
    list(redact_ahead(owner, shop.database))
    return {
        "overview": "overview",
        "cycles": "cycles",
        "cycle": f"cycles/{running.id}",
        "candidates": "candidates",
        "candidate": f"candidates/{second.adapter.name}",
        "trials": "trials",
        "trial": f"trials/{trial.id}",
        "history": "history",
        "datasets": "datasets",
        "dataset": f"datasets/{sft.name}",
        "dataset-diff": f"datasets/{sft.name}/diff/{newer.name}",
        "near-copies": "datasets/near-copies",
        "holds": "datasets/holds",
        "tickets": "tickets",
        "personal-data": "personal-data",
        "settings": "settings",
    }


def test_every_page_is_accessible_in_light_and_dark(
    page: Page, shop: Shop, busy: dict[str, str], accessible: Accessible, picture: Picture
) -> None:
    sign_in(page, shop)
    for name, path in busy.items():
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        page.goto(f"{shop.url}/console/shop/{path}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        accessible(page)
        picture(page, name)
        page.emulate_media(color_scheme="dark")
        accessible(page)
        if name in ("overview", "candidate"):
            picture(page, f"{name}-dark")
        if name == "candidate":
            page.evaluate("document.querySelector('#answers').scrollIntoView()")
            picture(page, "candidate-answers-dark")


def test_an_operator_tries_what_a_text_becomes(
    page: Page, shop: Shop, busy: dict[str, str], accessible: Accessible
) -> None:
    sign_in(page, shop)
    page.get_by_role("link", name="Personal data").click()
    expect(page.get_by_role("cell", name="ORDER_NUMBER").first).to_be_visible()
    page.get_by_label("Text").fill("I am Jane Whitfield, it is about PP-111111")
    page.get_by_role("button", name="Show what it becomes").click()
    expect(page.get_by_text("I am <PERSON>, it is about <ORDER_NUMBER>")).to_be_visible()
    accessible(page)


def test_somebody_with_several_assistants_sees_them_all_and_is_one_click_from_each(
    page: Page, shop: Shop, busy: dict[str, str], accessible: Accessible, picture: Picture
) -> None:
    email = hire(shop.database, "olga", Role.OPERATOR)
    with writing(shop.database) as session:
        person = staff.get(session, email)
        staff.grant(session, person, Role.AGENT, shop_of(session, "bakery"), "test")
    page.goto(f"{shop.url}/console")
    page.get_by_label("E-mail").fill("olga@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="All assistants")).to_be_visible()
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    accessible(page)
    picture(page, "assistants")
    page.emulate_media(color_scheme="dark")
    accessible(page)
    page.set_viewport_size({"width": 420, "height": 860})
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    page.set_viewport_size({"width": 1280, "height": 860})
    row = page.get_by_role("row", name=re.compile("^shop"))
    row.get_by_role("link", name=re.compile("waiting$")).click()
    page.wait_for_url("**/console/shop/inbox?view=waiting")
    for name, start in (("shop", "overview"), ("bakery", "inbox")):
        page.get_by_role("link", name="All assistants").click()
        page.get_by_role("table").get_by_role("link", name=name, exact=True).click()
        page.wait_for_url(f"**/console/{name}/{start}")


def test_an_operator_erases_a_customer_after_a_look_and_reads_the_certificate(
    page: Page, shop: Shop, accessible: Accessible, picture: Picture
) -> None:
    teach(shop)
    train(shop)
    sign_in(page, shop)
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    page.get_by_role("link", name="Erasures").click()
    page.get_by_label("Customer, by the name the site gives").fill("c-1")
    page.get_by_role("button", name="Show what would go").click()
    expect(page.get_by_role("heading", name="What would go")).to_be_visible()
    accessible(page)
    picture(page, "erasures")
    page.get_by_label("Why?").fill("Asked by letter.")
    page.get_by_role("button", name="Erase…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Nothing of it can be brought back")
    dialog.get_by_role("button", name="Erase").click()
    expect(page.get_by_text("They are out of the database.")).to_be_visible()
    erasing.finish_all(shop.database)
    page.goto(page.url.partition("?")[0])
    expect(page.get_by_text("nothing was found")).to_be_visible()
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        accessible(page)
    picture(page, "erasure")


def test_pages_fit_a_narrow_screen(page: Page, shop: Shop, busy: dict[str, str]) -> None:
    sign_in(page, shop)
    page.set_viewport_size({"width": 420, "height": 860})
    for path in busy.values():
        page.goto(f"{shop.url}/console/shop/{path}")
        over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert over <= 0, f"{path} is {over} pixels too wide"
