"""Replays in a real browser: an agent votes with keys, an operator reads the differences."""

from playwright.sync_api import Page, expect

from feedback import votes
from feedback.database import reading, writing
from feedback.exam_tables import Choice, ReplayState
from tests.browser.conftest import in_both_lights
from tests.browser.test_agent import Check, Picture
from tests.browser.test_trust import people, sign_in
from tests.console.replayed import replayed, voted
from tests.service.conftest import Shop

__all__ = ["people"]
OURS, THEIRS, TIE = Choice.CANDIDATE, Choice.LIVE, Choice.TIE


def fits(page: Page, shop: Shop, *paths: str) -> None:
    """No page is wider than a narrow screen."""
    page.set_viewport_size({"width": 420, "height": 860})
    for path in paths:
        page.goto(f"{shop.url}/console/shop/{path}")
        over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert over <= 0, f"{path} is {over} pixels too wide"


def test_an_agent_votes_with_one_key_per_pair_and_learns_the_sides_at_the_end(
    page: Page, shop: Shop, people: None, accessible: Check, picture: Picture
) -> None:
    replay = replayed(shop)
    voted(shop, replay, "nils@example.com", OURS, OURS, TIE, THEIRS, OURS)
    sign_in(page, shop, "mara", "vote")
    expect(page.get_by_role("heading", name="Which would you send?")).to_be_visible()
    expect(page.get_by_text("Pair 1 of 5")).to_be_visible()
    in_both_lights(page, accessible)
    for number, key in enumerate("12t1", 2):
        page.keyboard.press(key)
        expect(page.get_by_text(f"Pair {number} of 5")).to_be_visible()
        if number == 4:
            in_both_lights(page, accessible)
            picture(page, "vote")
    page.keyboard.press("n")
    expect(page.get_by_role("heading", name="You have seen every pair")).to_be_visible()
    in_both_lights(page, accessible)
    picture(page, "vote-ended")
    with reading(shop.database) as session:
        tally = votes.figures(session, replay)
    assert sum(tally.by_author["mara@example.com"].values()) == 5
    assert tally.by_author["mara@example.com"]["skipped"] == 1
    fits(page, shop, "vote")


def test_voting_works_without_scripts(page: Page, shop: Shop, people: None) -> None:
    replayed(shop)
    sign_in(page, shop, "mara", "vote")
    state = page.context.storage_state()
    browser = page.context.browser
    assert browser is not None
    plain = browser.new_context(storage_state=state, java_script_enabled=False)
    try:
        alone = plain.new_page()
        alone.goto(f"{shop.url}/console/shop/vote")
        alone.get_by_role("button", name="Send the second").click()
        expect(alone.get_by_text("Pair 2 of 5")).to_be_visible()
    finally:
        plain.close()


def test_an_operator_reads_the_differences_and_the_votes(
    page: Page, shop: Shop, people: None, accessible: Check, picture: Picture
) -> None:
    replay = replayed(shop)
    voted(shop, replay, "mara@example.com", OURS, OURS, OURS, TIE, None)
    voted(shop, replay, "nils@example.com", OURS, OURS, TIE, THEIRS, OURS)
    voted(shop, replay, "pia@example.com", OURS, THEIRS, OURS, TIE)
    sign_in(page, shop, "olga", f"replays/{replay.id}")
    expect(page.get_by_role("heading", name="Blind votes")).to_be_visible()
    in_both_lights(page, accessible)
    picture(page, "replay")
    page.get_by_role("button", name="Show them; I do not vote on this replay").click()
    page.get_by_label("Topic").select_option("Returns")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("2 answers, least alike first")).to_be_visible()
    page.evaluate("document.querySelector('#answers').scrollIntoView()")
    picture(page, "replay-differences")
    page.goto(f"{shop.url}/console/shop/replays")
    expect(page.get_by_role("button", name="Start the replay")).to_be_visible()
    in_both_lights(page, accessible)
    picture(page, "replays")
    fits(page, shop, "replays", f"replays/{replay.id}")


def test_a_replay_under_way_moves_by_itself(
    page: Page, shop: Shop, people: None, accessible: Check
) -> None:
    replay = replayed(shop)

    def becomes(state: ReplayState, done: int) -> None:
        with writing(shop.database) as session:
            row = session.get_one(type(replay), replay.id)
            row.state, row.done, row.eta_seconds = state, done, 75.0
            session.add(row)

    becomes(ReplayState.RUNNING, 2)
    sign_in(page, shop, "olga", f"replays/{replay.id}")
    expect(page.get_by_text("2 of 6 answers · about 1 min 15 s left")).to_be_visible()
    in_both_lights(page, accessible)
    becomes(ReplayState.RUNNING, 5)
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "5")
    becomes(ReplayState.FINISHED, 6)
    expect(page.get_by_role("heading", name="Blind votes")).to_be_visible()
