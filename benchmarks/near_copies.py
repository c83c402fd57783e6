"""Do copies of exam questions reach a dataset, what honest feedback is lost, and how long does it take?

    .venv/bin/python -m benchmarks.near_copies [--contexts 200000] [--only planted|speed|peer]

planted: 200 near-copies and paraphrases of 140 held-out tickets (planted.py) among 4,000 honest rows, through
the real import and the real freeze on SQLite. speed: the index on 200,000 conversations; one by one,
as it was before, on a sample. peer: MinHash LSH (`pip install datasketch==2.0.0 scipy` into a folder on
PYTHONPATH; left out without them). One core for each. Texts come from ../shared/data.
"""

import argparse
import json
import multiprocessing
import os
import platform
import random
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy is loaded

from sqlmodel import Session, select

from benchmarks.planted import KINDS
from feedback import assistants, datasets, freezing, leaks
from feedback.database import connect, migrate, reading, writing
from feedback.import_entries import ImportKind
from feedback.imports import import_file
from feedback.learning import Learning
from feedback.near_copies import Sealed, similarity, trigrams
from feedback.settings import FeedbackSettings, feedback_settings
from feedback.tables import Assistant, Conversation
from feedback.transcript import ModelMessages

DATA = Path(__file__).parents[2] / "shared" / "data"
RESULT = Path(__file__).parent / "results" / "2026-11-24-near-copies.json"
EACH, HONEST, SAMPLE = 20, 4000, 1000
THRESHOLD = FeedbackSettings().near_copy_similarity
MEANINGS = (0.0, 0.95, 0.92, 0.9, 0.88, 0.86, 0.84, 0.8)


def rows(name: str) -> list[dict[str, Any]]:
    """A file of outside data; what Bitext calls customer is a question."""
    lines = (DATA / name).read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    for row in found:
        row.setdefault("context", [{"role": "user", "content": row.get("customer", "")}])
    return found


def question(context: ModelMessages) -> str:
    return context[-1]["content"]


def chosen_tickets(dice: random.Random) -> list[dict[str, Any]]:
    star = [
        row for row in rows("star_corrections_heldout.jsonl") if len(question(row["context"])) >= 20
    ]
    return dice.sample(rows("support_heldout.jsonl"), 100) + dice.sample(star, 40)


def plant(tickets: list[dict[str, Any]], dice: random.Random) -> list[dict[str, Any]]:
    """Each kind equally often, 14 of support and 6 of STAR; every second without its earlier turns."""
    planted = []
    for kind, rule in KINDS.items():
        for some, count in ((tickets[:100], 14), (tickets[100:], 6)):
            # A rule that has nothing to change in a ticket is tried on another.
            order = dice.sample(some, len(some))
            order.sort(
                key=lambda row: (
                    rule(question(row["context"]), random.Random(0)) == question(row["context"])
                )
            )
            for number, row in enumerate(order[:count]):
                text = rule(question(row["context"]), dice)
                before = row["context"][:-1] if number % 2 else []
                planted.append(
                    {"kind": kind, "context": [*before, {"role": "user", "content": text}]}
                )
    return planted


def closest(context: ModelMessages, tickets: list[dict[str, Any]]) -> float:
    """The highest trigram similarity with any ticket, of whole contexts or last questions, one by one."""

    def whole(turns: ModelMessages) -> str:
        return " ".join(turn["content"] for turn in turns)

    mine = trigrams(whole(context)), trigrams(question(context))
    return max(
        max(
            similarity(mine[0], trigrams(whole(row["context"]))),
            similarity(mine[1], trigrams(question(row["context"]))),
        )
        for row in tickets
    )


