"""Runs the service: uvicorn with our logging and a shutdown that stores what is being said."""

import gc
import sys
from collections.abc import Sequence
from types import FrameType

import uvicorn
from fastapi import APIRouter

from service.app import create_app
from service.settings import ServiceSettings


class Server(uvicorn.Server):
    """Tells live streams to end when the process is asked to, so that nobody waits for them."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal came."""
        self.config.app.state.leaving.set()  # type: ignore[union-attr]
        super().handle_exit(sig, frame)


SWITCH_SECONDS = 0.0005
"""How long the thread that writes the log waits for the one that speaks with everybody; Python's own 5 ms
are longer than a whole turn's work (an eighth more answers at 64 streams)."""


KEEP_ALIVE_SECONDS = 75
"""Longer than proxies keep an idle connection, mostly 60 s: else they ask through one that is just closed."""


def run(settings: ServiceSettings, more_doors: Sequence[APIRouter] = ()) -> None:
    """Serve until SIGTERM or SIGINT."""
    sys.setswitchinterval(SWITCH_SECONDS)
    config = config_of(settings, more_doors)
    gc.freeze()  # what is here now stays: looking through it for garbage stops everybody for 0.1 s or more
    Server(config).run()


def config_of(settings: ServiceSettings, more_doors: Sequence[APIRouter] = ()) -> uvicorn.Config:
    """How uvicorn serves us."""
    return uvicorn.Config(
        create_app(settings, more_doors=more_doors),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_graceful_shutdown=5,
    )
