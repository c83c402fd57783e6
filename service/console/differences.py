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
