"""The loop's process: asks for cycles that are due, takes up what is asked for, and works beside it.

What a cycle does is loop.py's. Several such processes may run; leases part them. Started by understudy.py.
"""

import logging
import os
import socket
import threading
from datetime import timedelta

from evals.settings import evals_settings
from feedback import assistants, corrections, cycles, prune
from feedback.database import database, reading, writing
from feedback.errors import Conflict
from feedback.processes import Reporting
from feedback.settings import feedback_settings
from feedback.tables import now
from service.settings import service_settings
from training import erasing, rechecking, redacting, replaying
from training.loop import SCHEDULE, take_turn
from training.settings import TrainingSettings, training_settings

log = logging.getLogger(__name__)


def request_due() -> None:
    """Request a cycle for each assistant whose schedule says so and which was told something new."""
    with writing() as session:
        for assistant in assistants.every(session):
            if assistant.schedule_minutes is None:
                continue
            past = cycles.every(session, assistant)
            since = past[0].created_at if past else assistant.created_at
            if now() - since < timedelta(minutes=assistant.schedule_minutes):
                continue
            if not any(corrections.number_that_teach(session, assistant.id, since).values()):
                continue
            try:
                cycles.request(session, assistant, SCHEDULE)
            except Conflict:
                continue  # one is open


def run(leaving: threading.Event) -> None:
    """Serve requests and schedules until `leaving` is set. Several loops may run; leases part them."""
    settings = training_settings()
    owner = f"{socket.gethostname()}:{os.getpid()}"
    told = {
        "feedback": feedback_settings(),
        "service": service_settings(),
        "evals": evals_settings(),
        "training": settings,
    }
    with Reporting(database(), "loop", told):
        log.info("loop=%s ready", owner)
        for aside in (rechecking.run, erasing.run, redacting.run, replaying.run):
            threading.Thread(target=aside, args=(leaving, settings), daemon=True).start()
        _look_for_work(owner, settings, leaving)


def sweep(left_before: list[str]) -> list[str]:
    """Delete the files of adapters that were pruned where nobody may write to them, as in the service."""
    with reading() as session:
        left = prune.sweep(session)
    if left and left != left_before:
        log.warning("the files of %s cannot be deleted; is the folder writable?", ", ".join(left))
    return left


def _look_for_work(owner: str, settings: TrainingSettings, leaving: threading.Event) -> None:
    left: list[str] = []
    while not leaving.is_set():
        try:
            left = sweep(left)
            request_due()
            with writing() as session:
                cycle = cycles.claim(session, owner, settings.lease_seconds)
        except Exception:
            log.exception("the loop could not look for work; trying again")
            cycle = None
        if cycle is None:
            leaving.wait(settings.poll_seconds)
        else:
            take_turn(cycle, owner, settings, leaving)
