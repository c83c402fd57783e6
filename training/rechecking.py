"""Asks corrections again beside the cycles: on request, and after each promotion the newest behind it."""

import asyncio
import logging
import threading

from evals.recheck import recheck
from feedback import adapters, assistants, learned, lineage
from feedback.database import database, reading, writing
from feedback.tables import Promotion
from service.hot_swap import asking_engines
from service.settings import service_settings
from training.settings import TrainingSettings

log = logging.getLogger(__name__)


def run(leaving: threading.Event, settings: TrainingSettings) -> None:
    """Look for rechecks until `leaving` is set. The loop runs this in a thread of its own."""
    while not leaving.wait(settings.poll_seconds):
        try:
            request_after_promotions(settings.rechecks)
            do_requested()
        except Exception:
            log.exception("rechecks could not be done; trying again")


def request_after_promotions(at_most: int) -> None:
    """Each promotion of an adapter has its newest corrections asked again, once."""
    if not at_most:
        return
    with reading() as session:  # every poll: the writer's lock is taken only where something is due
        due = [
            (assistant, promotion, adapter)
            for assistant in assistants.every(session)
            if (promotion := adapters.live(session, assistant))
            and (adapter := adapters.by_id(session, promotion.adapter_id))
            and not learned.is_requested_by(session, assistant, _name(promotion))
        ]
    for assistant, promotion, adapter in due:
        with writing() as session:
            if not learned.is_requested_by(
                session, assistant, _name(promotion)
            ):  # another loop did
                behind = lineage.feedback_behind(session, adapter)
                learned.request_rechecks(session, behind, _name(promotion), at_most)


def _name(promotion: Promotion) -> str:
    """In whose name the rechecks after a promotion are asked for."""
    return f"promotion {promotion.sequence}"


def do_requested() -> int:
    """Work on what is asked for; returns how many were done."""
    with reading() as session:
        asked = learned.requested(session)
    if not asked:
        return 0

    async def work() -> None:
        async with asking_engines(database(), service_settings()) as swaps:
            if not await swaps.fleet.healthy():
                return
            for one in asked:
                await recheck(swaps, database(), one)

    asyncio.run(work())
    return len(asked)
