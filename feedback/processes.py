"""What runs right now: services and loops tell their settings and, about every minute, that they live."""

import logging
import os
import socket
import sys
import threading
from collections.abc import Mapping
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal, Self

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, delete, select

from feedback.database import writing
from feedback.desk_tables import ProcessReport
from feedback.settings import PackageSettings
from feedback.tables import now

log = logging.getLogger(__name__)

EVERY_SECONDS = 60.0
SILENT_AFTER = timedelta(seconds=3 * EVERY_SECONDS)
FORGOTTEN_AFTER = timedelta(days=7)
VERSIONS = ("understudy", "vllm", "torch", "transformers", "trl", "peft")
"""Packages whose versions explain what a process does."""


class Reporting:
    """Around a process: one row of its own, written when it starts and touched while it runs."""

    def __init__(
        self,
        database: Engine,
        process: Literal["service", "loop"],
        packages: Mapping[str, PackageSettings],
    ) -> None:
        self._database = database
        self._report = ProcessReport(
            process=process,
            host=f"{socket.gethostname()}:{os.getpid()}",
            settings={name: settings.told() for name, settings in packages.items()},
            versions=versions(),
        )
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_telling, name="reporting", daemon=True)

    def __enter__(self) -> Self:
        self._tell()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _keep_telling(self) -> None:
        while not self._ended.wait(EVERY_SECONDS):
            self._tell()

    def _tell(self) -> None:
        try:
            with writing(self._database) as session:
                tell(session, self._report)
        except SQLAlchemyError as error:  # nobody waits for this row; the next one may get through
            log.warning("could not report that this process runs: %s", error)


def tell(session: Session, report: ProcessReport) -> None:
    """Keep that a process runs; rows that were silent for a week go."""
    known = session.get(ProcessReport, report.id)
    if known is not None:
        known.seen_at = now()
        session.add(known)
        return
    session.exec(delete(ProcessReport).where(col(ProcessReport.seen_at) < now() - FORGOTTEN_AFTER))
    session.add(ProcessReport(**report.model_dump()))


def every(session: Session) -> list[ProcessReport]:
    """Each process on each host as it told of itself last, the most recently seen first."""
    newest = session.exec(select(ProcessReport).order_by(col(ProcessReport.seen_at).desc()))
    return list(newest)


def is_running(report: ProcessReport) -> bool:
    """Whether it was heard of lately."""
    return now() - report.seen_at < SILENT_AFTER


def versions() -> dict[str, Any]:
    """Python's version and those of the packages that explain what a process does."""
    found = {"python": sys.version.split()[0]}
    for name in VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
