"""A policy promotes what an exam has passed, as long as people have not changed anything since."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from feedback import adapters, assistants, cycles, decisions, exams, promotions, tickets
from feedback.assistants import Gate
from feedback.database import database, migrate, reading, writing
from feedback.swap_tables import RequestState
from feedback.tables import Adapter, Ticket
from tests.conftest import forget_settings
from tests.stand_in_engine import build_adapter
from training import promoting
from training.lease import Lease
from training.loop import Turn
from training.settings import TrainingSettings


class Shop:
    """An assistant with two adapters; a cycle's exam has passed the second against the first, live one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with writing() as session:
            self.assistant = assistants.create(
                session, "shop", "Shop", "embedded", "Be kind.", "test", auto_promote=True,
                topics=["refunds", "returns"],
            )  # fmt: skip
        self.old, self.new, self.other = (self.publish(name) for name in ("old", "new", "other"))
        self.promote(self.old)
        with writing() as session:
            self.cycle = cycles.request(session, self.assistant, "schedule")
            ours, theirs = exams.open_runs(
                session, self.assistant, [self.new, self.old], self.cycle.id
            )
            self.decision = decisions.record(
                session, self.assistant, ours, theirs, Gate(), promote=True, reasons=["It is better."],
                metric="chrf", tickets=20,
            )  # fmt: skip

    def publish(self, seed: str) -> Adapter:
        built = build_adapter(self.folder / seed, seed)
        with writing() as session:
            return adapters.publish(session, self.assistant, built, [], {}, {})

    def promote(self, adapter: Adapter, *topics: str) -> None:
        with writing() as session:
            adapters.promote(
                session, self.assistant, adapter, "olga", "It is good.", except_topics=list(topics)
            )

    def lease(self) -> Lease:
        return Lease(self.cycle.id, "test", 60, threading.Event())

    def ask(self) -> dict[str, Any]:
        return promoting.promote(self.assistant, self.lease(), self.new.name, self.decision.id)

    def turn(self) -> Turn:
        return Turn(self.cycle, self.lease(), TrainingSettings())

    def asked(self) -> list[tuple[str | None, str, list[str]]]:
        with reading() as session:
            return [
                (row.adapter_id, row.requested_by, row.except_topics)
                for row in promotions.every(session, self.assistant)
            ]


@pytest.fixture
def shop(var_dir: Path, tmp_path: Path) -> Iterator[Shop]:
    forget_settings()
    migrate()
    yield Shop(tmp_path)
    database().dispose()


@pytest.fixture
def see_through(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which requests the loop would see through; no engine runs here."""
    seen: list[str] = []

    async def done(request_id: str, lease: Lease) -> object:
        seen.append(request_id)
        with reading() as session:
            row = promotions.get(session, request_id)
        row.state = RequestState.DONE
        return row

    monkeypatch.setattr(promoting, "_see_through", done)
    return seen


def test_it_asks_for_what_passed(shop: Shop, see_through: list[str]) -> None:
    found = shop.ask()
    assert found["promoted"] and len(see_through) == 1
    assert shop.asked()[0] == (shop.new.id, promoting.POLICY, [])


def test_what_was_left_with_another_adapter_stays_there(shop: Shop, see_through: list[str]) -> None:
    shop.promote(shop.other)
    shop.promote(shop.old, "refunds")
    assert shop.ask()["promoted"]
    assert shop.asked()[0] == (shop.new.id, promoting.POLICY, ["refunds"])


def test_it_leaves_to_people_what_was_examined_against_what_is_live_no_longer(
    shop: Shop, see_through: list[str]
) -> None:
    shop.promote(shop.other)
    found = shop.ask()
    assert found["left_to_people"] and "against what is live no longer" in found["reason"]
    assert see_through == [] and shop.asked() == []


def test_it_withdraws_nothing_that_people_have_asked_for(
    shop: Shop, see_through: list[str]
) -> None:
    with writing() as session:
        promotions.request_rollback(session, shop.assistant, "olga", "It tells wrong prices.")
    found = shop.ask()
    assert "olga has asked for another promotion" in found["reason"]
    assert see_through == [] and len(shop.asked()) == 1


def test_whether_it_promotes_by_itself_is_asked_when_it_comes_to_it(shop: Shop) -> None:
    assert promoting.is_on(shop.assistant)
    with writing() as session:
        assistants.change(session, shop.assistant, auto_promote=False)
    assert not promoting.is_on(shop.assistant)


@pytest.mark.parametrize(
    ("customers", "asked"), [([1, 1, 1, 1, 1, 1], False), ([1, 2, 1, 2, 1, 2], True), ([1, 2], False)]
)  # fmt: skip
def test_sealed_tickets_are_asked_where_they_could_speak_against_it(
    shop: Shop, customers: list[int], asked: bool
) -> None:
    with writing() as session:
        made: list[Ticket] = [
            tickets.create(
                session, shop.assistant, f"s{number}", [{"role": "user", "content": f"{number}?"}],
                "Yes.", customer=f"c{who}", sealed=True,
            )
            for number, who in enumerate(customers)
        ]  # fmt: skip
    assert tickets.can_confirm(made) == asked
    if not asked:
        found = shop.turn()._sealed_exam(shop.new.name, lambda **_: None)
        assert found["promote"] and "too few to ask" in found["reasons"][0]
