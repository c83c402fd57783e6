"""Base and adapters in one batch answer as each does alone.

vLLM's own CPU operators fail this: a base request that shares a batch gets an adapter's weights.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.engine.asking import PROMPTS, Question, answers_together, post
from tests.engine_process import EngineProcess

pytestmark = pytest.mark.engine

MAX_TOKENS = 12


def questions(adapters: dict[str, Path], prompts: int) -> list[Question]:
    """Neighbours are on different weights."""
    return [(model, prompt) for prompt in PROMPTS[:prompts] for model in ("base", *adapters)]


def test_mixed_batch_answers_as_each_request_alone(
    engine: EngineProcess, adapters: dict[str, Path]
) -> None:
    asked, kinds = questions(adapters, prompts=4), 1 + len(adapters)
    alone: list[list[int]] = [[] for _ in asked]
    for n in range(kinds):  # one kind of weights at a time; their own batches are not in question
        alone[n::kinds] = answers_together(engine, asked[n::kinds], MAX_TOKENS)
    answers_by_kind = {str(alone[n::kinds]) for n in range(kinds)}
    assert len(answers_by_kind) == kinds  # otherwise the test could not see a mix-up
    together = answers_together(engine, asked, MAX_TOKENS)
    assert [q for q, a, b in zip(asked, alone, together, strict=True) if a != b] == []


def test_scoring_an_answer_amid_other_requests(
    engine: EngineProcess, adapters: dict[str, Path]
) -> None:
    """Scoring sends a whole prompt through the vocabulary head; stock vLLM dies of it here."""
    asked = questions(adapters, prompts=2)[:8]
    scored = ["base", *adapters][:3]
    alone = [score(engine, model) for model in scored]
    with ThreadPoolExecutor(4) as pool:
        chatting = pool.submit(answers_together, engine, asked, MAX_TOKENS)
        together = list(pool.map(lambda model: score(engine, model), scored))
        assert len(chatting.result()) == len(asked)
    for quiet, busy in zip(alone, together, strict=True):
        assert busy == pytest.approx(quiet, abs=1e-3)
    assert alone[0] != pytest.approx(alone[1], abs=0.1)


def score(engine: EngineProcess, model: str) -> list[float]:
    """Log-probabilities of a given conversation's tokens."""
    body = {
        "model": model,
        "messages": [
            {"role": "user", "content": PROMPTS[0]},
            {"role": "assistant", "content": "Your parcel left our warehouse this morning."},
        ],
        "add_generation_prompt": False,
        "prompt_logprobs": 0,
        "return_token_ids": True,
        "max_tokens": 1,
    }
    reply = post(engine, "/v1/chat/completions", body)
    assert reply.status_code == 200, reply.text
    data = reply.json()
    pairs = zip(data["prompt_token_ids"][1:], data["prompt_logprobs"][1:], strict=True)
    return [scored[str(token)]["logprob"] for token, scored in pairs]
