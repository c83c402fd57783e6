"""Facts: which there are in a text, and when one text knows what another states."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals import knowledge, number_words, units
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
        ("Es dauert dreißig Tage.", "30 Tage"),
        ("Das macht fünfunddreißig Euro, vierzig Euro.", "35 € oder 40 €"),
        ("DREISSIG TAGE LANG", "dreißig Tage"),
        ("2 K\u0130LO", "2 kilo"),
        ("5 L\u0130TRE", "5 Liter"),
        ("12 APR\u0130L 2026", "12 April 2026"),
        ("5 m\u0131n", "5 minutes"),
        ("It costs one hundred and fifty dollars.", "$150"),
        ("Das kostet hundertfünfzig Euro.", "150 €"),
        ("Das kostet zweihundert Euro.", "200 €"),
        ("between one hundred and two hundred euros", "100 to 200 euros"),
        ("twelve hundred and five points", "1,205 points"),
        ("zweitausendfünfhundert Punkte", "2.500 Punkte"),
        ("5 tausend Euro", "5000 €"),
        ("two million euros", "€2,000,000"),
        ("within 2-3 days", "two to three days"),
        ("in 5 Werktagen", "5-7 Werktage"),
        ("ab 8 Uhr", "8\u201318 Uhr"),
        ("am 24.12.2026", "24.-26.12.2026"),
        ("am 24. Dezember", "vom 24. bis 26. Dezember"),
        ("ab 5 Euro", "5-10 €"),
        ("between 5 and 10 euros", "€5, €10"),
        ("49\u202f€", "49 Euro"),
        ("€\u202f49", "49 Euro"),
        ("49,- €", "49 Euro"),
        ("49,\u2013 Euro", "49 Euro"),
        ("50 US dollars", "$50"),
        ("50 US-Dollar", "$50"),
        ("A$50", "50 Australian dollars"),
        ("$100k", "$100,000"),
        ("Erstattung in Euro 14 Tage nach Eingang", "14 Tage"),
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
        ("Das kostet 5 €.", "Versand in 5-7 Werktagen"),
        ("Das kostet 2 €.", "in 2-3 Tagen"),
        ("Das kostet 8 €.", "8\u201318 Uhr"),
        ("Das kostet 8,30 €.", "8.30-18.00 Uhr"),
        ("That is $10.", "10 to 14 days"),
        ("That is $5.", "between 5 and 7 days"),
        ("That is $9.", "9 to 5 pm"),
        ("Das kostet 24 €.", "vom 24. bis 26. Dezember"),
        ("Das kostet 24 €.", "vom 24.-26.12.2026"),
        ("Das kostet 5 €.", "fünf bis sieben Tage"),
        ("Das kostet 49\u202f€.", "4,9 Euro"),
        ("Das kostet 49,- €.", "49 Tage"),
        ("That is 50 US dollars.", "50 €"),
        ("That is A$50.", "$50"),
        ("Das kostet zweihundert Euro.", "200 Tage"),
        ("That is $100k.", "$100"),
        ("5-10 €", "10 €"),
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
        "Das ist kostenlos.",
        "hundreds of them, hundertprozentig",
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


@pytest.mark.parametrize("free", ["0 €", "0,00 Euro", "€0.00", "$ 0", "0,- €", "zero", "kostenlos"])
def test_a_price_of_nothing_is_never_made_up(free: str) -> None:
    assert news(f"Der Versand kostet {free}.", "") == []


def test_what_stands_before_a_price_is_no_part_of_it() -> None:
    shown = [
        (fact.kind, fact.shown) for fact in facts_in("Socks, size 39 - 5 euros; room 12 and 3 days")
    ]
    assert shown == [
        (Kind.PRICE, "5 euros"),
        (Kind.NUMBER, "3 days"),
        (Kind.NUMBER, "39"),
        (Kind.NUMBER, "12"),
    ]


def spellings(word: str) -> list[str]:
    """However patterns that do not mind capitals take the word."""
    turkish = word.replace("i", "\u0130"), word.replace("i", "\u0131")
    return [
        word,
        word.upper(),
        word.title(),
        word.replace("s", "\u017f"),
        word.replace("ss", "ß"),
        *turkish,
    ]


@pytest.mark.parametrize(
    ("before", "words"),
    [("", number_words.WORDS), ("5 ", units.CURRENCY), ("5 ", units.UNIT), ("5 ", units.MONTHS)],
)
def test_every_word_is_read_however_its_letters_are_written(
    before: str, words: dict[str, object]
) -> None:
    for word in words:
        after = "" if before else " Tage"
        plain = {fact.asks for fact in facts_in(f"{before}{word}{after}")}
        for spelled in spellings(word):
            read = {fact.asks for fact in facts_in(f"{before}{spelled}{after}")}
            assert read == plain, spelled


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
