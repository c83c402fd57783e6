"""Personal data out of texts: what is found becomes a typed placeholder, so that a sentence stays readable.

Pure, but for the model that is loaded at first use. What is personal is decided in person_names.py,
postal_addresses.py, personal_numbers.py and leaked_secrets.py, and before all by the assistant's own
patterns. Called by redactions.py, which remembers what became of each text.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from feedback import leaked_secrets, person_names, personal_numbers, postal_addresses
from feedback.spans import Span, settle

VERSION = 2
"""Goes up with every change of what is found, so that remembered texts are looked through again."""
PLACEHOLDER = re.compile(r"<[A-Z][A-Z0-9_]{1,40}>")
NUMBERED = re.compile(r"<(?P<type>[A-Z][A-Z0-9_]*?)(?:_(?P<number>\d+))?>")
MARK = "\ue000"
"""Stands for a placeholder while a text is searched: one character that no rule takes for anything."""
GAPS = {"PERSON": re.compile(r" "), "ADDRESS": re.compile(r"[ ,;>\n]{1,4}")}
"""What may lie between two finds that are one."""


@dataclass(frozen=True)
class Redacted:
    """A text with placeholders, how many of each type it has, and where in the original they were."""

    text: str
    found: dict[str, int]
    spans: list[Span]


@dataclass(frozen=True, slots=True)
class _Hidden:
    """A part of a text that is no longer shown; without a type it was a placeholder before."""

    value: str
    type: str | None = None


@dataclass
class _Text:
    """A text on its way: shown and hidden parts in turn."""

    parts: list[str | _Hidden] = field(default_factory=list)

    @classmethod
    def of(cls, text: str) -> "_Text":
        parts: list[str | _Hidden] = []
        at = 0
        for placeholder in PLACEHOLDER.finditer(text):
            parts += [text[at : placeholder.start()], _Hidden(placeholder[0])]
            at = placeholder.end()
        return cls([*parts, text[at:]])

    @property
    def searched(self) -> str:
        return "".join(MARK if isinstance(part, _Hidden) else part for part in self.parts)

    def marks(self) -> list[Span]:
        at, marks = 0, []
        for part in self.parts:
            length = 1 if isinstance(part, _Hidden) else len(part)
            if isinstance(part, _Hidden):
                marks.append(Span(at, at + 1, MARK))
            at += length
        return marks

    def hide(self, spans: list[Span]) -> None:
        """Hide some spans of `searched`; none of them lies over a mark."""
        parts: list[str | _Hidden] = []
        at, left = 0, iter([*spans, None])
        span = next(left)
        for part in self.parts:
            if isinstance(part, _Hidden):
                parts.append(part)
                at += 1
                continue
            begin, shown = at, 0
            while span is not None and span.start < begin + len(part):
                start, end = span.start - begin, span.end - begin
                parts += [part[shown:start], _Hidden(part[start:end], span.type)]
                shown, span = end, next(left)
            parts.append(part[shown:])
            at += len(part)
        self.parts = parts


class Redactor:
    """Redacts by the general rules and an assistant's own patterns: types and regular expressions."""

    def __init__(self, patterns: Mapping[str, str]) -> None:
        self._patterns = [(type, re.compile(each)) for type, each in sorted(patterns.items())]
        told = json.dumps([VERSION, person_names.version(), sorted(patterns.items())])
        self.rules = hashlib.sha256(told.encode()).hexdigest()[:16]
        """Names the rules: the same texts under the same rules become the same."""

    def redact(
        self, texts: Sequence[str], stays: Callable[[str, str], bool] = lambda type, value: False
    ) -> list[Redacted]:
        """What each text becomes. Redacted again, it stays as it is.

        `stays`: told the type and the value of a find; whether it is left in the text.

        A name that is gone may let another be seen beside it, so a text is searched until nothing is
        found; there are at most as many rounds as words, and seldom more than two.
        """
        known = {text: _Text.of(text) for text in dict.fromkeys(texts)}
        waiting = list(known.values())
        while waiting:
            searched = [each.searched for each in waiting]
            again = []
            finds = self._found_in(waiting, searched)
            for each, text, found in zip(waiting, searched, finds, strict=True):
                spans = [s for s in found if not stays(s.type, text[s.start : s.end])]
                if spans:
                    each.hide(spans)
                    again.append(each)
            waiting = again
        done = {text: _rendered(each) for text, each in known.items()}
        return [done[text] for text in texts]

    def _found_in(self, waiting: list[_Text], searched: list[str]) -> list[list[Span]]:
        seen = [person_names.cased(text) for text in searched]
        return [
            self._found(text, each.marks(), people, postal_addresses.find(read, places))
            for each, text, read, (people, places) in zip(
                waiting, searched, seen, person_names.find_all(seen), strict=True
            )
        ]

    def _found(
        self, text: str, marks: list[Span], people: list[Span], addresses: list[Span]
    ) -> list[Span]:
        own = [
            Span(found.start(), found.end(), type)
            for type, pattern in self._patterns
            for found in pattern.finditer(text)
            if found[0]
        ]
        secrets, numbers = list(leaked_secrets.find(text)), list(personal_numbers.find(text))
        addresses, people = _joined(text, addresses), _joined(text, people)
        spans = settle([own, secrets, numbers, addresses, people], marks)
        return [span for span in spans if any(map(str.isalnum, text[span.start : span.end]))]


