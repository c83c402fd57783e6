"""The running engines, for a command that somebody waits at. Called by the commands of this package."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from evals import run
from feedback.database import database
from feedback.errors import Unavailable
from service.hot_swap import HotSwap, asking_engines
from service.settings import service_settings

T = TypeVar("T")
Call = Callable[[HotSwap, run.Progress], Awaitable[T]]


def with_engine(title: str, call: Call[T]) -> T:
    """What `call` returns, with the engine at hand and a progress bar on stderr."""
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )

    async def go() -> T:
        async with running_engines() as swaps:
            with bar:
                task = bar.add_task(title, total=None)

                def progress(done: int, total: int, eta_seconds: float | None) -> None:
                    bar.update(task, completed=done, total=total)

                return await call(swaps, progress)

    return asyncio.run(go())


@asynccontextmanager
async def running_engines() -> AsyncIterator[HotSwap]:
    """The running engines; Unavailable at once when there is none."""
    settings = service_settings()
    async with asking_engines(database(), settings) as swaps:
        if not await swaps.fleet.healthy():
            raise Unavailable(
                f"No engine answers at {settings.engine_url}. Start one with `understudy engine`, or "
                "set SERVICE_ENGINE_URL.",
                settings.retry_after_seconds,
            )
        yield swaps
