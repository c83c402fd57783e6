"""Writing work is durable before it is told, and one piece's error is nobody else's."""

import asyncio
import threading
from collections.abc import Callable

import pytest
from sqlalchemy import Engine, event
from sqlmodel import Session, select

from feedback.commits import Commits
from feedback.database import reading, writing
from feedback.errors import Conflict
from feedback.tables import Assistant


def adds(name: str, fails: bool = False) -> Callable[[Session], str]:
    def work(session: Session) -> str:
        session.add(Assistant(name=name, title=name, base_model="embedded"))
        session.flush()
        if fails:
            raise Conflict(f"no {name}")
        return name

    return work


def names(database: Engine) -> set[str]:
    with reading(database) as session:
        return set(session.exec(select(Assistant.name)))


async def together(commits: Commits, *work: Callable[[Session], str]) -> list[object]:
    return list(await asyncio.gather(*(commits.run(each) for each in work), return_exceptions=True))


def test_what_was_told_is_stored_and_a_failed_piece_leaves_nothing(database_engine: Engine) -> None:
    async def story() -> None:
        commits = Commits(database_engine)
        work = [adds(f"a{number}", fails=number % 3 == 0) for number in range(12)]
        told = await together(commits, *work)
        whole = {f"a{number}" for number in range(12) if number % 3}
        assert {result for result in told if isinstance(result, str)} == whole
        assert sum(isinstance(result, Conflict) for result in told) == 4
        assert names(database_engine) == whole
        await commits.close()

    asyncio.run(story())


@pytest.mark.parametrize("database_engine", ["sqlite"], indirect=True)
def test_what_waits_meanwhile_is_committed_together(database_engine: Engine) -> None:
    committed: list[int] = []
    event.listen(database_engine, "commit", lambda connection: committed.append(1))
    begun, go_on = threading.Event(), threading.Event()

    def slow(session: Session) -> str:
        begun.set()
        go_on.wait(10)
        return adds("slow")(session)

    async def story() -> None:
        commits = Commits(database_engine)
        first = asyncio.create_task(commits.run(slow))
        await asyncio.to_thread(begun.wait, 10)
        rest = asyncio.create_task(together(commits, *(adds(f"b{n}") for n in range(20))))
        await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        assert names(database_engine) == set()  # nothing is told or seen before the commit
        go_on.set()
        assert await first == "slow"
        assert len(await rest) == 20
        await commits.close()

    asyncio.run(story())
    assert len(names(database_engine)) == 21
    assert len(committed) == 2


@pytest.mark.parametrize("database_engine", ["sqlite"], indirect=True)
def test_a_commit_that_fails_is_told_to_everyone_in_it(database_engine: Engine) -> None:
    def refuse(connection: object) -> None:
        raise OSError("the disk is full")

    async def story() -> None:
        commits = Commits(database_engine)
        event.listen(database_engine, "commit", refuse)
        told = await together(commits, adds("c1"), adds("c2"))
        assert all(isinstance(error, OSError) for error in told)
        event.remove(database_engine, "commit", refuse)
        assert names(database_engine) == set()
        assert await commits.run(adds("c3")) == "c3"  # and the next ones are written again
        await commits.close()

    asyncio.run(story())


def test_what_was_handed_over_is_written_before_the_end(database_engine: Engine) -> None:
    async def story() -> None:
        commits = Commits(database_engine)
        waiting = [asyncio.create_task(commits.run(adds(f"d{number}"))) for number in range(5)]
        await asyncio.sleep(0)
        await commits.close()
        await asyncio.gather(*waiting)

    asyncio.run(story())
    assert len(names(database_engine)) == 5


@pytest.mark.parametrize("database_engine", ["sqlite"], indirect=True)
def test_another_process_that_writes_is_waited_for(database_engine: Engine) -> None:
    async def story() -> None:
        commits = Commits(database_engine)
        with writing(database_engine) as session:
            session.connection()  # takes the lock
            waiting = asyncio.create_task(commits.run(adds("e1")))
            await asyncio.sleep(0.1)
            assert not waiting.done()
            session.add(Assistant(name="e0", title="e0", base_model="embedded"))
        assert await waiting == "e1"
        await commits.close()

    asyncio.run(story())
    assert names(database_engine) == {"e0", "e1"}


def test_what_came_of_it_is_told_while_the_disk_still_writes(database_engine: Engine) -> None:
    told = threading.Event()
    seen: list[object] = []

    def wait(connection: object) -> None:
        seen.append(told.wait(10))

    def soon(name: str) -> None:
        seen.append(names(database_engine))
        seen.append(name)
        told.set()

    async def story() -> None:
        commits = Commits(database_engine)
        event.listen(database_engine, "commit", wait)
        assert await commits.run(adds("f1"), soon) == "f1"
        event.remove(database_engine, "commit", wait)
        await commits.close()

    asyncio.run(story())
    assert seen == [set(), "f1", True]
    assert names(database_engine) == {"f1"}


def test_what_failed_is_never_told_soon(database_engine: Engine) -> None:
    told: list[str] = []

    async def story() -> None:
        commits = Commits(database_engine)
        work = [commits.run(adds(f"g{n}", fails=n == 1), told.append) for n in range(3)]
        await asyncio.gather(*work, return_exceptions=True)
        await commits.close()

    asyncio.run(story())
    assert sorted(told) == ["g0", "g2"]