def _joined(text: str, spans: list[Span]) -> list[Span]:
    """Spans of one type with those they overlap or stand beside."""
    joined: list[Span] = []
    for span in sorted(spans, key=lambda each: each.start):
        last = joined[-1] if joined else None
        if last and (span.start <= last.end or _is_gap(text[last.end : span.start], span.type)):
            joined[-1] = Span(last.start, max(last.end, span.end), span.type)
        else:
            joined.append(span)
    return joined


def _is_gap(between: str, type: str) -> bool:
    return GAPS[type].fullmatch(between) is not None


def _rendered(text: _Text) -> Redacted:
    """Placeholders in place of what is hidden: numbered where there are several values of a type."""
    numbers = _numbers(text)
    out, spans, at = [], [], 0
    for part in text.parts:
        value = part.value if isinstance(part, _Hidden) else part
        if isinstance(part, _Hidden) and part.type is not None:
            number = numbers[part.type, part.value]
            out.append(f"<{part.type}_{number}>" if number else f"<{part.type}>")
            spans.append(Span(at, at + len(value), part.type))
        else:
            out.append(value)
        at += len(value)
    return Redacted("".join(out), dict(Counter(span.type for span in spans)), spans)


def _numbers(text: _Text) -> dict[tuple[str, str], int]:
    """By type and value a number from 1; 0 where it is the only one of its type."""
    before: Counter[str] = Counter()
    for part in text.parts:
        if (
            isinstance(part, _Hidden)
            and part.type is None
            and (old := NUMBERED.fullmatch(part.value))
        ):
            before[old["type"]] = max(before[old["type"]], int(old["number"] or 1))
    groups: dict[str, list[frozenset[str]]] = {}
    numbers: dict[tuple[str, str], int] = {}
    for part in text.parts:
        if isinstance(part, _Hidden) and part.type is not None:
            same = groups.setdefault(part.type, [])
            numbers[part.type, part.value] = before[part.type] + _group(same, part)
    return {
        key: 0 if len(groups[key[0]]) == 1 and not before[key[0]] else number
        for key, number in numbers.items()
    }


def _group(groups: list[frozenset[str]], part: _Hidden) -> int:
    """Which of the values seen so far this is, from 1. Jane and Jane Doe are one."""
    if part.type == "PERSON":
        value = frozenset(re.findall(r"\w+", part.value.casefold()))
    else:
        value = frozenset(["".join(filter(str.isalnum, part.value.casefold())) or part.value])
    for number, each in enumerate(groups, 1):
        if value <= each or each <= value:
            groups[number - 1] = each | value
            return number
    groups.append(value)
    return len(groups)
