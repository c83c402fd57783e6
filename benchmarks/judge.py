"""Judges on pairs that people settled (LLMBar): is a known bias found, and gone once both orders are asked?

    .venv/bin/python -m benchmarks.judge               # scripted judges, a minute
    .venv/bin/python -m benchmarks.judge --engine 120  # and the embedded model in our engine, on 120 pairs

The scripted judges prefer the longer answer, and by a known share of their replies what stands first
(or second) instead. LLMBar's harder parts were made so that length and polish mislead: a judge that
prefers the longer answer is wrong there more often than not. What counts here is that swapping gives
the same figure as without the bias. Through the real HTTP client, the real reading, the real figures.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from benchmarks.engine import machine
from evals import calibration, judge, preferences
from evals.calibration import Share, Verdict, figures, share
from evals.settings import EvalsSettings
from feedback import draws
from feedback.judgements import Preferred, Why
from feedback.redaction import Redactor
from feedback.tables import now
from tests.engine_process import running_engine
from tests.scripted_judge import ScriptedJudge, longer, placed, scripted_judge

DATA = Path(__file__).parents[2] / "shared" / "data" / "pref_llmbar.jsonl"
RESULT = Path(__file__).parent / "results" / "2026-11-24-judge.json"
COLUMNS = {"question": "prompt", "preferred": "chosen", "other": "rejected"}
BIASES = ((0.0, "A"), (0.2, "A"), (0.5, "A"), (0.8, "A"), (0.3, "B"))
SEEDS = 5
AT_ONCE = 8


def judged(settings: EvalsSettings, pairs: Sequence[Preferred]) -> list[Verdict]:
    """Every pair asked in both orders."""

    async def go() -> list[Verdict]:
        async with judge.opened(settings, Redactor({})) as asked:
            return await calibration.check(asked, pairs, settings.judge_concurrency)

    return asyncio.run(go())


def once(verdicts: Sequence[Verdict]) -> Share:
    """Right, had each pair been asked once, the preferred answer shown first: what bias does.

    Pairs that were called a tie in either order are left out.
    """
    named = []
    for each in verdicts:
        why, choice = each.judged.why, each.judged.choice
        if why == Why.SAME:
            named.append(choice == each.people)
        elif why in (Why.FIRST, Why.SECOND):
            named.append(why == Why.FIRST)
    return share(sum(named), len(named))


def scripted(pairs: Sequence[Preferred]) -> list[dict[str, Any]]:
    """Judges of known bias, several draws of each."""
    rows = []
    for bias, place in BIASES:
        for seed in range(SEEDS if bias else 1):
            habit = placed(bias, place) if bias else longer
            with scripted_judge(ScriptedJudge(habit, seed)) as door:
                verdicts = judged(settings_of(door.url, "scripted", concurrency=8), pairs)
            row = told(verdicts)
            row |= {"true_bias": bias if place == "A" else -bias, "seed": seed}
            rows.append(row)
            print(line(f"scripted {row['true_bias']:+.1f}", row), flush=True)
    return rows


def told(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    return {
        "asked_once_with_the_preferred_first": asdict(once(verdicts)),
        "both_orders": calibration.as_dict(figures(verdicts)),
    }


def line(name: str, row: dict[str, Any]) -> str:
    one, both = row["asked_once_with_the_preferred_first"], row["both_orders"]
    rate = both["agreement"]
    spread = (
        "none"
        if rate["value"] is None
        else f"{rate['value']:.3f} ({rate['low']:.3f} to {rate['high']:.3f}) of {rate['of']}"
    )
    once_ = "none" if one["value"] is None else f"{one['value']:.3f}"
    return (
        f"{name:16} once {once_}  both {spread}  kappa {both['kappa']}  ties {both['ties']} "
        f"(place {both['position_driven']})  pull {both['pull']:+.3f} ({both['pull_low']:+.3f} to "
        f"{both['pull_high']:+.3f})  unreadable {both['unreadable']}"
    )


def settings_of(url: str, model: str, key: str = "", concurrency: int = 4) -> EvalsSettings:
    return EvalsSettings(
        judge_url=url,
        judge_model=model,
        judge_api_key=SecretStr(key),
        judge_concurrency=concurrency,
        judge_redact=False,  # public texts, and this machine
        judge_timeout_seconds=300,
    )


def found_and_removed(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How often the interval holds the true bias, and how often the unbiased judge's figure lies within."""
    fair = rows[0]["both_orders"]["agreement"]["value"]
    biased = [row for row in rows if row["true_bias"]]
    both = [row["both_orders"] for row in biased]
    return {
        "judges": len(biased),
        "bias_within_its_interval": sum(
            each["pull_low"] <= row["true_bias"] <= each["pull_high"]
            for each, row in zip(both, biased, strict=True)
        ),
        "unbiased_agreement": fair,
        "unbiased_agreement_within_interval": sum(
            each["agreement"]["low"] <= fair <= each["agreement"]["high"] for each in both
        ),
        "largest_distance_asked_once": max(
            abs(row["asked_once_with_the_preferred_first"]["value"] - fair) for row in biased
        ),
        "largest_distance_both_orders": max(
            abs(each["agreement"]["value"] - fair) for each in both
        ),
    }


def served(pairs: Sequence[Preferred], most: int, minutes: float, at: str | None) -> dict[str, Any]:
    """The embedded model through our own engine: pairs drawn by hash, as many as the time allows."""
    drawn = sorted(pairs, key=lambda pair: draws.drawn(f"served {pair.key}"))[:most]
    verdicts: list[Verdict] = []
    with ExitStack() as stack:
        url, key = at or "", os.environ.get("SERVICE_ENGINE_API_KEY", "")
        if not at:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            engine = stack.enter_context(running_engine(folder))
            url, key = engine.url, engine.api_key
        until = time.monotonic() + 60 * minutes
        while len(verdicts) < len(drawn) and time.monotonic() < until:
            some = drawn[len(verdicts) :][:AT_ONCE]
            verdicts += judged(settings_of(f"{url}/v1", "base", key, AT_ONCE), some)
            print(f"  {len(verdicts)}/{len(drawn)}", flush=True)
    row = told(verdicts)
    row["pairs_drawn"] = len(drawn)
    row["whys"] = {why.name: sum(each.judged.why == why for each in verdicts) for why in Why}
    print(line("embedded model", row), flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", type=int, metavar="PAIRS", help="also the embedded model")
    parser.add_argument("--minutes", type=float, default=60, help="at most, for the engine's part")
    parser.add_argument("--at", metavar="URL", help="an engine that runs already")
    parser.add_argument("--only-engine", action="store_true", help="keep the scripted figures")
    parser.add_argument("--out", type=Path, default=RESULT)
    asked = parser.parse_args()
    if not DATA.exists():
        raise SystemExit(f"There is no {DATA.name} in ../shared/data; nothing was measured.")
    pairs = preferences.load(DATA, COLUMNS)
    result: dict[str, Any] = json.loads(asked.out.read_text()) if asked.out.exists() else {}
    result |= {"machine": machine(), "pairs": len(pairs), "measured_at": now().isoformat()[:19]}
    if not asked.only_engine:
        rows = scripted(pairs)
        result |= {"command": "python -m benchmarks.judge", "scripted": rows}
        result["summary"] = found_and_removed(rows)
        print(json.dumps(result["summary"], indent=2))
    if asked.engine:
        row = served(pairs, asked.engine, asked.minutes, asked.at)
        result["embedded_model"] = {"command": " ".join(sys.argv[1:]), **row}
    asked.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
