"""The review queue over HTTP."""

from collections.abc import Iterator

import httpx
import pytest

from feedback import assistants, corrections, reviews, staff
from feedback.database import reading, writing
from feedback.tables import FeedbackKind, Role
from tests.console.agents import acts, talked
from tests.console.conftest import hire, signed_in
from tests.service.conftest import Shop
from tests.service.talk import ask, begin

REVIEW = "/console/shop/review"


@pytest.fixture
def nils(shop: Shop) -> Iterator[httpx.Client]:
    """A second agent of the shop."""
    with signed_in(shop, hire(shop.database, "nils", Role.AGENT)) as client:
        yield client


def everything_is_reviewed(shop: Shop, twice: int = 0) -> None:
    with writing(shop.database) as session:
        owner = assistants.get(session, "shop")
        owner.desk = {"low_confidence": 1.0, "second_review_percent": twice}


def item(page: str) -> str:
    return page.split('id="review-')[1].split('"')[0]


def judge(client: httpx.Client, review: str, verdict: str, **more: str) -> httpx.Response:
    data = {"verdict": verdict, **more}
    return client.post(f"/console/shop/reviews/{review}/verdicts", data=data)


def test_an_empty_queue_is_filled_with_a_button(shop: Shop, mara: httpx.Client) -> None:
    everything_is_reviewed(shop)
    talked(shop)
    assert "Nothing to review" in mara.get(REVIEW).text
    page = mara.post(f"{REVIEW}/fill").text
    assert "One new answer is in the queue" in page
    assert "not sure of this answer" in page
    assert "Where is my parcel?" in page
    assert "review.fill" in acts(shop)


def test_a_verdict_is_kept_as_feedback_and_the_next_answer_comes(
    shop: Shop, mara: httpx.Client
) -> None:
    everything_is_reviewed(shop)
    _, first = talked(shop, "First?")
    talked(shop, "Second?")
    page = mara.post(f"{REVIEW}/fill").text
    one = item(page)
    page = judge(mara, one, "corrected", reason="tone", text="Kinder.").text
    assert item(page) != one
    assert "Correction saved" in page
    assert "Nothing to review" in judge(mara, item(page), "approved").text
    with reading(shop.database) as session:
        kinds = {
            str(row.kind)
            for row, _, _ in corrections.every(session, assistants.get(session, "shop"))
        }
    assert kinds == {"flag", "correction", "approval"}
    assert acts(shop).count("review.judge") == 2
    assert first


def test_what_is_skipped_is_not_shown_to_the_same_person_again(
    shop: Shop, mara: httpx.Client, nils: httpx.Client
) -> None:
    everything_is_reviewed(shop)
    talked(shop)
    one = item(mara.post(f"{REVIEW}/fill").text)
    assert "Nothing to review" in judge(mara, one, "skipped").text
    page = nils.get(REVIEW).text
    assert item(page) == one
    assert "Looked at before by Mara" in page


def test_two_people_never_look_at_the_same_answer(
    shop: Shop, mara: httpx.Client, nils: httpx.Client
) -> None:
    everything_is_reviewed(shop)
    talked(shop)
    one = item(mara.post(f"{REVIEW}/fill").text)
    assert "Nothing to review" in nils.get(REVIEW).text
    refused = judge(nils, one, "approved")
    assert refused.status_code == 409
    assert "Mara is looking at this answer right now" in refused.text


def test_a_verdict_that_comes_too_late_leaves_no_feedback(
    shop: Shop, mara: httpx.Client, nils: httpx.Client
) -> None:
    everything_is_reviewed(shop)
    _, answer = talked(shop)
    one = item(mara.post(f"{REVIEW}/fill").text)
    judge(mara, one, "approved")
    assert judge(nils, one, "flagged", reason="tone").status_code == 409
    with reading(shop.database) as session:
        assert [str(row.kind) for row in corrections.about_message(session, answer)] == ["approval"]


