"""Whether an edit only mends letters, by its words alone or by what the agent said."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.edits import ONLY_FORM, EditKind, kind_of, length_ratio
from feedback.tables import FlagReason


def is_only_form(before: str, after: str, reason: FlagReason | None = None) -> bool:
    return kind_of(before, after, reason) in ONLY_FORM


ANSWER = "You may return the tent within 14 days. We collect it and refund the whole price."


@pytest.mark.parametrize(
    ("after", "only_form"),
    [
        (ANSWER.replace("collect", "colect"), True),
        (ANSWER.replace("return", "retrun"), True),
        (ANSWER.replace("refund", "refundd").replace("price", "pricce"), True),
        (ANSWER.replace(". ", ".\n\n- "), True),
        (ANSWER.upper(), True),
        (ANSWER.replace("14", "30"), False),
        (ANSWER.replace("within 14 days", "at any time"), False),
        (ANSWER + " Please keep the receipt.", False),
        (ANSWER.replace("may", "may not"), False),
        (ANSWER.replace("the tent", "any tent that was not used"), False),
    ],
)
def test_the_words_say_whether_more_than_letters_changed(after: str, only_form: bool) -> None:
    assert is_only_form(ANSWER, after) == only_form


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("It is now free.", "It is not free."),
        ("You can return it.", "You can't return it."),
        ("It costs 15 euros.", "It costs 51 euros."),
        ("Use code ABC12.", "Use code ABD12."),
        ("It costs \u20ac5.", "It costs $5."),
        ("You get 5 % off.", "You get 5 off."),
        ("Down to -5 degrees.", "Down to 5 degrees."),
        ("It is inside.", "It is beside."),
        ("We accept it.", "We except it."),
        ("It is refundable.", "It is nonrefundable."),
        ("Send it back.", "Send it."),
    ],
)
def test_a_small_change_of_meaning_is_no_typo(before: str, after: str) -> None:
    assert not is_only_form(before, after)


@pytest.mark.parametrize("reason", list(FlagReason))
def test_what_the_agent_says_counts_first(reason: FlagReason) -> None:
    mended = ANSWER.replace("collect", "colect")
    assert is_only_form(ANSWER, mended, reason) == (reason == FlagReason.FORMAT)
    assert not is_only_form(ANSWER, ANSWER.replace("14", "30"), reason)


@pytest.mark.parametrize(
    ("after", "kind"),
    [
        (ANSWER.replace("14", "30"), EditKind.WRONG_FACT),
        (ANSWER + " Please keep the receipt.", EditKind.MISSING_STEP),
        (ANSWER.replace("collect", "colect"), EditKind.TYPO),
        (ANSWER.replace(". ", ".\n\n- "), EditKind.FORMAT),
        ("Sure! " + ANSWER.replace("You may", "Feel free to"), EditKind.TONE),
        ("Ask the shop around the corner, please.", EditKind.REWRITE),
    ],
)
def test_an_edit_is_named_by_what_it_changes(after: str, kind: EditKind) -> None:
    assert kind_of(ANSWER, after) == kind


@pytest.mark.parametrize("reason", [each for each in FlagReason if each != FlagReason.FORMAT])
def test_an_agents_reason_names_the_edit_whatever_its_words(reason: FlagReason) -> None:
    assert kind_of(ANSWER, ANSWER.replace("14", "30"), reason) == EditKind(reason)


@given(st.text(max_size=300), st.text(max_size=300))
def test_a_length_ratio_does_not_depend_on_the_order(a: str, b: str) -> None:
    assert length_ratio(a, b) == length_ratio(b, a) >= 1


WORDS = st.lists(st.text(string.ascii_lowercase, min_size=6, max_size=12), min_size=3, max_size=12)


@given(WORDS, st.data())
def test_one_slip_in_a_long_word_is_a_typo_both_ways(words: list[str], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(words) - 1))
    at = data.draw(st.integers(1, len(words[place]) - 2))
    word = words[place]
    slip = data.draw(
        st.sampled_from(
            [
                word[:at] + word[at + 1 :],
                word[:at] + "q" + word[at:],
                word[:at] + "q" + word[at + 1 :],
            ]
        )
    )
    if slip == word:
        return
    other = [*words[:place], slip, *words[place + 1 :]]
    for before, after in ((words, other), (other, words)):
        assert is_only_form(" ".join(before), " ".join(after))
