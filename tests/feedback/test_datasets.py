"""Datasets: the same feedback is the same dataset, exams stay sealed, every row names its sources."""

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlmodel import Session, select

from feedback import assistants, conversations, corrections, datasets, freezing, tickets
from feedback.database import connect, writing
from feedback.errors import NotFound
from feedback.exports import export
from feedback.tables import (
    Assistant,
    Dataset,
    DatasetItem,
    FeedbackKind,
    FlagReason,
    ItemSource,
    MessageState,
    Role,
    Split,
)
from tests.feedback.said import NIGHT, SHOES, SPOON, answered, corrected

LESSONS = [
    (NIGHT, "Air it for a day, then Drip Bench.", "wren"),
    (SHOES, "Only in duck yellow, sorry.", "otis"),
    (SPOON, "None. We tried.", None),
    (NIGHT + " It is orange.", "Air it. Orange helps.", "wren"),
]


def teach(session: Session, assistant: Assistant, order: list[int]) -> None:
    for number in order:
        question, correction, customer = LESSONS[number]
        corrected(session, assistant, question, correction, customer)


def hashes(frozen: Iterable[Dataset]) -> list[str]:
    return [dataset.sha256 for dataset in frozen]


def questions(session: Session, dataset: Dataset) -> set[str]:
    return {item.prompt[-1]["content"] for item in datasets.items(session, dataset)}


def test_the_same_feedback_in_another_order_and_database_has_the_same_hash(
    database_engine: Engine,
    make_assistant: Callable[..., Assistant],
    sqlite_template: Path,
    tmp_path: Path,
) -> None:
    first = make_assistant()
    with writing(database_engine) as session:
        teach(session, first, [0, 1, 2, 3])
        expected = hashes(freezing.freeze(session, first))
    for number, order in enumerate([[3, 2, 1, 0], [2, 0, 3, 1]]):
        path = shutil.copy(sqlite_template, tmp_path / f"other-{number}.db")
        other = connect(f"sqlite:///{path}")
        with writing(other) as session:
            made = assistants.create(session, "other", "Other", "embedded", "Be kind.", "x")
            teach(session, made, order)
            assert hashes(freezing.freeze(session, made)) == expected
        other.dispose()


def test_freezing_twice_gives_the_same_dataset_and_new_feedback_another(
    assistant: Assistant, session: Session
) -> None:
    teach(session, assistant, [0, 1])
    first = freezing.freeze(session, assistant)
    again = freezing.freeze(session, assistant)
    assert [dataset.id for dataset in again] == [dataset.id for dataset in first]
    assert len(session.exec(select(Dataset)).all()) == 3
    teach(session, assistant, [2])
    assert hashes(freezing.freeze(session, assistant)) != hashes(first)
    assert len(datasets.every(session, assistant)) == 5  # no thumb came: still the same KTO dataset


def test_a_correction_teaches_both_and_an_approval_or_demonstration_only_the_answer(
    assistant: Assistant, session: Session
) -> None:
    corrected(session, assistant, NIGHT, "Air it.", answer="Burn it.")
    _, right = answered(session, assistant, SHOES, "Only in duck yellow.")
    corrections.give(session, right.id, FeedbackKind.APPROVAL, "mara", Role.AGENT)
    asked, _ = answered(session, assistant, SPOON, "A wooden one.")
    corrections.give(
        session, asked.id, FeedbackKind.DEMONSTRATION, "mara", Role.AGENT, text="None. We tried."
    )
    sft, dpo, _ = freezing.freeze(session, assistant)
    assert {(i.prompt[-1]["content"], i.chosen) for i in datasets.items(session, sft)} == {
        (NIGHT, "Air it."),
        (SHOES, "Only in duck yellow."),
        (SPOON, "None. We tried."),
    }
    assert [(i.chosen, i.rejected) for i in datasets.items(session, dpo)] == [
        ("Air it.", "Burn it.")
    ]


@pytest.mark.parametrize("state", [MessageState.INTERRUPTED, MessageState.FAILED])
def test_an_approved_answer_that_broke_off_teaches_nothing(
    assistant: Assistant, session: Session, state: MessageState
) -> None:
    _, half = answered(session, assistant, NIGHT, "Air it for", state=state)
    corrections.give(session, half.id, FeedbackKind.APPROVAL, "mara", Role.AGENT)
    sft, dpo, _ = freezing.freeze(session, assistant)
    assert datasets.items(session, sft) == datasets.items(session, dpo) == []
    assert sft.counts["without_question_or_answer"] == 1


def test_an_answer_that_broke_off_is_not_held_against_the_bot(
    assistant: Assistant, session: Session
) -> None:
    _, half = answered(session, assistant, NIGHT, "Bur", state=MessageState.INTERRUPTED)
    corrections.give(session, half.id, FeedbackKind.CORRECTION, "m", Role.AGENT, text="Air it.")
    sft, dpo, _ = freezing.freeze(session, assistant)
    assert [item.chosen for item in datasets.items(session, sft)] == ["Air it."]
    assert datasets.items(session, dpo) == []


