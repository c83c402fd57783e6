"""Middleware inside vLLM's API server: only the routes we use exist there, the others answer 404.

vLLM's key guards /v1 but not its other doors (/adapters loads LoRA weights, /invocations chats).
Loaded by vLLM itself through `--middleware`, see launch.py.
"""

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

OPEN = ("/health", "/metrics")  # need no key: they carry no customer's words
KEYED = "/v1/"  # vLLM asks for its key here


class OnlyGuardedRoutes:
    """Lets through what needs vLLM's key, and the two routes that watch over it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 404 before vLLM sees the request."""
        if scope["type"] in ("http", "websocket") and not _known(scope["path"]):
            await JSONResponse({"error": "Not found"}, 404)(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _known(path: str) -> bool:
    return path in OPEN or path.startswith(KEYED)
