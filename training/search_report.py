"""What a search found, as JSON and as one HTML page: each trial, what mattered, the winner and its lead."""

import math
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState
from scipy.stats import spearmanr

from evals import bootstrap
from training import search_page, search_study
from training.job import write_json
from training.search_files import PAGE, REPORT, Spec

CONFIDENCE = 0.95
RANKED_FROM = 5
"""Fewer whole trials say nothing of what mattered."""
STATES = {
    TrialState.COMPLETE: "whole",
    TrialState.PRUNED: "given up",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "cut off",
}
MEASURE = (
    "Nats per token of the answers that people would have given to the validation customers, after the last "
    "stage; lower is better."
)


def write(
    folder: Path, spec: Spec, study: optuna.Study, spent: float, seconds: float, finished: bool
) -> dict[str, Any]:
    """Make the report anew; what it says. The page is written once the search has ended."""
    told = report(folder, spec, study, spent, seconds, finished)
    if finished:
        page = folder / f"{PAGE}.part"
        page.write_text(search_page.html(told), encoding="utf-8")
        page.rename(folder / PAGE)
    write_json(folder / REPORT, told)
    return told


def report(
    folder: Path, spec: Spec, study: optuna.Study, spent: float, seconds: float, finished: bool
) -> dict[str, Any]:
    """Everything that a search found."""
    trials = study.get_trials(deepcopy=False)
    best = search_study.best(study)
    present = trials[0] if trials and trials[0].state == TrialState.COMPLETE else None
    return {
        "assistant": spec.assistant,
        "base_model": spec.base_model,
        "stages": spec.stages,
        "start": spec.start,
        "datasets": spec.datasets,
        "rows": spec.rows,
        "validation_rows": spec.validation_rows,
        "budget_seconds": seconds,
        "spent_seconds": round(spent, 1),
        "finished": finished,
        "measure": MEASURE,
        "space": spec.model_dump(mode="json")["space"],
        "trials": [_trial(each) for each in trials if each.state in STATES],
        "mattered": _mattered(study, spec),
        "present": None if present is None else {"loss": present.value, "recipe": spec.recipe},
        "winner": None if best is None else _winner(best, spec),
        "lead": None if best is None or present is None else _lead(best, present),
        "adopt": f"understudy training recipe set --from-search {shlex.quote(str(folder))} "
        f"--assistant {spec.assistant} --by YOU",
    }


def _trial(trial: FrozenTrial) -> dict[str, Any]:
    return {
        "number": trial.number,
        "state": STATES[trial.state],
        "loss": trial.value if trial.state == TrialState.COMPLETE else None,
        "values": trial.params,
        "recipe": trial.user_attrs.get("recipe", {}),
        "pairs_preferred": trial.user_attrs.get("pairs_preferred"),
        "seconds": trial.user_attrs.get("seconds"),
        "why": trial.user_attrs.get("why", ""),
        "looks": {str(tenth): value for tenth, value in trial.intermediate_values.items()},
    }


def _winner(best: FrozenTrial, spec: Spec) -> dict[str, Any]:
    """Its recipe names all that was searched, also what is as set today: settings may change until then."""
    tried = best.user_attrs["recipe"]
    in_force, then = (
        spec.with_recipe(each).model_dump(mode="json") for each in (spec.recipe, tried)
    )
    searched = {*spec.space, "lora_alpha"} if "lora_rank" in spec.space else {*spec.space}
    recipe = {**tried, **{name: then[name] for name in sorted(searched)}}
    changes = {
        name: {"from": in_force[name], "to": then[name]}
        for name in then
        if in_force[name] != then[name]
    }
    return {"number": best.number, "loss": best.value, "recipe": recipe, "changes": changes}


def _lead(best: FrozenTrial, present: FrozenTrial) -> dict[str, Any] | None:
    """By how much the winner's loss is lower than that of what is in force, with an interval over rows.

    None: a row was erased between the two, so that they were measured on different ones.
    """
    theirs, ours = (np.asarray(one.user_attrs["answer_nats"]) for one in (present, best))
    if len(theirs) != len(ours):
        return None
    each = (theirs - ours) / np.mean(best.user_attrs["answer_tokens"])
    told: dict[str, Any] = {"mean": float(each.mean()), "low": None, "high": None}
    if best.number != present.number and len(each) >= bootstrap.fewest_clusters(CONFIDENCE):
        found = bootstrap.interval(each, CONFIDENCE)
        told |= {"low": found.low, "high": found.high}
    return {**told, "rows": len(each), "confidence": CONFIDENCE}


def _mattered(study: optuna.Study, spec: Spec) -> list[dict[str, Any]]:
    """What the loss depended on, most first; empty where too few trials were whole."""
    whole = search_study.whole(study)
    if len(whole) < RANKED_FROM:
        return []
    shares = optuna.importance.get_param_importances(study)
    return [
        {"name": name, "share": share, "rank_correlation": _rank_correlation(whole, name)}
        for name, share in shares.items()
        if math.isfinite(share)
    ]


def _rank_correlation(trials: list[FrozenTrial], name: str) -> float | None:
    """Spearman's, with the loss; None for what has no order."""
    values = [each.params[name] for each in trials]
    if not all(isinstance(value, int | float) for value in values) or len(set(values)) < 2:
        return None
    losses = [each.value for each in trials]
    if len(set(losses)) < 2:
        return None
    return float(spearmanr(values, losses).statistic)
