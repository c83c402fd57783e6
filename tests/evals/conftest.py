"""An assistant with held-out tickets, two adapters, and an engine without a process."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import Engine

from evals import run
from evals.settings import EvalsSettings
from feedback import adapters, assistants, cycles, tickets
from feedback.assistants import Gate, Sampling
from feedback.database import writing
from feedback.tables import Adapter, Assistant, Decision, EvalRun, Ticket
from service.fleet import Fleet
from service.hot_swap import HotSwap
from service.member import Member
from service.settings import ServiceSettings
from tests.evals.fake_engine import FakeEngine
from tests.stand_in_engine import build_adapter

ON_SQLITE = pytest.mark.parametrize("database_engine", ["sqlite"], indirect=True)
"""For tests that are not about the database; test_resume.py runs on both."""

PATIENT = EvalsSettings(concurrency=4, attempts=3, backoff_seconds=0.0, bootstrap_samples=1000)


@dataclass
class Room:
    """Everything an exam needs."""

    database: Engine
    engine: FakeEngine
    swaps: HotSwap
    assistant: Assistant
    folder: Path
    settings: EvalsSettings = field(default_factory=lambda: PATIENT)

    def publish(self, seed: str) -> Adapter:
        """A registered adapter that the engine can hold."""
        built = build_adapter(self.folder / f"built-{seed}", seed)
        with writing(self.database) as session:
            return adapters.publish(session, self.assistant, built, [], {}, {})

    def add_tickets(self, count: int, first: int = 1) -> list[Ticket]:
        """Held-out tickets t01, t02 …, each by a customer of its own."""
        with writing(self.database) as session:
            return [
                tickets.create(
                    session, self.assistant, f"t{number:02}",
                    [{"role": "user", "content": f"Question {number}: how long have I?"}],
                    f"You have {number + 10} days.",
                    must_say=[f"{number + 10} days"],
                    must_not_say=["for ever"],
                    topic="returns" if number % 2 else "fees",
                    customer=f"customer {number}",
                )
                for number in range(first, first + count)
            ]  # fmt: skip

    def cycle_id(self) -> str:
        """A new cycle."""
        with writing(self.database) as session:
            return cycles.request(session, self.assistant, "test").id


def sit(room: Room, adapter: Adapter | None, **more: object) -> EvalRun:
    return asyncio.run(
        run.sit(
            room.swaps, room.database, room.assistant, adapter,
            settings=room.settings, **more,  # type: ignore[arg-type]
        )
    )  # fmt: skip


def examine(
    room: Room, candidate: Adapter | None, live: Adapter | None, **more: object
) -> Decision:
    return asyncio.run(
        run.examine(
            room.swaps, room.database, room.assistant, candidate, live,
            settings=room.settings, **more,  # type: ignore[arg-type]
        )
    )  # fmt: skip


def reference_answer(question: str) -> str:
    """What an agent would have said to one of the room's questions."""
    number = int(question.removeprefix("Question ").split(":")[0])
    return f"You have {number + 10} days."


@pytest.fixture
def room(database_engine: Engine, tmp_path: Path) -> Room:
    with writing(database_engine) as session:
        assistant = assistants.create(
            session, "shop", "The shop", "embedded", "You are the shop.", "test",
            sampling=Sampling(temperature=0.7, seed=3, max_tokens=64),
            gate=Gate(guardrails={}),  # the fake engine's log-probabilities mean nothing
        )  # fmt: skip
    engine = FakeEngine()
    settings = ServiceSettings()
    fleet = Fleet(database_engine, settings, "a key")
    fleet.members = [Member(engine, database_engine, settings)]
    swaps = HotSwap(fleet, database_engine, settings)
    return Room(database_engine, engine, swaps, assistant, tmp_path / "built")
