"""Pairs of answers that people settled elsewhere, from a CSV or JSONL file: what a judge is checked against.

Nothing is stored. Called by judge_commands.py and benchmarks/judge.py.
"""

from collections.abc import Mapping
from pathlib import Path

from feedback import import_rows
from feedback.errors import Invalid
from feedback.import_rows import Problems
from feedback.judgements import Preferred

FIELDS = ("question", "preferred", "other")
ID = "id"


def load(path: Path, columns: Mapping[str, str], most: int | None = None) -> list[Preferred]:
    """The file's pairs in order, at most so many; Invalid with everything that is wrong with it.

    `columns`: field to column, where a column is not named like its field. Fields: question, preferred,
    other; id (default: the line).
    """
    if unknown := sorted(set(columns) - {*FIELDS, ID}):
        raise Invalid(
            f"Found the field {unknown[0]!r}, expected one of {', '.join((*FIELDS, ID))}."
        )
    problems = Problems(path)
    import_rows.header(path, problems)
    found = []
    for row in import_rows.rows(path, problems):
        texts = [row.values.get(columns.get(field, field)) for field in FIELDS]
        for field, text in zip(FIELDS, texts, strict=True):
            if not isinstance(text, str) or not text.strip():
                problems.add(row.line, columns.get(field, field), f"Expected text: the {field}.")
        question, preferred, other = (str(text) for text in texts)
        key = str(row.values.get(columns.get(ID, ID)) or f"line {row.line}")
        found.append(Preferred(key, [{"role": "user", "content": question}], preferred, other))
    problems.raise_if_any()
    if not found:
        raise Invalid(f"There are no pairs in {path.name!r}.")
    if len({pair.key for pair in found}) < len(found):
        raise Invalid(f"Two pairs in {path.name!r} have the same id; map another column to it.")
    return found[:most]
