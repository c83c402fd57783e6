"""Imports: every problem has a place, nothing is half stored, and nothing comes in twice."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlmodel import Session, func, select

from feedback import conversations, corrections, datasets, freezing, tickets
from feedback.database import reading, writing
from feedback.errors import Invalid
from feedback.import_entries import ImportKind
from feedback.imports import BATCH_ROWS, Imported, import_file, import_tickets
from feedback.tables import (
    Assistant,
    Conversation,
    Customer,
    Expects,
    Feedback,
    FeedbackKind,
    Message,
    Role,
    Speaker,
    Ticket,
)
from tests.feedback.said import NIGHT, SHOES, SPOON

EXAMPLES = Path(__file__).parents[2] / "examples" / "puddle_and_pine"
PAST = {
    "id": "Ticket No",
    "question": "Question",
    "answer": "Reply",
    "customer": "Customer E-mail",
    "agent": "Agent",
}
CONVERSATIONS, CORRECTIONS = ImportKind.CONVERSATIONS, ImportKind.CORRECTIONS


def csv_file(folder: Path, *lines: str, name: str = "past.csv") -> Path:
    path = folder / name
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())
    return path


def jsonl_file(folder: Path, *rows: object, name: str = "rows.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def problems(session: Session, assistant: Assistant, kind: ImportKind, path: Path) -> list[str]:
    """The sentences of an import that must fail and must leave nothing."""
    with pytest.raises(Invalid) as raised:
        import_file(session, assistant, kind, path)
    first, *rest = str(raised.value).splitlines()
    assert first.endswith("nothing was stored.")
    return rest


def stored(session: Session) -> list[int]:
    tables: tuple[Any, ...] = (Customer, Conversation, Message, Feedback, Ticket)
    return [session.exec(select(func.count()).select_from(table)).one() for table in tables]


def test_the_past_tickets_of_the_sample_become_demonstrations(
    assistant: Assistant, session: Session
) -> None:
    result = import_file(session, assistant, CONVERSATIONS, EXAMPLES / "past_tickets.csv", PAST)
    assert result == Imported(20, 0, ["Opened", "Subject"])
    words = corrections.every(session, assistant)
    assert {word.kind for word, _, _ in words} == {FeedbackKind.DEMONSTRATION}
    word, question, talk = next(w for w in words if w[2].external_id == "conversations:PP-1041")
    assert question.text.startswith("Two pairs of socks and my boots still wobble.")
    assert (word.author, word.author_role, talk.channel) == ("Mara", Role.AGENT, "import")
    assert word.text is not None
    assert word.text.startswith("You have 40 days")
    said = conversations.messages_of(session, talk.id)
    assert [message.speaker for message in said] == [Speaker.CUSTOMER, Speaker.AGENT]
    assert said[1].reply_to_id == said[0].id
    assert said[1].author == "Mara"
    sft, *_ = freezing.freeze(session, assistant)
    rows = len(
        datasets.items(session, sft)
    )  # the names of people whom no account knows are left out
    assert (rows + sft.counts["personal_answer"], rows > 12) == (20, True)


def test_the_exam_of_the_sample_comes_in_as_it_is(assistant: Assistant, session: Session) -> None:
    result = import_tickets(session, assistant, EXAMPLES / "tickets.jsonl")
    assert result == Imported(40, 0, [])
    first = tickets.get(session, assistant, "t01")
    assert first.must_say == ["40 days", "PINE-BACK"]
    assert first.must_not_say == ["30 days"]
    assert first.customer_id is not None


def test_a_correction_becomes_a_draft_and_what_was_sent_instead(
    assistant: Assistant, session: Session, tmp_path: Path
) -> None:
    context = [
        {"role": "user", "content": "Hello!"},
        {"role": "assistant", "content": "Hello, how can I help?"},
        {"role": "user", "content": NIGHT},
    ]
    row = {"id": 7, "context": context, "draft": "Burn it.", "final": " Air it. ", "topic": "tents"}
    path = jsonl_file(tmp_path, row)
    mapping = {"answer": "draft", "correction": "final"}
    import_file(session, assistant, CORRECTIONS, path, mapping, agent="mara")
    [(word, draft, talk)] = corrections.every(session, assistant)
    assert (word.kind, word.text, word.author) == (FeedbackKind.CORRECTION, "Air it.", "mara")
    assert (talk.external_id, talk.topic) == ("corrections:7", "tents")
    said = conversations.messages_of(session, talk.id)
    assert [message.speaker for message in said] == [
        Speaker.CUSTOMER,
        Speaker.ASSISTANT,
        Speaker.CUSTOMER,
        Speaker.ASSISTANT,
    ]
    assert (draft.text, draft.reply_to_id) == ("Burn it.", said[2].id)
    _, dpo, _ = freezing.freeze(session, assistant)
    [item] = datasets.items(session, dpo)
    assert [turn["content"] for turn in item.prompt[1:]] == [t["content"] for t in context]
    assert (item.chosen, item.rejected) == ("Air it.", "Burn it.")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["question,reply", "a,b"], "line 1, column 'answer': There is no such column; found"),
        (["", ""], "line 1: The file is empty"),
        (["question,answer,answer", "a,b,c"], "line 1, column 'answer': Two columns"),
        (["question,answer", "a,b", "a"], "line 3: Found 1 cells, expected 2"),
        (["question,answer", "a,b,c"], "line 2: Found 3 cells, expected 2"),
        (["question,answer", ",b"], "line 2, column 'question': The question is empty"),
        (["question,answer", '"a', 'b","c"', "d,"], "line 4, column 'answer': The answer is empty"),
        (["question,answer", "a,b", '"never closed,c', "d,e"], "line 3: The record is broken"),
        (["question,answer", f"a,{'x' * 8001}"], "line 2, column 'answer': The answer has 8001"),
        (["question,answer,id", f"a,b,{'x' * 181}"], "line 2, column 'id': The id has 181"),
        (["question,answer,id", "a,b,1", "c,d,1"], "line 3, column 'id': The id '1' stands for"),
        (["question,answer,context", "a,b,c"], "line 2, column 'question': The row has a context"),
        (["question,answer,context", ",b,c"], "line 2, column 'context': Found 'c', expected a"),
    ],
)
def test_a_problem_in_csv_names_file_line_and_column(
    assistant: Assistant, session: Session, tmp_path: Path, lines: list[str], expected: str
) -> None:
    found = problems(session, assistant, CONVERSATIONS, csv_file(tmp_path, *lines))
    assert found[0].startswith(f"past.csv, {expected}"), found


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"question": "a", ', "line 2: Not JSON at character 19"),
        ('["a"]', "line 2: Found ['a'], expected one JSON object"),
        ("[" * 100_000, "line 2: The JSON is nested too deeply"),
        ('{"question": "a"}', "line 2, column 'answer': There is no such column; found 'question'"),
        ('{"question": "a", "answer": 5}', "line 2, column 'answer': Found 5, expected text"),
        ('{"question": "a", "answer": null}', "line 2, column 'answer': The answer is empty"),
        ('{"question": "a\\u0000", "answer": "b"}', "line 2, column 'question': The question c"),
        ('{"question": "\\ud800", "answer": "b"}', "line 2, column 'question': The question c"),
        ('{"question": "a", "answer": "b", "id": [1]}', "line 2, column 'id': Found [1]"),
        ('{"context": {"role": "user"}, "answer": "b"}', "line 2, column 'context': Found {"),
        (
            '{"context": [{"role": "bot", "content": "a"}], "answer": "b"}',
            "line 2, column 'context': Turn 1 has the role 'bot'",
        ),
        (
            '{"context": [{"role": "user", "content": 5}], "answer": "b"}',
            "line 2, column 'context': Turn 1 says 5",
        ),
    ],
)
def test_a_problem_in_jsonl_names_file_line_and_column(
    assistant: Assistant, session: Session, tmp_path: Path, line: str, expected: str
) -> None:
    good = json.dumps({"question": NIGHT, "answer": "Air it."})
    path = csv_file(tmp_path, good, line, good, name="rows.jsonl")
    found = problems(session, assistant, CONVERSATIONS, path)
    assert found[0].startswith(f"rows.jsonl, {expected}"), found
    assert len(found) == 1


@pytest.mark.parametrize("name", ["past.csv", "rows.jsonl"])
def test_a_byte_that_is_not_utf8_is_named_with_what_to_do(
    assistant: Assistant, session: Session, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    head = b"question,answer\n" if name == "past.csv" else b'{"question": "a", "answer": "b"}\n'
    line = b"caf\xe9,b\n" if name == "past.csv" else b'{"question": "caf\xe9", "answer": "b"}\n'
    path.write_bytes(head + line)
    found = problems(session, assistant, CONVERSATIONS, path)
    at = 4 if name == "past.csv" else 18
    assert found == [
        f"{name}, line 2: Byte {at} is 0xe9, which is not UTF-8. Save the file as UTF-8 "
        "(in a spreadsheet: 'CSV UTF-8')."
    ]


def test_a_mapping_that_names_nothing_is_refused_with_the_nearest_name(
    assistant: Assistant, session: Session, tmp_path: Path
) -> None:
    table = csv_file(tmp_path, "Question,Reply", "a,b")
    rows = jsonl_file(tmp_path, {"question": "a", "answer": "b", "Topic": "c"})

    def refused(path: Path, mapping: dict[str, str]) -> str:
        with pytest.raises(Invalid) as raised:
            import_file(session, assistant, CONVERSATIONS, path, mapping)
        return str(raised.value)

    wrong = {"question": "Qestion", "answer": "Reply"}
    assert "column 'Qestion': There is no such column" in refused(table, wrong)
    assert "Did you mean 'Question'?" in refused(table, wrong)
    assert "Did you mean 'Topic'?" in refused(rows, {"topic": "Topics"})
    assert "Found the field 'reply' in the mapping" in refused(table, {"reply": "Reply"})


@pytest.mark.parametrize(
    ("name", "sentence"), [("gone.csv", "no file"), ("past.xlsx", "expected one ending in .csv")]
)
def test_a_file_that_cannot_be_imported_is_named(
    assistant: Assistant, session: Session, tmp_path: Path, name: str, sentence: str
) -> None:
    if name != "gone.csv":
        (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(Invalid, match=sentence):
        import_file(session, assistant, CONVERSATIONS, tmp_path / name)


def test_all_problems_are_told_at_once_up_to_a_limit(
    assistant: Assistant, session: Session, tmp_path: Path
) -> None:
    path = csv_file(tmp_path, "question,answer", *["a,"] * 50)
    with pytest.raises(Invalid) as raised:
        import_file(session, assistant, CONVERSATIONS, path)
    first, *listed, more = str(raised.value).splitlines()
    assert first == "50 problems; nothing was stored."
    assert [f"line {n}," in sentence for n, sentence in enumerate(listed, 2)] == [True] * 20
    assert more == "… and 30 more."


def test_a_column_that_no_row_has_is_told_once(
    assistant: Assistant, session: Session, tmp_path: Path
) -> None:
    path = jsonl_file(tmp_path, *[{"question": "a", "reply": "b"}] * 30)
    assert len(problems(session, assistant, CONVERSATIONS, path)) == 1


def test_one_bad_row_after_many_good_ones_leaves_nothing(
    database_engine: Engine, assistant: Assistant, tmp_path: Path
) -> None:
    good = [{"id": n, "question": f"{NIGHT} {n}", "answer": "Air it."} for n in range(BATCH_ROWS)]
    path = jsonl_file(tmp_path, *good, {"question": "a"})
    with pytest.raises(Invalid, match=rf"line {BATCH_ROWS + 1}"), writing() as session:
        import_file(session, assistant, CONVERSATIONS, path)
    with reading(database_engine) as session:
        assert stored(session) == [0] * 5


@pytest.mark.parametrize("kind", list(ImportKind))
def test_a_dry_run_counts_and_stores_nothing_and_a_second_import_adds_nothing(
    assistant: Assistant, session: Session, tmp_path: Path, kind: ImportKind
) -> None:
    said = {
        "question": NIGHT,
        "answer": "Burn it.",
        "correction": "Air it.",
        "reference": "Air it.",
    }
    rows = [{**said, "id": n, "customer": f"c{n % 3}"} for n in range(5)]
    path = jsonl_file(tmp_path, *rows)

    def counts(path: Path, dry_run: bool = False) -> tuple[int, int]:
        result = import_file(session, assistant, kind, path, dry_run=dry_run)
        return result.new, result.already_there

    assert counts(path, dry_run=True) == (5, 0)
    assert stored(session) == [0] * 5
    assert counts(path) == (5, 0)
    before = stored(session)
    assert counts(path) == (0, 5)
    assert counts(path, dry_run=True) == (0, 5)
    assert stored(session) == before
    longer = jsonl_file(tmp_path, *rows, {**said, "id": "new"})
    assert counts(longer) == (1, 5)


def test_rows_without_an_id_are_known_by_what_they_say(
    assistant: Assistant, session: Session, tmp_path: Path
) -> None:
    path = csv_file(tmp_path, "question,answer", "a,b", "c,d", "a,b")
    results = [import_file(session, assistant, CONVERSATIONS, path) for _ in range(2)]
    assert [(r.new, r.already_there) for r in results] == [(2, 1), (0, 3)]


def test_equal_ids_of_different_kinds_and_assistants_do_not_hide_each_other(
    database_engine: Engine, make_assistant: Callable[..., Assistant], tmp_path: Path
) -> None:
    shop, bakery = make_assistant("shop"), make_assistant("bakery")
    row = {"id": "1", "question": NIGHT, "answer": "Burn it.", "correction": "Air it."}
    path = jsonl_file(tmp_path, row)
    with writing(database_engine) as session:
        for owner in (shop, bakery):
            for kind in (CONVERSATIONS, CORRECTIONS):
                assert import_file(session, owner, kind, path).new == 1


def test_spreadsheets_with_a_byte_order_mark_semicolons_and_long_cells_are_read(
    assistant: Assistant, session: Session, tmp_path: Path
) -> None:
    path = tmp_path / "export.csv"
    path.write_bytes(
        b"\xef\xbb\xbfquestion;answer;id\r\n"
        b'"Two lines,\r\nreally; yes";"Say ""hi""";1\r\n'
        b"\r\n"
        b";;\r\n"
        b"last;one;2\r\n"
    )
    assert import_file(session, assistant, CONVERSATIONS, path).new == 2
    words = corrections.every(session, assistant)
    assert {(about.text, word.text) for word, about, _ in words} == {
        ("Two lines,\nreally; yes", 'Say "hi"'),
        ("last", "one"),
    }


