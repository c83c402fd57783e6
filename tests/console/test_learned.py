"""My corrections over HTTP: what became of each."""

import httpx
import pytest

from feedback import adapters, assistants, conversations, corrections, freezing, rechecks
from feedback.database import reading, writing
from feedback.desk_tables import RecheckState
from feedback.tables import AdapterDataset, Feedback, FeedbackKind, MessageState, Role
from service.console.learned import BAR, bar
from tests.console.agents import acts, correct, talked
from tests.service.conftest import Shop

PAGE = "/console/shop/learned"


def rechecked(shop: Shop, feedback: Feedback, state: RecheckState, text: str = "Now.") -> None:
    with writing(shop.database) as session:
        asked = rechecks.request(session, feedback, "test")
        rechecks.finish(session, asked, state, None, text, 91.4, 30.2)


def given(shop: Shop) -> Feedback:
    with reading(shop.database) as session:
        owner = assistants.get(session, "shop")
        return corrections.every(session, owner, FeedbackKind.CORRECTION)[0][0]


def test_without_corrections_the_page_says_where_to_begin(shop: Shop, mara: httpx.Client) -> None:
    assert "Nothing corrected yet" in mara.get(PAGE).text


def test_a_correction_is_shown_with_its_question_and_what_was_changed(
    shop: Shop, mara: httpx.Client
) -> None:
    _, answer = talked(shop, "Where is my parcel?")
    correct(mara, answer, "It comes on Monday.")
    page = mara.get(PAGE).text
    assert "Where is my parcel?" in page
    assert "<ins>Monday.</ins>" in page or "Monday.</ins>" in page
    assert "Not learned by an adapter yet" in page
    assert "not checked" in page


def test_mine_are_mine_and_everybodys_are_all(shop: Shop, mara: httpx.Client) -> None:
    _, answer = talked(shop)
    with writing(shop.database) as session:
        corrections.give(
            session, answer, FeedbackKind.CORRECTION, "nils@example.com", Role.AGENT, text="Other."
        )
    assert "Nothing corrected yet" in mara.get(PAGE).text
    assert "nils@example.com" in mara.get(f"{PAGE}?author=all").text
    assert mara.get(f"{PAGE}?author=nobody").status_code == 422


def test_the_newest_recheck_says_what_the_bot_says_now(shop: Shop, mara: httpx.Client) -> None:
    _, answer = talked(shop)
    correct(mara, answer, "It comes on Monday.")
    rechecked(shop, given(shop), RecheckState.NOT_YET, "Who knows.")
    assert "not yet" in mara.get(PAGE).text
    rechecked(shop, given(shop), RecheckState.FIXED, "Monday it is.")
    page = mara.get(f"{PAGE}/list").text
    assert "Monday it is." in page
    assert "Who knows." not in page
    assert "chrF 91 (was 30)" in page
    assert 'aria-label="Of 1: 1 fixed, 0 not yet, 0 regressed, 0 not checked"' in page


def test_check_now_asks_once_and_is_on_record(shop: Shop, mara: httpx.Client) -> None:
    _, answer = talked(shop)
    correct(mara, answer, "It comes on Monday.")
    path = f"/console/shop/feedback/{given(shop).id}/rechecks"
    assert "being checked" in mara.post(path).text
    again = mara.post(path, headers={"HX-Request": "true"})
    assert again.status_code == 409
    assert "being checked already" in again.text
    assert acts(shop)[-1] == "feedback.recheck"


def test_the_adapters_that_learned_it_are_named_and_the_live_one_is_marked(
    shop: Shop, mara: httpx.Client
) -> None:
    for number in range(4):
        _, answer = talked(shop, f"Where is parcel number {number} of mine?", f"c{number}")
        correct(mara, answer, f"Parcel {number} comes on Monday.")
    adapter = shop.publish("a")
    with writing(shop.database) as session:
        owner = assistants.get(session, "shop")
        sft, *_ = freezing.freeze(session, owner)
        session.add(AdapterDataset(adapter_id=adapter.id, dataset_id=sft.id, stage=sft.kind))
        session.flush()
        adapters.promote(session, owner, adapter, "olga", "better")
    page = mara.get(PAGE).text
    assert "v1 live" in page
    assert sft.name in page


def test_a_correction_of_another_assistant_is_not_there(shop: Shop, mara: httpx.Client) -> None:
    with writing(shop.database) as session:
        bakery = assistants.get(session, "bakery")
        conversation = conversations.begin(session, bakery, None)
        prompt = assistants.prompt_in_force(session, bakery)
        _, answer = conversations.ask(session, conversation, "Bread?", prompt, None, "b", {})
        answer.state = MessageState.COMPLETE
        row = corrections.give(
            session, answer.id, FeedbackKind.CORRECTION, "x", Role.AGENT, text="Rye."
        )
    assert mara.post(f"/console/shop/feedback/{row.id}/rechecks").status_code == 404


@pytest.mark.parametrize("given", [0, 3, 7])
def test_the_parts_of_the_bar_are_as_wide_as_the_whole(given: int) -> None:
    parts = bar({"given": given, "learned": 0, "fixed": min(given, 2)})
    assert sum(width for _, _, _, width in parts) == pytest.approx(BAR if given else 0)
    assert sum(count for _, count, _, _ in parts) == given
