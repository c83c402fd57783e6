"""Where a person's words may lie: every text column of every table, and what an erasure does about it.

The one list. A test fails when a column is added without a decision. Used by erasure.py and traces.py.
"""

from collections.abc import Iterator
from enum import StrEnum

from sqlalchemy import JSON, Column, String, Table
from sqlmodel import SQLModel
from sqlmodel.sql.sqltypes import AutoString

from feedback import tables

assert tables  # every table is known from here on


class Fate(StrEnum):
    """What an erasure does about a column."""

    GONE = "gone"
    """The row goes with the person."""
    EMPTIED = "emptied"
    """The row stays, for numbers and links rest on it; its text is taken out."""
    SCRUBBED = "scrubbed"
    """Somebody, or a machine, may have quoted them: what is found is replaced by a mark."""
    OURS = "ours"
    """The house's own words. Looked through; what is found there is told, not changed."""
    CODE = "code"
    """A hash, a state, a file's name: nobody's words."""


WHOLE_ROWS = (
    "customer",
    "conversation",
    "message",
    "feedback",
    "item_source",
    "handover",
    "review",
    "review_verdict",
    "recheck",
    "ticket_proposal",
    "near_copy",
    "redaction",
    "replay_turn",
    "vote",
    "judgement",
)
"""Tables whose rows about a person go altogether, whatever columns they have."""

COLUMNS: dict[str, dict[Fate, tuple[str, ...]]] = {
    "dataset_item": {
        Fate.EMPTIED: ("prompt", "chosen", "rejected"),
        Fate.CODE: ("split", "edit", "sha256"),
    },
    "ticket": {
        Fate.EMPTIED: ("context", "reference", "must_say", "must_not_say"),
        Fate.SCRUBBED: ("external_id",),
        Fate.OURS: ("topic",),
        Fate.CODE: ("expects", "origin"),
    },
    "exam_answer": {
        Fate.EMPTIED: ("text", "error"),
        Fate.OURS: ("topic",),
        Fate.CODE: ("cache_key",),
    },
    "score": {Fate.EMPTIED: ("reason",), Fate.CODE: ("metric",)},
    "decision": {
        Fate.SCRUBBED: ("reasons", "guardrails", "detail"),
        Fate.OURS: ("topics", "losing_topics"),
        Fate.CODE: ("metric", "gate"),
    },
    "cycle": {
        Fate.SCRUBBED: ("reason",),
        Fate.OURS: ("requested_by", "stop_requested_by"),
        Fate.CODE: ("state", "lease_owner"),
    },
    "stage": {
        Fate.SCRUBBED: ("log_tail", "result", "error"),
        Fate.CODE: ("name", "state", "curve", "more_curves", "figures"),
    },
    "promotion": {
        Fate.SCRUBBED: ("reason",),
        Fate.OURS: ("approved_by", "except_topics"),
    },
    "promotion_request": {
        Fate.SCRUBBED: ("reason", "outcome"),
        Fate.OURS: ("requested_by", "except_topics"),
        Fate.CODE: ("state",),
    },
    "swap": {Fate.SCRUBBED: ("reason",), Fate.CODE: ("engine", "boot")},
    "trial": {
        Fate.SCRUBBED: ("reason", "outcome", "evidence"),
        Fate.OURS: ("started_by", "ended_by"),
        Fate.CODE: ("kind", "state", "policy", "verdict"),
    },
    "hold": {
        Fate.SCRUBBED: ("author", "reason", "evidence"),
        Fate.OURS: ("decided_by",),
        Fate.CODE: ("outcome",),
    },
    "policy": {Fate.OURS: ("name", "text", "created_by", "retired_by")},
    "prompt": {Fate.OURS: ("text", "author")},
    "assistant": {
        Fate.OURS: ("name", "title", "topics", "desk", "learning"),
        Fate.CODE: ("base_model", "sampling", "gate", "swap", "recipe"),
    },
    "dataset": {Fate.CODE: ("kind", "name", "sha256", "counts")},
    "adapter": {Fate.CODE: ("name", "digest", "base_model")},
    "adapter_dataset": {Fate.CODE: ("stage",)},
    "staff": {
        Fate.OURS: ("email", "name", "openid_issuer", "openid_subject"),
        Fate.CODE: ("password_hash",),
    },
    "staff_role": {Fate.OURS: ("granted_by",), Fate.CODE: ("role",)},
    "staff_session": {Fate.CODE: ("sha256", "user_agent")},
    "password_reset": {Fate.OURS: ("made_by",), Fate.CODE: ("sha256",)},
    "api_key": {Fate.OURS: ("name",), Fate.CODE: ("role", "hint", "sha256")},
    "site": {Fate.OURS: ("name", "origins", "look"), Fate.CODE: ("public_key",)},
    # Sealed by the database. Only ids, hashes and the reasons that staff give go in there.
    "audit_entry": {
        Fate.OURS: ("actor", "subject", "detail"),
        Fate.CODE: ("role", "act", "assistant_id", "address"),
    },
    "process_report": {Fate.OURS: ("settings",), Fate.CODE: ("process", "host", "versions")},
    "erasure": {
        Fate.OURS: ("requested_by", "reason", "certificate"),
        Fate.CODE: ("customer_sha256",),
    },
    "eval_run": {Fate.CODE: ("sampling",)},
    "replay": {
        Fate.SCRUBBED: ("error",),
        Fate.OURS: ("requested_by",),
        Fate.CODE: ("state", "lease_owner"),
    },
    "sides_opened": {Fate.OURS: ("author",)},
    "judge_check": {Fate.OURS: ("judge",), Fate.CODE: ("source", "figures")},
}
"""Of the other tables: what becomes of each column that holds text."""


def text_columns(table: Table) -> Iterator[Column[str]]:
    """The columns of a table that can hold words: no keys, no numbers, no times."""
    for column in table.columns:
        is_key = column.primary_key or column.foreign_keys
        if isinstance(column.type, String | AutoString | JSON) and not is_key:
            yield column


def undecided() -> list[str]:
    """Columns nobody has decided about, and decisions about columns that do not exist, as table.column."""
    found = {
        f"{table.name}.{column.name}"
        for table in SQLModel.metadata.sorted_tables
        if table.name not in WHOLE_ROWS
        for column in text_columns(table)
    }
    decided = {
        f"{table}.{column}"
        for table, fates in COLUMNS.items()
        for columns in fates.values()
        for column in columns
    }
    return sorted(found ^ decided)


def with_fate(fate: Fate) -> Iterator[Column[str]]:
    """Every column with this fate in a table whose rows stay."""
    for name, fates in COLUMNS.items():
        for column in fates.get(fate, ()):
            yield SQLModel.metadata.tables[name].columns[column]


def searched() -> Iterator[Column[str]]:
    """Every column that an erasure looks through in the end: all but codes."""
    for table in SQLModel.metadata.sorted_tables:
        codes = COLUMNS.get(table.name, {}).get(Fate.CODE, ())
        yield from (column for column in text_columns(table) if column.name not in codes)