def test_the_second_reviewer_learns_who_judged_but_not_what(
    shop: Shop, mara: httpx.Client, nils: httpx.Client
) -> None:
    everything_is_reviewed(shop, twice=100)
    talked(shop)
    one = item(mara.post(f"{REVIEW}/fill").text)
    judge(mara, one, "flagged", reason="unsafe", note="never say that")
    page = nils.get(REVIEW).text
    assert "Looked at before by Mara" in page
    assert "never say that" not in page
    assert "flagged" not in page.replace('value="flagged"', "")
    judge(nils, one, "flagged", reason="tone")
    assert "100 %" in nils.get(f"{REVIEW}/queue").text


def test_an_answer_is_given_to_a_colleague(
    shop: Shop, mara: httpx.Client, nils: httpx.Client
) -> None:
    everything_is_reviewed(shop)
    talked(shop)
    page = mara.post(f"{REVIEW}/fill").text
    one = item(page)
    assert "Nils" in page
    with reading(shop.database) as session:
        colleague = staff.get(session, "nils@example.com")
    given = mara.post(f"/console/shop/reviews/{one}/assign", data={"staff_id": colleague.id})
    assert "Nothing to review" in given.text
    assert item(nils.get(REVIEW).text) == one
    assert acts(shop).count("review.assign") == 1


def test_only_somebody_with_a_role_here_is_given_an_answer(shop: Shop, mara: httpx.Client) -> None:
    everything_is_reviewed(shop)
    hire(shop.database, "bea", Role.AGENT, "bakery")
    talked(shop)
    page = mara.post(f"{REVIEW}/fill").text
    assert "Bea" not in page
    with reading(shop.database) as session:
        stranger = staff.get(session, "bea@example.com").id
    path = f"/console/shop/reviews/{item(page)}/assign"
    assert mara.post(path, data={"staff_id": stranger}).status_code == 422


def test_operators_see_every_open_answer_and_who_has_it(
    shop: Shop, mara: httpx.Client, olga: httpx.Client
) -> None:
    everything_is_reviewed(shop)
    talked(shop)
    talked(shop, "And mine?")
    assert "open answers" not in mara.post(f"{REVIEW}/fill").text
    assert "All 2 open answers" in olga.get(REVIEW).text


def test_a_review_of_another_assistant_is_not_there(shop: Shop, mara: httpx.Client) -> None:
    with shop.client("bakery") as client:
        ask(client, begin(client)["id"], "Bread?")
    with writing(shop.database) as session:
        bakery = assistants.get(session, "bakery")
        bakery.desk = {"low_confidence": 1.0}
        reviews.fill(session, bakery)
        foreign = reviews.open_items(session, bakery)[0].review.id
    with signed_in(shop, hire(shop.database, "root", Role.ADMIN, None)) as root:
        for client in (mara, root):
            assert judge(client, foreign, "approved").status_code == 404
            path = f"/console/shop/reviews/{foreign}/assign"
            assert client.post(path, data={"staff_id": ""}).status_code == 404


def test_two_corrections_that_differ_are_shown_side_by_side_to_a_third_who_decides_with_a_button(
    shop: Shop, mara: httpx.Client, nils: httpx.Client, olga: httpx.Client
) -> None:
    _, answer = talked(shop)
    words = {"verdict": "corrected", "reason": "tone"}
    path = f"/console/shop/messages/{answer}/verdicts"
    assert "A colleague says" not in mara.post(path, data=words | {"text": "It left today."}).text
    told = nils.post(path, data=words | {"text": "We never got your order."}).text
    assert "neither word teaches until a third person decides" in told
    assert "Nothing to review" in mara.get(REVIEW).text
    page = olga.get(REVIEW).text
    assert "Two corrections disagree" in page and "mara@" in page and "nils@" in page
    adopted = page.split('name="adopts" value="')[1].split('"')[0]
    assert "Nothing to review" in judge(olga, item(page), "corrected", adopts=adopted).text
    with reading(shop.database) as session:
        owner = assistants.get(session, "shop")
        newest, *_ = corrections.every(session, owner, FeedbackKind.CORRECTION)
        assert reviews.disputed(session, owner) == []
    assert (newest[0].author, newest[0].text) == ("olga@example.com", "It left today.")
