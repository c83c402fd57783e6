"""A judging model behind an OpenAI-compatible endpoint: asked about a pair of answers, twice.

What it is shown and how its replies are read is blind.py's. Used by judging.py and calibration.py.
Nothing that is sent or replied is logged.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from anyio import Lock, to_thread

from evals import blind
from evals.blind import Judged, Reply
from evals.settings import EvalsSettings
from feedback.errors import Invalid, Unavailable
from feedback.redaction import Redactor
from feedback.settings import feedback_settings
from feedback.transcript import ModelMessages, render
from service.engine.launch import engine_api_key
from service.settings import service_settings

T = TypeVar("T")
RETRY_AFTER_SECONDS = 30
_NO_KEY = "none"
"""The client insists on a key."""


@dataclass(frozen=True)
class Asked:
    """A conversation and two answers to it, ready to be judged."""

    context: ModelMessages
    ours: str
    theirs: str
    reference: str | None = None


class Judge:
    """One model at one endpoint. Remembers whether the endpoint can hold it to a schema."""

    def __init__(self, settings: EvalsSettings, client: Any, redactor: Redactor | None) -> None:
        self.name = settings.judge_model
        self._settings = settings
        self._client = client
        self._redactor = redactor
        self._structured = True
        self._preparing = Lock()

    async def compare(self, asked: Asked) -> Judged:
        """What it makes of the pair. Unavailable when the endpoint does not answer."""
        async with self._preparing:  # the redactor's language model is no thing for several threads
            asked = await to_thread.run_sync(self._shown, asked)
        ours_first, theirs_first = [
            await self._ask(asked, first, second)
            for first, second in ((asked.ours, asked.theirs), (asked.theirs, asked.ours))
        ]
        return blind.both(ours_first, theirs_first)

    def _shown(self, asked: Asked) -> Asked:
        """What of it the judge may see: no more than the assistant would, and redacted."""
        context = render("", asked.context, feedback_settings().transcript_max_chars)
        reference = asked.reference if self._settings.judge_sees_reference else None
        texts = [*(turn["content"] for turn in context), asked.ours, asked.theirs, reference or ""]
        if self._redactor is not None:
            texts = [found.text for found in self._redactor.redact(texts)]
        *said, ours, theirs, reference = texts
        turns = [{**turn, "content": text} for turn, text in zip(context, said, strict=True)]
        return Asked(turns, ours, theirs, reference)

    async def _ask(self, asked: Asked, first: str, second: str) -> Reply | None:
        question = blind.messages(
            self._settings.judge_instructions, asked.context, first, second, asked.reference
        )
        from openai import APIError, BadRequestError

        try:
            return blind.read(await self._reply(question))
        except BadRequestError:  # it refuses this very question: too long, say
            return None
        except APIError as error:
            status = getattr(error, "status_code", None)
            told = f"{type(error).__name__}" + (f", status {status}" if status else "")
            raise Unavailable(
                f"The judge {self.name!r} at {self._settings.judge_url} did not answer ({told}). What it "
                "has judged is kept; ask again to go on. See EVALS_JUDGE_URL, _MODEL and _API_KEY.",
                RETRY_AFTER_SECONDS,
            ) from None

    async def _reply(self, question: ModelMessages) -> str:
        """The reply's text; held to the schema unless the endpoint refuses that and only that."""
        from openai import BadRequestError

        if self._structured:
            schema = {"name": "verdict", "strict": True, "schema": blind.SCHEMA}
            try:
                return await self._completed(
                    question, response_format={"type": "json_schema", "json_schema": schema}
                )
            except BadRequestError:
                said = await self._completed(question)
                self._structured = False
                return said
        return await self._completed(question)

    async def _completed(self, question: ModelMessages, **more: Any) -> str:
        made = await self._client.chat.completions.create(
            model=self.name,
            messages=question,
            max_tokens=self._settings.judge_max_tokens,
            temperature=0.0,
            **more,
        )
        return (made.choices[0].message.content or "") if made.choices else ""


@asynccontextmanager
async def opened(settings: EvalsSettings, redactor: Redactor) -> AsyncIterator[Judge]:
    """The judge of the settings; Invalid where there is none."""
    if not settings.judge_url:
        raise Invalid(
            "No judge is set. Name an OpenAI-compatible endpoint in EVALS_JUDGE_URL and its model in "
            "EVALS_JUDGE_MODEL."
        )
    from openai import AsyncOpenAI  # half a second that only those who ask a judge wait

    logging.getLogger("openai").setLevel(logging.WARNING)  # at DEBUG it logs whole requests
    async with AsyncOpenAI(
        base_url=settings.judge_url,
        api_key=_key(settings),
        timeout=settings.judge_timeout_seconds,
        max_retries=settings.judge_attempts - 1,
    ) as client:
        yield Judge(settings, client, redactor if redacts(settings) else None)


def is_own_engine(settings: EvalsSettings) -> bool:
    """Whether the endpoint is one of our own engines, so that nothing leaves the house."""
    ours = {url.strip().rstrip("/") for url in service_settings().engine_url.split(",")}
    return settings.judge_url.rstrip("/").removesuffix("/v1") in ours


def redacts(settings: EvalsSettings) -> bool:
    """Whether personal data is taken out before the judge sees anything."""
    if settings.judge_redact == "auto":
        return not is_own_engine(settings)
    return settings.judge_redact


def _key(settings: EvalsSettings) -> str:
    if key := settings.judge_api_key.get_secret_value():
        return key
    if is_own_engine(settings):
        return engine_api_key(service_settings(), feedback_settings().var_dir)
    return _NO_KEY
