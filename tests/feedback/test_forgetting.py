"""What successive adapters still know: shares, common tickets, backward transfer, what was lost."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import Session

import feedback.forgetting as forgetting_module
from feedback import adapters, exams, freezing, rechecks, tickets
from feedback.desk_tables import RecheckState
from feedback.forgetting import NOT_LEARNED, By, backward_transfer, forgetting
from feedback.tables import Adapter, Assistant, Conversation, Feedback, Message
from tests.feedback.said import built_adapter, corrected, statements_of

Go = Callable[..., Adapter]


@pytest.fixture
def go_live(assistant: Assistant, session: Session, tmp_path: Path) -> Go:
    """Publishes an adapter that learned all there is, and promotes it."""

    def go(seed: str, learns: bool = True) -> Adapter:
        built = built_adapter(tmp_path / seed, seed.encode())
        learned = list(freezing.freeze(session, assistant)) if learns else []
        adapter = adapters.publish(session, assistant, built, learned, {}, {})
        adapters.promote(session, assistant, adapter, "olga", "better")
        return adapter

    return go


def taught(
    session: Session, assistant: Assistant, topic: str | None, *names: str
) -> list[Feedback]:
    words = []
    for name in names:
        word = corrected(session, assistant, f"What of the {name}?", f"The {name} is fine.", name)
        message = session.get_one(Message, word.message_id)
        session.get_one(Conversation, message.conversation_id).topic = topic
        words.append(word)
    return words


def heard(session: Session, by: Adapter, **fixed: tuple[Feedback, bool]) -> None:
    for word, is_right in fixed.values():
        state = RecheckState.FIXED if is_right else RecheckState.NOT_YET
        rechecks.finish(session, rechecks.request(session, word, "mara"), state, by, "Now.", 1, 1)


def sat(session: Session, assistant: Assistant, adapter: Adapter, **scores: float) -> None:
    [run] = exams.open_runs(session, assistant, [adapter], None)
    for ticket in exams.tickets_of(session, run):
        if ticket.external_id in scores:
            scored = [{"metric": "chrf", "value": scores[ticket.external_id], "reason": "chrF."}]
            exams.keep(session, run, ticket, "So.", 1, 1, None, scored)
    exams.finish(session, run)


def test_without_adapters_there_is_nothing_to_forget(
    assistant: Assistant, session: Session
) -> None:
    found = forgetting(session, assistant)
    assert (found.adapters, found.groups, found.lost) == ([], [], [])
    assert found.backward_transfer is None


def test_the_share_fixed_per_topic_and_what_was_lost_with_whom(
    assistant: Assistant, session: Session, go_live: Go
) -> None:
    lamp, tent = taught(session, assistant, "Light", "lamp", "torch")
    [boot] = taught(session, assistant, None, "boot")
    one = go_live("a")
    heard(session, one, lamp=(lamp, True), tent=(tent, True), boot=(boot, False))
    two = go_live("b")
    heard(session, two, lamp=(lamp, True), tent=(tent, False), boot=(boot, True))
    found = forgetting(session, assistant)
    assert [each.id for each in found.adapters] == [one.id, two.id]
    assert found.groups == ["Light", "no topic"]
    light = found.fixed[two.id, "Light"]
    assert (light.value, light.number, light.change) == (0.5, 2, -0.5)
    assert found.fixed[one.id, "Light"].change is None
    [gone] = found.lost
    assert (gone.feedback.id, gone.question) == (tent.id, "What of the torch?")
    assert (gone.had.id, gone.lost_with.id) == (one.id, two.id)


def test_many_corrections_cost_no_more_questions_than_one_and_the_newest_lost_are_named(
    assistant: Assistant, session: Session, go_live: Go, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting_module, "SHOWN", 2)
    one, two = go_live("a", learns=False), go_live("b", learns=False)
    asked = []
    for names in (["lamp"], [f"lamp {number}" for number in range(6)]):
        for word in taught(session, assistant, "Light", *names):
            heard(session, one, it=(word, True))
            heard(session, two, it=(word, False))
        session.flush()
        asked.append(len(statements_of(session, lambda: forgetting(session, assistant))))
    assert asked[0] == asked[1]
    found = forgetting(session, assistant)
    assert found.lost_count == 7
    assert [each.question for each in found.lost] == ["What of the lamp 5?", "What of the lamp 4?"]


def test_groups_are_topics_months_or_the_adapter_that_learned_it_first(
    assistant: Assistant, session: Session, go_live: Go
) -> None:
    [lamp] = taught(session, assistant, "Light", "lamp")
    one = go_live("a")
    [tent] = taught(session, assistant, "Rain", "tent")
    two = go_live("b")
    [late] = taught(session, assistant, "Rain", "umbrella")
    heard(session, two, lamp=(lamp, True), tent=(tent, True), late=(late, False))
    assert forgetting(session, assistant, By.LESSON).groups == [one.name, two.name, NOT_LEARNED]
    assert forgetting(session, assistant, By.TOPIC).groups == ["Light", "Rain"]
    assert forgetting(session, assistant, By.MONTH).groups == [f"{lamp.created_at:%Y-%m}"]


def test_of_exams_only_tickets_count_that_neighbours_both_sat(
    assistant: Assistant, session: Session, go_live: Go
) -> None:
    for name in ("t1", "t2", "t3"):
        context = [{"role": "user", "content": f"What about {name}?"}]
        tickets.create(session, assistant, name, context, "That.", topic="Light")
    one, two, three = (go_live(seed, learns=False) for seed in "abc")
    sat(session, assistant, one, t1=40.0, t2=60.0)
    sat(session, assistant, two, t2=50.0, t3=10.0)
    sat(session, assistant, three, t2=55.0, t3=30.0)
    found = forgetting(session, assistant).exams
    assert (found[one.id, "Light"].value, found[one.id, "Light"].number) == (50.0, 2)
    assert (found[two.id, "Light"].value, found[two.id, "Light"].change) == (50.0, -10.0)
    assert (found[three.id, "Light"].number, found[three.id, "Light"].change) == (2, 12.5)


def test_backward_transfer_of_a_worked_example() -> None:
    first = {"p": 0, "q": 0, "r": 1}
    right = {
        "a": {"p": True, "q": True},
        "b": {"p": True, "q": False, "r": True},
        "c": {"p": True, "q": False, "r": True},
    }
    assert backward_transfer(["a", "b", "c"], first, right) == pytest.approx((-0.5 + 0.0) / 2)
    assert backward_transfer(["a"], first, right) is None
    assert backward_transfer(["a", "c"], {"r": 1}, right) is None


SHARES = st.lists(st.lists(st.booleans(), min_size=1, max_size=4), min_size=2, max_size=4)


@given(SHARES)
def test_backward_transfer_lies_between_losing_and_gaining_everything(
    lessons: list[list[bool]],
) -> None:
    line = [str(number) for number in range(len(lessons) + 1)]
    first = {f"{n}-{k}": n for n, lesson in enumerate(lessons) for k in range(len(lesson))}
    then = {
        str(n): {f"{n}-{k}": is_right for k, is_right in enumerate(lesson)}
        for n, lesson in enumerate(lessons)
    }
    kept = {word: right for own in then.values() for word, right in own.items()}
    same = backward_transfer(line, first, {**then, line[-1]: kept})
    lost = backward_transfer(line, first, {**then, line[-1]: dict.fromkeys(kept, False)})
    won = backward_transfer(line, first, {**then, line[-1]: dict.fromkeys(kept, True)})
    assert same == 0
    assert lost is not None and won is not None
    assert -1 <= lost <= 0 <= won <= 1
    assert won - lost == pytest.approx(1)
