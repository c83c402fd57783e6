"""Asking for a promotion and hearing what became of it, for whoever has a person waiting: API and console."""

import time

from sqlalchemy import Engine as Database

from feedback import promotions
from feedback.database import reading
from feedback.errors import Conflict
from feedback.swap_tables import PromotionRequest, RequestState

LOOK_SECONDS = 0.1


def outcome(database: Database, request_id: str, wait_seconds: float) -> PromotionRequest:
    """The request once it was decided, or as it stands after the wait.

    Raises Conflict with the engines' reasons when it was refused: then nothing has changed.
    """
    deadline = time.monotonic() + wait_seconds
    while True:
        with reading(database) as session:
            row = promotions.get(session, request_id)
        if row.state == RequestState.REFUSED:
            raise Conflict(f"It did not go live, and nothing changed: {row.outcome}")
        if row.state != RequestState.WAITING or time.monotonic() > deadline:
            return row
        time.sleep(LOOK_SECONDS)
