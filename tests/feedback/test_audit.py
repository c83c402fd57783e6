"""The audit log only grows: the database itself refuses anything else."""

import ast
import csv
import getpass
import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from feedback import audit
from feedback.audit import Actor
from feedback.database import reading, writing
from feedback.tables import Assistant

MARA = Actor("mara@example.com", "agent", "127.0.0.1")


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_entry SET actor = 'nobody'", "DELETE FROM audit_entry"]
)
def test_an_entry_can_neither_be_changed_nor_deleted(
    database_engine: Engine, statement: str
) -> None:
    with writing(database_engine) as session:
        audit.record(session, MARA, "adapter.promote", "shop-v1")
    with (
        pytest.raises(DBAPIError, match="never changed or deleted"),
        writing(database_engine) as session,
    ):
        session.connection().execute(text(statement))
    with reading(database_engine) as session:
        assert [entry.actor for entry in audit.every(session)] == ["mara@example.com"]


def test_an_entry_and_its_act_happen_together_or_not_at_all(database_engine: Engine) -> None:
    with pytest.raises(RuntimeError), writing(database_engine) as session:
        audit.record(session, MARA, "adapter.promote", "shop-v1")
        raise RuntimeError("the act failed")
    with reading(database_engine) as session:
        assert audit.every(session) == []


def test_entries_are_filtered_and_paged_newest_first(
    make_assistant: Callable[..., Assistant], database_engine: Engine
) -> None:
    shop, bakery = make_assistant("shop"), make_assistant("bakery")
    with writing(database_engine) as session:
        for number in range(5):
            audit.record(session, MARA, "cycle.request", f"cycle {number}", shop.id)
        audit.record(session, Actor("olga", "operator"), "cycle.stop", "cycle 9", bakery.id)
        audit.record(session, MARA, "session.sign_in", "console")
    with reading(database_engine) as session:
        assert len(audit.every(session)) == 7
        assert [e.subject for e in audit.every(session, [bakery.id])] == ["cycle 9"]
        assert len(audit.every(session, actor="mara@example.com")) == 6
        assert len(audit.every(session, act="cycle.request")) == 5
        first = audit.every(session, limit=3)
        rest = audit.every(session, before=first[-1].id)
        assert [e.id for e in [*first, *rest]] == [e.id for e in audit.every(session)]


def test_the_export_is_a_table_in_which_formulas_do_nothing(database_engine: Engine) -> None:
    with writing(database_engine) as session:
        audit.record(session, MARA, "adapter.promote", "=HYPERLINK(1)", reason="a, b")
    with reading(database_engine) as session:
        rows = list(csv.DictReader(io.StringIO(audit.as_csv(audit.every(session)))))
    assert rows[0]["subject"] == "'=HYPERLINK(1)"
    assert rows[0]["detail"] == '{"reason": "a, b"}'


ROOT = Path(__file__).parents[2]
COMMANDS = sorted(
    path
    for package in ("feedback", "service", "evals", "training")
    for path in (ROOT / package).rglob("*commands.py")
)


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: str(path.relative_to(ROOT)))
def test_whatever_a_command_writes_it_also_writes_into_the_audit_log(path: Path) -> None:
    for block in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(block, ast.With) and "writing(" in ", ".join(map(ast.unparse, block.items)):
            calls = {ast.unparse(c.func) for c in ast.walk(block) if isinstance(c, ast.Call)}
            # prune.mark notes each removal itself; a preview undoes all that it did.
            notes = {"audit.record", "_note", "prune.mark", "erasure.preview"}
            assert calls & notes, f"{path.name}, line {block.lineno}"


def test_a_machines_user_without_a_name_is_told_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert audit.here() == Actor(f"user {os.getuid()}", "command line")
