"""An answer that was made before need not be made again, and only then."""

from collections.abc import Callable

import pytest
from sqlmodel import col, select

from evals import cache, run, scores
from evals.scored import Scored
from feedback import assistants, erasure, exams, tickets, whose_words
from feedback.audit import Actor
from feedback.database import reading, writing
from feedback.tables import Assistant, EvalRun, ExamAnswer, Score
from tests.evals.conftest import ON_SQLITE, Room, examine, reference_answer, sit
from tests.stand_in_engine import BASE


def kept(room: Room, of: EvalRun) -> list[ExamAnswer]:
    with reading(room.database) as session:
        return [one.answer for one in exams.answers(session, of)]


def scored(room: Room, of: EvalRun) -> list[dict[str, float | None]]:
    with reading(room.database) as session:
        return [
            {score.metric: score.value for score in one.scores}
            for one in exams.answers(session, of)
        ]


def test_a_second_exam_needs_no_engine_and_comes_to_the_same(room: Room) -> None:
    room.add_tickets(6)
    adapter = room.publish("good")
    first = sit(room, adapter)
    room.engine.asked.clear()
    room.engine.scored = 0
    told: list[tuple[int, int, float | None]] = []
    second = sit(room, adapter, progress=lambda *news: told.append(news))
    assert room.engine.asked == [] and room.engine.scored == 0
    assert second.id != first.id and second.finished_at is not None
    assert told == [(6, 6, None)], "what is taken at once says nothing about the time left"
    mine, theirs = kept(room, second), kept(room, first)
    assert [one.cached for one in mine] == [True] * 6
    assert [one.cached for one in theirs] == [False] * 6
    for name in ("text", "completion_tokens", "latency_ms", "mean_logprob", "cache_key", "topic"):
        assert [getattr(one, name) for one in mine] == [getattr(one, name) for one in theirs]
    assert scored(room, second) == scored(room, first)


def test_lives_answers_are_there_when_the_next_candidate_comes(room: Room) -> None:
    room.add_tickets(24)
    examine(room, room.publish("one"), None)
    room.engine.asked.clear()
    two = room.publish("two")
    room.engine.says[two.name] = reference_answer
    assert examine(room, two, None).promote
    assert {body["model"] for body in room.engine.asked} == {two.name}


@ON_SQLITE
def test_scores_are_worked_out_anew(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    room.add_tickets(1)
    sit(room, None)
    monkeypatch.setattr(
        scores, "every", lambda subject: [Scored("chrf", float(len(subject.answer)), "New.")]
    )
    [[score]] = [list(each.items()) for each in scored(room, sit(room, None))]
    assert score == ("chrf", float(len(kept(room, sit(room, None))[0].text)))


def a_new_prompt(room: Room) -> None:
    with writing(room.database) as session:
        assistants.set_prompt(session, room.assistant, "You are new.", "test")


def another_length(room: Room) -> None:
    room.assistant.sampling = {**room.assistant.sampling, "max_tokens": 65}


def another_topic(room: Room) -> None:
    room.assistant.topics = ["returns", "moods"]


def another_engine(room: Room) -> None:
    room.engine.build = "vllm 99"


def not_wanted(room: Room) -> None:
    room.settings = room.settings.model_copy(update={"cache": False})


@ON_SQLITE
@pytest.mark.parametrize(
    "change", [a_new_prompt, another_length, another_topic, another_engine, not_wanted]
)
def test_what_would_be_answered_otherwise_is_asked_again(
    room: Room, change: Callable[[Room], None]
) -> None:
    room.add_tickets(2)
    sit(room, None)
    room.engine.asked.clear()
    change(room)
    assert [one.cached for one in kept(room, sit(room, None))] == [False, False]
    assert len(room.engine.asked) == 2


@ON_SQLITE
def test_other_dice_make_no_difference_to_an_exam(room: Room) -> None:
    room.add_tickets(1)
    sit(room, None)
    room.assistant.sampling = {**room.assistant.sampling, "temperature": 0.1, "seed": 9}
    assert kept(room, sit(room, None))[0].cached


@ON_SQLITE
def test_what_went_wrong_is_not_taken(room: Room) -> None:
    room.add_tickets(2)

    def trouble(number: int) -> None:
        if number == 1:
            raise ZeroDivisionError("one of a kind")

    room.engine.on_chat = trouble
    assert sorted(one.cache_key is None for one in kept(room, sit(room, None))) == [False, True]
    assert sorted(one.cached for one in kept(room, sit(room, None))) == [False, True]


@ON_SQLITE
def test_a_cut_off_exam_goes_on_with_the_sampling_it_began_with(room: Room) -> None:
    room.add_tickets(8)
    cycle_id = room.cycle_id()

    def cut(done: int, total: int, eta_seconds: float | None) -> None:
        if done:
            raise KeyError("we are killed")

    with pytest.raises(KeyError):
        sit(room, None, cycle_id=cycle_id, progress=cut)
    another_length(room)
    finished = sit(room, None, cycle_id=cycle_id)
    assert {body["max_tokens"] for body in room.engine.asked} == {64}
    assert finished.sampling["max_tokens"] == 64 and finished.sampling["temperature"] == 0


def test_an_erased_answer_is_never_taken(room: Room) -> None:
    """Somebody else asked the very same: that is asked again, too."""
    with writing(room.database) as session:
        for who in ("ada", "bo"):
            question = [{"role": "user", "content": "Question 1: how long?"}]
            tickets.create(session, room.assistant, who, question, "11 days", customer=who)
    sit(room, None)
    with writing(room.database) as session:
        ada = whose_words.of_customer(session, room.assistant, "ada")
        erasure.erase(session, room.assistant, ada, Actor("olga", "operator"), "They asked.")
    with reading(room.database) as session:
        emptied = session.exec(select(ExamAnswer).where(col(ExamAnswer.text) == "")).all()
        assert [one.cache_key for one in emptied] == [None]
        assert session.exec(select(Score)).first() is not None
    assert [one.text != "" for one in kept(room, sit(room, None))] == [True]


@ON_SQLITE
def test_a_key_is_a_function_of_all_it_rests_on_and_of_nothing_else(room: Room) -> None:
    [one, two] = room.add_tickets(2)
    adapter = room.publish("good")
    sampling = run.greedy(room.assistant)

    def key(of: Assistant = room.assistant, ticket=one, who=None, builds=("a",)) -> str:  # type: ignore[no-untyped-def]
        messages = run.question(ticket, who, "You are the shop.", sampling).messages
        return cache.key(of, who, messages, ticket, sampling, list(builds))

    one.must_say = ["something else"]
    assert key() == key()
    assert len({key(), key(ticket=two), key(who=adapter), key(builds=("b",))}) == 4
    assert BASE not in key()
