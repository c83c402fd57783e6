"""Who is answered next when there is more to answer than the engines take."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.errors import Overloaded
from service.admission import Admission
from service.settings import ServiceSettings
from tests.service.conftest import Shop
from tests.service.talk import ask, begin, eventually
from tests.stand_in_engine import StandInEngine


def queue(capacity: int = 1, **settings: Any) -> Admission:
    return Admission(ServiceSettings(**settings), lambda: capacity)


class Work:
    """Answers that end when the test says so."""

    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self.begun: list[str] = []
        self.sent_away: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}

    async def answer(self, assistant: str, name: str) -> None:
        self._ends[name] = asyncio.Event()
        try:
            async with self.admission.turn(assistant):
                self.begun.append(name)
                await self._ends[name].wait()
        except Overloaded:
            self.sent_away.append(name)

    async def end(self, name: str) -> None:
        self._ends[name].set()
        await settle()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def play(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(story())


def test_assistants_take_turns_however_much_one_of_them_asks() -> None:
    async def story() -> None:
        work = Work(queue())
        tasks = [asyncio.create_task(work.answer("shop", f"s{number}")) for number in range(5)]
        await settle()
        tasks += [asyncio.create_task(work.answer("bakery", f"b{number}")) for number in range(2)]
        await settle()
        for _ in range(7):
            await work.end(work.begun[-1])
        assert work.begun == ["s0", "s1", "b0", "s2", "b1", "s3", "s4"]
        await asyncio.gather(*tasks)

    play(story)


def test_a_full_queue_sends_away_whoever_waits_most_and_no_other() -> None:
    async def story() -> None:
        admission = queue(queue_max=3)
        work = Work(admission)
        tasks = [asyncio.create_task(work.answer("shop", f"s{number}")) for number in range(4)]
        await settle()
        with pytest.raises(Overloaded, match="try again in 5 seconds"):
            admission.check("shop")
        admission.check("bakery")
        tasks.append(asyncio.create_task(work.answer("bakery", "b0")))
        await settle()
        assert work.sent_away == ["s3"]
        for name in ("s0", "s1", "b0", "s2"):
            assert work.begun[-1] == name
            await work.end(name)
        await asyncio.gather(*tasks)

    play(story)


def test_nobody_waits_longer_than_the_setting_says() -> None:
    async def story() -> None:
        work = Work(queue(queue_timeout_seconds=0.02))
        first = asyncio.create_task(work.answer("shop", "first"))
        await settle()
        await work.answer("shop", "late")
        assert work.sent_away == ["late"] and work.admission.waiting == 0
        await work.end("first")
        await first

    play(story)


@given(
    capacity=st.integers(1, 3),
    steps=st.lists(
        st.tuples(st.sampled_from(["come", "end", "leave"]), st.integers(0, 2), st.integers(0, 9)),
        max_size=40,
    ),
)
def test_no_turn_is_ever_lost_or_given_twice(
    capacity: int, steps: list[tuple[str, int, int]]
) -> None:
    async def story() -> None:
        admission = queue(capacity, queue_max=5)
        work = Work(admission)
        tasks: dict[str, asyncio.Task[None]] = {}
        for number, (what, who, which) in enumerate(steps):
            here = [name for name, task in tasks.items() if not task.done()]
            if what == "come":
                name = str(number)
                tasks[name] = asyncio.create_task(work.answer(f"assistant {who}", name))
            elif here and what == "end":
                work._ends.setdefault(here[which % len(here)], asyncio.Event()).set()
            elif here:
                tasks[here[which % len(here)]].cancel()
            await settle()
            busy = [name for name in work.begun if not tasks[name].done()]
            assert admission.running == len(busy) <= capacity
            assert admission.waiting == 0 or admission.running == capacity
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        assert admission.running == admission.waiting == 0

    play(story)


@pytest.fixture
def settings(engine: StandInEngine, settings: ServiceSettings) -> ServiceSettings:
    return settings.model_copy(update={"engine_max_num_seqs": 1, "queue_max": 1})


def test_a_customer_who_is_sent_away_is_told_when_to_come_back_and_nothing_was_stored(
    shop: Shop, customer: httpx.Client, engine: StandInEngine
) -> None:
    engine.words, engine.pause_seconds = 40, 0.05
    talks = [begin(customer)["id"] for _ in range(3)]

    def talk(conversation: str) -> None:
        with shop.client("customer") as client:
            ask(client, conversation, "Tell me all")

    busy = [threading.Thread(target=talk, args=(each,)) for each in talks[:2]]
    for number, thread in enumerate(busy):
        thread.start()
        eventually(partial(_is_asked, customer, talks[number]))
    refused = eventually(lambda: _refused(customer, talks[2]))
    assert int(refused.headers["Retry-After"]) > 0
    assert "The queue is full" in refused.json()["error"]["message"]
    assert _said(customer, talks[2]) == []
    for thread in busy:
        thread.join()
    assert ask(customer, talks[2], "Hi", key="again").status_code == 201


def _is_asked(customer: httpx.Client, conversation: str) -> bool:
    return len(_said(customer, conversation)) == 2


def _said(customer: httpx.Client, conversation: str) -> list[Any]:
    messages: list[Any] = customer.get(f"/v1/conversations/{conversation}").json()["messages"]
    return messages


def _refused(customer: httpx.Client, conversation: str) -> httpx.Response | None:
    response = ask(customer, conversation, "Hi", key="again")
    return response if response.status_code == 429 else None
