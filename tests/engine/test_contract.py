"""One suite against the stand-in and the real engine: what the service relies on holds for both."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx
import pytest
from pydantic import SecretStr

from feedback.assistants import Sampling
from feedback.errors import Invalid, NotFound, Unavailable, UnderstudyError
from service.answering import Answer, answer, mean_logprob
from service.settings import ServiceSettings
from service.topics import choose
from service.vllm import BASE, Vllm
from tests.stand_in_engine import build_adapter, stand_in_engine

T = TypeVar("T")
MESSAGES = [{"role": "user", "content": "How do I return a raincoat that is too small for me?"}]
SHORT = Sampling(max_tokens=8)


@dataclass(frozen=True)
class Subject:
    url: str
    api_key: str
    adapter: Path

    def with_engine(self, work: Callable[[Vllm], Awaitable[T]], api_key: str | None = None) -> T:
        async def run() -> T:
            async with self.opened(api_key) as engine:
                return await work(engine)

        return asyncio.run(run())

    @asynccontextmanager
    async def opened(self, api_key: str | None = None) -> AsyncIterator[Vllm]:
        engine = Vllm(ServiceSettings(engine_url=self.url), api_key or self.api_key)
        try:
            yield engine
        finally:
            await engine.close()


@pytest.fixture(scope="module", params=["stand-in", pytest.param("vLLM", marks=pytest.mark.engine)])
def subject(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Subject]:
    if request.param == "stand-in":
        adapter = build_adapter(tmp_path_factory.mktemp("contract") / "adapter", "contract")
        with stand_in_engine() as engine:
            yield Subject(engine.url, engine.api_key, adapter)
    else:
        process = request.getfixturevalue("engine")
        adapters = request.getfixturevalue("adapters")
        yield Subject(process.url, process.api_key, adapters["adapter-a"])


@pytest.fixture
def loaded(subject: Subject) -> Iterator[str]:
    """An adapter loaded under a name of this test's own."""
    name = "contract-adapter"
    subject.with_engine(lambda engine: engine.load(name, subject.adapter))
    yield name
    subject.with_engine(lambda engine: engine.unload(name))


def test_a_running_engine_is_healthy_and_lists_its_base(subject: Subject) -> None:
    assert subject.with_engine(lambda engine: engine.healthy())
    assert BASE in subject.with_engine(lambda engine: engine.names())


def test_an_adapter_is_listed_from_loading_to_unloading(subject: Subject) -> None:
    async def story(engine: Vllm) -> None:
        assert "contract-a" not in await engine.names()
        await engine.load("contract-a", subject.adapter)
        await engine.load("contract-a", subject.adapter)  # again: fine
        assert "contract-a" in await engine.names()
        await engine.unload("contract-a")
        await engine.unload("contract-a")  # again: fine
        assert "contract-a" not in await engine.names()

    subject.with_engine(story)


def test_a_folder_without_an_adapter_is_refused(subject: Subject, tmp_path: Path) -> None:
    with pytest.raises((Invalid, NotFound), match="The engine says"):
        subject.with_engine(lambda engine: engine.load("nothing", tmp_path))


def test_answers_stream_end_for_a_reason_and_count_their_tokens(subject: Subject) -> None:
    made = subject.with_engine(lambda engine: answer(engine, MESSAGES, SHORT, None))
    assert made.text.strip()
    assert made.finish_reason == "length"
    assert made.completion_tokens == 8
    assert made.prompt_tokens is not None and made.prompt_tokens > 8
    assert made.time_to_first_token_ms is not None and made.latency_ms is not None
    assert made.time_to_first_token_ms <= made.latency_ms


def test_an_answer_says_how_sure_the_model_was(subject: Subject, loaded: str) -> None:
    async def ask(engine: Vllm) -> list[Answer]:
        return [await answer(engine, MESSAGES, SHORT, name) for name in (None, loaded)]

    for made in subject.with_engine(ask):
        assert made.mean_logprob is not None and made.mean_logprob <= 0


def test_greedy_answers_repeat_and_an_adapter_changes_them(subject: Subject, loaded: str) -> None:
    async def story(engine: Vllm) -> tuple[str, str, str]:
        texts = [
            (await answer(engine, MESSAGES, SHORT, name)).text for name in (None, None, loaded)
        ]
        return texts[0], texts[1], texts[2]

    first, again, adapted = subject.with_engine(story)
    assert first == again
    assert adapted != first


def test_an_unknown_model_is_not_found(subject: Subject) -> None:
    with pytest.raises(NotFound, match="does not exist"):
        subject.with_engine(lambda engine: answer(engine, MESSAGES, SHORT, "no-such-adapter"))


def test_a_prompt_that_is_too_long_is_refused_as_the_callers_fault(subject: Subject) -> None:
    long = [{"role": "user", "content": "word " * 5000}]
    with pytest.raises(Invalid, match="maximum context length"):
        subject.with_engine(lambda engine: answer(engine, long, SHORT, None))


def test_a_wrong_key_is_refused_on_every_route_we_use(subject: Subject) -> None:
    calls: list[Callable[[Vllm], Awaitable[object]]] = [
        lambda engine: engine.names(),
        lambda engine: engine.load("x", subject.adapter),
        lambda engine: engine.prompt_tokens(MESSAGES),
        lambda engine: engine.logprobs(BASE, [1, 2], [3]),
        lambda engine: engine.choose(BASE, MESSAGES, ["returns", "shipping"]),
        lambda engine: answer(engine, MESSAGES, SHORT, None),
    ]
    for call in calls:
        with pytest.raises(Unavailable, match="401"):
            subject.with_engine(call, api_key="wrong")


