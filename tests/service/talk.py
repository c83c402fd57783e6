"""Small verbs the service's tests share."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx


def begin(client: httpx.Client, **body: Any) -> dict[str, Any]:
    """A new conversation."""
    response = client.post("/v1/conversations", json=body)
    assert response.status_code == 201, response.text
    conversation: dict[str, Any] = response.json()
    return conversation


def ask(
    client: httpx.Client, conversation: str, text: str, key: str | None = None
) -> httpx.Response:
    """Ask and wait for the whole answer."""
    headers = {"Idempotency-Key": key} if key else {}
    path = f"/v1/conversations/{conversation}/messages"
    return client.post(path, json={"text": text}, headers=headers)


def said(client: httpx.Client, conversation: str, text: str) -> str:
    """The answer's text."""
    response = ask(client, conversation, text)
    assert response.status_code == 201, response.text
    return str(response.json()["answer"]["text"])


def events(response: httpx.Response) -> Iterator[tuple[str, Any]]:
    """The server-sent events of a streamed response."""
    name = ""
    for line in response.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def stream(client: httpx.Client, conversation: str, text: str, key: str | None = None) -> Any:
    """Ask and stream; a context manager that yields the response."""
    headers = {"Accept": "text/event-stream"} | ({"Idempotency-Key": key} if key else {})
    path = f"/v1/conversations/{conversation}/messages"
    return client.stream("POST", path, json={"text": text}, headers=headers)


def eventually(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Wait until something is true; the test fails if it never is."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)
    return value