def test_the_rules_of_a_ticket_come_as_a_list_or_between_bars(
    assistant: Assistant, session: Session, tmp_path: Path
) -> None:
    table = csv_file(
        tmp_path,
        "id,question,reference,must_say,must_not_say",
        f"t1,{SHOES},Only yellow.,yellow| duck |,",
    )
    rows = jsonl_file(
        tmp_path, {"id": "t2", "question": SPOON, "reference": "None.", "must_not_say": ["steel"]}
    )
    for path in (table, rows):
        import_tickets(session, assistant, path)
    made = tickets.every(session, assistant)
    assert [ticket.must_say for ticket in made] == [["yellow", "duck"], []]
    assert [ticket.must_not_say for ticket in made] == [[], ["steel"]]


def test_customers_met_in_a_file_are_the_customers_of_the_site(
    assistant: Assistant, session: Session, tmp_path: Path
) -> None:
    known = conversations.customer_named(session, assistant, "wren")
    rows = [
        {"question": f"{NIGHT} {n}", "answer": "b", "customer": c}
        for n, c in enumerate(["wren", "otis", "wren", None])
    ]
    import_file(session, assistant, CONVERSATIONS, jsonl_file(tmp_path, *rows))
    assert stored(session)[0] == 2
    owners = session.exec(select(Conversation.customer_id)).all()
    assert sorted(owner == known.id for owner in owners) == [False, False, True, True]


