"""The migrations and the tables say the same, on both databases, forwards and back."""

from pathlib import Path

import pytest
import typer
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect
from sqlmodel import SQLModel
from typer.testing import CliRunner

import feedback.tables  # noqa: F401  (fills the metadata)
from feedback import adapter_commands, commands, database
from feedback.errors import UnderstudyError


def alembic(engine: Engine) -> Config:
    config = Config()
    folder = Path(database.__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder))
    config.attributes["engine"] = engine
    return config


def is_a_table(thing: object, name: str | None, *_: object) -> bool:
    return not (name or "").startswith("message_search")  # full-text search, made by hand


def differences(engine: Engine) -> list[object]:
    with engine.connect() as connection:
        opts = {"compare_type": True, "include_object": is_a_table}
        context = MigrationContext.configure(connection, opts=opts)
        return list(compare_metadata(context, SQLModel.metadata))


def test_the_migrations_build_exactly_the_tables_of_the_code(database_engine: Engine) -> None:
    assert differences(database_engine) == []


def test_the_schema_can_be_taken_down_and_built_again(database_engine: Engine) -> None:
    command.downgrade(alembic(database_engine), "base")
    assert set(inspect(database_engine).get_table_names()) <= {"alembic_version"}
    with pytest.raises(UnderstudyError, match="understudy feedback migrate"):
        database.check_schema(database_engine)
    database.migrate(database_engine)
    assert differences(database_engine) == []


def test_migrating_twice_changes_nothing(database_engine: Engine) -> None:
    database.migrate(database_engine)
    database.check_schema(database_engine)


@pytest.mark.parametrize("app", [commands.app, adapter_commands.app], ids=["feedback", "adapters"])
def test_a_database_that_was_never_migrated_says_what_to_do(app: typer.Typer) -> None:
    with pytest.raises(UnderstudyError, match="understudy feedback migrate"):
        CliRunner().invoke(app, ["list"], catch_exceptions=False)


def test_a_database_that_is_away_is_named_without_its_password() -> None:
    engine = database.connect("postgresql://shop:secret@127.0.0.1:1/shop")
    with pytest.raises(UnderstudyError, match=r"cannot be reached") as raised:
        database.check_schema(engine)
    assert "secret" not in str(raised.value)
    engine.dispose()
