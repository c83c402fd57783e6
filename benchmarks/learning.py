"""What so many corrections teach, and which stage earns its time.

    python -m benchmarks.learning [--sizes 30,60,120,240,480] [--tickets 80]

STAR's corrections, the smaller sets within the larger ones; the recipe of the settings; the real trainers,
each in a process of its own, and the real engine. SFT is trained once for each size, DPO and KTO go on from
it. Every adapter answers the same held-out tickets, greedily; the gain over the base model in chrF has an
interval over tickets. Seconds are a trainer's own, from its start to its adapter. A run that was cut off
goes on where it was.
"""

import argparse
import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

from benchmarks import star
from benchmarks.exam_cost import Bench
from benchmarks.keeping import keep
from benchmarks.learning_plot import svg
from evals import bootstrap, scores
from feedback import adapters, assistants, tickets
from feedback.database import database, migrate, reading, writing
from feedback.tables import Adapter, Assistant
from service.settings import EMBEDDED_MODEL
from tests.engine_process import running_engine
from training.job import ADAPTER, MODULES, job_for, write_job
from training.settings import StageName, TrainingSettings, training_settings
from training.supervise import supervise

ROOT = Path(__file__).parents[1]
WORK = ROOT / "var" / "learning"
VARIANTS: tuple[tuple[StageName, ...], ...] = (("sft",), ("sft", "dpo"), ("sft", "kto"))
KEPT = {
    "sft": ("split", "weight", "prompt", "completion"),
    "dpo": ("split", "weight", "prompt", "chosen", "rejected"),
    "kto": ("split", "weight", "prompt", "completion", "label"),
}


