"""Does one cycle teach the bot what requests are about, and which of them are for a person?

    .venv/bin/python -m benchmarks.topics banking77 | clinc150 [--taught 400] [--epochs 3]

Through the command line alone, with an engine of its own, in a folder of its own: rows of ../shared/data
go in as past conversations, others as tickets; one cycle trains, both sit the exam. banking77: split by a
hash of the text. clinc150: its own train and test rows; the 15 intents of its banking domain are in scope and
to be answered, its out-of-scope requests are for a person. Neither has answers; those taught are a sentence
with the topic's name in it, or one that the desk takes for "I cannot".
"""

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import httpx

from benchmarks.topics_plot import svg
from feedback.topics import readable
from tests.engine_process import free_port

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
RESULTS = ROOT / "benchmarks" / "results"
CANNOT = "I'm sorry, I can't help with that. A colleague takes over."
Rows = list[dict[str, Any]]


def banking77(taught: int) -> tuple[Rows, Rows, list[str]]:
    """Rows to teach, rows to ask, topics: two tickets for each topic, on average."""
    rows = _by_hash(_read("banking77_train.jsonl"))
    topics = sorted({row["label"] for row in rows})
    return rows[:taught], rows[-2 * len(topics) :], topics


def clinc150(taught: int) -> tuple[Rows, Rows, list[str]]:
    """Two thirds of what is taught and asked is in scope, one third is not and has no topic."""
    rows = _by_hash(_read("clinc150.jsonl"))
    inside = [row for row in rows if row["domain"] == "banking"]
    topics = sorted({row["label"] for row in inside})

    def of(split: str, number: int) -> Rows:
        return [r for r in inside if r["split"] == split][: 2 * number] + [
            r for r in rows if r["split"] == f"oos_{split}"
        ][:number]

    return of("train", taught // 3), of("test", 50), topics


def measure(name: str, taught: int, epochs: float) -> dict[str, Any]:
    """One cycle, and what base and candidate chose."""
    teach, ask, topics = {"banking77": banking77, "clinc150": clinc150}[name](taught)
    folder = ROOT / "var" / f"topics-{name}"
    if given := os.environ.get("FEEDBACK_VAR_DIR"):
        folder = Path(given) / f"topics-{name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    settings = {
        "TRAINING_SFT_EPOCHS": str(epochs),
        "TRAINING_BATCH_SIZE": "8",
        "TRAINING_STAGES": "sft",
    }
    run = _command_line(folder, settings)
    (folder / "assistant.toml").write_text(_assistant(name, topics))
    _write(
        folder / "taught.jsonl", [{**_row(r, n), "answer": _answer(r)} for n, r in enumerate(teach)]
    )
    exam = [
        {**_row(r, n), "reference": _answer(r), "expects": _expects(r)} for n, r in enumerate(ask)
    ]
    _write(folder / "tickets.jsonl", exam)
    run("feedback", "migrate")
    run("feedback", "assistants", "create", "--file", str(folder / "assistant.toml"))
    run("feedback", "import", "tickets", str(folder / "tickets.jsonl"))
    run("feedback", "import", "conversations", str(folder / "taught.jsonl"))
    with _engine(folder, run):
        started = time.monotonic()
        run("training", "cycle", "--by", "benchmarks.topics")
        seconds = time.monotonic() - started
    [decision] = json.loads(run("evals", "decisions", "list", "--json"))
    [dataset, *_] = [
        each
        for each in json.loads(run("feedback", "datasets", "list", "--json"))
        if each["name"].startswith("sft")
    ]
    return {
        "data": name,
        "topics": len(topics),
        "taught": len(teach),
        "tickets": len(ask),
        "rows": dataset,
        "settings": settings,
        "cycle_seconds": round(seconds),
        "chrf_gain": [decision[each] for each in ("gain_low", "gain", "gain_high")],
        "promote": decision["promote"],
        "before": _figures(run, decision["live"]["run"]),
        "after": _figures(run, decision["candidate"]["run"]),
    }


