"""Near-copies on record: what a freeze left out beside the exam ticket, and no longer than it matters."""

import pytest
from sqlmodel import Session, select

from feedback import corrections, datasets, freezing, leaks, tickets
from feedback.near_copies import Method, Near
from feedback.tables import Assistant, Feedback, FeedbackKind, Role, Ticket
from feedback.trust_tables import NearCopy
from tests.feedback.said import NIGHT, SHOES, SPOON, answered, corrected

PAY = "Can I pay the invoice in two parts?"
PAY_TOO = "I would like to pay my invoice in two parts"


def ticket(session: Session, assistant: Assistant, name: str, question: str) -> Ticket:
    return tickets.create(session, assistant, name, [{"role": "user", "content": question}], "So.")


def shown(session: Session, assistant: Assistant) -> list[tuple[str, str, str]]:
    """Question, the exam's question and by which measure, in the order shown."""
    found = leaks.pairs(session, assistant)
    assert leaks.count(session, assistant) == len(found)
    return [(pair.question, pair.exam_question, pair.method) for pair in found]


def test_a_freeze_leaves_the_pairs_it_left_out_the_most_similar_first(
    assistant: Assistant, session: Session
) -> None:
    ticket(session, assistant, "t1", NIGHT)
    ticket(session, assistant, "t2", PAY)
    corrected(session, assistant, PAY_TOO, "Yes, two instalments.")
    corrected(session, assistant, NIGHT.replace("smells", "smels"), "Air it.")
    corrected(session, assistant, NIGHT, "Air it.")
    corrected(session, assistant, SHOES, "Only in duck yellow.")
    sft, *_ = freezing.freeze(session, assistant)
    assert [item.prompt[-1]["content"] for item in datasets.items(session, sft)] == [SHOES]
    assert sft.counts["ticket_near_copy"] == 3
    found = shown(session, assistant)
    assert found[0] == (NIGHT, NIGHT, "trigrams")
    assert set(found[1:]) == {
        (NIGHT.replace("smells", "smels"), NIGHT, "trigrams"),
        (PAY_TOO, PAY, "meaning"),
    }
    similar = [pair.similarity for pair in leaks.pairs(session, assistant)]
    assert similar == sorted(similar, reverse=True)
    first, second = (leaks.pairs(session, assistant, offset, 1) for offset in (0, 1))
    assert [*first, *second] == leaks.pairs(session, assistant, limit=2)


def test_freezing_again_keeps_the_rows_and_what_is_no_longer_close_goes(
    assistant: Assistant, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket(session, assistant, "t1", NIGHT)
    far = corrected(session, assistant, SPOON, "None.")
    near = corrected(session, assistant, NIGHT, "Air it.")
    freezing.freeze(session, assistant)
    before = session.exec(select(NearCopy)).all()
    freezing.freeze(session, assistant)
    assert session.exec(select(NearCopy)).all() == before
    assert [row.feedback_id for row in before] == [near.id]
    owner = session.exec(select(Ticket)).one()
    closer = Near(owner.id, 0.7, Method.MEANING)
    for _ in range(2):
        leaks.record(session, assistant, [(near.id, owner.id, closer), (far.id, owner.id, closer)])
        session.expire_all()
        rows = session.exec(select(NearCopy)).all()
        assert {row.feedback_id for row in rows} == {near.id, far.id}
        assert {(row.similarity, row.method) for row in rows} == {(0.7, "meaning")}
    leaks.record(session, assistant, [])
    assert session.exec(select(NearCopy)).all() == []


def test_a_retired_ticket_and_words_taken_back_are_no_longer_shown(
    assistant: Assistant, session: Session
) -> None:
    gone = ticket(session, assistant, "t1", NIGHT)
    ticket(session, assistant, "t2", SPOON)
    corrected(session, assistant, NIGHT, "Air it.")
    word = corrected(session, assistant, SPOON, "None.")
    freezing.freeze(session, assistant)
    assert len(shown(session, assistant)) == 2
    tickets.retire(session, gone)
    assert shown(session, assistant) == [(SPOON, SPOON, "trigrams")]
    corrections.withdraw(session, word.id, word.author)
    session.flush()
    assert shown(session, assistant) == []


def test_a_demonstration_is_shown_with_the_question_it_answers(
    assistant: Assistant, session: Session
) -> None:
    ticket(session, assistant, "t1", NIGHT)
    asked, _ = answered(session, assistant, NIGHT)
    corrections.give(
        session, asked.id, FeedbackKind.DEMONSTRATION, "mara", Role.AGENT, text="Air it."
    )
    freezing.freeze(session, assistant)
    [pair] = leaks.pairs(session, assistant)
    assert (pair.question, pair.conversation_id) == (NIGHT, asked.conversation_id)


def test_an_answer_in_the_words_of_a_reference_is_no_leak(
    assistant: Assistant, session: Session
) -> None:
    """House wording is what is to be learned; only questions are compared."""
    ticket(session, assistant, "t1", NIGHT)
    corrected(session, assistant, SHOES, "So.")
    sft, *_ = freezing.freeze(session, assistant)
    assert sft.train_rows + sft.validation_rows == 1


def test_pairs_of_one_assistant_are_not_anothers(
    assistant: Assistant, session: Session, make_assistant: object
) -> None:
    ticket(session, assistant, "t1", NIGHT)
    corrected(session, assistant, NIGHT, "Air it.")
    freezing.freeze(session, assistant)
    other = Assistant(name="other", title="Other", base_model="embedded")
    session.add(other)
    session.flush()
    assert leaks.pairs(session, other) == []
    leaks.record(session, other, [])
    assert len(leaks.pairs(session, assistant)) == len(session.exec(select(Feedback)).all()) == 1
