"""Serves the sample shop's page with the widget on it, on an origin of its own. Called by the demo."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

HERE = Path(__file__).parent
ADDRESS = "http://127.0.0.1:8100"
"""Where the page as it lies here looks for the service."""


def page(service: str, site_key: str) -> str:
    """The shop's page with the widget of this site."""
    text = (HERE / "index.html").read_text(encoding="utf-8")
    return text.replace(ADDRESS, service).replace("SITE_KEY", site_key)


@contextmanager
def open_shop(port: int, service: str, site_key: str) -> Iterator[str]:
    """The page at http://127.0.0.1:port until the block ends; yields its address."""

    async def show(request: Request) -> Response:
        return HTMLResponse(page(service, site_key))

    async def style(request: Request) -> Response:
        return FileResponse(HERE / "style.css")

    app = Starlette(routes=[Route("/", show), Route("/style.css", style)])
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(5)