def test_every_token_of_an_answer_gets_a_log_probability(subject: Subject, loaded: str) -> None:
    async def story(engine: Vllm) -> tuple[list[float], list[float]]:
        prompt = await engine.prompt_tokens(MESSAGES)
        tokens = await engine.text_tokens("Send it back within forty days.")
        assert prompt and len(tokens) >= 6
        return (
            await engine.logprobs(BASE, prompt, tokens),
            await engine.logprobs(loaded, prompt, tokens),
        )

    base, adapted = subject.with_engine(story)
    assert len(base) == len(adapted) >= 6
    assert all(value <= 0 for value in base + adapted)
    assert base != adapted


def test_the_mean_log_probability_is_that_of_the_answers_tokens(subject: Subject) -> None:
    async def story(engine: Vllm) -> tuple[float, float]:
        reference = "Send it back."
        prompt = await engine.prompt_tokens(MESSAGES)
        found = await engine.logprobs(BASE, prompt, await engine.text_tokens(reference))
        return await mean_logprob(engine, MESSAGES, reference, None), sum(found) / len(found)

    mean, by_hand = subject.with_engine(story)
    assert mean == pytest.approx(by_hand, abs=1e-4)


def test_a_choice_is_one_of_the_choices_and_repeats(subject: Subject, loaded: str) -> None:
    choices = ["returns", "shipping costs", "shipping", "a person, please"]

    async def story(engine: Vllm) -> list[str]:
        return [await engine.choose(name, MESSAGES, choices) for name in (BASE, BASE, loaded)]

    base, again, adapted = subject.with_engine(story)
    assert base in choices and adapted in choices
    assert base == again


def test_a_choice_leaves_no_choice_where_there_is_one(subject: Subject) -> None:
    only = ['an_odd Name: with "quotes", \\ and Umläute']
    assert subject.with_engine(lambda engine: engine.choose(BASE, MESSAGES, only)) == only[0]


def test_a_choice_between_nothing_is_refused(subject: Subject) -> None:
    with pytest.raises(Invalid, match="cannot be an empty list"):
        subject.with_engine(lambda engine: engine.choose(BASE, MESSAGES, []))


def test_a_topic_is_one_of_the_assistants_own(subject: Subject) -> None:
    topics = ["returns_window", "shipping_costs"]
    assert subject.with_engine(lambda engine: choose(engine, topics, MESSAGES, None)) in topics


def test_an_answer_goes_on_from_its_part(subject: Subject) -> None:
    async def story(engine: Vllm) -> tuple[str, Answer]:
        whole = (await answer(engine, MESSAGES, Sampling(max_tokens=12), None)).text
        part = whole[: whole.rindex(" ", 0, len(whole) // 2)]
        rest = Answer(MESSAGES, Sampling(max_tokens=12), None, part)
        async for _ in rest.pieces(engine):
            pass
        return whole, rest

    whole, resumed = subject.with_engine(story)
    assert resumed.text.startswith(whole[: len(whole) * 3 // 4])
    assert (resumed.completion_tokens or 0) <= 12  # its part counts towards the limit


def test_a_part_as_long_as_the_limit_is_the_whole_answer(subject: Subject) -> None:
    async def story(engine: Vllm) -> Answer:
        rest = Answer(MESSAGES, Sampling(max_tokens=2), None, "Send it back to us.")
        async for _ in rest.pieces(engine):
            raise AssertionError("nothing may follow")
        return rest

    whole = subject.with_engine(story)
    assert (whole.text, whole.finish_reason) == ("Send it back to us.", "length")


def test_every_answer_says_which_run_of_the_engine_it_comes_from(subject: Subject) -> None:
    async def story(engine: Vllm) -> tuple[str, str, int]:
        await engine.names()
        listed = engine.boot
        await answer(engine, MESSAGES, Sampling(max_tokens=2), None)
        return listed, engine.boot, await engine.running()

    listed, answered, running = subject.with_engine(story)
    assert listed and listed == answered
    assert running == 0


def test_leaving_a_stream_stops_the_engine(subject: Subject) -> None:
    async def story(engine: Vllm) -> None:
        long = Answer(MESSAGES, Sampling(max_tokens=1000), None)
        pieces = long.pieces(engine)
        await anext(pieces)
        await pieces.aclose()
        for _ in range(100):
            if _running(subject) == 0:
                return
            await asyncio.sleep(0.1)
        raise AssertionError("the engine still computes for nobody")

    subject.with_engine(story)


def _running(subject: Subject) -> float:
    text = httpx.get(f"{subject.url}/metrics", trust_env=False, timeout=10).text
    found = re.findall(r"^vllm:num_requests_running\{[^}]*\} (\S+)$", text, re.MULTILINE)
    return float(found[0])


def test_an_engine_that_is_not_there_is_unavailable() -> None:
    async def story() -> None:
        settings = ServiceSettings(
            engine_url="http://127.0.0.1:9", engine_api_key=SecretStr("x"), retry_after_seconds=7
        )
        engine = Vllm(settings, "x")
        try:
            assert not await engine.healthy()
            with pytest.raises(Unavailable, match="try again in 7 seconds") as caught:
                await answer(engine, MESSAGES, SHORT, None)
            assert isinstance(caught.value, UnderstudyError)
        finally:
            await engine.close()

    asyncio.run(story())
