"""Scores and their sentences."""

import math

import pytest
from sacrebleu import sentence_chrf

from evals import scores
from evals.scored import Scored


def test_chrf_is_sacrebleus_and_says_what_it_compared() -> None:
    answer, reference = "You have 30 days.", "You have 40 days to send it back."
    found = scores.chrf(answer, reference)
    assert found.value == sentence_chrf(answer, [reference]).score
    assert found.reason == (
        "32.8 of 100 for the character n-grams shared with the reference "
        "(17 characters against 33)."
    )


def test_chrf_ends() -> None:
    assert scores.chrf("Forty days.", "Forty days.").value == pytest.approx(100)
    assert scores.chrf("", "Forty days.").value == 0
    assert scores.chrf("Forty days.", " ").value is None


def test_mean_logprob_is_finite_or_missing() -> None:
    assert scores.mean_logprob(-1.5).value == -1.5
    assert scores.mean_logprob(-1.5).reason == (
        "The reference costs 1.500 nats per token, less being better."
    )
    assert scores.mean_logprob(-math.inf).value is None
    assert scores.mean_logprob(math.nan).value is None


@pytest.mark.parametrize(
    ("answer", "phrase"),
    [
        ("Write PINE-BACK on it", "pine-back"),
        ("Write PINE\u2011BACK on it", "PINE-BACK"),
        ("It\u2019s \u201cfree\u201d", 'it\'s "free"'),
        ("within 6\n  working\u00a0days", "6 working days"),
        ("refunds come on Thursdays", "Thursday"),
        ("STRASSE", "straße"),
        ("costs 4,50 euros", "4,50"),
        ("It costs €3, or €4.", "€3"),
        ("In 2025, 40 days. In 2026.", "2026"),
        ("PINE\u00ad-BACK", "pine-back"),
    ],
)
def test_a_rule_looks_at_words_not_at_typography(answer: str, phrase: str) -> None:
    assert scores.says(answer, phrase)


@pytest.mark.parametrize(
    ("answer", "phrase"),
    [
        ("within 140 days", "40 days"),
        ("call 5551", "555"),
        ("forty days", "40 days"),
        ("", "a"),
        ("It costs 3.80 euros.", "80 euros"),
        ("It costs €3.80", "€3"),
        ("Das kostet 3,80 €", "80 €"),
        ("Das kostet 1.000 Euro", "000 euro"),
        ("Das kostet € 1,50", "€ 1"),
    ],
)
def test_a_number_is_taken_whole(answer: str, phrase: str) -> None:
    assert not scores.says(answer, phrase)


def test_rules_count_what_is_broken_and_list_it() -> None:
    said = "You have 30 days, free of charge."
    assert scores.must_say(said, ["40 days", "PINE-BACK", "you have"]) == Scored(
        "must_say_broken", 2, "It does not say '40 days', 'PINE-BACK'."
    )
    assert scores.must_not_say(said, ["30 days", "14 days"]) == Scored(
        "must_not_say_broken", 1, "It says '30 days'."
    )
    assert scores.must_say(said, []).value == 0
    assert scores.must_say(said, ["30 days"]).reason == "It says all it must."
    assert scores.must_not_say(said, []).value == 0
    assert scores.forbidden(said, ["30 days", "14 days"]) == {"30 days"}


def test_an_empty_rule_cannot_be_scored() -> None:
    assert scores.must_say("Anything", ["\u200b "]).value is None
    assert scores.must_not_say("Anything", [""]).value is None