def test_progress_ends_at_the_size_of_the_file(
    assistant: Assistant, session: Session, tmp_path: Path
) -> None:
    path = csv_file(tmp_path, "question,answer", *[f"a{n},b" for n in range(9)])
    seen: list[tuple[int, int]] = []
    import_file(
        session,
        assistant,
        CONVERSATIONS,
        path,
        progress=lambda done, all_: seen.append((done, all_)),
    )
    size = path.stat().st_size
    assert seen == sorted(seen)
    assert seen[-1] == (size, size)


def test_a_ticket_may_say_that_it_is_for_a_person(
    assistant: Assistant, session: Session, tmp_path: Path
) -> None:
    plain = {"id": "a", "question": "How long may I return it?", "reference": "Forty days."}
    other = {"id": "b", "question": "Do you sell cars?", "reference": "Ask Mara."}
    path = jsonl_file(tmp_path, plain, {**other, "expects": "Handover"})
    import_file(session, assistant, ImportKind.TICKETS, path)
    kept = {each.external_id: each.expects for each in tickets.every(session, assistant)}
    assert kept == {"a": Expects.ANSWER, "b": Expects.HANDOVER}
    path = jsonl_file(tmp_path, {**plain, "id": "c", "expects": "maybe"})
    [problem] = problems(session, assistant, ImportKind.TICKETS, path)
    assert "expected one of 'answer', 'handover', 'refusal'" in problem
