"""Search over everything that was said, on both databases."""

from collections.abc import Callable

import pytest
from sqlmodel import Session

from feedback import conversations, handovers, search
from feedback.database import writing
from feedback.errors import Invalid
from feedback.tables import Assistant
from tests.feedback.said import answered


def found(session: Session, assistant: Assistant, words: str) -> list[str]:
    return [row.conversation.id for row in search.find(session, assistant, words)]


def test_all_words_must_be_in_one_message_and_the_last_may_be_a_beginning(
    assistant: Assistant, session: Session
) -> None:
    tent, _ = answered(session, assistant, "My red tent leaks", "Seal the seams.")
    answered(session, assistant, "My red shoes squeak", "Dry them.")
    assert found(session, assistant, "red tent") == [tent.conversation_id]
    assert found(session, assistant, "RED te") == [tent.conversation_id]
    assert found(session, assistant, "re tent") == []
    assert found(session, assistant, "tent seams") == []
    assert found(session, assistant, "seams") == [tent.conversation_id]


def test_the_newest_comes_first_and_each_conversation_once(
    assistant: Assistant, session: Session
) -> None:
    one, _ = answered(session, assistant, "A tent", "This tent?")
    two, _ = answered(session, assistant, "A tent", "That tent?")
    assert found(session, assistant, "tent") == [two.conversation_id, one.conversation_id]


def test_a_customer_or_a_conversation_is_found_by_name(
    assistant: Assistant, session: Session
) -> None:
    asked, _ = answered(session, assistant, "Hello", customer="ann@example.com")
    assert found(session, assistant, "ann@example.com") == [asked.conversation_id]
    assert found(session, assistant, f" {asked.conversation_id} ") == [asked.conversation_id]


ORDER = (
    "Order ORD-1234 (invoice 20391, 12.50 euros) for Straße 7: write to mara.lind@shop.example or see "
    "https://shop.example/returns/how_to?from=mail"
)


@pytest.mark.parametrize(
    "words",
    [
        "ORD-1234",
        "ord-1234",
        "1234",
        "20391",
        "2039",
        "12.50",
        "Straße",
        "straße",
        "STRAß",
        "mara.lind@shop.example",
        "lind",
        "returns",
        "how_to",
        "https://shop.example/returns/how_to?from=mail",
        "invoice ORD-1234",
        "(invoice 20391,",
    ],
)
def test_what_people_type_is_found(assistant: Assistant, session: Session, words: str) -> None:
    asked, _ = answered(session, assistant, ORDER)
    answered(session, assistant, "Order ORD-99 (invoice 7, 11.40 euros) for Strasse 8")
    assert found(session, assistant, words) == [asked.conversation_id]


@pytest.mark.parametrize("words", ["हिन्दी", "مُحَمَّد", "été", "ÉTÉ"])
def test_words_with_marks_are_found(assistant: Assistant, session: Session, words: str) -> None:
    asked, _ = answered(session, assistant, "हिन्दी or مُحَمَّد or été?")
    assert found(session, assistant, words) == [asked.conversation_id]


def test_every_conversation_is_on_one_page_whatever_their_size(
    assistant: Assistant, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "WINDOW", 20)
    monkeypatch.setattr(search, "FREQUENT", 5)
    monkeypatch.setattr(search, "AT_ONCE", 3)
    began = []
    for number in range(30):
        asked, _ = answered(session, assistant, f"Tent {number}", customer="ann")
        began.append(asked.conversation_id)
        for _ in range(4 if number > 15 else 0):
            answered(session, assistant, "Boots")
    old = conversations.get(session, began[3])
    answered(session, assistant, "And the tent?", conversation=old)
    expected = [began[3], *reversed(began[4:]), *reversed(began[:3])]
    for limit in (1, 7, 50):
        for words in ("tent", "ten"):
            pages: list[str] = []
            while some := search.find(
                session, assistant, words, limit, pages[-1] if pages else None
            ):
                pages += [row.conversation.id for row in some]
            assert pages == expected


def test_the_conversations_of_a_named_customer_come_first_and_once(
    assistant: Assistant, session: Session
) -> None:
    theirs, _ = answered(session, assistant, "I am ann", customer="ann")
    other, _ = answered(session, assistant, "Is ann there?", customer="bob")
    third, _ = answered(session, assistant, "Hello ann", customer="bob")
    everything = [theirs.conversation_id, third.conversation_id, other.conversation_id]
    assert found(session, assistant, "ann") == everything
    for at, last in enumerate(everything):
        rest = search.find(session, assistant, "ann", after=last)
        assert [row.conversation.id for row in rest] == everything[at + 1 :]


def test_a_page_after_something_else_is_refused(assistant: Assistant, session: Session) -> None:
    answered(session, assistant, "A tent")
    other, _ = answered(session, assistant, "A spoon")
    for after in ("nothing", other.conversation_id):
        with pytest.raises(Invalid, match="expected a conversation that this search finds"):
            search.find(session, assistant, "tent", after=after)


def test_a_draft_is_not_found(assistant: Assistant, session: Session) -> None:
    asked, _ = answered(session, assistant, "Hello")
    conversation = conversations.get(session, asked.conversation_id)
    handovers.keep_draft(session, conversation, "A secret marmalade")
    assert found(session, assistant, "marmalade") == []


@pytest.mark.parametrize(
    "words",
    [
        "",
        "  ",
        "'",
        '"',
        "tent'); drop",
        "a & | ! b",
        "*",
        "(",
        ":*",
        "NEAR OR AND",
        "é",
        "\x00",
        "…",
    ],
)
def test_whatever_is_typed_is_only_words(
    assistant: Assistant, session: Session, words: str
) -> None:
    answered(session, assistant, "Plain", "Text")
    assert found(session, assistant, words) == []


def test_another_assistants_words_are_not_found(
    make_assistant: Callable[..., Assistant], assistant: Assistant
) -> None:
    bakery = make_assistant("bakery")
    with writing() as session:
        answered(session, bakery, "A tent of dough", customer="ann")
        assert found(session, assistant, "tent") == []
        assert found(session, assistant, "ann") == []
