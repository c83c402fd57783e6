"""Websites with the widget: own wordings, and changes that leave the rest alone."""

import json

import pytest
from sqlalchemy import Engine
from sqlmodel import Session
from typer.testing import CliRunner

from feedback import audit, commands, sites
from feedback.database import reading, writing
from feedback.errors import Invalid
from feedback.sites import Look
from feedback.tables import Assistant

on_sqlite = pytest.mark.parametrize("database_engine", ["sqlite"], indirect=True)
ORIGIN = "https://shop.example"


def test_wordings_are_read_line_by_line() -> None:
    lines = ["person: Talk to Mara", "hours:We are back: {time}."]
    assert sites.read_texts(lines) == {"person": "Talk to Mara", "hours": "We are back: {time}."}


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["Talk to Mara"], "expected 'name: wording'"),
        (["person:"], "expected 'name: wording'"),
        (["persn: Talk to Mara"], "Found the wording 'persn'; expected one of the widget's: ahead"),
        (["send: Go", "send: Post"], "Found two wordings for 'send'"),
        ([f"send: {'x' * 301}"], "has 301 characters; expected 1 to 300"),
    ],
)
def test_other_lines_are_refused_with_a_sentence(lines: list[str], sentence: str) -> None:
    with pytest.raises(Invalid, match=sentence):
        sites.read_texts(lines)


@on_sqlite
def test_a_site_takes_no_wording_that_the_widget_lacks(
    assistant: Assistant, session: Session
) -> None:
    with pytest.raises(Invalid, match="persn"):
        sites.create(session, assistant, "Web", [ORIGIN], Look(texts={"persn": "Mara"}))
    site = sites.create(session, assistant, "Web", [ORIGIN])
    with pytest.raises(Invalid, match="persn"):
        sites.change(session, site, [ORIGIN], Look(texts={"persn": "Mara"}))


@on_sqlite
def test_the_command_changes_what_is_named_and_nothing_else(
    assistant: Assistant, database_engine: Engine
) -> None:
    with writing(database_engine) as session:
        site = sites.create(session, assistant, "Web", [ORIGIN], Look(title="Help"))

    def change(*words: str) -> dict[str, object]:
        words = ("sites", "change", site.id, *words, "--json")
        result = CliRunner().invoke(commands.app, list(words), catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return dict(json.loads(result.output))

    first = change("--text", "send: Go", "--text", "you: Guest", "--look", "language=de")
    assert first["texts"] == {"send": "Go", "you": "Guest"}
    assert (first["language"], first["title"], first["origins"]) == ("de", "Help", [ORIGIN])
    second = change("--text", "send: Post it", "--origin", "https://other.example")
    assert second["texts"] == {"send": "Post it", "you": "Guest"}
    assert second["origins"] == ["https://other.example"]
    assert change("--no-texts")["texts"] == {}
    for wrong in ("language", "texts=x", "language=klingon", "size=3"):
        with pytest.raises(Invalid):
            change("--look", wrong)
    with reading(database_engine) as session:
        assert len(audit.every(session, act="site.change")) == 3
