"""What five cycles in a row leave of what the first ones taught.

    python -m benchmarks.forgetting [--corrections 48] [--replay 30] [--tickets 20]

Each cycle learns the corrections of another of STAR's domains, going on from the adapter before: once with
nothing of the earlier domains, once with a share of their corrections taught again, drawn by hash as the
product draws them. After every cycle the adapter answers held-out tickets of all five domains. SFT only, the
recipe of the settings, the real trainers and the real engine. A run that was cut off goes on where it was.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from benchmarks import star
from benchmarks.exam_cost import Bench
from benchmarks.forgetting_plot import svg
from benchmarks.keeping import keep
from benchmarks.learning import RECIPE, Exam, held_out, settle, train
from feedback.database import database
from feedback.draws import drawn
from tests.engine_process import running_engine
from training.settings import training_settings

ROOT = Path(__file__).parents[1]
WORK = ROOT / "var" / "forgetting"
DOMAINS = ("bank", "hotel", "apartment", "doctor", "party")


def domain(row: dict[str, Any]) -> str:
    """A topic is called after its domain: bank_balance, hotel_book."""
    return str(row["topic"]).partition("_")[0]


def of_domains(path: Path, count: int) -> dict[str, list[dict[str, Any]]]:
    """So many rows of each."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in star.by_hash(path):
        if domain(row) in DOMAINS and len(found[domain(row)]) < count:
            found[domain(row)].append(row)
    return found


def cycles(exam: Exam, model: str, corrections: int, replay: float) -> list[dict[str, float]]:
    """chrF by domain after each of the five cycles; the base model's stands first."""
    taught = of_domains(star.TRAIN, corrections)
    where = {
        row["id"]: domain(row) for rows in of_domains(star.HELD_OUT, 1000).values() for row in rows
    }
    matrix = [by_domain(exam.sat_by(None), where)]
    start: Path | None = None
    earlier: list[dict[str, Any]] = []
    for number, name in enumerate(DOMAINS):
        again = [row for row in earlier if drawn(f"replay {row['id']}") < replay]
        folder = WORK / f"{replay:g}-{number}-{name}"
        start, told = train(folder, "sft", taught[name] + again, model, start)
        matrix.append(by_domain(exam.of(start), where))
        print(f"replay {replay:g} %, after {name} ({told['seconds']} s): {matrix[-1]}", flush=True)
        earlier += taught[name]
    return matrix


def by_domain(reached: dict[str, float], where: dict[str, str]) -> dict[str, float]:
    """The mean of each domain's tickets."""
    found = defaultdict(list)
    for name, value in reached.items():
        found[where[name]].append(value)
    return {name: round(sum(found[name]) / len(found[name]), 2) for name in DOMAINS}


def drops(matrix: list[dict[str, float]]) -> dict[str, float]:
    """For each domain but the last, how much less it has in the end than right after its own cycle."""
    return {
        name: round(matrix[number + 1][name] - matrix[-1][name], 2)
        for number, name in enumerate(DOMAINS[:-1])
    }


def main() -> None:
    """Measure, print, keep the figures and draw both matrices."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corrections", type=int, default=48)
    parser.add_argument("--tickets", type=int, default=20)
    parser.add_argument("--replay", type=float, default=30.0)
    given = parser.parse_args()
    star.must_be_here()
    settle(WORK)
    asked = [row for rows in of_domains(star.HELD_OUT, given.tickets).values() for row in rows]
    with running_engine(WORK) as process:
        exam = Exam(Bench(process, database(), held_out(asked)))
        found = {
            f"{replay:g} % replayed": cycles(exam, process.model, given.corrections, replay)
            for replay in (0.0, given.replay)
        }
    told = {
        "what": "benchmarks.forgetting",
        "corrections_a_domain": given.corrections,
        "tickets": len(asked),
        "recipe": training_settings().model_dump(mode="json", include=RECIPE),
        "chrf_by_cycle_and_domain": found,
        "lost_since_its_own_cycle": {name: drops(matrix) for name, matrix in found.items()},
    }
    keep("forgetting", told, svg(found))
    print(json.dumps(told["lost_since_its_own_cycle"], indent=1))


if __name__ == "__main__":
    main()
