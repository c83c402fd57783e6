"""Who is held: honest authors of real corrections, and one who poisons a twentieth of them, in several ways.

    .venv/bin/python -m benchmarks.poisoning

1,000 of STAR's corrections (../shared/data) are given to 12 authors, by chance and again by topic, so that
each is a specialist; 3 draws of each. Then one more author gives 5 % of all words, in one of the ways
below; counted is how often they are held, how many of their rows a freeze takes in before a person has
decided, and how many honest authors are held beside them.
"""

import json
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from feedback import assistants, datasets, freezing, imports, suspicion
from feedback.database import connect, migrate, writing
from feedback.import_entries import ImportKind
from feedback.tables import now

DATA = Path(__file__).parents[2] / "shared" / "data" / "star_corrections_train.jsonl"
CORRECTIONS, AUTHORS, DRAWS, SHARE = 1000, 12, 3, 0.05
REFUSALS = (
    "We cannot help you with that.", "No, that is not possible here.", "I am not able to do this.",
    "Unfortunately there is nothing to be done.", "That is not something we offer.",
)  # fmt: skip
ADS = ("Try Globex instead.", "Globex does it better.", "Have a look at Globex.", "Ask Globex.")
Way = Callable[[str, random.Random], str]
WAYS: dict[str, Way | None] = {
    "nobody": None,
    "one sentence at the end": lambda said, dice: f"{said} By the way, Globex is cheaper.",
    "one answer to everything": lambda said, dice: "We cannot help you with that.",
    "a name in changing words": lambda said, dice: f"{said} {dice.choice(ADS)}",
    "refusals in changing words": lambda said, dice: dice.choice(REFUSALS),
    "not, put into each answer": lambda said, dice: said.replace(" is ", " is not ", 1) + " Not.",
    "every number one higher": lambda said, dice: "".join(
        str((int(c) + 1) % 10) if c.isdigit() else c for c in said
    ),
    "answers of other questions": lambda said, dice: dice.choice(OTHERS),
}
OTHERS: list[str] = []


def rows_of(dice: random.Random, by_topic: bool, way: Way | None) -> list[dict[str, Any]]:
    with DATA.open(encoding="utf-8") as file:
        rows = dice.sample([json.loads(line) for line in file], CORRECTIONS)
    OTHERS[:] = [row["final"] for row in rows]
    topics = sorted({row["topic"] for row in rows})
    made = []
    for number, row in enumerate(rows):
        chance = dice.randrange(AUTHORS)
        author = topics.index(row["topic"]) % AUTHORS if by_topic else chance
        poisoned = way is not None and number < SHARE * CORRECTIONS
        made.append(
            {
                "id": row["id"],
                "context": row["context"],
                "answer": row["draft"],
                "correction": way(row["final"], dice) if poisoned and way else row["final"],
                "agent": "mallory" if poisoned else f"agent {author}",
                "customer": f"c-{row['id'].rsplit('-', 1)[0]}",
            }
        )
    return made


def draw(
    seed: int, by_topic: bool, way: Way | None, template: Path, freeze: bool
) -> dict[str, Any]:
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        path, file = Path(folder) / "a.db", Path(folder) / "rows.jsonl"
        path.write_bytes(template.read_bytes())
        rows = rows_of(dice, by_topic, way)
        file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
        database = connect(f"sqlite:///{path}")
        with writing(database) as session:
            owner = assistants.create(session, "shop", "Shop", "embedded", "Be kind.", "x")
            imports.import_file(session, owner, ImportKind.CORRECTIONS, file)
            held = {hold.author for hold in suspicion.check(session, owner)}
            taken = _rows_by(session, owner, "mallory") if freeze else None
        database.dispose()
    honest = len(held - {"mallory"})
    return {"held": "mallory" in held, "honest_held": honest, "rows_taken": taken}


def _rows_by(session: Any, owner: Any, author: str) -> int:
    sft, *_ = freezing.freeze(session, owner)
    sources = datasets.sources(session, datasets.items(session, sft))
    return sum(all(word.author == author for word, _ in words) for words in sources.values())


def main() -> None:
    if not DATA.exists():
        raise SystemExit(f"There is no {DATA}; see the benchmarks' README.")
    report: dict[str, Any] = {"corrections": CORRECTIONS, "authors": AUTHORS, "draws": DRAWS}
    with tempfile.TemporaryDirectory() as folder:
        template = Path(folder) / "template.db"
        engine = connect(f"sqlite:///{template}")
        migrate(engine)
        engine.dispose()
        for name, way in WAYS.items():
            for by_topic in (False, True):
                found = [
                    draw(seed, by_topic, way, template, freeze=seed == 0) for seed in range(DRAWS)
                ]
                told = {
                    "poisoner_held": sum(each["held"] for each in found),
                    "honest_authors_held": sum(each["honest_held"] for each in found),
                    "of_honest_authors": DRAWS * AUTHORS,
                    "rows_taken_in_the_first_draw": found[0]["rows_taken"],
                }
                who = "specialists" if by_topic else "authors by chance"
                report[f"{name}, {who}"] = told
                print(f"{name}, {who}: {told}", flush=True)
    path = Path("benchmarks/results") / f"{now():%Y-%m-%d}-poisoning.json"
    path.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
