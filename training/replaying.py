"""Does the replays that operators ask for, beside the cycles. The loop runs this in a thread of its own."""

import asyncio
import logging
import os
import socket
import threading

from evals.replay import replay
from feedback import replays
from feedback.database import database, reading, writing
from feedback.errors import Unavailable
from feedback.exam_tables import Replay
from service.hot_swap import asking_engines
from service.settings import service_settings
from training.settings import TrainingSettings

log = logging.getLogger(__name__)


class Leaving(Exception):
    """The loop ends; the replay goes on elsewhere, or when it is started again."""


def run(leaving: threading.Event, settings: TrainingSettings) -> None:
    """Look for replays until `leaving` is set."""
    owner = f"{socket.gethostname()}:{os.getpid()}"
    while not leaving.wait(settings.poll_seconds):
        try:
            do_requested(owner, leaving)
        except Exception:
            log.exception("a replay could not be done; trying again")


def do_requested(owner: str, leaving: threading.Event | None = None) -> Replay | None:
    """Take up the oldest replay that waits, and do it; None where there is none, or no engine."""
    with reading() as session:  # every poll: the writer's lock is taken only where something waits
        if not replays.waiting(session):
            return None

    def progress(_: Replay) -> None:
        if leaving is not None and leaving.is_set():
            raise Leaving

    async def work() -> Replay | None:
        async with asking_engines(database(), service_settings()) as swaps:
            if not await swaps.fleet.healthy():
                return None
            with writing() as session:
                claimed = replays.claim(session, owner)
            if claimed is None:  # another loop was quicker
                return None
            try:
                return await replay(swaps, database(), claimed, progress)
            except Unavailable as error:  # it is let go, with what it has
                log.warning("replay=%s waits: %s", claimed.id, error)
                return None
            except Leaving:
                with writing() as session:
                    replays.release(session, claimed)
                return None

    return asyncio.run(work())
