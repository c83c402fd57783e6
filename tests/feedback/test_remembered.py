"""What is remembered is true, or at most as old as the setting says."""

from sqlalchemy import Engine, event, text
from sqlmodel import Session, select

from feedback import assistants
from feedback.database import reading, writing
from feedback.remembered import Remembered
from feedback.tables import Assistant


def titles(asked: list[str]) -> Remembered[str, str]:
    """Titles by name, with a longer memory than any test; `asked` notes each look."""

    def look_up(session: Session, name: str) -> str:
        asked.append(name)
        return session.exec(select(Assistant.title).where(Assistant.name == name)).one()

    return Remembered(3600, look_up)


def test_a_look_up_is_made_once_and_again_after_a_change_here(
    database_engine: Engine, assistant: Assistant
) -> None:
    asked: list[str] = []
    memory = titles(asked)
    assert memory.known("shop") is None
    assert [memory.get(database_engine, "shop") for _ in range(3)] == ["shop"] * 3
    assert asked == ["shop"] and memory.known("shop") == "shop"
    with writing(database_engine) as session:
        session.get_one(Assistant, assistant.id).title = "Shop & Co"
        session.flush()
        assert memory.known("shop") == "shop"  # not in force before its commit
    assert memory.get(database_engine, "shop") == "Shop & Co"


def test_a_change_undone_and_a_change_of_something_else_forget_nothing(
    database_engine: Engine, assistant: Assistant
) -> None:
    asked: list[str] = []
    memory = titles(asked)
    memory.get(database_engine, "shop")
    try:
        with writing(database_engine) as session:
            assistants.set_prompt(session, assistant, "Be brief.", "tester")
            raise KeyError
    except KeyError:
        pass
    assert memory.known("shop") == "shop"


def test_what_another_process_changes_is_seen_after_the_time_given(
    database_engine: Engine, assistant: Assistant
) -> None:
    memory: Remembered[str, str] = Remembered(0, titles([])._look_up)
    assert memory.get(database_engine, "shop") == "shop"
    with writing(database_engine) as session:  # past the ORM, as another process would
        session.connection().execute(text("UPDATE assistant SET title = 'Elsewhere'"))
    assert memory.get(database_engine, "shop") == "Elsewhere"


def test_a_change_between_looking_and_remembering_makes_the_memory_void(
    database_engine: Engine, assistant: Assistant
) -> None:
    def look_up(session: Session, name: str) -> str:
        found = session.exec(select(Assistant.title).where(Assistant.name == name)).one()
        session.close()
        with writing(database_engine) as other:
            other.get_one(Assistant, assistant.id).title = "Newer"
        return found

    memory: Remembered[str, str] = Remembered(3600, look_up)
    memory.get(database_engine, "shop")
    assert memory.known("shop") is None


def test_who_has_a_session_needs_no_second_connection(
    database_engine: Engine, assistant: Assistant
) -> None:
    taken: list[int] = []
    event.listen(database_engine, "checkout", lambda *_: taken.append(1))
    memory = titles([])
    with reading(database_engine) as session:
        session.connection()
        assert memory.within(session, "shop") == memory.known("shop") == "shop"
    assert len(taken) == 1


def test_a_row_looked_up_in_a_session_outlives_what_that_session_undoes(
    database_engine: Engine, assistant: Assistant
) -> None:
    memory: Remembered[str, Assistant] = Remembered(
        3600, lambda session, ident: session.get_one(Assistant, ident)
    )
    try:
        with writing(database_engine) as session:
            assistants.set_prompt(session, assistant, "Be brief.", "tester")
            memory.within(session, assistant.id)
            raise KeyError
    except KeyError:
        pass
    remembered = memory.known(assistant.id)
    assert remembered is not None and remembered.title == "shop"
    with writing(database_engine) as session:
        assistants.set_prompt(session, assistant, "Be kind.", "tester")
        memory.within(session, assistant.id)
    with reading(database_engine) as session:  # and looking up has not ended what it looked into
        assert assistants.prompt_in_force(session, assistant).text == "Be kind."
