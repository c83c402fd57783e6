"""Freezing in steps, beside writers and through crashes; limits, weights, replay, length, thumbs."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlmodel import Session, select

from feedback import adapters, assistants, corrections, datasets, freezing
from feedback.database import reading, writing
from feedback.datasets import left_out
from feedback.freezing import Frozen
from feedback.scratch import Row
from feedback.tables import (
    Assistant,
    Dataset,
    DatasetItem,
    DatasetKind,
    FeedbackKind,
    FlagReason,
    Role,
)
from feedback.trust_tables import Hold
from tests.feedback.said import answered, at_the_same_time, built_adapter, corrected

ANSWERS = [f"Answer number {number}, as the house says it." for number in range(12)]


def teach(session: Session, assistant: Assistant, customers: int = 12) -> None:
    for number, answer in enumerate(ANSWERS):
        question = f"Question {'abcdefghijkl'[number] * 9} about thing number {number}?"
        corrected(session, assistant, question, answer, f"customer {number % customers}")


def learn(session: Session, assistant: Assistant, **rules: object) -> None:
    assistants.change(session, assistant, learning=rules)
    session.refresh(session.get_one(Assistant, assistant.id))
    assistant.learning = session.get_one(Assistant, assistant.id).learning


def chosen(session: Session, dataset: Dataset) -> list[str]:
    return [item.chosen for item in datasets.items(session, dataset)]


def test_the_counts_lead_from_all_feedback_to_the_rows_of_each_dataset(
    assistant: Assistant, session: Session
) -> None:
    teach(session, assistant, customers=3)
    learn(session, assistant, rows_per_customer=2, topic_weights={}, author_weights={})
    for dataset in freezing.freeze(session, assistant):
        kind = DatasetKind(dataset.kind)
        lost = sum(dataset.counts[key] for key in left_out(kind))
        assert dataset.counts["feedback"] - lost == dataset.counts["rows"]
        assert dataset.counts["rows"] == len(datasets.items(session, dataset))
        assert [key for key, _, _ in datasets.explain(dataset)] == list(dataset.counts)


def test_in_steps_the_same_is_frozen_as_at_once(
    database_engine: Engine, make_assistant: Callable[..., Assistant]
) -> None:
    first, second = make_assistant("first"), make_assistant("second")
    with writing(database_engine) as session:
        teach(session, first)
        teach(session, second)
        at_once = freezing.freeze(session, first)
    told: list[tuple[int, int]] = []
    in_steps = freezing.freeze_in_steps(
        database_engine, second, progress=lambda done, total: told.append((done, total))
    )
    assert [each.sha256 for each in in_steps] == [each.sha256 for each in at_once]
    assert told[-1] == (len(ANSWERS), len(ANSWERS))
    with reading(database_engine) as session:
        for one, other in zip(at_once, in_steps, strict=True):
            assert chosen(session, one) == chosen(session, other)


def test_a_freeze_that_was_cut_off_is_nobodys_until_the_next_one_ends_it(
    database_engine: Engine,
    make_assistant: Callable[..., Assistant],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assistant = make_assistant()
    with writing(database_engine) as session:
        teach(session, assistant)
    store, calls = freezing._store_rows, 0

    def dies(session: Session, dataset: Dataset, start: int, rows: list[Row]) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        store(session, dataset, start, rows)

    monkeypatch.setattr(freezing, "BATCH", 5)
    monkeypatch.setattr(freezing, "_store_rows", dies)
    with pytest.raises(KeyboardInterrupt):
        freezing.freeze_in_steps(database_engine, assistant)
    with reading(database_engine) as session:
        assert len(session.exec(select(DatasetItem)).all()) == 10
        assert datasets.every(session, assistant) == []
    sft, *_ = freezing.freeze_in_steps(database_engine, assistant)
    with reading(database_engine) as session:
        assert sorted(chosen(session, sft)) == sorted(ANSWERS)
        assert len(session.exec(select(Dataset)).all()) == 3


def test_two_who_freeze_at_once_make_one_dataset(
    database_engine: Engine, make_assistant: Callable[..., Assistant]
) -> None:
    assistant = make_assistant()
    with writing(database_engine) as session:
        teach(session, assistant)
    frozen: list[Frozen] = []
    act = lambda: frozen.append(freezing.freeze_in_steps(database_engine, assistant))  # noqa: E731
    assert at_the_same_time(act, act) == []
    assert {each.sft.id for each in frozen} == {frozen[0].sft.id}
    with reading(database_engine) as session:
        assert sorted(chosen(session, frozen[0].sft)) == sorted(ANSWERS)


@pytest.mark.parametrize(
    ("rule", "rows"),
    [({"rows_per_customer": 2}, 6), ({"rows_per_author": 5}, 5), ({"rows_per_topic": 1}, 12)],
)
def test_a_limit_keeps_so_many_rows_and_always_the_same(
    assistant: Assistant, session: Session, rule: dict[str, int], rows: int
) -> None:
    teach(session, assistant, customers=3)  # no conversation has a topic
    learn(session, assistant, **rule)
    first, second = freezing.freeze(session, assistant), freezing.freeze(session, assistant)
    assert first.sft.counts["rows"] == rows
    assert first.sft.sha256 == second.sft.sha256


def test_weights_go_with_the_rows_and_nought_leaves_out(
    assistant: Assistant, session: Session
) -> None:
    corrected(session, assistant, "How do I dry a wet tent?", "Air it.", author="mara")
    corrected(session, assistant, "Is the blue one in stock?", "It is.", author="nils")
    corrected(session, assistant, "Where do I find you on a map?", "Here.", author="olga")
    learn(session, assistant, author_weights={"nils": 0, "olga": 2})
    sft, *_ = freezing.freeze(session, assistant)
    weights = {item.chosen: item.weight for item in datasets.items(session, sft)}
    assert weights == {"Air it.": 1.0, "Here.": 2.0}
    assert sft.counts["without_weight"] == 1


def test_of_what_was_learned_a_share_is_replayed_and_all_that_is_new_is_taught(
    assistant: Assistant, session: Session, tmp_path: Path
) -> None:
    teach(session, assistant)
    learned: Sequence[Dataset] = freezing.freeze(session, assistant)[:2]
    built = built_adapter(tmp_path / "built")
    adapters.publish(session, assistant, built, list(learned), {}, {})
    corrected(session, assistant, "A new question, never heard before?", "A new answer.")
    learn(session, assistant, replay_percent=0)
    sft, *_ = freezing.freeze(session, assistant)
    assert chosen(session, sft) == ["A new answer."]
    assert sft.counts["not_replayed"] == len(ANSWERS)
    learn(session, assistant, replay_percent=50)
    sft, *_ = freezing.freeze(session, assistant)
    assert "A new answer." in chosen(session, sft)
    assert 0 < sft.counts["not_replayed"] < len(ANSWERS)


def test_a_much_longer_correction_teaches_the_answer_but_no_preference_for_length(
    assistant: Assistant, session: Session
) -> None:
    corrected(session, assistant, "How do I dry a wet tent?", "Air it. " * 80)
    sft, dpo, _ = freezing.freeze(session, assistant)
    assert (sft.counts["rows"], dpo.counts["rows"], dpo.counts["length_apart"]) == (1, 0, 1)


def test_a_pair_says_what_the_correction_mended(assistant: Assistant, session: Session) -> None:
    word = corrected(
        session, assistant, "How long may I send it back?", "Within 30 days.", None, "Within 14 days."
    )  # fmt: skip
    _, dpo, _ = freezing.freeze(session, assistant)
    assert [item.edit for item in datasets.items(session, dpo)] == ["wrong_fact"]
    corrections.give(
        session, word.message_id, FeedbackKind.FLAG, "mara", Role.AGENT, reason=FlagReason.UNSAFE
    )
    _, dpo, _ = freezing.freeze(session, assistant)
    # What an edit is called changes no row, so the dataset is the one that was frozen before.
    assert len(datasets.items(session, dpo)) == 1


def rated(session: Session, assistant: Assistant, question: str, value: int) -> str:
    _, answer = answered(session, assistant, question, f"An answer to: {question}")
    corrections.give(
        session, answer.id, FeedbackKind.RATING, "customer", Role.CUSTOMER, value=value
    )
    return answer.id


def test_a_thumb_trains_once_staff_have_confirmed_it(
    assistant: Assistant, session: Session
) -> None:
    liked = rated(session, assistant, "Do you mend zips on old jackets?", 1)
    disliked = rated(session, assistant, "Is the shop open on Sunday mornings?", -1)
    mistaken = rated(session, assistant, "May I return what I wore already?", -1)
    rated(session, assistant, "Nobody has looked at this one so far?", 1)
    for answer, kind, extra in (
        (liked, FeedbackKind.APPROVAL, {}),
        (disliked, FeedbackKind.FLAG, {"reason": FlagReason.WRONG_FACT}),
        (mistaken, FeedbackKind.APPROVAL, {}),
    ):
        corrections.give(session, answer, kind, "mara", Role.AGENT, **extra)  # type: ignore[arg-type]
    *_, kto = freezing.freeze(session, assistant)
    labels = {
        item.prompt[-1]["content"]: (item.label, item.chosen)
        for item in datasets.items(session, kto)
    }
    assert {question: label for question, (label, _) in labels.items()} == {
        "Do you mend zips on old jackets?": True,
        "Is the shop open on Sunday mornings?": False,
    }
    assert all(answer == f"An answer to: {question}" for question, (_, answer) in labels.items())
    assert (kto.counts["not_reviewed"], kto.counts["not_confirmed"]) == (1, 1)


def test_an_author_who_is_held_confirms_no_thumb(assistant: Assistant, session: Session) -> None:
    answer = rated(session, assistant, "Do you mend zips on old jackets?", 1)
    corrections.give(session, answer, FeedbackKind.APPROVAL, "mallory", Role.AGENT)
    session.add(Hold(assistant_id=assistant.id, author="mallory", reason="It came in a flood."))
    session.flush()
    *_, kto = freezing.freeze(session, assistant)
    assert (kto.counts["rows"], kto.counts["not_reviewed"]) == (0, 1)


def test_one_answer_found_good_by_one_and_bad_by_another_trains_nothing(
    assistant: Assistant, session: Session
) -> None:
    for value, kind, extra in (
        (1, FeedbackKind.APPROVAL, {}),
        (-1, FeedbackKind.FLAG, {"reason": FlagReason.TONE}),
    ):
        answer = rated(session, assistant, "Do you mend zips on old jackets?", value)
        corrections.give(session, answer, kind, "mara", Role.AGENT, **extra)  # type: ignore[arg-type]
    *_, kto = freezing.freeze(session, assistant)
    assert (kto.counts["rows"], kto.counts["cancelled"]) == (0, 2)
