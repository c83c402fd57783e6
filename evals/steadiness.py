"""How far do others in the same batch move an answer? Questions asked alone and among others, compared.

Greedy decoding repeats itself only where sums are added in the same order, which depends on what else is
computed: He et al., "Defeating Nondeterminism in LLM Inference", Thinking Machines Lab, 2025. Called by
run.py at the end of an exam and by commands.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from evals.asking import Asking, Question, in_pool, measured


@dataclass(frozen=True)
class Said:
    """An answer, and how likely its model found the reference (None: not known)."""

    text: str
    mean_logprob: float | None


async def among_others(
    asking: Asking, questions: Sequence[Question], at_once: int
) -> dict[str, Said]:
    """What is answered to each ticket, by its id, with so many questions under way at once."""
    said: dict[str, Said] = {}

    async def ask(question: Question) -> None:
        likelihood, made = await asking.both(question)
        said[question.ticket.id] = Said(made.text, measured(likelihood))

    await in_pool(questions, ask, at_once)
    return said


async def compare(
    asking: Asking, questions: Sequence[Question], among: Mapping[str, Said]
) -> dict[str, Any]:
    """Each question asked once more, alone, and held against what was said among others.

    `tickets`; `differ`: how many texts are not the same; `first_differences`: for each of these, at
    which token (from 0) it leaves the other; `mean_logprob_difference`: mean absolute difference of
    the references' log-probabilities, nats per token, None where there is none. Raises like
    `answering.answer`.
    """
    alone = await among_others(asking, questions, at_once=1)
    places: list[int] = []
    moves: list[float] = []
    for ticket_id, mine in alone.items():
        other = among[ticket_id]
        if mine.text != other.text:
            places.append(await _parting(asking, mine.text, other.text))
        if mine.mean_logprob is not None and other.mean_logprob is not None:
            moves.append(abs(mine.mean_logprob - other.mean_logprob))
    return {
        "tickets": len(alone),
        "differ": len(places),
        "first_differences": sorted(places),
        "mean_logprob_difference": fmean(moves) if moves else None,
    }


async def _parting(asking: Asking, one: str, other: str) -> int:
    pair = [await asking.text_tokens(text) for text in (one, other)]
    alike = [left == right for left, right in zip(*pair, strict=False)]
    return alike.index(False) if False in alike else len(alike)


def sentence(found: Mapping[str, Any]) -> str:
    """What `compare` found, for people."""
    moved = found["mean_logprob_difference"]
    said = (
        f"Asked alone instead of among others, {found['differ']} of {found['tickets']} answers "
        "change"
    )
    if found["first_differences"]:
        said += f", the earliest at token {found['first_differences'][0] + 1}"
    if moved is None:
        return f"{said}."
    if moved < 1e-9:
        return f"{said}; references stay exactly as likely."
    return f"{said}; references become {moved:.1e} nats per token more or less likely."
