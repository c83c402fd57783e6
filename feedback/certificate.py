"""An erasure's certificate as people read it: what went, what learned from it, what was found, what remains.

Pure: it tells what is in the row, and never what is still being looked for.
"""

from typing import Any

from feedback.erasures import without_pending
from feedback.trust_tables import Erasure

WHAT = {
    "customer": "a customer",
    "conversation": "one conversation",
    "retention": "conversations whose time had come",
}


def row(erasure: Erasure) -> dict[str, Any]:
    """An erasure in a list."""
    told = erasure.certificate
    return {
        "id": erasure.id,
        "at": erasure.created_at,
        "what": WHAT.get(told.get("what", ""), ""),
        "by": erasure.requested_by,
        "conversations": told.get("removed", {}).get("conversation", 0),
        "adapters": [each["name"] for each in told.get("adapters", [])],
        "found_afterwards": found(erasure),
        "finished_at": erasure.finished_at,
    }


def found(erasure: Erasure) -> int | None:
    """In how many places the final search found something; None before it was made."""
    search = erasure.certificate.get("search")
    return None if search is None else len(search["in_database"]) + len(search["in_files"])


def counted(told: dict[str, Any]) -> dict[str, Any]:
    """What would go, for a dry run."""
    return {
        "removed": _some(told["removed"]),
        "emptied": _some(told["emptied"]),
        "kept_for_others": _some(told["kept_for_others"]),
        "scrubbed": _some(told["scrubbed"]),
        "datasets": told["datasets"],
        "adapters": [_adapter(each) for each in told["adapters"]],
        "cycles_stopped": told["stopped_cycles"],
    }


def _some(counts: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


def as_record(erasure: Erasure) -> dict[str, Any]:
    """The whole certificate for scripts."""
    return {
        "id": erasure.id,
        "customer_sha256": erasure.customer_sha256,
        "requested_by": erasure.requested_by,
        "reason": erasure.reason,
        "created_at": erasure.created_at,
        "finished_at": erasure.finished_at,
        "cycle_id": erasure.cycle_id,
        "certificate": without_pending(erasure.certificate),
    }


def as_text(erasure: Erasure) -> str:
    """The certificate in Markdown."""
    told = erasure.certificate
    ended = f"{erasure.finished_at:%Y-%m-%d %H:%M} UTC" if erasure.finished_at else "not yet"
    head = (
        f"# Certificate of erasure {erasure.id}\n\n"
        f"Erased: {WHAT.get(told.get('what', ''), '')}, known by the SHA-256 "
        f"`{erasure.customer_sha256}` of the assistant's id and their name.\n\n"
        f"- asked by {erasure.requested_by}: {erasure.reason}\n"
        f"- begun {erasure.created_at:%Y-%m-%d %H:%M} UTC, finished {ended}"
    )
    return "\n\n".join([head, *(_list(*each) for each in sections(erasure))]) + "\n"


def sections(erasure: Erasure) -> list[tuple[str, list[str]]]:
    """What a certificate says, as titles with their lines; nothing where there is nothing to say."""
    told = erasure.certificate
    found = [
        ("Rows removed", _counts(told.get("removed", {}))),
        ("Rows kept without their text", _counts(told.get("emptied", {}))),
        ("Quotations taken out", _counts(told.get("scrubbed", {}))),
        ("Rows kept because others said the same", _counts(told.get("kept_for_others", {}))),
        ("Datasets", told.get("datasets", [])),
        ("Files", [f"{each['path']}: {each['what']}" for each in told.get("files", [])]),
        ("Database", told.get("database", [])),
        ("Adapters that learned from them", [_adapter(a) for a in told.get("adapters", [])]),
        ("Learning again without them", [told["cycle"]] if "cycle" in told else []),
        ("Searched afterwards", _search(told.get("search"))),
        ("What remains, and why", told.get("remains", [])),
    ]
    return [(title, lines) for title, lines in found if lines]


def _list(title: str, lines: list[str]) -> str:
    return f"## {title}\n\n" + "\n".join(f"- {line}" for line in lines)


def _counts(counts: dict[str, int]) -> list[str]:
    return [f"{name.replace('_', ' ')}: {count}" for name, count in _some(counts).items()]


def _adapter(each: dict[str, Any]) -> str:
    stands = [
        words
        for key, words in (
            ("live", "live"),
            ("answers_some_topics", "answers some topics in place of what is live"),
            ("rollback_target", "what a rollback returns to"),
            ("asked_to_go_live", "asked to go live"),
            ("on_trial", "on trial"),
        )
        if each.get(key)
    ]
    if not each["files"]:
        stands.append("its files are removed")
    return f"{each['name']} ({', '.join(stands) or 'not live'})"


def _search(search: dict[str, Any] | None) -> list[str]:
    if search is None:
        return ["not yet"]
    looked = (
        f"{search['names']} {'name' if search['names'] == 1 else 'names'} and {search['texts']} texts, in "
        f"every text column, in {search['files_searched']} files ({search['bytes_searched']} bytes)"
    )
    shared = search["also_said_by_others"]
    also = [f"{shared} texts were not looked for, as others said them, too"] if shared else []
    places = [f"found in {each['place']}, {each['rows']} rows" for each in search["in_database"]]
    places += [f"found in {each['path']}" for each in search["in_files"]]
    return [looked, *also, *(places or ["nothing was found"])]
