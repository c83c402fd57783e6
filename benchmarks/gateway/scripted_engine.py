"""A scripted engine: vLLM's streaming route and the few others the service calls, at the speed of a socket.

Every answer is the same 32 chunks; the first comes `first_ms` after the request, each further one `step_ms`
after the one before, each in a write of its own (POST /pace changes both). It computes nothing, so it is
never the bottleneck.

    python -m benchmarks.gateway.scripted_engine PORT
"""

import asyncio
import json
import sys

import uvloop

CHUNKS = 32
WORDS = ["alpha", *(f" word{number}" for number in range(1, CHUNKS - 1)), " omega"]
HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)


def framed(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


def chunk(delta: dict[str, str], sure: bool, finish: str | None = None) -> bytes:
    """A chunk with the fields vLLM sends, with log-probabilities where they were asked for."""
    choice: dict[str, object] = {"index": 0, "delta": delta, "logprobs": None}
    if sure and "role" not in delta:
        word = delta["content"]
        token = {"token": word, "logprob": -0.125, "bytes": list(word.encode()), "top_logprobs": []}
        choice["logprobs"] = {"content": [token]}
    choice |= {"finish_reason": finish, "token_ids": None}
    return data({"choices": [choice]})


def data(fields: dict[str, object]) -> bytes:
    head = {"id": "chatcmpl-0123456789abcdef0123456789abcdef", "object": "chat.completion.chunk"}
    body = {**head, "created": 1_790_000_000, "model": "base", **fields}
    return f"data: {json.dumps(body, separators=(',', ':'))}\n\n".encode()


def script(sure: bool) -> list[bytes]:
    """The writes of one answer: the head with the first word, then word by word to the end."""
    words = [chunk({"content": word}, sure) for word in WORDS[:-1]]
    last = chunk({"content": WORDS[-1]}, sure, "stop")
    usage = {"prompt_tokens": 20, "total_tokens": 20 + CHUNKS, "completion_tokens": CHUNKS}
    end = framed(last) + framed(data({"choices": [], "usage": usage}))
    first = HEAD + framed(chunk({"role": "assistant", "content": ""}, sure)) + framed(words[0])
    return [
        first,
        *(framed(word) for word in words[1:]),
        end + framed(b"data: [DONE]\n\n") + framed(b""),
    ]


SCRIPTS = {sure: script(sure) for sure in (True, False)}


PACE = {"first_ms": 0.0, "step_ms": 0.0}


class Connection(asyncio.Protocol):
    """One keep-alive connection: a request, an answer, the next."""

    def __init__(self) -> None:
        self._received = bytearray()

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport, self._loop = transport, asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._received[:end]).lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
        if len(self._received) < end + 4 + length:
            return
        body = bytes(self._received[end + 4 : end + 4 + length])
        del self._received[: end + 4 + length]
        self._answer(head.split(b" ", 2)[1], body)

    def _answer(self, path: bytes, body: bytes) -> None:
        if path == b"/v1/chat/completions":
            writes = SCRIPTS[bool(json.loads(body).get("logprobs"))]
            at = self._loop.time() + PACE["first_ms"] / 1000
            self._loop.call_at(at, self._write, writes, 0, at)
        elif path == b"/pace":
            PACE.update(json.loads(body))
            self._whole({})
        elif path == b"/v1/models":
            self._whole({"object": "list", "data": [{"id": "base"}]})
        elif path == b"/tokenize":
            self._whole({"tokens": [1, 2, 3], "count": 3, "max_model_len": 2048})
        else:
            self._whole({})

    def _write(self, writes: list[bytes], number: int, at: float) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(writes[number])
        if number + 1 < len(writes):
            at += PACE["step_ms"] / 1000
            self._loop.call_at(at, self._write, writes, number + 1, at)

    def _whole(self, value: object) -> None:
        body = json.dumps(value).encode()
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        self._transport.write(head % len(body) + body)


async def serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
