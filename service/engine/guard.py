"""Middleware inside vLLM's API server: only the routes we use exist there, the others answer 404.

Every answer also says which run of which vLLM it comes from, so that a restart cannot go unnoticed.
vLLM's key guards /v1 but not its other doors (/adapters loads LoRA weights, /invocations chats).
Loaded by vLLM itself through `--middleware`, see launch.py.
"""

import os
import secrets
from hmac import compare_digest

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.engine.launch import vllm_build

OPEN = ("/health", "/metrics")  # need no key: they carry no customer's words
KEYED = "/v1/"  # vLLM asks for its key here
BOOT = (b"x-engine-boot", secrets.token_hex(8).encode())
BUILD = (b"x-engine-build", vllm_build().encode())
TOKENIZE = "/tokenize"  # and forgets to here, so we do


class OnlyGuardedRoutes:
    """Lets through what needs vLLM's key, and the two routes that watch over it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._expected = f"Bearer {os.environ.get('VLLM_API_KEY', '')}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 404 or 401 before vLLM sees the request."""
        if scope["type"] in ("http", "websocket"):
            path = scope["path"]
            if path == TOKENIZE:
                if not self._has_key(scope):
                    await JSONResponse({"error": "Unauthorized"}, 401)(scope, receive, send)
                    return
            elif path not in OPEN and not path.startswith(KEYED):
                await JSONResponse({"error": "Not found"}, 404)(scope, receive, send)
                return
        await self.app(scope, receive, _saying_which_run(send))

    def _has_key(self, scope: Scope) -> bool:
        found = dict(scope["headers"]).get(b"authorization", b"")
        return len(self._expected) > len(b"Bearer ") and compare_digest(found, self._expected)


def _saying_which_run(send: Send) -> Send:
    async def marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), BOOT, BUILD]
        await send(message)

    return marked
