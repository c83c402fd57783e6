"""Runs the service: uvicorn with our logging and a shutdown that stores what is being said."""

import logging

import uvicorn

from service.app import create_app
from service.settings import ServiceSettings


def run(settings: ServiceSettings) -> None:
    """Serve until SIGTERM or SIGINT."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
    config = uvicorn.Config(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    uvicorn.Server(config).run()
