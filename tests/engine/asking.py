"""Questions to a running engine, and the prompts of the engine tests."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from tests.engine_process import EngineProcess

Question = tuple[str, str]  # model, prompt

SUBJECTS = (
    "my parcel", "the refund", "a broken kettle", "my password", "the invoice", "your opening hours",
    "a gift card", "the blue jacket", "an exchange", "my subscription", "the warranty", "delivery abroad",
    "a missing button", "the newsletter", "my address", "two orders", "the size chart", "a voucher",
    "the return label", "my account", "the loyalty points",
)  # fmt: skip

PROMPTS = [
    # Their lengths differ, so that prefill and decode share batches.
    f"Hello, I have a question about {subject}. "
    + "I already wrote to you last week. " * (n % 4 * 3)
    for n, subject in enumerate(SUBJECTS)
]


def post(engine: EngineProcess, path: str, body: dict[str, Any]) -> httpx.Response:
    headers = {"Authorization": f"Bearer {engine.api_key}"}
    return httpx.post(f"{engine.url}{path}", json=body, headers=headers, timeout=600)


def load_adapter(engine: EngineProcess, name: str, path: Path) -> None:
    body = {"lora_name": name, "lora_path": str(path)}
    assert post(engine, "/v1/load_lora_adapter", body).status_code == 200


def answer_token_ids(engine: EngineProcess, question: Question, max_tokens: int) -> list[int]:
    model, prompt = question
    body = {
        "model": model,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": max_tokens,
        "temperature": 0,
        "return_token_ids": True,
    }
    reply = post(engine, "/v1/chat/completions", body)
    assert reply.status_code == 200, reply.text
    token_ids: list[int] = reply.json()["choices"][0]["token_ids"]
    return token_ids


def answers_together(
    engine: EngineProcess, questions: Sequence[Question], max_tokens: int
) -> list[list[int]]:
    """All questions in flight at once."""
    with ThreadPoolExecutor(len(questions)) as pool:
        return list(pool.map(lambda q: answer_token_ids(engine, q, max_tokens), questions))
