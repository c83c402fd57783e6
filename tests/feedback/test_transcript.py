"""The one renderer: what holds for every conversation, whatever was said in it."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from feedback.tables import Message, MessageState, Speaker
from feedback.transcript import ModelMessages, render, turns

TURN = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant"]), "content": st.text(min_size=1, max_size=30)}
)
CONVERSATION = st.lists(TURN, min_size=1, max_size=12)
QUESTION = {"role": "user", "content": "And now?"}


@given(CONVERSATION, st.integers(1, 200))
def test_roles_alternate(conversation: ModelMessages, max_chars: int) -> None:
    roles = [turn["role"] for turn in render("", conversation, max_chars)]
    assert all(a != b for a, b in pairwise(roles))


@given(CONVERSATION, st.integers(1, 200))
def test_the_last_turn_is_kept_whole_however_little_fits(
    conversation: ModelMessages, max_chars: int
) -> None:
    rendered = render("Be kind.", conversation, max_chars)
    assert rendered[-1]["role"] == conversation[-1]["role"]
    assert rendered[-1]["content"].endswith(conversation[-1]["content"])


@given(CONVERSATION, st.integers(1, 200))
def test_the_prompt_comes_first_and_only_once(conversation: ModelMessages, max_chars: int) -> None:
    rendered = render("Be kind.", conversation, max_chars)
    assert rendered[0] == {"role": "system", "content": "Be kind."}
    assert [turn["role"] for turn in rendered].count("system") == 1


@given(CONVERSATION, st.integers(1, 200))
def test_a_conversation_that_ends_with_a_question_never_opens_with_an_answer(
    conversation: ModelMessages, max_chars: int
) -> None:
    assert render("", [*conversation, QUESTION], max_chars)[0]["role"] == "user"


@given(CONVERSATION, st.integers(1, 200))
def test_all_but_the_last_turn_fit(conversation: ModelMessages, max_chars: int) -> None:
    rendered = render("", conversation, max_chars)
    if len(rendered) > 1:
        assert sum(len(turn["content"]) for turn in rendered) <= max_chars


@given(CONVERSATION)
def test_nothing_is_lost_while_it_fits(conversation: ModelMessages) -> None:
    rendered = render("", [QUESTION, *conversation], 10_000)
    said = "\n\n".join(turn["content"] for turn in rendered)
    assert said == "\n\n".join(turn["content"] for turn in [QUESTION, *conversation])


@given(CONVERSATION, st.integers(1, 200))
def test_rendering_leaves_its_input_alone(conversation: ModelMessages, max_chars: int) -> None:
    before = [dict(turn) for turn in conversation]
    render("Be kind.", conversation, max_chars)
    assert conversation == before


@given(CONVERSATION, st.integers(1, 200))
def test_what_was_rendered_renders_to_itself(conversation: ModelMessages, max_chars: int) -> None:
    once = render("", conversation, max_chars)
    assert render("", once, max_chars) == once


def test_agents_and_the_bot_speak_with_one_voice_and_unwritten_answers_are_left_out() -> None:
    def said(speaker: Speaker, text: str, state: MessageState) -> Message:
        return Message(conversation_id="c", position=0, speaker=speaker, text=text, state=state)

    messages = [
        said(Speaker.CUSTOMER, "Hello?", MessageState.COMPLETE),
        said(Speaker.ASSISTANT, "Hel", MessageState.INTERRUPTED),
        said(Speaker.AGENT, "Hello, Mara here.", MessageState.COMPLETE),
        said(Speaker.CUSTOMER, "Finally.", MessageState.COMPLETE),
        said(Speaker.ASSISTANT, "", MessageState.FAILED),
        said(Speaker.ASSISTANT, "I am", MessageState.WRITING),
    ]
    assert [(turn["role"], turn["content"]) for turn in turns(messages)] == [
        ("user", "Hello?"),
        ("assistant", "Hel"),
        ("assistant", "Hello, Mara here."),
        ("user", "Finally."),
    ]
