"""Writers of one process get the database in the order they asked for it."""

import threading
import time
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError
from sqlmodel import text

from feedback.database import connect, writing
from feedback.fair_lock import FairLock
from tests.service.talk import eventually


def queue_is(lock: FairLock, length: int) -> bool:
    return len(lock._waiting) == length


def test_whoever_waited_longest_is_next() -> None:
    lock = FairLock()
    order: list[tuple[int, bool]] = []
    threads: list[threading.Thread] = []

    def wait(number: int) -> None:
        with lock.turn(30) as held:
            order.append((number, held))

    with lock.turn(30):
        for number in range(20):
            threads.append(threading.Thread(target=wait, args=(number,)))
            threads[-1].start()
            eventually(partial(queue_is, lock, number + 1))
    for thread in threads:
        thread.join()
    assert order == [(number, True) for number in range(20)]


def test_one_that_lets_go_and_asks_again_stands_at_the_end() -> None:
    lock = FairLock()
    order: list[str] = []

    def wait() -> None:
        with lock.turn(30):
            order.append("the other")

    other = threading.Thread(target=wait)
    with lock.turn(30):
        other.start()
        eventually(partial(queue_is, lock, 1))
    with lock.turn(30):
        order.append("again")
    other.join()
    assert order == ["the other", "again"]


def test_a_wait_that_was_too_long_leaves_the_queue_as_it_was() -> None:
    lock = FairLock()
    held: list[bool] = []

    def wait() -> None:
        with lock.turn(0.01) as mine:
            held.append(mine)

    with lock.turn(30):
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join()
        assert held == [False]
    with lock.turn(0) as mine, lock.turn(0) as within:
        assert mine and within


def test_whoever_is_interrupted_while_waiting_takes_nobodys_turn_away() -> None:
    lock = FairLock()

    class Call:
        """Ctrl-C comes while it waits, or in the moment that the turn is handed over."""

        def __init__(self, called: bool) -> None:
            self.called = called

        def acquire(self, timeout: float = -1) -> bool:
            if timeout == -1:
                return True
            if self.called:
                lock._hand_on()
            raise KeyboardInterrupt

        def release(self) -> None:
            pass

    for called in (False, True):
        lock._holder = 1
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("feedback.fair_lock.threading.Lock", lambda called=called: Call(called))
            with pytest.raises(KeyboardInterrupt), lock.turn(1):
                pass
        if not called:
            lock._hand_on()
        with lock.turn(0) as held:
            assert held


def test_it_is_never_held_twice_nor_lost_while_waits_end_at_any_moment() -> None:
    lock = FairLock()
    inside: list[int] = []
    seen: list[tuple[int, ...]] = []

    def work(number: int) -> None:
        for _ in range(200):
            with lock.turn(0.0001 * (number % 3)) as held:
                if held:
                    inside.append(number)
                    seen.append(tuple(inside))
                    inside.remove(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen and all(len(each) == 1 for each in seen)
    with lock.turn(0) as held:
        assert held


def test_another_processs_transaction_is_still_waited_for_and_then_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/understudy.db"
    ours, theirs = connect(url, busy_timeout_seconds=0.2), connect(url)
    with writing(theirs) as session:
        session.execute(text("CREATE TABLE word (text TEXT)"))
        started = time.monotonic()
        with pytest.raises(OperationalError, match="locked"), writing(ours) as refused:
            refused.execute(text("INSERT INTO word VALUES ('lost')"))
        assert time.monotonic() - started >= 0.2
    with writing(ours) as session:
        session.execute(text("INSERT INTO word VALUES ('kept')"))
        assert session.execute(text("SELECT text FROM word")).all() == [("kept",)]
