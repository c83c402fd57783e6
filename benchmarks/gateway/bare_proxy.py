"""A bare pass-through proxy: what a Python gateway on the same stack costs when it does nothing.

Starlette on uvicorn, aiohttp towards the engine: no keys of its own, no parsing, no log; bytes in, bytes out.

    python -m benchmarks.gateway.bare_proxy PORT ENGINE_URL
"""

import contextlib
import sys
from collections.abc import AsyncIterator

import aiohttp
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

PORT, ENGINE_URL = int(sys.argv[1]), sys.argv[2]


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(ENGINE_URL, connector=connector) as app.state.engine:
        yield


async def chat(request: Request) -> StreamingResponse:
    body = await request.body()
    headers = {name: request.headers[name] for name in ("content-type", "authorization")}
    answer = await request.app.state.engine.post("/v1/chat/completions", data=body, headers=headers)
    return StreamingResponse(answer.content.iter_any(), media_type="text/event-stream")


if __name__ == "__main__":
    app = Starlette(
        routes=[Route("/v1/chat/completions", chat, methods=["POST"])], lifespan=lifespan
    )
    uvicorn.run(
        app, port=PORT, log_level="warning", access_log=False, loop="uvloop", http="httptools"
    )
