"""How well are invented facts found? `python -m benchmarks.invented_facts [--seed N] [--show]`.

Correct answers of the sample company get a wrong price, number, time, date, link, code, e-mail address or
phone number, by seeded rules and in changing spellings: 25 of each, 200 in all. As many correct answers are
worded otherwise without inventing anything: numbers in words, other currencies' signs, the customer's own
figures, numbered lists. A fact counts as found when the check names it. The rules were written by whoever
wrote the check, so this is a floor for mistakes, no promise for other houses.
"""

import argparse
import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evals import knowledge
from evals.facts import facts_in
from evals.invented import INVENTIONS, from_nowhere
from feedback.knowledge import Said

HOUSE = Path(__file__).parents[1] / "examples/puddle_and_pine"
RESULTS = Path(__file__).parent / "results/2026-11-24-invented-facts.json"
OF_EACH, SEED = 25, 6
KINDS = "price number time date link code email phone".split()  # noqa: SIM905


@dataclass
class Exam:
    """An exam question with a correct answer."""

    asked: str
    reference: str
    answer: str
    """Another correct answer about the same topic."""


@dataclass
class Case:
    """An answer, and the invented facts in it, as they are written."""

    kind: str
    exam: Exam
    answer: str
    invented: tuple[str, ...] = ()


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (HOUSE / name).read_text().splitlines()]


def exams() -> list[Exam]:
    corrections = rows("corrections.jsonl")
    return [
        Exam(
            " ".join(turn["content"] for turn in ticket["context"]),
            ticket["reference"],
            word["answer"],
        )
        for ticket in rows("tickets.jsonl")
        for word in corrections
        if word["topic"] == ticket["topic"]
    ]


def house() -> frozenset[str]:
    prompt = re.search(r'prompt = "(.*)"', (HOUSE / "assistant.toml").read_text())
    assert prompt
    said = [Said(prompt[1])]
    said += [Said(ticket["reference"]) for ticket in rows("tickets.jsonl")]
    said += [Said(word["answer"], word["customer"]) for word in rows("corrections.jsonl")]
    return knowledge.told(said, several=3)


# What is made up, in changing spellings


def price(dice: random.Random) -> str:
    euros, cents = dice.randint(2, 240), dice.choice(["00", "50", "95", "20", "99"])
    amount = f"{euros}.{cents}"
    return dice.choice(
        [f"{euros} euros", f"€{amount}", f"{amount} euros", f"{euros},{cents} €", f"EUR {euros}",
         f"${amount}", f"{euros}\u202f€", f"€\u202f{euros}", f"{euros},- €", f"{euros},\u2013 Euro",
         f"{euros} US dollars", f"{euros} US-Dollar", f"A${euros}", f"${euros}k", f"{euros} tausend Euro",
         dice.choice(["zweihundert Euro", "hundertfünfzig Euro", "one hundred and fifty dollars"])]
    )  # fmt: skip


RANGES = [
    ("in {0}-{1} Werktagen", "{0} €"), ("{0}\u2013{1} Tage", "{0},- €"), ("{0} to {1} days", "${0}"),
    ("{0}\u2013{1} Uhr", "{0} Euro"), ("between {0} and {1} days", "{0} euros"),
]  # fmt: skip


def price_of_a_range(dice: random.Random) -> tuple[str, str]:
    """What the customer was told, and a price that is made of nothing but its beginning."""
    start = dice.randint(9, 11)
    told, made = dice.choice(RANGES)
    return told.format(start, start + dice.randint(1, 8)), made.format(start)


def number(dice: random.Random) -> str:
    n = dice.randint(2, 95)
    unit = dice.choice(["days", "hours", "working days", "months", "years", "percent", "metres"])
    words = {
        7: "seven",
        14: "fourteen",
        30: "thirty",
        45: "forty-five",
        60: "sixty",
        21: "twenty-one",
    }
    spelled = dice.choice(list(words))
    return dice.choice(
        [f"{n} {unit}", f"{n} {unit}", f"{words[spelled]} {unit}", str(dice.randint(100, 9000))]
    )


