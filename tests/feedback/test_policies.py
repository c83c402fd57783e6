"""Policies: what rests on a retired one neither teaches nor is asked, and all of it can be undone."""

import json
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlmodel import Session, select

from feedback import (
    adapters,
    commands,
    corrections,
    datasets,
    exams,
    freezing,
    policies,
    tickets,
)
from feedback.database import writing
from feedback.errors import Conflict, Invalid, NotFound
from feedback.import_entries import ImportKind
from feedback.imports import import_file, import_tickets
from feedback.tables import Assistant, Feedback, FeedbackKind, Role, Ticket
from feedback.trust_tables import Policy
from tests.feedback.said import NIGHT, SHOES, SPOON, answered, built_adapter, corrected
from tests.feedback.test_commands import as_json, feedback

OLD, NEW = "returns-2025", "returns-2026"
AIR = [{"role": "user", "content": NIGHT}]


@pytest.fixture
def old(assistant: Assistant, session: Session) -> Policy:
    return policies.create(session, assistant, OLD, "Boots go back within 30 days.", "olga")


def rests_on_old(session: Session, assistant: Assistant, question: str = SHOES) -> Feedback:
    _, answer = answered(session, assistant, question)
    return corrections.give(
        session,
        answer.id,
        FeedbackKind.CORRECTION,
        "mara",
        Role.AGENT,
        text="Within 30 days.",
        policy=OLD,
    )


def taught(session: Session, assistant: Assistant) -> tuple[list[str], int]:
    sft, *_ = freezing.freeze(session, assistant)
    chosen = sorted(item.chosen for item in datasets.items(session, sft))
    left_out = sum(sft.counts.get(each, 0) for each in ("policy_retired",))
    return chosen, left_out


def test_words_on_a_retired_policy_do_not_teach_until_it_is_restored(
    assistant: Assistant, session: Session, old: Policy
) -> None:
    rests_on_old(session, assistant)
    corrected(session, assistant, NIGHT, "Air it.")
    before, *_ = freezing.freeze(session, assistant)
    rests = policies.retire(session, old, "olga")
    assert (rests.words, rests.tickets, rests.adapters) == (1, 0, [])
    assert taught(session, assistant) == (["Air it."], 1)
    policies.restore(session, old)
    assert taught(session, assistant) == (["Air it.", "Within 30 days."], 0)
    assert freezing.freeze(session, assistant)[0].sha256 == before.sha256


def test_tickets_on_a_retired_policy_are_not_asked_and_still_kept_apart_from_training(
    assistant: Assistant, session: Session, old: Policy
) -> None:
    tickets.create(session, assistant, "on-old", AIR, "Within 30 days.", policy=OLD)
    tickets.create(
        session, assistant, "free", [{"role": "user", "content": SPOON}], "The long one."
    )
    [begun_before] = exams.open_runs(session, assistant, [None], None)
    policies.retire(session, old, "olga")
    [begun_after] = exams.open_runs(session, assistant, [None], None)
    assert [t.external_id for t in tickets.in_exam(session, assistant)] == ["free"]
    assert [t.external_id for t in exams.tickets_of(session, begun_after)] == ["free"]
    assert begun_after.tickets == 1
    both = [t.external_id for t in exams.tickets_of(session, begun_before)]
    assert both == ["free", "on-old"]  # an exam under way keeps its questions
    corrected(session, assistant, NIGHT + " Please.", "Air it.")
    corrected(session, assistant, SHOES, "Yes.")
    assert taught(session, assistant)[0] == ["Yes."]
    policies.restore(session, old)
    assert len(tickets.in_exam(session, assistant)) == 2


def test_a_ticket_retired_itself_is_not_brought_back_by_a_policy(
    assistant: Assistant, session: Session, old: Policy
) -> None:
    ticket = tickets.create(session, assistant, "on-old", AIR, "Within 30 days.", policy=OLD)
    tickets.retire(session, ticket)
    assert policies.retire(session, old, "olga").tickets == 0
    policies.restore(session, old)
    assert tickets.in_exam(session, assistant) == []


def test_adapters_that_learned_from_it_are_named_with_the_one_that_is_live(
    assistant: Assistant, session: Session, old: Policy, tmp_path: Path
) -> None:
    made = []
    for number, question in enumerate((NIGHT, SHOES, SPOON)):
        if number == 1:
            rests_on_old(session, assistant, question)
        else:
            corrected(session, assistant, question, f"Answer {number}.")
        frozen = list(freezing.freeze(session, assistant))
        folder = built_adapter(tmp_path / str(number), str(number).encode())
        made.append(adapters.publish(session, assistant, folder, frozen, {}, {}))
    adapters.promote(session, assistant, made[1], "olga", "better")
    corrections.withdraw(session, policies_words(session, old)[0].id, "mara")
    rests = policies.retire(session, old, "olga")
    assert rests.words == 0  # taken back since, but learned it is
    assert [(each.adapter.name, each.words, each.is_live) for each in rests.adapters] == [
        (made[2].name, 1, False),
        (made[1].name, 1, True),
    ]


