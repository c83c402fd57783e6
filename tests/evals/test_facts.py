"""Facts: which there are in a text, and when one text knows what another states."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals import knowledge
from evals.facts import Kind, facts_in, told_by, unknown
from feedback.knowledge import Said


def news(answer: str, *known: str) -> list[str]:
    return [fact.shown for fact in unknown(facts_in(answer), told_by(known))]


@pytest.mark.parametrize(
    ("answer", "known"),
    [
        ("You have 40 days.", "forty days"),
        ("You have forty days.", "a 40-day window"),
        ("It costs 3,80 euros.", "€3.80"),
        ("It costs EUR 3.80.", "3.80 euros"),
        ("It costs 80 cents.", "0.80 euros"),
        ("up to 1,000 points", "1.000 points"),
        ("up to 1 000 points", "1000"),
        ("before 1:40 pm", "13:40"),
        ("until 6:15", "18:15"),
        ("within 1.5 hours", "90 minutes"),
        ("within a day, that is 24 hours", "1 day"),
        ("17 % off", "17 percent"),
        ("on 3 March 2026", "2026-03-03"),
        ("on March 3rd", "3.3.2026"),
        ("see www.puddle.example/returns.", "https://puddle.example/returns/"),
        ("Use PINE\u2011BACK", "PINE-BACK"),
        ("call 0800 733 4455", "call 0800-733-4455"),
        ("Mail HELP@puddle.example", "help@puddle.example"),
        ("Sie haben vierzig Tage.", "40 Tage"),
        ("Tiene cuarenta días.", "40 days"),
        ("Vous avez quarante jours.", "40 days"),
        ("\u0664\u0660 days", "40 days"),
        ("It takes 30.", "30 euros"),
    ],
)
def test_the_same_fact_is_known_however_it_is_spelled(answer: str, known: str) -> None:
    assert facts_in(answer)
    assert news(answer, known) == []


@pytest.mark.parametrize(
    ("answer", "known"),
    [
        ("You have 40 euros.", "40 days"),
        ("It costs $3.80.", "€3.80"),
        ("You have 40 months.", "40 days"),
        ("before 1:40 am", "13:40"),
        ("on 4 March", "3 March"),
        ("Write PINE-BOX on it.", "PINE-BACK"),
        ("see puddle.example/refunds", "puddle.example/returns"),
        ("Reply LOSTFROG.", "Reply LOSTDUCK."),
        ("We are there 24/7.", "24 hours, 7 days"),
        ("call 0800 733 4456", "call 0800 733 4455"),
        ("It takes 13 days.", "30 days"),
    ],
)
def test_a_fact_that_differs_is_news(answer: str, known: str) -> None:
    assert len(news(answer, known)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "1. Wash it.\n2. Post it.",
        "First 1) wash it 2) post it 3) wait.",
        "Step 2: press the button.",
        "One of the two of you, once more.",
        "This is VERY important. NEVER do that.",
        "Our FAQ is a PDF.",
        "<PHONE_NUMBER_1> and {{Order 12}}",
        "1\ufe0f\u20e3 Wash it",
    ],
)
def test_numbering_emphasis_and_pronouns_are_no_facts(text: str) -> None:
    assert facts_in(text) == []


def test_digits_inside_a_code_a_card_or_a_phone_number_belong_to_it() -> None:
    text = "Order PP-1041, card 4111 1111 1111 1111, phone +44 20 7208 9620."
    assert [(fact.kind, fact.shown) for fact in facts_in(text)] == [
        (Kind.PHONE, "+44 20 7208 9620"),
        (Kind.PERSONAL, "4111 1111 1111 1111"),
        (Kind.CODE, "PP-1041"),
    ]


@given(st.text(max_size=200))
def test_any_text_knows_its_own_facts(text: str) -> None:
    assert news(text, text) == []


@given(st.integers(1, 99_999), st.sampled_from(["days", "euros", "percent", "km"]))
def test_a_number_of_anything_is_read_and_is_news_to_the_empty_house(n: int, unit: str) -> None:
    [fact] = unknown(facts_in(f"That makes {n} {unit}."), ())
    assert str(n) in fact.shown


def test_what_one_customer_was_told_is_theirs_but_a_price_is_everybodys() -> None:
    told = "We wrote to ada@example.com about the 9 euros."
    said = [Said(told, "ada"), Said(told, "ada")]
    known = knowledge.told(said, several=2)
    assert [fact.shown for fact in unknown(facts_in(told), known)] == ["ada@example.com"]
    known = knowledge.told([*said, Said(told, "bo")], several=2)
    assert not list(unknown(facts_in(told), known))
    assert not list(unknown(facts_in(told), knowledge.told([Said(told)], several=2)))