def test_superseded_and_withdrawn_words_teach_nothing_and_of_words_that_agree_the_newest_counts(
    assistant: Assistant, session: Session
) -> None:
    first = corrected(session, assistant, NIGHT, "Burn it.", author="mara")
    for author, text in (("mara", "Wash it"), ("jonas", "Wash it.")):
        corrections.give(
            session, first.message_id, FeedbackKind.CORRECTION, author, Role.AGENT, text=text
        )
    gone = corrected(session, assistant, SHOES, "No.", author="mara")
    corrections.withdraw(session, gone.id, "mara")
    sft, *_ = freezing.freeze(session, assistant)
    assert [item.chosen for item in datasets.items(session, sft)] == ["Wash it."]
    assert sft.counts["outdated"] == 1


def test_a_held_out_ticket_its_near_copies_and_its_people_never_enter(
    assistant: Assistant, session: Session
) -> None:
    talk = conversations.begin(session, assistant, None)
    _, row = answered(session, assistant, "Which stove is safe in a caravan?", conversation=talk)
    corrections.give(session, row.id, FeedbackKind.CORRECTION, "m", Role.AGENT, text="None.")
    tickets.create(session, assistant, "t1", [{"role": "user", "content": NIGHT}], "Air it.")
    tickets.create(
        session, assistant, "t2", [{"role": "user", "content": SPOON}], "None.",
        customer="examinee", conversation_id=talk.id,
    )  # fmt: skip
    corrected(session, assistant, NIGHT, "Air it.")
    corrected(session, assistant, "my tent smels of wet dog, how do I get it fresh agian??", "Air.")
    corrected(session, assistant, "Where can I park my canoe while I shop?", "Here.", "examinee")
    corrected(session, assistant, SHOES, "Only in duck yellow.")
    sft, dpo, _ = freezing.freeze(session, assistant)
    assert questions(session, sft) == questions(session, dpo) == {SHOES}
    counts = {name: number for name, number in sft.counts.items() if name.startswith("ticket_")}
    assert counts == {"ticket_near_copy": 2, "ticket_customer": 1, "ticket_conversation": 1}


def test_a_near_copy_is_caught_with_a_system_prompt_of_any_length(
    make_assistant: Callable[..., Assistant], database_engine: Engine
) -> None:
    wordy = make_assistant("wordy", prompt="Be kind. " * 400)
    with writing(database_engine) as session:
        tickets.create(session, wordy, "t1", [{"role": "user", "content": NIGHT}], "Air it.")
        corrected(session, wordy, NIGHT.lower(), "Air it.")
        sft, *_ = freezing.freeze(session, wordy)
        assert datasets.items(session, sft) == []


def test_all_rows_of_a_customer_are_on_one_side_and_both_sides_exist(
    assistant: Assistant, session: Session
) -> None:
    for customer in range(20):
        for number in range(2):
            words = f"{customer * 7919} and {number * 31 + customer} ducks by the pond"
            corrected(session, assistant, f"How do I pack {words}?", words, f"customer-{customer}")
    sft, dpo, _ = freezing.freeze(session, assistant)
    for dataset in (sft, dpo):
        sides: dict[str, set[str]] = {}
        for item in datasets.items(session, dataset):
            customer_number = int(item.chosen.split()[0]) // 7919
            sides.setdefault(f"customer-{customer_number}", set()).add(item.split)
        assert len(sides) == 20
        assert all(len(side) == 1 for side in sides.values())
        assert {side for found in sides.values() for side in found} == set(Split)
        assert dataset.train_rows + dataset.validation_rows == 40


def test_without_a_customer_all_turns_of_a_conversation_are_on_one_side(
    assistant: Assistant, session: Session
) -> None:
    for number in range(12):
        talk = conversations.begin(session, assistant, None)
        for turn in range(3):
            _, row = answered(
                session, assistant, f"Talk {number * 104729}, turn {turn * 7}", conversation=talk
            )
            corrections.give(
                session, row.id, FeedbackKind.CORRECTION, "m", Role.AGENT, text=f"{number} {turn}"
            )
    sft, *_ = freezing.freeze(session, assistant)
    sides: dict[str, set[str]] = {}
    for item in datasets.items(session, sft):
        sides.setdefault(item.chosen.split()[0], set()).add(item.split)
    assert all(len(side) == 1 for side in sides.values())