def clock(dice: random.Random) -> str:
    hour, minute = dice.randint(1, 12), dice.choice(["00", "05", "25", "45", "50"])
    return dice.choice(
        [f"{hour}:{minute} pm", f"{hour + 11}:{minute}", f"{hour} am", f"{hour}:{minute}"]
    )


def date(dice: random.Random) -> str:
    day, month = dice.randint(1, 28), dice.choice(["March", "June", "October", "Dec", "Feb"])
    n = dice.randint(1, 12)
    return dice.choice(
        [f"{day} {month}", f"{month} {day}", f"{day}th of {month} 2026", f"2026-{n:02}-{day:02}",
         f"{day}.{n}.2026", f"{n:02}/{day:02}/2026"]
    )  # fmt: skip


def link(dice: random.Random) -> str:
    host = dice.choice(
        ["puddleandpine.com", "www.puddle-pine.co.uk", "drip-returns.net", "help.pine.shop"]
    )
    path = dice.choice(["", "/returns", "/track?order=1", "/faq#shipping"])
    return dice.choice(["https://", "http://", ""]) + host + path


def code(dice: random.Random) -> str:
    word = dice.choice(["FIR", "RAIN", "MOSS", "BOOT", "CLOUD", "WELLY"])
    return dice.choice(
        [f"{word}-BACK", f"{word}{dice.randint(10, 99)}", f"PP-{dice.randint(2000, 9999)}", f"{word}NOTES",
         f"LOST{word}"]
    )  # fmt: skip


def email(dice: random.Random) -> str:
    name = dice.choice(["help", "returns", "mara", "jonas.weber", "support"])
    return f"{name}@{dice.choice(['puddleandpine.com', 'pine.example', 'drip.shop'])}"


def phone(dice: random.Random) -> str:
    a, b, c = dice.randint(200, 899), dice.randint(200, 999), dice.randint(1000, 9999)
    return dice.choice(
        [f"+44 20 7{b} {c}", f"({a}) {b}-{c}", f"0800 {b} {c}", f"{a}-{b}-{c}", f"+49 30 {b}{c}"]
    )


MAKERS: dict[str, Callable[[random.Random], str]] = {
    "price": price, "number": number, "time": clock, "date": date, "link": link, "code": code,
    "email": email, "phone": phone,
}  # fmt: skip
IN_PLACE = {
    "price": re.compile(r"\d+(?:\.\d+)? euros?(?! deposit)"),
    "number": re.compile(r"\d+ (?:days|working days|minutes|years|months|metres|hours|percent)"),
    "time": re.compile(r"\d{1,2}:\d\d"),
    "code": re.compile(r"PINE-BACK|LOSTDUCK|SOGGYNOTES|KETTLE|DRIP(?= )"),
}
ADDED = {
    "price": ["There is a fee of {}.", "That will be {} in all.", "Gift wrap is {}."],
    "number": [
        "It takes {} at most.",
        "You will wait about {}.",
        "Some of our customers waited {}.",
    ],
    "time": ["We open at {}.", "Call before {} if you can.", "Today we close at {}."],
    "date": ["The offer ends on {}.", "We reopen on {}.", "It will arrive by {}."],
    "link": [
        "See {} for more.",
        "Just fill in the form at {}.",
        "Everything is explained here: {}",
    ],
    "code": [
        "Use the code {} at checkout.",
        "Write {} on the box.",
        "Reply {} and we will see to it.",
    ],
    "email": ["Write to {} with a photo.", "Or mail us: {}", "Contact {} and ask for Mara."],
    "phone": ["Call us on {}.", "Our phone number is {}.", "You can reach Ines at {}."],
}


