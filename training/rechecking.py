"""Asks corrections again beside the cycles: on request, and after each promotion all that are in force.

In rounds, one question at a time, what people asked for first; a round's questions wait while the engines
answer customers. What was asked is in the database, so a killed loop goes on where it stopped.
"""

import asyncio
import logging
import threading
import time

from evals.recheck import recheck
from feedback import adapters, assistants, rechecks
from feedback.database import database, reading, writing
from feedback.desk_tables import Recheck, RecheckState
from service.fleet import Fleet
from service.hot_swap import asking_engines
from service.settings import service_settings
from training.settings import TrainingSettings

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often a question that waits for customers looks whether they are done."""


def run(leaving: threading.Event, settings: TrainingSettings) -> None:
    """Look for rechecks until `leaving` is set. The loop runs this in a thread of its own."""
    done: set[str] = set()
    while not leaving.wait(settings.poll_seconds):
        try:
            request_rounds(settings.rechecks, done)
            do_requested(settings, leaving)
        except Exception:
            log.exception("rechecks could not be done; trying again")


def request_rounds(at_most: int, done: set[str]) -> int:
    """Each assistant's next round, where something is due. `done`: promotions of which nothing is, kept here.

    Returns how many corrections were asked for. 0 `at_most`: none.
    """
    if not at_most:
        return 0
    with reading() as session:  # every poll: the writer's lock is taken only where something is due
        rounds = []
        for assistant in assistants.every(session):
            promotion = adapters.live(session, assistant)
            if promotion is None or promotion.id in done:
                continue
            if rechecks.is_pending(session, assistant):
                continue
            if found := rechecks.due(session, assistant, promotion, at_most):
                rounds.append((assistant, promotion, found))
            else:
                done.add(promotion.id)
    requested = 0
    for assistant, promotion, found in rounds:
        with writing() as session:
            requested += rechecks.request_round(session, assistant, promotion, found)
    return requested


def do_requested(settings: TrainingSettings, leaving: threading.Event) -> int:
    """Work on what is asked for until nothing is left or the loop ends; returns how many were done.

    An engine that is down ends it, too: what is left waits in the database.
    """
    with reading() as session:
        if not rechecks.requested(session, 1):
            return 0

    async def work() -> int:
        number = 0
        async with asking_engines(database(), service_settings()) as swaps:
            while not leaving.is_set() and await swaps.fleet.healthy():
                if (one := await asyncio.to_thread(_next)) is None:
                    break
                if rechecks.is_of_a_round(one):
                    await _let_customers_first(swaps.fleet, settings, leaving)
                done = await recheck(swaps, database(), one)
                number += 1
                if done.state == RecheckState.FAILED:
                    log.info("recheck=%s failed", done.id)
        return number

    return asyncio.run(work())


def _next() -> Recheck | None:
    with reading() as session:
        return next(iter(rechecks.requested(session, 1)), None)


async def _let_customers_first(
    fleet: Fleet, settings: TrainingSettings, leaving: threading.Event
) -> None:
    """Wait while every engine computes something for others, but not for ever: it shall end some day."""
    until = time.monotonic() + settings.recheck_patience_seconds
    while not leaving.is_set() and time.monotonic() < until:
        await asyncio.gather(*(member.look() for member in fleet.members))
        if any(not member.elsewhere for member in fleet.up):
            return
        await asyncio.sleep(LOOK_SECONDS)