def measure_planted() -> dict[str, Any]:
    dice = random.Random(5)
    tickets = chosen_tickets(dice)
    planted = plant(tickets, dice)
    for row in planted:
        row["trigrams"] = closest(row["context"], tickets)
    honest = dice.sample(rows("support_train.jsonl"), HONEST // 2)
    honest += dice.sample(rows("star_corrections_train.jsonl"), HONEST // 2)
    found: dict[str, Any] = {
        "tickets": len(tickets), "honest": len(honest),
        "planted": Counter(row["kind"] for row in planted),
        "planted_by_similarity": Counter(bucket(row["trigrams"]) for row in planted),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FEEDBACK_VAR_DIR"] = folder
        database = connect(f"sqlite:///{folder}/understudy.db")
        migrate(database)
        owner = imported(database, Path(folder), tickets, planted, honest)
        for meaning in (0.0, FeedbackSettings().near_copy_meaning):
            os.environ["FEEDBACK_NEAR_COPY_MEANING"] = str(meaning)
            feedback_settings.cache_clear()
            began = time.perf_counter()
            with writing(database) as session:
                freezing.freeze(session, owner)
            with reading(database) as session:
                name = f"meaning {meaning}" if meaning else "trigrams alone"
                found[name] = outcome(session, owner, planted) | {
                    "freeze_seconds": round(time.perf_counter() - began, 1)
                }
            print(name, json.dumps(found[name]), flush=True)
        database.dispose()
    found["by_threshold"] = by_threshold(tickets, planted, honest)
    return found


def bucket(value: float) -> str:
    low = 0.65 if value >= 0.65 else 0.5 if value >= 0.5 else 0.35 if value >= 0.35 else 0.0
    return f"from {low}"


def imported(
    database: Any, folder: Path, tickets: list[dict[str, Any]], planted: list[dict[str, Any]],
    honest: list[dict[str, Any]],
) -> Assistant:  # fmt: skip
    exam = [
        {"id": f"t-{n}", "context": row["context"], "reference": row.get("agent") or row["final"]}
        for n, row in enumerate(tickets)
    ]
    lessons = [
        {"id": f"{name}-{n}", "customer": f"{name}-{n}", "context": row["context"],
         "answer": f"I do not know, number {n}.", "correction": f"Lesson {name} {n}."}
        for name, some in (("planted", planted), ("honest", honest)) for n, row in enumerate(some)
    ]  # fmt: skip
    with writing(database) as session:
        rules = Learning(held_out_percent=0, rows_per_customer=None, author_rows_a_day=1_000_000)
        owner = assistants.create(
            session, "shop", "Shop", "embedded", "Be kind.", "x", learning=rules
        )
        for kind, some in ((ImportKind.TICKETS, exam), (ImportKind.CORRECTIONS, lessons)):
            path = folder / f"{kind}.jsonl"
            path.write_text("\n".join(json.dumps(row) for row in some), encoding="utf-8")
            import_file(session, owner, kind, path)
    return owner


def outcome(session: Session, owner: Assistant, planted: list[dict[str, Any]]) -> dict[str, Any]:
    """Of the planted rows those that a dataset of the newest freeze holds, and the honest that were lost."""
    newest = datasets.every(session, owner)[:2]
    names = set()
    for dataset in newest:
        items = datasets.items(session, dataset)
        for start in range(0, len(items), 500):
            for sources in datasets.sources(session, items[start : start + 500]).values():
                names |= {conversation for _, conversation in sources}
    ids = dict(session.exec(select(Conversation.id, Conversation.external_id)).all())
    reached = {str(ids[each]).removeprefix("corrections:") for each in names}
    through = [row for number, row in enumerate(planted) if f"planted-{number}" in reached]
    kept = sum(name.startswith("honest") for name in reached)
    return {
        "planted_that_reached_a_dataset": len(through),
        "by_kind": Counter(row["kind"] for row in through),
        "by_similarity": Counter(bucket(row["trigrams"]) for row in through),
        "honest_lost": HONEST - kept,
        "pairs_on_record": leaks.count(session, owner),
    }


def by_threshold(
    tickets: list[dict[str, Any]], planted: list[dict[str, Any]], honest: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """What each threshold of meaning catches of the rest and takes of the honest, support and STAR apart."""
    exam = [(str(number), row["context"]) for number, row in enumerate(tickets)]
    groups = {
        "planted": [row["context"] for row in planted],
        "honest_support": [row["context"] for row in honest[: HONEST // 2]],
        "honest_star": [row["context"] for row in honest[HONEST // 2 :]],
    }
    found = []
    for meaning in MEANINGS:
        sealed = Sealed(exam, THRESHOLD, meaning)
        shares = {
            f"{name}_left_out_percent": round(
                100 * sum(near is not None for near in sealed.near_all(some)) / len(some), 2
            )
            for name, some in groups.items()
        }
        found.append({"meaning": meaning, **shares})
        print(found[-1], flush=True)
    return found


def many_tickets(count: int) -> list[tuple[str, ModelMessages]]:
    """The held-out ones, then others from the training files (which `many_talks` leaves out)."""
    exam = rows("support_heldout.jsonl") + rows("star_corrections_heldout.jsonl")
    train = rows("support_train.jsonl")[::2] + rows("star_corrections_train.jsonl")[::4]
    random.Random(1).shuffle(train)
    return [(row["id"], row["context"]) for row in (exam + train)[:count]]


def many_talks(count: int) -> Iterator[ModelMessages]:
    """Contexts of real rows, two of three from STAR, some words of each turn swapped so that few repeat."""
    dice = random.Random(2)
    star, support = rows("star_corrections_train.jsonl")[1::4], rows("support_train.jsonl")[1::2]
    words = sorted({word for row in [*star, *support] for word in question(row["context"]).split()})
    for number in range(count):
        row = dice.choice(star if number % 3 else support)
        talk = []
        for turn in row["context"]:
            said = turn["content"].split()
            for _ in range(1 + len(said) // 8):
                said[dice.randrange(len(said))] = dice.choice(words)
            talk.append({"role": turn["role"], "content": " ".join(said)})
        yield talk


def peak_mib() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def time_index(tickets: int, contexts: int, meaning: float) -> dict[str, Any]:
    """Seconds of processor time inside `near_all`, without making the texts; memory that it adds."""
    talks = many_talks(contexts)
    exam = many_tickets(tickets)
    for _ in many_talks(1):
        pass
    before = peak_mib()
    began = time.process_time()
    sealed = Sealed(exam, THRESHOLD, meaning)
    built = time.process_time() - began
    making = 0.0

    def pulled() -> Iterator[ModelMessages]:
        nonlocal making
        while True:
            began = time.process_time()
            talk = next(talks, None)
            making += time.process_time() - began
            if talk is None:
                return
            yield talk

    began = time.process_time()
    near = sum(found is not None for found in sealed.near_all(pulled()))
    spent = time.process_time() - began - making
    return {
        "tickets": tickets, "contexts": contexts, "meaning": meaning, "near": near,
        "build_seconds": round(built, 2), "seconds": round(spent, 1),
        "microseconds_each": round(1e6 * spent / contexts, 1),
        "memory_added_mib": round(peak_mib() - before, 1),
    }  # fmt: skip


def time_one_by_one(tickets: int) -> dict[str, Any]:
    """As it was until now: trigram sets as the bits of a number, each context with each ticket."""
    bits: dict[str, int] = {}

    def prints(text: str) -> tuple[int, int]:
        grams = trigrams(text)
        return sum(bits.get(gram, 0) for gram in grams), len(grams)

    def texts(context: ModelMessages) -> tuple[str, list[str]]:
        asked = [turn["content"] for turn in context if turn["role"] == "user"]
        return " ".join(turn["content"] for turn in context), [x for x in asked if len(x) >= 20]

    exam = []
    for _, context in many_tickets(tickets):
        whole, asked = texts(context)
        for gram in trigrams(whole + " " + " ".join(asked)):
            bits.setdefault(gram, 1 << len(bits))
        exam.append((whole, asked[-1] if asked else whole))
    known = [(prints(whole), prints(last)) for whole, last in exam]

    def alike(a: tuple[int, int], b: tuple[int, int]) -> float:
        shared = (a[0] & b[0]).bit_count()
        return shared / (a[1] + b[1] - shared)

    talks = list(many_talks(SAMPLE))
    began = time.process_time()
    for talk in talks:
        whole, asked = texts(talk)
        mine, mine_asked = prints(whole), [prints(text) for text in asked]
        for ticket, last in known:
            max([alike(mine, ticket), *(alike(each, last) for each in mine_asked)])
    spent = time.process_time() - began
    return {
        "tickets": tickets, "contexts": SAMPLE,
        "microseconds_each": round(1e6 * spent / SAMPLE, 1),
        "seconds_for_200000": round(200_000 * spent / SAMPLE),
    }  # fmt: skip


def time_minhash(tickets: int, permutations: int, threshold: float) -> dict[str, Any]:
    """datasketch's MinHashLSH for candidates: what it costs, and which truly similar pairs it misses."""
    from datasketch import MinHash, MinHashLSH

    def minhash(text: str) -> Any:
        made = MinHash(num_perm=permutations, seed=1)
        made.update_batch([gram.encode() for gram in trigrams(text)])
        return made

    lsh = MinHashLSH(threshold=threshold, num_perm=permutations)
    asked = list(dict.fromkeys(question(context) for _, context in many_tickets(tickets)))
    for number, text in enumerate(asked):
        lsh.insert(number, minhash(text))
    talks = list(many_talks(SAMPLE))
    began = time.process_time()
    candidates = 0
    for talk in talks:
        texts = [" ".join(turn["content"] for turn in talk)]
        texts += [
            turn["content"]
            for turn in talk
            if turn["role"] == "user" and len(turn["content"]) >= 20
        ]
        candidates += sum(len(lsh.query(minhash(text))) for text in dict.fromkeys(texts))
    spent = time.process_time() - began
    dice = random.Random(3)
    similar = missed = 0
    for number, text in enumerate(asked[:400]):
        if len(text) < 20:
            continue
        for rule in KINDS.values():
            copy = rule(text, dice)
            if similarity(trigrams(copy), trigrams(text)) >= THRESHOLD:
                similar += 1
                missed += number not in lsh.query(minhash(copy))
    return {
        "tickets": tickets, "permutations": permutations, "threshold": threshold,
        "bands": lsh.b, "rows": lsh.r, "similar_pairs": similar, "missed": missed,
        "missed_percent": round(100 * missed / similar, 2),
        "microseconds_each_for_candidates": round(1e6 * spent / SAMPLE, 1),
        "candidates_each": round(candidates / SAMPLE, 1),
    }  # fmt: skip


def alone(act: Callable[..., dict[str, Any]], *values: Any) -> dict[str, Any]:
    """In a process of its own, so that memory is its own, too."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.apply(act, values)
    print(act.__name__, json.dumps(found), flush=True)
    return found


def main() -> None:
    """Measure, print, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--contexts", type=int, default=200_000)
    parser.add_argument("--only", choices=["planted", "speed", "peer"])
    options = parser.parse_args()
    if not DATA.exists():
        raise SystemExit(f"Found no {DATA}; the outside data must lie beside the checkout.")
    found: dict[str, Any] = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    found |= {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, no GPU; one core used",
        "python": platform.python_version(),
        "command": "python -m benchmarks.near_copies",
    }
    if options.only in (None, "planted"):
        found["planted"] = measure_planted()
    if options.only in (None, "speed"):
        default = FeedbackSettings().near_copy_meaning
        found["index"] = [
            alone(time_index, tickets, contexts, meaning)
            for tickets, contexts, meaning in (
                (500, options.contexts, default),
                (2000, options.contexts // 10, 0.0),
                (2000, options.contexts // 10, default),
                (2000, options.contexts, default),
            )
        ]
        found["one_by_one"] = [alone(time_one_by_one, tickets) for tickets in (500, 2000)]
    if options.only in (None, "peer"):
        if find_spec("datasketch") and find_spec("scipy"):
            found["datasketch_minhash_lsh"] = [
                alone(time_minhash, 2000, permutations, threshold)
                for permutations, threshold in ((128, 0.65), (256, 0.65), (128, 0.5))
            ]
        else:
            print("datasketch is not installed here, so it was not compared.")
    RESULT.write_text(json.dumps(found, indent=1) + "\n")
    print(f"Wrote {RESULT}.")


if __name__ == "__main__":
    main()