def test_every_row_names_its_sources_and_two_that_teach_the_same_share_one_row(
    assistant: Assistant, session: Session
) -> None:
    twins = [corrected(session, assistant, NIGHT, "Air it.", name) for name in ("wren", "otis")]
    single = corrected(session, assistant, SHOES, "Only in duck yellow.")
    sft, dpo, _ = freezing.freeze(session, assistant)
    for dataset in (sft, dpo):
        found = session.exec(
            select(DatasetItem.chosen, ItemSource.feedback_id)
            .join(ItemSource)
            .where(DatasetItem.dataset_id == dataset.id)
        ).all()
        assert set(found) == {
            ("Air it.", twins[0].id),
            ("Air it.", twins[1].id),
            ("Only in duck yellow.", single.id),
        }
        assert len(datasets.items(session, dataset)) == 2


def test_an_export_is_what_trl_reads(
    assistant: Assistant, session: Session, tmp_path: Path
) -> None:
    corrected(session, assistant, NIGHT, "Air it ☂.", answer="Burn it.")
    sft, dpo, _ = freezing.freeze(session, assistant)
    rows = [
        json.loads(export(session, dataset, tmp_path / "made" / "x.jsonl").read_text())
        for dataset in (sft, dpo)
    ]
    prompt = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": NIGHT}]
    chosen = [{"role": "assistant", "content": "Air it ☂."}]
    rejected = [{"role": "assistant", "content": "Burn it."}]
    split = rows[0]["split"]
    assert rows == [
        {"split": split, "prompt": prompt, "completion": chosen},
        {"split": split, "prompt": prompt, "chosen": chosen, "rejected": rejected},
    ]


def test_two_assistants_with_the_same_rows_keep_their_own_datasets(
    make_assistant: Callable[..., Assistant], database_engine: Engine
) -> None:
    shop, bakery = make_assistant("shop"), make_assistant("bakery")
    with writing(database_engine) as session:
        for owner in (shop, bakery):
            corrected(session, owner, NIGHT, "Air it.")
            sft, *_ = freezing.freeze(session, owner)
            assert datasets.get(session, sft.name, owner).id == sft.id
        with pytest.raises(NotFound, match="datasets list"):
            datasets.get(session, "sft-000000000000")


def test_the_counts_add_up_from_all_feedback_to_the_rows(
    assistant: Assistant, session: Session
) -> None:
    teach(session, assistant, [0, 1, 2, 3])
    corrected(session, assistant, NIGHT, LESSONS[0][1], "otis")  # teaches what another one does
    _, right = answered(session, assistant, SHOES, "Only in duck yellow.")
    corrections.give(session, right.id, FeedbackKind.APPROVAL, "mara", Role.AGENT)  # no pair
    _, half = answered(session, assistant, SPOON, "A woo", state=MessageState.INTERRUPTED)
    corrections.give(session, half.id, FeedbackKind.APPROVAL, "mara", Role.AGENT)  # no answer
    sft, dpo, _ = freezing.freeze(session, assistant)
    for dataset in (sft, dpo):
        (_, feedback, _), *left_out, (last, rows, _) = datasets.explain(dataset)
        assert feedback == 7 and last == "rows"
        assert rows == dataset.train_rows + dataset.validation_rows
        assert feedback - sum(number for _, number, _ in left_out) == rows
    assert {key for key, number, _ in datasets.explain(sft) if number} == {
        "feedback", "without_question_or_answer", "alike", "rows",
    }  # fmt: skip
    assert dpo.counts["without_pair"] == 1


def test_rows_come_in_their_order_whatever_the_batch(
    assistant: Assistant, session: Session
) -> None:
    teach(session, assistant, [0, 1, 2, 3])
    sft, *_ = freezing.freeze(session, assistant)
    whole = [item.id for item in datasets.items(session, sft)]
    for batch in (1, 3, 1000):
        assert [item.id for item in datasets.in_order(session, sft, batch)] == whole


def test_a_mended_typo_teaches_the_answer_and_no_preference_against_it(
    assistant: Assistant, session: Session
) -> None:
    corrected(
        session, assistant, NIGHT, "Air it outside for a day.", answer="Air it outsdie for a day."
    )
    corrected(session, assistant, SHOES, "Within 30 days.", answer="Within 14 days.")
    sft, dpo, _ = freezing.freeze(session, assistant)
    assert {item.chosen for item in datasets.items(session, sft)} == {
        "Air it outside for a day.", "Within 30 days.",
    }  # fmt: skip
    assert [item.chosen for item in datasets.items(session, dpo)] == ["Within 30 days."]
    assert (dpo.counts["form_only"], dpo.counts["without_pair"]) == (1, 0)

    typo = next(item for item, _, _ in corrections.that_teach(session, assistant.id))
    corrections.give(
        session,
        typo.message_id,
        FeedbackKind.FLAG,
        typo.author,
        Role.AGENT,
        reason=FlagReason.UNSAFE,
    )  # their own word on what was wrong counts more than the letters
    assert freezing.freeze(session, assistant)[1].counts["form_only"] == 0
