"""Base and adapters in one batch answer as each does alone.

vLLM's own CPU operators fail this: a base request that shares a batch gets an adapter's weights.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.engine.asking import PROMPTS, Question, answer_token_ids, answers_together, post
from tests.engine_process import EngineProcess

pytestmark = pytest.mark.engine

MAX_TOKENS = 16


def questions(adapters: dict[str, Path]) -> list[Question]:
    """18 questions, neighbours on different weights."""
    return [(model, prompt) for prompt in PROMPTS[:6] for model in ("base", *adapters)]


def test_mixed_batch_answers_as_each_request_alone(
    engine: EngineProcess, adapters: dict[str, Path]
) -> None:
    asked = questions(adapters)
    alone = [answer_token_ids(engine, question, MAX_TOKENS) for question in asked]
    together = answers_together(engine, asked, MAX_TOKENS)
    wrong = [asked[n] for n in range(len(asked)) if alone[n] != together[n]]
    assert wrong == []
    for base, a, b in zip(alone[0::3], alone[1::3], alone[2::3], strict=True):
        assert base != a != b != base  # otherwise the test could not see a mix-up


def test_scoring_an_answer_amid_other_requests(
    engine: EngineProcess, adapters: dict[str, Path]
) -> None:
    """Scoring sends a whole prompt through the vocabulary head; stock vLLM dies of it here."""
    asked = questions(adapters)[:8]
    alone = [score(engine, model) for model in ("base", *adapters)]
    with ThreadPoolExecutor(4) as pool:
        chatting = pool.submit(answers_together, engine, asked, MAX_TOKENS)
        together = list(pool.map(lambda model: score(engine, model), ("base", *adapters)))
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
