"""When is a refusal, and when a language, told rightly? `python -m benchmarks.detectors`.

Needs ../shared/data. Refusals: how many of what real agents said to customers, and of a publisher's answers
to answerable questions (none of them written by us), are taken for one. Languages: texts of real words of
eight languages (Faker), by their number of letters: how many are told at all, how many of those wrongly.
"""

import json
import random
from pathlib import Path
from typing import Any

from faker import Faker

from evals import language
from evals.refusals import refusal_in

DATA = Path(__file__).parents[2] / "shared/data"
RESULTS = Path(__file__).parent / "results/2026-11-24-detectors.json"
LOCALES = ("en_US", "de_DE", "fr_FR", "es_ES", "pl_PL", "ru_RU", "nl_NL", "da_DK")
LENGTHS = (10, 15, 20, 25, 30, 40, 60, 100)
TEXTS = 60


def said(name: str, field: str) -> list[str]:
    lines = (DATA / name).read_text(encoding="utf-8").splitlines()
    return list(dict.fromkeys(json.loads(line)[field] for line in lines))


def refusals(texts: list[str]) -> dict[str, Any]:
    found = [text for text in texts if refusal_in(text)]
    return {"texts": len(texts), "taken_for_refusals": len(found)}


def text_of(fake: Faker, letters: int) -> str:
    words: list[str] = []
    while sum(map(len, words)) < letters:
        words.append(fake.word())
    return " ".join(words).capitalize() + "."


def languages(letters: int) -> dict[str, float]:
    told = right = 0
    for locale in LOCALES:
        fake = Faker(locale)
        fake.seed_instance(letters)
        for _ in range(TEXTS):
            words = text_of(fake, letters)
            language_, probability = language._identifier().classify(words)
            if probability >= language.CONFIDENCE:
                told += 1
                right += language_ == locale[:2]
    return {"told": told / TEXTS / len(LOCALES), "wrong_of_told": 1 - right / told if told else 0.0}


def main() -> None:
    random.seed(6)
    result = {
        "command": "python -m benchmarks.detectors",
        "refusals": {
            "star agents, approved sentences": refusals(
                said("star_corrections_heldout.jsonl", "final")
            ),
            "bitext answers": refusals(said("support_heldout.jsonl", "agent")),
        },
        "languages_by_letters": {str(letters): languages(letters) for letters in LENGTHS},
    }
    RESULTS.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    print(json.dumps(result, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
