"""Finishes erasures beside the cycles, and begins those whose time has come. The loop runs it in a thread."""

import logging
import threading

from feedback import assistants, erasing
from feedback.database import database, reading
from training.settings import TrainingSettings

log = logging.getLogger(__name__)


def run(leaving: threading.Event, settings: TrainingSettings) -> None:
    """Look for erasures until `leaving` is set."""
    while not leaving.wait(settings.poll_seconds):
        try:
            erase_what_expired()
            erasing.finish_all()
        except Exception:
            log.exception("an erasure could not be finished; trying again")


def erase_what_expired() -> None:
    """Conversations that are older than their assistant keeps them, once a day."""
    with reading() as session:  # every poll: the writer's lock is taken only where something is due
        due = [each for each in assistants.every(session) if erasing.is_due(session, each)]
    for assistant in due:
        done = erasing.erase_expired(database(), assistant)
        if done is not None:
            count = done.certificate["removed"]["conversation"]
            log.info("assistant=%s: %d conversations had expired", assistant.name, count)