def policies_words(session: Session, policy: Policy) -> list[Feedback]:
    return list(session.exec(select(Feedback).where(Feedback.policy_id == policy.id)))


def test_a_word_on_a_retired_policy_takes_no_side_against_a_new_one(
    assistant: Assistant, session: Session, old: Policy
) -> None:
    word = rests_on_old(session, assistant)
    policies.create(session, assistant, NEW, "Boots go back within 40 days, worn or not.", "olga")
    corrections.give(
        session,
        word.message_id,
        FeedbackKind.CORRECTION,
        "nils",
        Role.AGENT,
        text="You may send it back for forty days, worn or not.",
        policy=NEW,
    )
    assert taught(session, assistant)[0] == []  # two rules, both in force: they disagree
    policies.retire(session, old, "olga")
    assert taught(session, assistant) == (["You may send it back for forty days, worn or not."], 1)


def test_nothing_new_rests_on_a_policy_that_is_retired_or_anothers_or_made_up(
    assistant: Assistant, session: Session, old: Policy
) -> None:
    policies.retire(session, old, "olga")
    with pytest.raises(Invalid, match="was retired by olga"):
        rests_on_old(session, assistant)
    with pytest.raises(Invalid, match="expected one in force"):
        tickets.create(session, assistant, "t", AIR, "Air it.", policy="made up")
    with pytest.raises(NotFound, match="policies list"):
        policies.get(session, assistant, "made up")


def test_a_policy_is_named_once_and_retired_and_restored_once(
    assistant: Assistant, session: Session, old: Policy
) -> None:
    with pytest.raises(Conflict, match="a name of its own"):
        policies.create(session, assistant, OLD, "Another rule.", "olga")
    with pytest.raises(Conflict, match="is in force"):
        policies.restore(session, old)
    policies.retire(session, old, "olga")
    with pytest.raises(Conflict, match="was retired by olga already"):
        policies.retire(session, old, "nils")
    new = policies.create(session, assistant, NEW, "Another rule.", "olga")
    assert [each.name for each in policies.every(session, assistant)] == [NEW, OLD]
    assert policies.in_force(session, assistant) == [new]


def test_imported_rows_name_the_policy_they_rest_on(
    assistant: Assistant, session: Session, old: Policy, tmp_path: Path
) -> None:
    exam, past = tmp_path / "exam.jsonl", tmp_path / "past.jsonl"
    exam.write_text(
        json.dumps({"id": "t1", "question": NIGHT, "reference": "Air it.", "policy": OLD})
    )
    past.write_text(
        json.dumps({"id": "c1", "question": SHOES, "answer": "No.", "correction": "Yes.",
                    "policy": OLD})
    )  # fmt: skip
    import_tickets(session, assistant, exam)
    import_file(session, assistant, ImportKind.CORRECTIONS, past)
    assert [ticket.policy_id for ticket in session.exec(select(Ticket))] == [old.id]
    assert len(policies_words(session, old)) == 1
    exam.write_text(
        json.dumps({"id": "t2", "question": SPOON, "reference": "Air it.", "policy": "returns"})
    )
    with pytest.raises(
        Invalid, match=f"line 1, column 'policy': Found 'returns', expected .* '{OLD}'"
    ):
        import_tickets(session, assistant, exam)
    policies.retire(session, old, "olga")
    past.write_text(
        json.dumps({"id": "c2", "question": SHOES, "answer": "No.", "correction": "Yes.",
                    "policy": OLD})
    )  # fmt: skip
    with pytest.raises(Invalid, match="expected a policy in force: none"):
        import_file(session, assistant, ImportKind.CORRECTIONS, past)


@pytest.mark.parametrize("database_engine", ["sqlite"], indirect=True)
def test_on_the_command_line(assistant: Assistant, database_engine: Engine) -> None:
    feedback("policies", "create", OLD, "Boots go back within 30 days.")
    with writing(database_engine) as session:
        _, answer = answered(session, assistant, SHOES)
        message_id = answer.id
    feedback("give", "correct", message_id, "Yes.", "--author", "mara", "--policy", OLD)
    [row] = as_json(commands.app, "policies", "list")
    assert (row["name"], row["words"], row["retired_at"]) == (OLD, 1, None)
    retired = as_json(commands.app, "policies", "retire", OLD)
    assert retired["words"] == 1 and retired["retired_by"]
    assert "in force again, with 1 words" in feedback("policies", "restore", OLD)
    assert as_json(commands.app, "policies", "show", OLD)["text"] == "Boots go back within 30 days."
    told = feedback("give", "approve", message_id, "--author", "nils")
    assert "neither word teaches until a third person decides" in told
    assert as_json(commands.app, "desk", "agreement")["items"] == 0
    sides = as_json(commands.app, "desk", "disputes")
    assert [(one["author"], one["verdict"]) for one in sides] == [
        ("mara", "corrected"),
        ("nils", "approved"),
    ]