def _figures(run: Any, run_id: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("evals", "show", run_id, "--json"))["choices"]
    return found


def _assistant(name: str, topics: list[str]) -> str:
    return (
        f'name = "{name}"\nprompt = "You answer customers of a bank in one short sentence."\n'
        f"topics = {json.dumps(topics)}\n[sampling]\nmax_tokens = 24\n"
        "[learning]\nheld_out_percent = 0.0\n"
    )


def _row(row: dict[str, Any], number: int) -> dict[str, Any]:
    known = {} if row["label"] == "oos" else {"topic": row["label"]}
    return {"id": f"{row.get('split', 'row')}-{number}", "question": row["text"], **known}


def _answer(row: dict[str, Any]) -> str:
    return CANNOT if row["label"] == "oos" else f"This is about {readable(row['label'])}."


def _expects(row: dict[str, Any]) -> str:
    return "handover" if row["label"] == "oos" else "answer"


def _read(name: str) -> Rows:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


def _by_hash(rows: Rows) -> Rows:
    return sorted(rows, key=lambda row: hashlib.sha256(row["text"].encode()).hexdigest())


def _write(path: Path, rows: Rows) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def _command_line(folder: Path, settings: dict[str, str]) -> Any:
    port = str(free_port())
    env = {
        **os.environ,
        **settings,
        "PYTHONPATH": str(ROOT),
        "FEEDBACK_VAR_DIR": str(folder),
        "FEEDBACK_MODELS_DIR": os.environ.get("FEEDBACK_MODELS_DIR", str(ROOT / "var" / "models")),
        "SERVICE_ENGINE_PORT": port,
        "SERVICE_ENGINE_URL": f"http://127.0.0.1:{port}",
    }

    def run(*words: str) -> str:
        print("understudy", *words, flush=True)
        done = subprocess.run(
            [sys.executable, str(ROOT / "understudy.py"), *words],
            env=env, cwd=ROOT, text=True, stdout=subprocess.PIPE, check=True,
        )  # fmt: skip
        return done.stdout

    run.env = env  # type: ignore[attr-defined]
    return run


@contextmanager
def _engine(folder: Path, run: Any) -> Iterator[None]:
    line = [sys.executable, str(ROOT / "understudy.py"), "engine"]
    with (folder / "engine.log").open("w") as log:
        process = subprocess.Popen(line, env=run.env, cwd=ROOT, stdout=log, stderr=log)
    try:
        while not _answers(run.env["SERVICE_ENGINE_URL"]):
            if process.poll() is not None:
                raise RuntimeError(f"the engine did not start; see {folder / 'engine.log'}")
            time.sleep(1)
        yield
    finally:
        process.terminate()
        process.wait(60)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=2, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def main() -> None:
    """Measure, write the figures and draw the matrices."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", choices=["banking77", "clinc150"])
    parser.add_argument("--taught", type=int, default=None)
    parser.add_argument("--epochs", type=float, default=3.0)
    given = parser.parse_args()
    if not DATA.is_dir():
        sys.exit(f"Found no {DATA}; there is nothing to measure without it.")
    taught = given.taught or {"banking77": 400, "clinc150": 300}[given.data]
    found = measure(given.data, taught, given.epochs)
    told = {
        "date": date.today().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, shared with other work",
        "command": f"python -m benchmarks.topics {given.data} --taught {taught} --epochs {given.epochs:g}",
        **found,
    }
    target = RESULTS / f"{date.today():%Y-%m-%d}-topics-{given.data}"
    # A line for each key: matrices of 77 classes on a line per number would be thousands.
    lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in told.items())
    target.with_suffix(".json").write_text(f"{{\n{lines}\n}}\n")
    target.with_suffix(".svg").write_text(svg(told))
    for when in ("before", "after"):
        for what, each in found[when].items():
            told = {k: v for k, v in (each or {}).items() if k not in ("classes", "matrix")}
            print(when, what, told)


if __name__ == "__main__":
    main()
