"""The page of agreement: an operator sees everybody, an agent themselves."""

import httpx
from sqlmodel import Session, select

from feedback import assistants, reviews, staff
from feedback.database import writing
from feedback.desk_tables import Review, ReviewSource, Verdict
from feedback.tables import Message, Role, Speaker
from tests.console.agents import talked
from tests.console.conftest import hire
from tests.feedback.test_reviews import judged
from tests.service.conftest import Shop

PAGE = "/console/shop/agreement"
YES, NO = "It left the shop today.", "We never had an order of yours."


def seen_by_mara_and_nils(shop: Shop, times: int) -> None:
    """So many answers that both judged; they agree but for the last."""
    hire(shop.database, "nils", Role.AGENT)
    for number in range(times):
        talked(shop, f"Question {number}?")
    with writing(shop.database) as session:
        answers = session.exec(select(Message).where(Message.speaker == Speaker.ASSISTANT)).all()
        for answer in answers:
            _judged_twice(session, answer, is_last=answer is answers[-1])


def _judged_twice(session: Session, answer: Message, is_last: bool) -> None:
    owner = assistants.get(session, "shop")
    review = Review(
        assistant_id=owner.id,
        message_id=answer.id,
        source=ReviewSource.RANDOM,
        verdicts_needed=2,
    )
    session.add(review)
    session.flush()
    for name in ("mara", "nils"):
        text = NO if is_last and name == "nils" else YES
        who = staff.get(session, f"{name}@example.com")
        judged(session, review, who, Verdict.CORRECTED, text)


def test_an_operator_sees_everybody_and_what_waits_for_a_decision(
    shop: Shop, mara: httpx.Client, olga: httpx.Client
) -> None:
    assert "Too few answers were seen by two" in olga.get(PAGE).text
    seen_by_mara_and_nils(shop, 10)
    page = olga.get(PAGE).text
    assert "Too few" not in page
    assert "90 %" in page and "agreed, of 10 seen by two" in page
    assert "mara@example.com 9" in page  # in the words that describe the chart
    assert "nils@example.com 9" in page
    assert YES in page and NO in page
    assert page.count("upside down") == 1


def test_an_agent_sees_their_own_figures_and_nobody_elses(
    shop: Shop, mara: httpx.Client, olga: httpx.Client
) -> None:
    seen_by_mara_and_nils(shop, 10)
    page = mara.get(PAGE).text
    assert "mara@example.com" in page and "agreed, of 10 seen by two" in page
    assert "nils@example.com" not in page and NO not in page


def test_the_api_says_the_same_to_each(shop: Shop, mara: httpx.Client, olga: httpx.Client) -> None:
    seen_by_mara_and_nils(shop, 10)
    with shop.client("operator") as client:
        found = client.get("/v1/agreement").json()
    assert (found["items"], found["agreed"], found["same_correction"]) == (10, 9, 9)
    assert [one["author"] for one in found["people"]] == ["mara@example.com", "nils@example.com"]
    assert found["alpha"] is None and found["label_noise"] is None
    with shop.client("operator") as client:
        [dispute] = client.get("/v1/disputes").json()
        assert [side["text"] for side in dispute["sides"]] == [YES, NO]
    with shop.client("agent") as client:  # a script's key: it is nobody
        assert client.get("/v1/agreement").json()["people"] == []


def test_what_is_decided_leaves_the_list(
    shop: Shop, mara: httpx.Client, olga: httpx.Client
) -> None:
    seen_by_mara_and_nils(shop, 1)
    with writing(shop.database) as session:
        [item] = reviews.disputed(session, assistants.get(session, "shop"))
        who = staff.get(session, "olga@example.com")
        judged(session, item.review, who, Verdict.CORRECTED, NO)
    assert "Nobody disagrees about an answer right now" in olga.get(PAGE).text
