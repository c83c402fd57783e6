"""What a person changed in a text, word by word, for pages that show it after the fact."""

import re
from difflib import SequenceMatcher

PIECE = re.compile(r"\s+|\S+")


def word_diff(before: str, after: str) -> list[tuple[str, str]]:
    """Pieces of both texts in order, each `same`, `del` or `ins`."""
    old, new = PIECE.findall(before), PIECE.findall(after)
    out: list[tuple[str, str]] = []
    for kind, i, j, k, m in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            out.append(("same", "".join(old[i:j])))
            continue
        if i < j:
            out.append(("del", "".join(old[i:j])))
        if k < m:
            out.append(("ins", "".join(new[k:m])))
    return out


def changes(before: str, after: str) -> list[tuple[str, str]]:
    """The same, but as a whole where little is left of the old text."""
    pieces = word_diff(before, after)
    same = sum(len(text) for kind, text in pieces if kind == "same" and text.strip())
    if same * 2 >= len(after):
        return pieces
    return [("del", before), ("same", " "), ("ins", after)]


def marked(first: str, second: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Both texts in pieces, each `same` or `own`: what only this one says. Neither is the old or the new.

    Where they share little, nothing is marked: everything would be.
    """
    pieces = word_diff(first, second)
    same = sum(len(text) for kind, text in pieces if kind == "same" and text.strip())
    if same * 2 < max(len(first), len(second)):
        return [("same", first)], [("same", second)]

    def one(own: str) -> list[tuple[str, str]]:
        return [
            ("own" if kind == own else kind, text) for kind, text in pieces if kind in ("same", own)
        ]

    return one("del"), one("ins")
