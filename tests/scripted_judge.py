"""A judge with known habits: a server on a real socket that speaks the OpenAI API.

It really reads the question as blind.py writes it, so what it is not shown it cannot use.
"""

import json
import random
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PART = re.compile(r"^BEGIN (.+?) ([0-9a-f]{12})\n(.*?)\nEND \1 \2$", re.MULTILINE | re.DOTALL)
Habit = Callable[[str, str, random.Random], str]
"""Told answer A, answer B and the dice of this question: what it replies."""


def longer(first: str, second: str, dice: random.Random) -> str:
    """Prefers the longer answer, whatever its place."""
    if len(first) == len(second):
        return verdict("tie")
    return verdict("A" if len(first) > len(second) else "B")


def placed(share: float, place: str = "A", otherwise: Habit = longer) -> Habit:
    """By that share of its replies chooses a place, whatever stands there."""

    def habit(first: str, second: str, dice: random.Random) -> str:
        by_place = dice.random() < share
        return verdict(place) if by_place else otherwise(first, second, dice)

    return habit


def verdict(word: str) -> str:
    return json.dumps({"better": word})


@dataclass
class ScriptedJudge:
    """What it does, and what it was asked."""

    habit: Habit = longer
    seed: int = 0
    takes_schemas: bool = True
    too_long_chars: int | None = None
    """A question longer than this is answered 400, as engines do."""
    failures: list[int] = field(default_factory=list)
    """Statuses to answer with before all else, one a request."""
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    url: str = ""

    def reply(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.asked.append(body)
        question = body["messages"][-1]["content"]
        if self.failures:
            return self.failures.pop(0), {"error": {"message": "Not now."}}
        if self.too_long_chars is not None and len(question) > self.too_long_chars:
            return 400, {"error": {"message": "This is longer than the context."}}
        if "response_format" in body and not self.takes_schemas:
            return 400, {"error": {"message": "Unknown parameter: response_format."}}
        parts = {name: text for name, _, text in PART.findall(question)}
        dice = random.Random(f"{self.seed} {question}")
        said = self.habit(parts["ANSWER A"], parts["ANSWER B"], dice)
        message = {"role": "assistant", "content": said}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        answer = {"id": "1", "object": "chat.completion", "created": 1, "model": body["model"]}
        return 200, {**answer, "choices": [choice]}


@contextmanager
def scripted_judge(judge: ScriptedJudge | None = None) -> Iterator[ScriptedJudge]:
    """The judge on a free port, its address in `url`."""
    found = judge or ScriptedJudge()

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            found.keys.append(self.headers["authorization"])
            status, answer = found.reply(body)
            sent = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
