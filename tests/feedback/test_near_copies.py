"""What counts as a copy of an exam question: typos and order do not hide one, a subject does."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback import meaning
from feedback.errors import Invalid
from feedback.meaning import vectors
from feedback.near_copies import (
    MIN_TURN_CHARS,
    SENTENCE_END,
    Method,
    Near,
    Sealed,
    similarity,
    trigrams,
)
from feedback.settings import FeedbackSettings
from feedback.transcript import ModelMessages

TICKET = "Bought an anorak for my dad and he hates the colour. Until when can we bring it back?"
THRESHOLD = FeedbackSettings().near_copy_similarity
MEANING = FeedbackSettings().near_copy_meaning
DATA = Path(__file__).parents[3] / "shared" / "data"
SHOP = Path(__file__).parents[2] / "examples" / "puddle_and_pine"


def near(question: str, ticket: str = TICKET) -> bool:
    sealed = Sealed([("t1", [{"role": "user", "content": ticket}])], THRESHOLD)
    return sealed.near([{"role": "user", "content": question}]) is not None


@pytest.mark.parametrize(
    "copy",
    [
        TICKET,
        TICKET.upper() + " !!!",
        "Bougth an anorak for my dad and he hates the color. Until when can we bring it back",
        "Until when can we bring it back? Bought an anorak for my dad and he hates the colour.",
        "Bóught an anorak for my dad, and he hates the colour: until when can we bring it back?",
        f"Hi! {TICKET} Thanks",
    ],
)
def test_a_copy_is_caught_through_typos_word_order_and_dress(copy: str) -> None:
    assert near(copy)


@pytest.mark.parametrize(
    "other",
    [
        "How long do I have to return a raincoat that doesn't suit me?",
        "Bought a tent for my dad. How do I pitch it in the rain?",
        "When does the shop in the harbour open on Saturdays?",
        "yes, please",
    ],
)
def test_another_question_on_the_same_subject_is_free(other: str) -> None:
    assert not near(other)


def test_a_short_last_turn_says_nothing_by_itself() -> None:
    sealed = Sealed(
        [
            (
                "t1",
                [
                    {"role": "user", "content": "May I return the stove I lit once in the garden?"},
                    {"role": "assistant", "content": "Was it lit indoors?"},
                    {"role": "user", "content": "no"},
                ],
            )
        ],
        THRESHOLD,
    )
    talk = [
        {"role": "user", "content": "Can I change the address of my parcel to Heron Lane 4?"},
        {"role": "assistant", "content": "Has it left the shed?"},
        {"role": "user", "content": "no"},
    ]
    assert sealed.near(talk) is None


def test_the_question_of_a_ticket_is_caught_behind_another_beginning() -> None:
    sealed = Sealed([("t1", [{"role": "user", "content": TICKET}])], THRESHOLD)
    talk = [
        {"role": "user", "content": "Hello, is anybody there this morning, or only ducks?"},
        {"role": "assistant", "content": "Only ducks, but they type well. How can they help?"},
        {"role": "user", "content": TICKET},
    ]
    assert sealed.near(talk) == Near("t1", 1.0, Method.TRIGRAMS)


@given(st.text(min_size=1, max_size=60))
def test_a_text_is_a_copy_of_itself(text: str) -> None:
    assert similarity(trigrams(text), trigrams(text)) == 1.0


@given(st.text(max_size=40), st.text(max_size=40))
def test_similarity_is_a_share_and_has_no_direction(a: str, b: str) -> None:
    found = similarity(trigrams(a), trigrams(b))
    assert 0 <= found <= 1
    assert found == similarity(trigrams(b), trigrams(a))


WORDS = st.lists(
    st.sampled_from(
        ["my", "tent", "is", "wet", "smells", "of", "dog", "again", "how", "do", "i", "fresh"]
    ),
    max_size=12,
).map(" ".join)
TURN = st.one_of(WORDS, st.text(max_size=40), st.tuples(WORDS, WORDS).map(". ".join))
TALKS = st.lists(TURN, min_size=1, max_size=4).map(
    lambda texts: [
        {"role": "assistant" if (len(texts) - number) % 2 == 0 else "user", "content": text}
        for number, text in enumerate(texts)
    ]
)


kept = cache(trigrams)


def alike(a: str, b: str) -> float:
    return similarity(kept(a), kept(b))


def slowly(tickets: list[ModelMessages], talk: ModelMessages) -> list[float]:
    """The similarity of each ticket with a talk, text by text as decision 6 has it."""

    def asked(turns: ModelMessages) -> list[str]:
        return [turn["content"] for turn in turns if turn["role"] == "user"]

    def whole(turns: ModelMessages) -> str:
        return " ".join(turn["content"] for turn in turns)

    long = [text for text in asked(talk) if len(text) >= MIN_TURN_CHARS]
    sentences = [part for text in long for part in SENTENCE_END.split(text)]
    mine = [*long, *(part for part in sentences if len(part) >= MIN_TURN_CHARS)]
    found = []
    for ticket in tickets:
        best = alike(whole(talk), whole(ticket))
        last = asked(ticket)[-1]
        if len(last) >= MIN_TURN_CHARS:
            best = max([best, *(alike(text, last) for text in mine)])
        found.append(best)
    return found


def agrees(tickets: list[ModelMessages], talks: list[ModelMessages], threshold: float) -> int:
    """Holds the index against comparing one by one; how many of the talks were near a ticket."""
    names = [str(number) for number in range(len(tickets))]
    sealed = Sealed(zip(names, tickets, strict=True), threshold)
    hits = 0
    for talk, near in zip(talks, sealed.near_all(talks), strict=True):
        similar = slowly(tickets, talk)
        best = max(similar, default=0.0)
        if best < threshold:
            assert near is None
        else:
            hits += 1
            assert near == Near(names[similar.index(best)], best, Method.TRIGRAMS)
        assert near == sealed.near(talk)
    return hits


@given(st.lists(TALKS, max_size=6), st.lists(TALKS, max_size=6), st.floats(0.05, 1))
def test_the_index_answers_as_comparing_one_by_one_does(
    tickets: list[ModelMessages], talks: list[ModelMessages], threshold: float
) -> None:
    agrees(tickets, talks, threshold)


@pytest.mark.skipif(not DATA.exists(), reason="the outside data is not beside the checkout")
def test_the_index_answers_as_comparing_one_by_one_does_on_real_talks() -> None:
    def contexts(name: str) -> list[ModelMessages]:
        lines = (DATA / name).read_text(encoding="utf-8").splitlines()
        return [json.loads(line)["context"] for line in lines]

    tickets = contexts("star_corrections_heldout.jsonl")
    talks = contexts("star_corrections_train.jsonl")[::40]
    assert 5 < agrees(tickets, talks, THRESHOLD) < len(talks) / 4


def test_a_text_with_more_trigrams_than_fit_a_byte_is_compared_as_exactly() -> None:
    ticket = " ".join(f"{number * 7919:x}" for number in range(300))
    cut = ticket[: len(ticket) * 3 // 4]
    assert len(trigrams(cut)) > 255
    assert agrees(
        [[{"role": "user", "content": ticket}]], [[{"role": "user", "content": cut}]], 0.3
    )


def test_without_tickets_everything_is_free() -> None:
    assert Sealed([], THRESHOLD, MEANING).near([{"role": "user", "content": TICKET}]) is None


def test_a_copy_between_a_greeting_and_a_farewell_is_caught() -> None:
    ticket = "Until when can we bring an anorak back that my dad hates?"
    wordy = f"Good morning to all of you in the shed! {ticket} I am in a hurry, dad is not. Cheers."
    assert similarity(trigrams(wordy), trigrams(ticket)) < THRESHOLD
    assert near(wordy, ticket)


def by_meaning(question: str, ticket: str, threshold: float = MEANING) -> Near | None:
    sealed = Sealed([("t1", [{"role": "user", "content": ticket}])], THRESHOLD, threshold)
    return sealed.near([{"role": "user", "content": question}])


@pytest.mark.parametrize(
    ("question", "ticket"),
    [
        ("Could you help me cancel the newsletter subscription?",
         "need help canceling my newsletter subscription"),
        ("Can I pay the invoice in two parts?", "I would like to pay my invoice in two parts"),
        ("how to reset the PIN code of my user profile ?", "can I reset the PIN code of my profile?"),
    ],
)  # fmt: skip
def test_a_question_in_other_words_is_caught_by_its_meaning(question: str, ticket: str) -> None:
    assert by_meaning(question, ticket, 0) is None
    found = by_meaning(question, ticket)
    assert found is not None
    assert (found.ticket, found.method) == ("t1", Method.MEANING)
    assert MEANING <= found.similarity <= 1


def test_no_correction_of_the_sample_shop_means_what_an_exam_ticket_means() -> None:
    """They share their facts, as an exam and its lessons do; none is lost."""

    def rows(name: str) -> list[dict[str, Any]]:
        lines = (SHOP / name).read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    tickets = [(row["id"], row["context"]) for row in rows("tickets.jsonl")]
    asked = [[{"role": "user", "content": row["question"]}] for row in rows("corrections.jsonl")]
    assert not any(Sealed(tickets, THRESHOLD, MEANING).near_all(asked))


@given(st.lists(WORDS, max_size=5), st.lists(WORDS, min_size=1, max_size=5))
def test_a_meaning_does_not_depend_on_what_else_is_asked_or_on_word_order(
    others: list[str], words: list[str]
) -> None:
    together = vectors([*others, *words])[len(others) :]
    alone = [vectors([" ".join(reversed(text.split()))])[0] for text in words]
    assert (together == alone).all()


@given(st.lists(st.text(max_size=200), min_size=1, max_size=4))
def test_products_of_meanings_are_whole_numbers_that_32_bits_hold(texts: list[str]) -> None:
    """So that every machine comes to the same similarity, in whatever order it adds."""
    found = vectors(texts)
    assert (found == found.round()).all()
    exact = found.astype(int) @ found.astype(int).T
    assert abs(exact).max() < 2**24
    assert (found @ found.T == exact).all()


def test_without_the_word_vectors_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meaning, "find_spec", lambda name: None)
    for cached in (meaning._weights, meaning._tokenizer, meaning._tokens):
        cached.cache_clear()
    with pytest.raises(Invalid, match="FEEDBACK_NEAR_COPY_MEANING=0"):
        by_meaning("Is it raining?", TICKET)


def test_the_service_starts_without_numpy_and_the_weights_load_without_their_package() -> None:
    """What only a freeze needs must not be paid for by a service."""
    code = """
import sys
import feedback.datasets
assert "numpy" not in sys.modules
from feedback.meaning import vectors
vectors(["wet dog"])
assert not {"wordllama", "torch", "requests"} & set(sys.modules), sys.modules.keys()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
