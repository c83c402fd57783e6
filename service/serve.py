"""Runs the service: uvicorn with our logging and a shutdown that stores what is being said."""

from types import FrameType

import uvicorn

from service.app import create_app
from service.settings import ServiceSettings


class Server(uvicorn.Server):
    """Tells live streams to end when the process is asked to, so that nobody waits for them."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal came."""
        self.config.app.state.leaving.set()  # type: ignore[union-attr]
        super().handle_exit(sig, frame)


def run(settings: ServiceSettings) -> None:
    """Serve until SIGTERM or SIGINT."""
    Server(config_of(settings)).run()


def config_of(settings: ServiceSettings) -> uvicorn.Config:
    """How uvicorn serves us."""
    return uvicorn.Config(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        log_config=None,
        access_log=False,
        server_header=False,
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_graceful_shutdown=5,
    )
