"""What a careless colleague costs, and what the robust loss and weights keep of it.

    python -m benchmarks.noise [--corrections 120] [--tickets 80]

A third of STAR's corrections are one author's, and three fifths of these are wrong: the sentence that was
sent in another talk, which makes 20 % of all. SFT and DPO on it: *clean* (none wrong), *plain*, *robust*
(DPO is told that 20 % of pairs prefer the wrong side), *weights* (that author counts a quarter, as an
operator sets who has seen the reliability), *both*. The recipe of the settings, the real trainers and
engine; gains over the base model, with intervals over tickets. A run that was cut off goes on where it was.
"""

import argparse
from pathlib import Path
from typing import Any

from benchmarks import star
from benchmarks.exam_cost import Bench
from benchmarks.keeping import keep
from benchmarks.learning import RECIPE, Exam, held_out, mean, settle, train
from evals import bootstrap
from feedback.database import database
from tests.engine_process import running_engine
from training.settings import TrainingSettings, training_settings

ROOT = Path(__file__).parents[1]
WORK = ROOT / "var" / "noise"
NOISE, CARELESS_WEIGHT = 0.2, 0.25
ARMS = ("clean", "plain", "robust", "weights", "both")


def corrections(count: int, arm: str) -> list[dict[str, Any]]:
    """The first third is the careless author's, and three fifths of it are wrong."""
    rows = star.by_hash(star.TRAIN)[: 2 * count]
    taught, others = rows[:count], rows[count:]
    careless = range(count // 3)
    found = []
    for number, row in enumerate(taught):
        wrong = arm != "clean" and number in careless and number % 5 < 3
        final = others[number]["final"] if wrong else row["final"]
        weight = CARELESS_WEIGHT if arm in ("weights", "both") and number in careless else 1.0
        found.append({**row, "final": final, "weight": weight})
    return found


def recipe(arm: str) -> TrainingSettings:
    """Only the loss of DPO differs."""
    noise = NOISE if arm in ("robust", "both") else 0.0
    return training_settings().model_copy(update={"dpo_label_noise": noise})


def measure(exam: Exam, model: str, count: int) -> dict[str, Any]:
    """Each arm after SFT and after DPO."""
    base = list(exam.sat_by(None).values())
    found: dict[str, Any] = {}
    for arm in ARMS:
        taught = corrections(count, arm)
        same = "weights" if arm == "both" else "plain" if arm == "robust" else arm
        start, _ = train(WORK / f"{same}-sft", "sft", taught, model, None)
        adapter, _ = train(WORK / f"{arm}-dpo", "dpo", taught, model, start, recipe(arm))
        for stage, folder in (("sft", start), ("sft+dpo", adapter)):
            if stage == "sft" and arm != same:
                continue  # the loss of DPO has no part in it
            reached = exam.of(folder)
            gain = bootstrap.paired(list(reached.values()), base)
            found[f"{arm}, {stage}"] = {
                "chrf": round(mean(reached), 2),
                "gain": [round(each, 2) for each in (gain.low, gain.mean, gain.high)],
            }
            print(f"{arm}, {stage}", found[f"{arm}, {stage}"], flush=True)
    return found


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corrections", type=int, default=120)
    parser.add_argument("--tickets", type=int, default=80)
    given = parser.parse_args()
    star.must_be_here()
    settle(WORK)
    with running_engine(WORK) as process:
        exam = Exam(
            Bench(process, database(), held_out(star.by_hash(star.HELD_OUT)[: given.tickets]))
        )
        found = measure(exam, process.model, given.corrections)
    told = {
        "what": "benchmarks.noise",
        "corrections": given.corrections,
        "tickets": given.tickets,
        "recipe": training_settings().model_dump(mode="json", include=RECIPE),
        "found": found,
    }
    keep("noise", told)


if __name__ == "__main__":
    main()
