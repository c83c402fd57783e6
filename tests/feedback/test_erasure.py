"""Whoever is erased is nowhere any more, and nobody else loses a word."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlmodel import Session, col, select

from feedback import (
    adapter_folder,
    adapters,
    audit,
    certificate,
    conversations,
    cycles,
    datasets,
    decisions,
    erased_files,
    erasing,
    erasure,
    erasures,
    judgements,
    lineage,
    prune,
    search,
    traces,
    whereabouts,
    whose_words,
)
from feedback.audit import Actor
from feedback.database import reading, writing
from feedback.erased_files import row_hash
from feedback.errors import Invalid, NotFound
from feedback.exam_tables import Choice
from feedback.exports import export
from feedback.judgements import Why
from feedback.settings import feedback_settings
from feedback.tables import (
    Assistant,
    Conversation,
    Customer,
    Cycle,
    CycleState,
    Decision,
    ExamAnswer,
    Feedback,
    Message,
    Score,
    StageState,
    Ticket,
    now,
)
from feedback.trust_tables import Erasure
from tests.feedback.erased import (
    OTHERS,
    TOKEN,
    WREN,
    Shop,
    data_files,
    files_with,
    fill,
    rows_of,
    texts_with,
)
from tests.feedback.said import answered, built_adapter, corrected, while_open

OLGA = Actor("olga@example.com", "operator")
SQLITE = pytest.mark.parametrize("database_engine", ["sqlite"], indirect=True)


@pytest.fixture
def shop(database_engine: Engine, assistant: Assistant, tmp_path: Path) -> Shop:
    with writing(database_engine) as session:
        return fill(session, assistant, tmp_path)


def erased(engine: Engine, shop: Shop, name: str = WREN) -> Erasure:
    with reading(engine) as session:
        subject = whose_words.of_customer(session, shop.assistant, name)
    row = erasing.erase(engine, shop.assistant, subject, OLGA, "They asked.")
    return erasing.finish(engine, row.id)


def test_there_is_a_decision_about_every_column_that_can_hold_words() -> None:
    assert whereabouts.undecided() == []


def test_nothing_is_left_in_any_column_any_artifact_or_the_databases_own_files(
    database_engine: Engine, shop: Shop, var_dir: Path
) -> None:
    with reading(database_engine) as session:
        before = texts_with(session, TOKEN)
        assert {"decision.reasons", "stage.result", "ticket.context", "score.reason"} <= set(before)
        assert texts_with(session, WREN)
    held = files_with(var_dir, TOKEN.encode())
    assert len([path for path in held if not path.startswith("understudy.db")]) >= 6
    row = erased(database_engine, shop)
    assert row.finished_at is not None
    with reading(database_engine) as session:
        assert texts_with(session, TOKEN) == texts_with(session, WREN) == []
        assert search.find(session, shop.assistant, TOKEN) == []
    for what in (TOKEN.encode(), WREN.encode()):
        assert files_with(var_dir, what) == []
        holding = [
            path for path in data_files(database_engine, var_dir) if what in path.read_bytes()
        ]
        assert holding == []
    told = row.certificate["search"]
    assert told["in_database"] == told["in_files"] == []
    assert told["texts"] > 5 and told["names"] == 1 and told["files_searched"] > 5


def test_what_a_judge_said_of_their_ticket_goes_and_of_others_stays(
    database_engine: Engine, shop: Shop
) -> None:
    with writing(database_engine) as session:
        [decision] = session.exec(select(Decision))
        runs = decisions.runs_of(session, decision)
        both = judgements.left(session, *runs, "solomon")
        assert len(both) == 2
        for each in both:
            judgements.keep(session, each, "solomon", Choice.TIE, Why.TIE)
    row = erased(database_engine, shop)
    with reading(database_engine) as session:
        assert len(judgements.of_runs(session, *runs)) == 1
        assert judgements.left(session, *runs, "another")[0].ticket.external_id == "hats"
        assert len(judgements.left(session, *runs, "another")) == 1
    assert row.certificate["removed"]["judgement"] == 1


def test_a_rule_too_short_to_be_looked_for_goes_with_the_sentence_that_quotes_it(
    database_engine: Engine, shop: Shop
) -> None:
    """ "Rosa-Luxemburg-Str. 5" is 21 characters."""
    with writing(database_engine) as session:
        [decision] = session.exec(select(Decision))
        [mine] = [
            ticket
            for ticket in session.exec(select(Ticket))
            if ticket.external_id != "hats" and ticket.conversation_id
        ]
        about = f"On ticket {mine.external_id!r} the candidate says"
        told = f"{about} 'Rosa-Luxemburg-Str. 5', which it must not; live did not."
        decision.reasons = [told, "On ticket 'hats' it is fine."]
        decision.detail = {"vetoes": [told]}
        session.add(decision)
    erased(database_engine, shop)
    with reading(database_engine) as session:
        [decision] = session.exec(select(Decision))
        assert decision.reasons == ["(erased)", "On ticket 'hats' it is fine."]
        assert texts_with(session, "Rosa-Luxemburg") == []


def test_everybody_else_keeps_every_word(database_engine: Engine, shop: Shop) -> None:
    def words() -> list[tuple[str, ...]]:
        with reading(database_engine) as session:
            query = (
                select(Message.text, Feedback.text, Customer.external_id)
                .join(Feedback, col(Feedback.message_id) == Message.id)
                .join(Conversation, col(Conversation.id) == Message.conversation_id)
                .join(Customer, col(Customer.id) == Conversation.customer_id)
                .where(Customer.external_id != WREN)
            )
            return sorted(tuple(map(str, each)) for each in session.exec(query))

    before = words()
    with reading(database_engine) as session:
        rows = {each.sha256: each.chosen for each in rows_of(session, shop.sft)}
    erased(database_engine, shop)
    assert words() == before and len(before) == len(OTHERS) + 1
    with reading(database_engine) as session:
        left = [each for each in rows_of(session, shop.sft) if each.erased_at is None]
        assert {each.chosen for each in left} == {
            text for text in rows.values() if TOKEN not in text
        }
        gone = [each for each in rows_of(session, shop.sft) if each.erased_at is not None]
        assert [(each.chosen, each.rejected) for each in gone] == [("", None)] * 3
        hats = session.exec(select(Ticket).where(Ticket.external_id == "hats")).one()
        assert hats.reference == "Yes, hats." and hats.retired_at is None
        assert texts_with(session, "Hats indeed.") == ["exam_answer.text"]


def test_a_row_that_also_rests_on_somebody_elses_same_words_keeps_its_text_until_they_go_too(
    database_engine: Engine, shop: Shop
) -> None:
    row = erased(database_engine, shop)
    assert row.certificate["kept_for_others"] == {"dataset_item": 2}
    with reading(database_engine) as session:
        kept = [each for each in rows_of(session, shop.sft) if each.chosen == "Yes, from ten."]
        [(word, _)] = datasets.sources(session, kept)[kept[0].id]
    row = erased(database_engine, shop, "otis")
    with reading(database_engine) as session:
        assert texts_with(session, "Yes, from ten.") == []
        assert word.author == "mara"


def test_scores_and_decisions_stay_as_numbers(database_engine: Engine, shop: Shop) -> None:
    with reading(database_engine) as session:
        before = sorted(session.exec(select(Score.metric, Score.value)).all())
    erased(database_engine, shop)
    with reading(database_engine) as session:
        assert sorted(session.exec(select(Score.metric, Score.value)).all()) == before
        assert len(session.exec(select(ExamAnswer)).all()) == 4
        decision = session.exec(select(Decision)).one()
        assert erasure.MARK in decision.reasons[0] and decision.tickets == 2
        ticket = session.exec(select(Ticket).where(Ticket.external_id != "hats")).one()
        assert ticket.retired_at and ticket.conversation_id is None and ticket.context == []


def test_the_adapters_that_learned_from_them_are_listed_and_a_cycle_without_them_is_asked_for(
    database_engine: Engine, shop: Shop
) -> None:
    with writing(database_engine) as session:
        adapters.promote(session, shop.assistant, shop.adapter, "olga", "Better.")
    row = erased(database_engine, shop)
    [told] = row.certificate["adapters"]
    assert told["name"] == shop.adapter.name and told["live"] and told["files"]
    assert row.certificate["datasets"] == sorted([shop.sft.name, shop.dpo.name])
    assert shop.adapter.name in row.certificate["remains"][0]
    with reading(database_engine) as session:
        cycle = session.get_one(Cycle, row.cycle_id)
        assert cycle.state == CycleState.REQUESTED and cycle.requested_by == erasure.BY
        assert lineage.people_behind(session, shop.adapter).erased > 0


def test_what_learned_from_them_is_kept_while_it_is_live_and_not_for_a_rollback(
    database_engine: Engine, shop: Shop, tmp_path: Path
) -> None:
    def why() -> list[str]:
        with reading(database_engine) as session:
            kept = prune.plan(session, shop.assistant, now()).keep
        return {each.name: each.keep for each in kept}.get(shop.adapter.name, [])

    with writing(database_engine) as session:
        built = built_adapter(tmp_path / "clean", b"clean")
        clean = adapters.publish(session, shop.assistant, built, [], {}, {})
        adapters.promote(session, shop.assistant, shop.adapter, "olga", "Better.")
        adapters.record_swap(session, clean, "engine", True, "Seen.")
    erased(database_engine, shop)
    assert why() == ["is live"]
    with writing(database_engine) as session:
        adapters.promote(session, shop.assistant, clean, "olga", "Without them.")
    assert why() == []


def test_who_taught_nothing_leaves_no_adapter_and_no_cycle(
    database_engine: Engine, shop: Shop
) -> None:
    with writing(database_engine) as session:
        answered(session, shop.assistant, "Only asking, never corrected?", customer="newcomer")
    row = erased(database_engine, shop, "newcomer")
    assert row.certificate["adapters"] == [] and row.cycle_id is None and row.finished_at


def test_a_cycle_that_froze_them_is_stopped_and_the_next_one_waits_for_its_end(
    database_engine: Engine, shop: Shop
) -> None:
    with writing(database_engine) as session:
        cycle = cycles.request(session, shop.assistant, "olga")
        cycles.claim(session, "loop", 60, cycle.id)
        stage = cycles.begin_stage(session, cycle, "freeze")
        result = {"sft": shop.sft.name, "dpo": shop.dpo.name}
        cycles.report(session, stage.id, state=StageState.DONE, result=result)
    checkpoint = feedback_settings().runs_dir / cycle.id / "sft" / "checkpoints" / "checkpoint-1"
    checkpoint.mkdir(parents=True)
    row = erased(database_engine, shop)
    assert row.finished_at is None and row.certificate["stopped_cycles"] == [cycle.id]
    assert "being stopped" in erasing.wait_reason(row) and checkpoint.exists()
    with writing(database_engine) as session:
        held = session.get_one(Cycle, cycle.id)
        assert held.stop_requested_by == erasure.BY
        cycles.finish(session, held, CycleState.STOPPED, "Stopped.")
    assert erasing.finish_all(database_engine) == []
    assert not checkpoint.exists(), "half an adapter that learned from them"
    with reading(database_engine) as session:
        assert erasures.get(session, row.id).cycle_id not in (None, cycle.id)


def test_what_searches_and_stages_by_hand_learned_from_them_goes_once_nobody_is_at_work_there(
    database_engine: Engine, shop: Shop
) -> None:
    runs = feedback_settings().runs_dir
    theirs = [runs / "search-1" / "trials" / "0003" / "sft", runs / "sft-by-hand"]
    others = runs / "search-2" / "trials" / "0000" / "sft"
    for stage, dataset in (
        (theirs[0], shop.sft.name),
        (theirs[1], shop.dpo.name),
        (others, "sft-0"),
    ):
        (stage / "checkpoints" / "checkpoint-1").mkdir(parents=True)
        (stage / "job.json").write_text(json.dumps({"dataset": f"/somewhere/{dataset}.jsonl"}))
    with (theirs[0] / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        row = erased(database_engine, shop)
        assert row.finished_at is None and "at work" in erasing.wait_reason(row)
        assert (theirs[0] / "checkpoints").exists() and not (theirs[1] / "checkpoints").exists()
    assert erasing.finish_all(database_engine) == []
    assert not (theirs[0] / "checkpoints").exists() and (others / "checkpoints").exists()
    with reading(database_engine) as session:
        paths = [each["path"] for each in erasures.get(session, row.id).certificate["files"]]
    assert str(Path("runs/search-1/trials/0003/sft/checkpoints")) in paths


def test_an_open_cycle_that_froze_nothing_yet_is_the_one_without_them(
    database_engine: Engine, shop: Shop
) -> None:
    with writing(database_engine) as session:
        cycle = cycles.request(session, shop.assistant, "olga")
    row = erased(database_engine, shop)
    assert row.finished_at is not None and row.cycle_id == cycle.id


def test_exports_lose_the_rows_and_keep_the_others_in_every_format(
    database_engine: Engine, shop: Shop, tmp_path: Path
) -> None:
    import pyarrow.parquet as parquet

    lines, table, folder = shop.exports[:3]
    whole = lines.read_text().splitlines()
    erased(database_engine, shop)
    left = [line for line in whole if TOKEN not in line]
    assert lines.read_text().splitlines() == left and len(left) == len(whole) - 3
    assert parquet.read_table(table).num_rows == len(left)
    of_folder = [
        line for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()
    ]
    assert len(of_folder) == len(left)
    with reading(database_engine) as session:
        anew = export(session, shop.sft, tmp_path / "anew.jsonl")
    assert anew.read_text().splitlines() == left


def test_words_are_found_in_files_of_any_kind_however_they_are_spelled(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    said = "Größe 39, “please”, and a second line\nof the same question"
    (tmp_path / "plain.txt").write_text(f"he asked: {said}!")
    (tmp_path / "ascii.json").write_text(json.dumps({"said": said}))
    (tmp_path / "utf8.jsonl").write_text(json.dumps({"said": said}, ensure_ascii=False))
    parquet.write_table(pyarrow.table({"said": [said] * 50}), tmp_path / "rows.parquet")
    (tmp_path / "none.parquet").write_text("no Parquet at all")
    (tmp_path / "long.bin").write_bytes(b"x" * (traces.BLOCK_BYTES - 20) + said.encode())
    (tmp_path / "another.txt").write_text("cust-12345-b and xcust-12345")
    words = traces.Words.of(["cust-12345"], [said])
    found, files, _ = traces.in_files(words, traces.files_under(tmp_path))
    assert files == 7
    assert sorted(path.name for path, _ in found) == [
        "ascii.json", "long.bin", "plain.txt", "rows.parquet", "utf8.jsonl",
    ]  # fmt: skip


def test_the_probe_of_an_adapter_forgets_their_questions_and_the_adapter_still_verifies(
    database_engine: Engine, shop: Shop
) -> None:
    folder = adapters.folder_of(shop.adapter)
    before = len(adapter_folder.read_probe(folder))
    erased(database_engine, shop)
    assert len(adapter_folder.read_probe(folder)) == before - 3
    with reading(database_engine) as session:
        adapter = adapters.get(session, shop.adapter.name)
    adapter_folder.verify(folder, adapter.digest)
    assert adapter_folder.read_manifest(folder).digest == adapter.digest != shop.adapter.digest


def test_the_last_question_of_a_probe_stays_and_is_told(
    database_engine: Engine, shop: Shop
) -> None:
    folder = adapters.folder_of(shop.adapter)
    cases = json.loads((folder / "probe.json").read_text())
    theirs = [case for case in cases if TOKEN in str(case)]
    erased_ = erased_files.Erased(set(), {erased_files.hash_of(c["messages"]) for c in cases})
    found = erased_files.probe_without(folder, erased_)
    assert found is not None and found.kept_last and len(json.loads(found.text)) == 1
    assert len(theirs) == 3


def test_a_dry_run_says_exactly_what_goes_and_changes_nothing(
    database_engine: Engine, shop: Shop
) -> None:
    with writing(database_engine) as session:
        subject = whose_words.of_customer(session, shop.assistant, WREN)
        before = texts_with(session, TOKEN)
        shown = erasure.preview(session, shop.assistant, subject, OLGA)
    with reading(database_engine) as session:
        assert texts_with(session, TOKEN) == before
        assert erasures.every(session, shop.assistant) == []
    row = erased(database_engine, shop)
    assert certificate.counted(shown) == certificate.counted(
        {**row.certificate, "adapters": shown["adapters"]}
    )
    assert erasures.PENDING not in shown and TOKEN not in json.dumps(shown)


def test_the_audit_log_and_the_certificate_hold_a_hash_and_no_name(
    database_engine: Engine, shop: Shop
) -> None:
    row = erased(database_engine, shop)
    with reading(database_engine) as session:
        [entry] = audit.every(session, act="erasure.erase")
        known = erasures.of_hash(session, shop.assistant, erasures.sha256_of(shop.assistant, WREN))
    assert entry.subject == f"erasure {row.id}" and entry.actor == OLGA.name
    assert [each.id for each in known] == [row.id]
    text = certificate.as_text(row)
    assert WREN not in text and row.customer_sha256 in text and "nothing was found" in text
    with pytest.raises(NotFound, match=row.id), reading(database_engine) as session:
        whose_words.of_customer(session, shop.assistant, WREN)


def test_one_conversation_of_somebody_without_a_name_can_go(
    database_engine: Engine, shop: Shop
) -> None:
    with writing(database_engine) as session:
        asked, _ = answered(session, shop.assistant, "Nameless zanzibarbarian question, please?")
        subject = whose_words.of_conversation(session, shop.assistant, asked.conversation_id)
    row = erasing.erase(database_engine, shop.assistant, subject, OLGA, "Wrong chat.")
    assert erasing.finish(database_engine, row.id).finished_at is not None
    with reading(database_engine) as session:
        assert texts_with(session, "zanzibarbarian") == []
        assert texts_with(session, TOKEN) != []


def test_of_two_assistants_with_a_customer_of_one_name_only_the_named_one_forgets(
    database_engine: Engine, shop: Shop, make_assistant: Callable[..., Assistant]
) -> None:
    bakery = make_assistant("bakery")
    with writing(database_engine) as session:
        answered(session, bakery, "Rye or wheat, what do you say to that?", customer=WREN)
    row = erased(database_engine, shop)
    with reading(database_engine) as session:
        assert texts_with(session, WREN) == ["customer.external_id"]
        assert texts_with(session, "Rye or wheat") != []
    assert row.certificate["search"]["names"] == 0


def test_what_a_colleague_wrote_elsewhere_is_found_and_told(
    database_engine: Engine, shop: Shop
) -> None:
    with writing(database_engine) as session:
        audit.record(session, OLGA, "note", f"about {WREN}", shop.assistant.id)
    row = erased(database_engine, shop)
    assert row.certificate["search"]["in_database"] == [{"place": "audit_entry.subject", "rows": 1}]
    assert "found in audit_entry.subject" in certificate.as_text(row)


def test_a_turn_that_is_being_written_brings_nothing_back(
    database_engine: Engine, shop: Shop
) -> None:
    with writing(database_engine) as session:
        talk = conversations.begin(session, shop.assistant, None, WREN)
        subject = whose_words.of_customer(session, shop.assistant, WREN)

    def say(session: Session) -> None:
        conversations.write(
            session, conversations.get(session, talk.id, lock=True), "Are you still there, shop?"
        )

    def take_out(session: Session) -> None:
        erasure.erase(session, shop.assistant, subject, OLGA, "They asked.")

    [raised] = while_open(database_engine, take_out, say)
    assert isinstance(raised, NotFound)
    with reading(database_engine) as session:
        assert session.exec(select(Message).where(Message.conversation_id == talk.id)).all() == []


@pytest.mark.parametrize("missing", [{}, {"customer": "a", "conversation": "b"}])
def test_whom_to_erase_has_to_be_said_once(
    session: Session, assistant: Assistant, missing: dict[str, str]
) -> None:
    with pytest.raises(Invalid, match="either a customer or a conversation"):
        whose_words.subject_of(
            session, assistant, missing.get("customer"), missing.get("conversation")
        )


# Retention


def test_what_is_older_than_the_rules_say_is_erased_in_batches_and_the_rest_stays(
    database_engine: Engine, assistant: Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing, "BATCH", 3)
    with writing(database_engine) as session:
        owner = session.get_one(Assistant, assistant.id)
        owner.learning = {"keep_conversations_days": 30}
        for number in range(10):
            name = "regular" if number in (0, 9) else f"guest-number-{number}"
            word = corrected(
                session, owner, f"Old {TOKEN}{number} lamp, how bright?", "Very.", name
            )
            message = session.get_one(Message, word.message_id)
            talk = session.get_one(Conversation, message.conversation_id)
            if number < 8:
                talk.last_message_at = now() - timedelta(days=31)
    with reading(database_engine) as session:
        assert erasing.is_due(session, owner)
    row = erasing.erase_expired(database_engine, owner)
    assert row is not None
    row = erasing.finish(database_engine, row.id)
    assert row.finished_at and row.certificate["what"] == "retention" and row.cycle_id is None
    assert row.certificate["removed"]["conversation"] == 8
    assert row.certificate["removed"]["customer"] == 7
    with reading(database_engine) as session:
        left = session.exec(select(Customer.external_id)).all()
        assert sorted(left) == ["guest-number-8", "regular"]
        assert not erasing.is_due(session, owner), "once a day is enough"
        assert len(session.exec(select(Erasure)).all()) == 1
    assert erasing.erase_expired(database_engine, owner) is None


# Cut off


KILLED = """
    import os, signal, sys
    from feedback import compaction, erased_files, erasing, whose_words
    from feedback.audit import Actor
    from feedback.database import database, reading
    from feedback import assistants
    def die(*_):
        os.kill(os.getpid(), signal.SIGKILL)
    module, name = sys.argv[1].rsplit(".", 1)
    setattr(sys.modules[module], name, die)
    with reading() as session:
        shop = assistants.get(session, "shop")
        subject = whose_words.of_customer(session, shop, sys.argv[2])
    row = erasing.erase(database(), shop, subject, Actor("olga", "operator"), "They asked.")
    erasing.finish(database(), row.id)
