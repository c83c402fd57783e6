"""The loop deletes the files that a service, which may only read them, decided to remove."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from feedback import adapters, prune
from feedback.audit import Actor
from feedback.database import writing
from feedback.tables import Assistant, now
from tests.feedback.said import built_adapter, long_ago
from training import worker

pytestmark = pytest.mark.parametrize("database_engine", ["sqlite"], indirect=True)


def test_the_loop_deletes_what_was_decided_and_says_once_what_it_cannot(
    database_engine: Engine,
    assistant: Assistant,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with writing(database_engine) as session:
        built = built_adapter(tmp_path / "built")
        adapter = adapters.publish(session, assistant, built, [], {}, {})
        long_ago(session)
    with writing(database_engine) as session:
        prune.mark(session, assistant, Actor("olga", "operator"), now())
    left: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr("os.rename", lambda *_: (_ for _ in ()).throw(PermissionError("no")))
        for _ in range(2):
            left = worker.sweep(left)
    assert left == [adapter.name]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert worker.sweep(left) == []
    assert not adapters.folder_of(adapter).exists()
