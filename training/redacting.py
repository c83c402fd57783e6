"""Redacts ahead while the loop waits for work: what is said today is clean before a cycle wants it.

A thread of the loop. It runs beside training, in short transactions, and may be stopped at any time.
"""

import logging
import threading

from feedback import assistants
from feedback.database import reading
from feedback.redact_ahead import redact_ahead
from training.settings import TrainingSettings

log = logging.getLogger(__name__)


def run(leaving: threading.Event, settings: TrainingSettings) -> None:
    """Look at every assistant again and again, until `leaving` is set."""
    while settings.redact_every_seconds and not leaving.wait(settings.redact_every_seconds):
        try:
            _once(leaving)
        except Exception:
            log.exception("the loop could not redact ahead; trying again")


def _once(leaving: threading.Event) -> None:
    with reading() as session:
        everyone = assistants.every(session)
    for assistant in everyone:
        for _ in redact_ahead(assistant):
            if leaving.is_set():
                return
