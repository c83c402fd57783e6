"""Topics in the console: the list in the settings, a conversation's own, a candidate's choices."""

import httpx
import pytest
from sqlmodel import select

from feedback import assistants, exams
from feedback.database import reading, writing
from feedback.tables import Conversation, EvalRun, ExamAnswer, Role
from tests.console.agents import acts, talked
from tests.console.conftest import hire, signed_in
from tests.console.trained import add_tickets, teach, train
from tests.service.conftest import Shop


def list_topics(shop: Shop, *topics: str) -> None:
    with writing(shop.database) as session:
        assistants.change(session, assistants.get(session, "shop"), topics=list(topics))


def test_an_operator_sets_the_topics_one_a_line(shop: Shop) -> None:
    with signed_in(shop, hire(shop.database, "olga", Role.OPERATOR)) as olga:
        page = olga.post("/console/shop/settings/topics", data={"topics": "returns\r\nfees\r\n"})
        assert "returns\nfees" in page.text
        assert (
            "read the same"
            in olga.post("/console/shop/settings/topics", data={"topics": "a_b\na b"}).text
        )
    with reading(shop.database) as session:
        assert assistants.get(session, "shop").topics == ["returns", "fees"]


def test_an_agent_names_a_conversations_topic_and_sees_who_did(
    shop: Shop, mara: httpx.Client
) -> None:
    conversation, _ = talked(shop)
    place = f"/console/shop/conversations/{conversation}"
    assert "What it is about" not in mara.get(place).text
    list_topics(shop, "returns", "fees")
    with writing(shop.database) as session:
        talk = session.get_one(Conversation, conversation)
        talk.topic, talk.topic_by = "fees", "bot"
        session.add(talk)
    page = mara.get(place).text
    assert "named by the bot" in page and "Confirm" in page
    page = mara.post(f"{place}/topic", data={"topic": "returns"}).text
    assert "named by mara@example.com" in page
    assert acts(shop)[-1] == "conversation.topic"


@pytest.mark.parametrize("kind", ["Topics", "Hand-overs"])
def test_a_candidates_page_shows_what_it_chose_with_the_matrix(
    shop: Shop, mara: httpx.Client, kind: str
) -> None:
    teach(shop)
    add_tickets(shop, 4)
    trained = train(shop)
    with writing(shop.database) as session:
        run = session.get_one(EvalRun, trained.decision.candidate_run_id)
        for each in exams.answers(session, run):
            each.ticket.topic = "returns"
            kept = session.exec(select(ExamAnswer).where(ExamAnswer.id == each.answer.id)).one()
            kept.topic = "fees"
            kept.text = "I can't help with that."
            session.add_all([each.ticket, kept])
    page = mara.get(f"/console/shop/candidates/{trained.adapter.name}").text
    assert f"<h2>{kind}" in page and f"{kind}, confusion matrix" in page