def planted(
    kind: str, dice: random.Random, all_exams: list[Exam], known: frozenset[str]
) -> Iterator[Case | None]:
    """Wrong facts in place of right ones where there is one, else in a sentence more."""
    while True:
        exam = dice.choice(all_exams)
        made = MAKERS[kind](dice)
        if kind == "price" and dice.random() < 0.2:
            told, made = price_of_a_range(dice)
            exam = replace(exam, asked=f"{exam.asked} You said: {told}.")
        if facts_in(made) and not from_nowhere(made, [exam.asked, exam.reference], known):
            yield None  # by chance the house says so somewhere, so it is not made up
            continue
        places = list(IN_PLACE[kind].finditer(exam.answer)) if kind in IN_PLACE else []
        if places and dice.random() < 0.6:
            at = dice.choice(places)
            answer = exam.answer[: at.start()] + made + exam.answer[at.end() :]
        else:
            answer = f"{exam.answer} {dice.choice(ADDED[kind]).format(made)}"
        yield Case(kind, exam, answer, (made,))


# Correct answers in other words

WORDS = {
    "40": "forty", "17": "seventeen", "90": "ninety", "12": "twelve", "11": "eleven", "8": "eight",
    "6": "six",
    "10": "ten", "20": "twenty", "18": "eighteen", "4": "four", "14": "fourteen", "22": "twenty-two",
    "75": "seventy-five", "65": "sixty-five",
}  # fmt: skip


def in_words(text: str) -> str:
    return re.sub(r"\b(\d+)(?= (?!Tarp)[a-z])", lambda found: WORDS.get(found[1], found[1]), text)


def half_day(text: str) -> str:
    def pm(found: re.Match[str]) -> str:
        hour = int(found[1])
        return f"{hour - 12 if hour > 12 else hour}:{found[2]} {'pm' if hour > 11 else 'am'}"

    return re.sub(r"\b(\d{1,2}):(\d\d)\b", pm, text)


REWORDINGS: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "numbers in words": in_words,
    "decimal comma and sign": lambda text: re.sub(
        r"(\d+)(?:\.(\d+))? euros?\b", lambda m: f"{m[1]},{m[2] or '00'} €", text
    ),
    "currency before": lambda text: re.sub(r"(\d+(?:\.\d+)?) euros?\b", r"€\1", text),
    "am and pm": half_day,
    "hyphens and signs": lambda text: re.sub(r"(\d+) (days?|euro|minutes)\b", r"\1-\2", text).replace(
        " percent", "%"
    ),
    "other dashes": lambda text: text.replace("-", "\u2011").replace("weekdays", "Weekdays"),
    "numbered list": lambda text: "\n".join(
        f"{n}. {part}" for n, part in enumerate(re.split(r"(?<=[.!?]) ", text), 1)
    ),
    "numbered in a line": lambda text: " ".join(
        f"{n}) {part}" for n, part in enumerate(re.split(r"(?<=[.!?]) ", text), 1)
    ),
    "steps": lambda text: f"Step 1: read. Step 2: {text} One more thing, for the two of you: enjoy.",
    "shouted": lambda text: f"PLEASE NOTE: {text} This is VERY important, and it is FREE.",
    "converted": lambda text: text.replace("90 minutes", "1.5 hours").replace("12 hours", "720 minutes")
    .replace("18 months", "1.5 years").replace("4 metres", "400 cm").replace("11 years", "132 months"),
}  # fmt: skip
ECHOES = [
    ("My order PP-1041 cost 83.50 euros.", "Thank you, about your order PP-1041 of €83,50:"),
    ("You have my number, +44 20 7946 0018.", "We will ring you on +44 20 7946 0018."),
    (
        "i wrote from tom.b@example.com on 3 march",
        "Your mail of March 3rd from tom.b@example.com is here.",
    ),
    ("I'm 64 and want 3 of them by 5pm.", "Three of them by 17:00, gladly, and 64 is no age."),
    ("is code rain20 still good", "RAIN20 is unknown to us, sorry."),
    (
        "I paid $150 and 35 euros.",
        "One hundred and fifty dollars and fünfunddreißig Euro, thank you.",
    ),
    ("It said 5-7 Werktage.", "Yes, in 5 to 7 working days. Sending it costs 0 €."),
    ("Is the refund after 14 days?", "Erstattung in Euro 14 Tage nach Eingang, kostenlos."),
    (
        "Open 10:00-18:00 from 24 to 31 December?",
        "Wir sind vom 24.12.\u201331.12. von 10.00-18.00 Uhr da.",
    ),
]