"""


@pytest.mark.parametrize(
    "where",
    [
        "feedback.erasing._clean_files",
        "feedback.erased_files.clean_logs",
        "feedback.erased_files.write_probe",
        "feedback.erasing._search",
        "feedback.compaction.compact",
        "feedback.erasing._remains",
    ],
)
@SQLITE
def test_whoever_is_killed_in_the_middle_is_followed_by_somebody_who_finishes(
    database_engine: Engine, shop: Shop, var_dir: Path, where: str
) -> None:
    # The steps are looked up when `finish` runs; to die in one of them, it is replaced before.
    process = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), where, WREN],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr
    with reading(database_engine) as session:
        [ident] = erasures.unfinished(session)
        assert texts_with(session, WREN) in ([], ["erasure.certificate"])
    assert erasing.finish_all(database_engine) == []
    with reading(database_engine) as session:
        assert erasures.get(session, ident).finished_at is not None
        assert texts_with(session, TOKEN) == texts_with(session, WREN) == []
        adapter = adapters.get(session, shop.adapter.name)
    assert files_with(var_dir, TOKEN.encode()) == files_with(var_dir, WREN.encode()) == []
    adapter_folder.verify(adapters.folder_of(adapter), adapter.digest)
    assert feedback_settings().var_dir == var_dir


def test_an_export_as_messages_is_written_anew_without_their_rows(tmp_path: Path) -> None:
    prompt = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Mine?"}]
    answer = {"role": "assistant", "content": "Yours."}
    worse = {"role": "assistant", "content": "No."}
    rows = [
        {"messages": [{**turn, "train": False} for turn in prompt] + [{**answer, "train": True}]},
        {"messages": prompt, "chosen": answer, "rejected": worse},
        {
            "messages": [*prompt, {"role": "assistant", "content": "Somebody else's."}],
            "label": True,
        },
    ]
    path = tmp_path / "folder" / "train.jsonl"
    path.parent.mkdir()
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    theirs = {row_hash(prompt, "Yours.", None), row_hash(prompt, "Yours.", "No.")}
    touched = list(erased_files.clean_exports([tmp_path], erased_files.Erased(theirs, set())))
    assert [each.path for each in touched] == [path]
    assert [json.loads(line) for line in path.read_text().splitlines()] == rows[2:]
