"""What "live for the other topics only" adds to a new conversation's first answer, and to nobody else's.

One service over SQLite, and a stand-in that answers at once: what is measured is ours. Engine requests,
SQL statements (the service's looks in the background among them) and milliseconds per first and later answer.
`python -m benchmarks.except_topics --out benchmarks/results/2026-11-24-except-topics.json`
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr
from sqlalchemy import Engine, event

from feedback import adapters, api_keys, assistants
from feedback.database import connect, migrate, writing
from feedback.tables import Adapter, Role, now
from service.app import create_app
from service.settings import ServiceSettings
from tests.stand_in_engine import StandInEngine, build_adapter, serving, stand_in_engine

TOPICS = ["returns", "refunds", "fees"]


class Statements:
    """Counts what SQLite is asked to change or read in conversations and messages, on every connection."""

    def __init__(self, database: Engine) -> None:
        self.count = 0
        event.listen(database, "checkout", self._watch)

    def _watch(self, connection: Any, *_: Any) -> None:
        connection.set_trace_callback(self._count)

    def _count(self, statement: str) -> None:
        self.count += "conversation" in statement or "message" in statement


def published(database: Engine, folder: Path, seed: str) -> Adapter:
    """An adapter that the stand-in can load."""
    with writing(database) as session:
        owner = assistants.get(session, "shop")
        return adapters.publish(session, owner, build_adapter(folder / seed, seed), [], {}, {})


def measure(
    client: httpx.Client, engine: StandInEngine, statements: Statements, times: int
) -> dict[str, Any]:
    """Per first and per second answer of new conversations about fees: requests, statements, ms."""
    found: dict[str, Any] = {}
    spent: dict[str, list[float]] = {"first_answer": [], "later_answer": []}
    made = dict.fromkeys(spent, (0, 0))
    for _ in range(times):
        ident = client.post("/v1/conversations", json={}).raise_for_status().json()["id"]
        for which in spent:
            asked, said = len(engine.asked), statements.count
            started = time.perf_counter()
            path = f"/v1/conversations/{ident}/messages"
            client.post(path, json={"text": "How about fees?"}).raise_for_status()
            spent[which].append((time.perf_counter() - started) * 1000)
            requests, sql = made[which]
            made[which] = (requests + len(engine.asked) - asked, sql + statements.count - said)
    for which, took in spent.items():
        requests, sql = made[which]
        found[which] = {
            "engine_requests": round(requests / times, 3),
            "sql_statements": round(sql / times, 2),
            "median_ms": round(statistics.median(took), 2),
            "p95_ms": round(sorted(took)[int(times * 0.95)], 2),
        }
    return found


def main() -> None:
    """Three arms on one service: one adapter, an exception in force, and one adapter again."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--times", type=int, default=100, help="conversations per arm")
    options.add_argument("--out", type=Path)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as place, stand_in_engine() as engine:
        os.environ["FEEDBACK_VAR_DIR"] = place
        database, folder = connect(f"sqlite:///{place}/understudy.db"), Path(place) / "built"
        migrate(database)
        with writing(database) as session:
            owner = assistants.create(
                session, "shop", "Shop", "embedded", "Be kind.", "b", topics=TOPICS
            )
            key = api_keys.create(session, "b", Role.CUSTOMER, owner)[1]
        older, newer = (published(database, folder, seed) for seed in ("older", "newer"))
        settings = ServiceSettings(
            engine_url=engine.url, engine_api_key=SecretStr(engine.api_key), swap_poll_seconds=0.1
        )
        statements, arms = Statements(database), {}
        for arm, adapter, topics in (
            ("no exception", older, []),
            ("all but refunds", newer, ["refunds"]),
            ("no exception, again", newer, []),
        ):
            with writing(database) as session:
                owner = assistants.get(session, "shop")
                adapters.promote(session, owner, adapter, "b", arm, except_topics=topics)
            headers = {"Authorization": f"Bearer {key}"}
            with (
                serving(create_app(settings, database)) as url,
                httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False) as client,
            ):
                time.sleep(2)
                measure(client, engine, statements, 10)  # warm
                arms[arm] = measure(client, engine, statements, given.times)
        database.dispose()
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "engine": "stand-in"}
    date, load = f"{now():%Y-%m-%d}", round(os.getloadavg()[0], 1)
    what = {"date": date, "machine": machine, "load": load, "conversations": given.times}
    told = json.dumps({**what, "arms": arms}, indent=2)
    print(told)
    if given.out:
        given.out.write_text(told + "\n")


if __name__ == "__main__":
    main()