def honest(dice: random.Random, all_exams: list[Exam]) -> Iterator[Case]:
    for number in range(OF_EACH * len(KINDS)):
        exam = dice.choice(all_exams)
        if number % 5 == 4:
            asked, said = dice.choice(ECHOES)
            told = Exam(f"{asked} {exam.asked}", exam.reference, exam.answer)
            yield Case("the customer's own figures", told, f"{said} {exam.answer}")
        else:
            name = dice.choice(list(REWORDINGS))
            yield Case(name, exam, REWORDINGS[name](exam.answer))


def found_in(case: Case, known: frozenset[str]) -> list[str]:
    new = from_nowhere(case.answer, [case.exam.asked, case.exam.reference], known)
    return [fact.shown for fact in new if fact.kind in INVENTIONS]


def is_it(shown: str, made: str) -> bool:
    """Whether a named fact is the planted one: the number words of the check are digits by then."""
    theirs = {fact.asks for fact in facts_in(made)}
    return shown in made or made in shown or any(fact.asks in theirs for fact in facts_in(shown))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seed", type=int, default=SEED)
    arguments.add_argument(
        "--show", action="store_true", help="Print what was missed or wrongly found."
    )
    given = arguments.parse_args()
    dice, known, all_exams = random.Random(given.seed), house(), exams()
    figures: dict[str, Any] = {}
    hits = misses = wrong = by_chance = 0
    for kind in KINDS:
        makes, count = planted(kind, dice, all_exams, known), Counter[str]()
        while count["found"] + count["missed"] < OF_EACH:
            case = next(makes)
            if case is None:
                by_chance += 1
                continue
            named = found_in(case, known)
            right = [shown for shown in named if is_it(shown, case.invented[0])]
            count["found"] += bool(right)
            count["missed"] += not right
            count["wrongly_named"] += len(named) - len(right)
            if given.show and (not right or len(named) > len(right)):
                print(kind, case.invented, named, "|", case.answer)
        figures[kind] = dict(count)
        hits, misses, wrong = (
            hits + count["found"],
            misses + count["missed"],
            wrong + count["wrongly_named"],
        )
    negatives, cleared = Counter[str](), Counter[str]()
    for case in honest(dice, all_exams):
        named = found_in(case, known)
        negatives[case.kind] += 1
        cleared[case.kind] += not named
        wrong += len(named)
        if given.show and named:
            print(case.kind, named, "|", case.answer)
    on_references = sum(len(found_in(Case("", exam, exam.reference), known)) for exam in all_exams)
    alone = sum(
        len(found_in(Case("", Exam(e.asked, "", ""), e.reference), known)) for e in all_exams
    )
    started = time.perf_counter()
    for exam in all_exams * 10:
        facts_in(exam.answer)
    each_us = (time.perf_counter() - started) / len(all_exams) / 10 * 1e6
    result = {
        "command": f"python -m benchmarks.invented_facts --seed {given.seed}",
        "planted": OF_EACH * len(KINDS),
        "drawn_again_as_the_house_says_so": by_chance,
        "recall": hits / (hits + misses),
        "precision": hits / (hits + wrong),
        "planted_by_kind": figures,
        "honest": negatives.total(),
        "honest_cleared": cleared.total(),
        "honest_by_kind": {kind: [cleared[kind], negatives[kind]] for kind in sorted(negatives)},
        "named_in_references": on_references,
        "named_in_references_by_the_house_alone": alone,
        "microseconds_per_answer": round(each_us),
    }
    if given.seed == SEED:
        RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