def stage_rows(stage: StageName, corrections: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a stage is taught of corrections: the sentence sent, and what a person had drafted."""
    found = []
    for row in corrections:
        prompt = [{"role": "system", "content": star.PROMPT}, *row["context"]]
        final = [{"role": "assistant", "content": row["final"]}]
        draft = [{"role": "assistant", "content": row["draft"]}]
        whole = {"split": "train", "prompt": prompt, "chosen": final, "rejected": draft}
        whole["weight"] = row.get("weight", 1.0)
        answers = [(final, True), (draft, False)] if stage == "kto" else [(final, True)]
        for completion, label in answers:
            one = {**whole, "completion": completion, "label": label}
            found.append({name: one[name] for name in KEPT[stage]})
    return found


def train(
    folder: Path,
    stage: StageName,
    corrections: list[dict[str, Any]],
    model: str,
    start: Path | None,
    recipe: TrainingSettings | None = None,
) -> tuple[Path, dict[str, Any]]:
    """One stage on these corrections; its adapter and what its trainer tells."""
    folder.mkdir(parents=True, exist_ok=True)
    dataset = folder / "rows.jsonl"
    lines = [json.dumps(row) for row in stage_rows(stage, corrections)]
    dataset.write_text("\n".join(lines) + "\n", encoding="utf-8")
    job = job_for(
        stage,
        recipe or training_settings(),
        base_model=model,
        dataset=dataset,
        start_adapter=start,
    )
    write_job(folder, job)
    told = supervise(folder, MODULES[stage], lambda _: None, lambda: False, 7200, 1)
    return folder / ADAPTER, told


def held_out(rows: list[dict[str, Any]]) -> Assistant:
    """STAR's assistant with these tickets."""
    with writing() as session:
        assistant = assistants.create(
            session, "star", "STAR", EMBEDDED_MODEL, star.PROMPT, "benchmark",
            sampling={"temperature": 0.0, "max_tokens": 48},
        )  # fmt: skip
        for row in rows:
            tickets.create(session, assistant, row["id"], row["context"], row["final"])
        return assistant


def settle(folder: Path) -> None:
    """A fresh database in a folder whose runs are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob("understudy.db*"):
        left.unlink()
    os.environ["FEEDBACK_MODELS_DIR"] = str(ROOT / "var" / "models")
    os.environ["FEEDBACK_VAR_DIR"] = str(folder)
    migrate()


class Exam:
    """The tickets, asked of one adapter after the other."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        with reading() as session:
            self.references = {
                ticket.external_id: ticket.reference
                for ticket in tickets.in_exam(session, bench.assistant)
            }

    def sat_by(self, adapter: Adapter | None) -> dict[str, float]:
        """chrF by ticket."""
        said = asyncio.run(self.bench.bare(adapter, scoring=False))["said"]
        return {
            name: scores.chrf(text, self.references[name]).value or 0.0
            for name, text in sorted(said.items())
        }

    def of(self, folder: Path) -> dict[str, float]:
        """The same of an adapter folder."""
        with writing() as session:
            adapter = adapters.publish(session, self.bench.assistant, folder, [], {}, {})
        return self.sat_by(adapter)


def measure(sizes: list[int], exam: Exam, model: str) -> list[dict[str, Any]]:
    """Every size and variant: seconds, and the gain over the base model."""
    base = exam.sat_by(None)
    print(f"base: chrF {mean(base):.1f}", flush=True)
    corrections = star.by_hash(star.TRAIN)
    found = []
    for size in sizes:
        seconds: dict[str, float] = {}
        start: Path | None = None
        for variant in VARIANTS:
            stage = variant[-1]
            folder = WORK / f"{size}-{stage}"
            adapter, told = train(folder, stage, corrections[:size], model, start)
            start = start or adapter
            seconds[stage] = told["seconds"]
            reached = exam.of(adapter)
            gain = bootstrap.paired(list(reached.values()), list(base.values()))
            found.append(
                {
                    "corrections": size,
                    "stages": "+".join(variant),
                    "chrf": round(mean(reached), 2),
                    "gain": [round(each, 2) for each in (gain.low, gain.mean, gain.high)],
                    "seconds": {name: seconds[name] for name in variant},
                    "tokens_per_second": round(told["tokens"] / told["training_seconds"], 1),
                    "by_ticket": reached,
                }
            )
            print({k: v for k, v in found[-1].items() if k != "by_ticket"}, flush=True)
    return worth(found, base)


def worth(found: list[dict[str, Any]], base: dict[str, float]) -> list[dict[str, Any]]:
    """Each variant's gain over SFT alone on the same corrections, with its interval, too."""
    alone = {one["corrections"]: one["by_ticket"] for one in found if one["stages"] == "sft"}
    for one in found:
        over = bootstrap.paired(
            list(one.pop("by_ticket").values()), list(alone[one["corrections"]].values())
        )
        one["over_sft"] = [round(each, 2) for each in (over.low, over.mean, over.high)]
    return [{"corrections": 0, "stages": "base", "chrf": round(mean(base), 2)}, *found]


def mean(values: dict[str, float]) -> float:
    """Of the tickets."""
    return sum(values.values()) / len(values)


def main() -> None:
    """Measure, print, keep the figures and draw them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="30,60,120,240,480")
    parser.add_argument("--tickets", type=int, default=80)
    given = parser.parse_args()
    star.must_be_here()
    settle(WORK)
    started = time.monotonic()
    with running_engine(WORK) as process:
        exam = Exam(
            Bench(process, database(), held_out(star.by_hash(star.HELD_OUT)[: given.tickets]))
        )
        found = measure([int(size) for size in given.sizes.split(",")], exam, process.model)
    told = {
        "what": "benchmarks.learning",
        "tickets": given.tickets,
        "seconds_in_all": round(time.monotonic() - started),
        "recipe": training_settings().model_dump(mode="json", include=RECIPE),
        "found": found,
    }
    keep("learning", told, svg(found))


RECIPE = {
    *("batch_size", "lora_rank", "lora_alpha", "schedule", "sft_epochs", "sft_learning_rate"),
    *("dpo_epochs", "dpo_learning_rate", "dpo_beta", "kto_epochs", "kto_learning_rate", "kto_beta"),
}

if __name__ == "__main__":
    main()
