"""Swaps, rollbacks and an engine's death while sixty-four customers talk without a pause.

The same load as benchmarks/hot_swap.py, against stand-ins; there the engines are real.
"""

import asyncio
import time

import httpx
import pytest
from pydantic import SecretStr
from sqlmodel import select

from benchmarks.swap_load import Customers, Load
from feedback import adapters
from feedback.database import reading
from feedback.tables import Adapter, Message
from service.settings import ServiceSettings
from tests.service.conftest import Shop
from tests.service.talk import eventually
from tests.service.test_fleet import second
from tests.service.test_hot_swap import promote, voice
from tests.stand_in_engine import StandInEngine, weights_in

__all__ = ["second"]
CUSTOMERS = 64


@pytest.fixture
def settings(engine: StandInEngine, second: StandInEngine) -> ServiceSettings:
    engine.pause_seconds = second.pause_seconds = 0.02
    return ServiceSettings(
        engine_url=f"{engine.url},{second.url}",
        engine_api_key=SecretStr(engine.api_key),
        swap_poll_seconds=0.05,
        queue_max=2 * CUSTOMERS,
    )


def stamped(shop: Shop) -> dict[str, str]:
    """By answer: the weights of the adapter its row names."""
    with reading(shop.database) as session:
        weights = {
            row.id: weights_in(adapters.folder_of(row)) for row in session.exec(select(Adapter))
        }
        rows = session.exec(select(Message.id, Message.adapter_id))
        return {ident: weights.get(adapter or "", "base") for ident, adapter in rows}


def check_every_answer(shop: Shop, load: Load) -> None:
    claimed = stamped(shop)
    assert load.failed == []
    assert load.said
    for said in load.said:
        assert said.text == f"[{claimed[said.answer_id]}] You said: {said.asked[-1]['content']}"
    assert len({said.answer_id for said in load.said}) == len(load.said)


def test_no_answer_fails_or_is_mixed_through_swaps_rollbacks_and_a_death(
    shop: Shop, operator: httpx.Client, engine: StandInEngine, second: StandInEngine
) -> None:
    pool = [shop.publish(letter) for letter in "abc"]
    customers = Customers(shop.url, shop.keys["customer"], CUSTOMERS)

    reigns: list[tuple[float, float, str]] = []  # in force from, until, which

    def swap(number: int) -> None:
        live = reigns[-1][2] if reigns else ""
        if number % 4 == 3:
            done = operator.post("/v1/rollbacks", json={"reason": "back"})
        else:
            name = next(each.name for each in pool[number % 3 :] + pool if each.name != live)
            done = promote(operator, name)
        assert done.status_code == 201, done.text
        live = done.json()["adapter"]
        with shop.client("customer") as customer:
            eventually(lambda: voice(customer) == live)
        in_force = time.monotonic()
        time.sleep(0.4)
        reigns.append((in_force, time.monotonic(), live))

    async def story() -> None:
        talking = asyncio.create_task(customers.talk())
        for number in range(8):
            await asyncio.to_thread(swap, number)
            if number == 5:
                second.break_after = 2  # everything on it is cut off, and it forgets its adapters
                second.restart()
            if number == 6:
                second.break_after = None
        customers.stop()
        await talking

    asyncio.run(story())
    check_every_answer(shop, customers.load)
    for start, end, live in reigns:
        begun = [name for sent, at, name in customers.load.begun if start < sent and at < end]
        assert set(begun) <= {live}
    assert len(operator.get("/v1/promotions").json()) == 8
