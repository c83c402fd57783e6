"""Files go only when nothing names them any more; what was promised before a removal holds after it."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, update
from sqlmodel import Session, col, select

from feedback import (
    adapter_folder,
    adapters,
    assistants,
    audit,
    conversations,
    cycles,
    exams,
    prune,
)
from feedback.audit import Actor
from feedback.database import reading, writing
from feedback.errors import Conflict
from feedback.settings import feedback_settings
from feedback.tables import (
    Adapter,
    Assistant,
    Conversation,
    Cycle,
    CycleState,
    MessageState,
    Promotion,
    now,
)
from tests.feedback.said import answered, at_the_same_time, built_adapter, roll_back, while_open

OLGA = Actor("olga@example.com", "operator")
LATER = timedelta(days=40)
"""Longer than anything is recent by the defaults."""


def published(session: Session, owner: Assistant, place: Path, seed: str) -> Adapter:
    built = built_adapter(place / f"built-{seed}", seed.encode())
    return adapters.publish(session, owner, built, [], {}, {})


def promoted(session: Session, owner: Assistant, adapter: Adapter | None) -> Promotion:
    return adapters.promote(session, owner, adapter, "mara", "Better.")


@pytest.fixture
def made(database_engine: Engine, assistant: Assistant, tmp_path: Path) -> list[Adapter]:
    """Six adapters, each verified by the engine and live in its turn; the last still is."""
    with writing(database_engine) as session:
        found = []
        for number in range(6):
            adapter = published(session, assistant, tmp_path, f"adapter {number}")
            promoted(session, assistant, adapter)
            adapters.record_swap(session, adapter, "engine", True, "Verified.")
            found.append(adapter)
        return found


def planned(database_engine: Engine, after: timedelta = LATER) -> prune.Plan:
    with reading(database_engine) as session:
        return prune.plan(session, assistants.get(session, "shop"), now() + after)


def pruned(
    database_engine: Engine, after: timedelta = LATER, names: list[str] | None = None
) -> list[str]:
    """As every door does it: decide, then delete; the names of what went."""
    with writing(database_engine) as session:
        owner = assistants.get(session, "shop")
        taken = prune.mark(session, owner, OLGA, now() + after, names)
    with reading(database_engine) as session:
        assert prune.sweep(session) == []
    return [each.name for each in taken]


def on_disk() -> set[str]:
    folder = feedback_settings().adapters_dir
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def why(plan: prune.Plan, adapter: Adapter) -> list[str]:
    """The reasons why it stays; an assertion if it may go."""
    [verdict] = [each for each in plan.keep if each.name == adapter.name]
    return verdict.keep


def test_only_what_was_replaced_long_ago_and_lies_behind_the_last_rollbacks_may_go(
    database_engine: Engine, made: list[Adapter]
) -> None:
    assert planned(database_engine, timedelta()).remove == []
    plan = planned(database_engine)
    assert [each.name for each in plan.remove] == [made[1].name, made[0].name]
    assert why(plan, made[5]) == ["is live"]
    assert why(plan, made[4]) == [
        "a rollback would return to it",
        "is one of the last 3 that were live before",
    ]
    assert plan.remove[0].safe == (
        f"It was live until {made[2].name} replaced it on {now():%Y-%m-%d}. "
        "No conversation speaks with it."
    )
    files = [adapters.folder_of(adapter) for adapter in made[:2]]
    assert plan.remove_bytes == sum(adapter_folder.size_bytes(folder) for folder in files) > 0


def test_looking_changes_nothing(database_engine: Engine, made: list[Adapter]) -> None:
    before = on_disk()
    planned(database_engine)
    assert on_disk() == before
    with reading(database_engine) as session:
        assert not any(each.files_removed_at for each in session.exec(select(Adapter)))
        assert audit.every(session) == []


def test_a_removal_leaves_the_rows_and_a_note_and_takes_the_files(
    database_engine: Engine, made: list[Adapter]
) -> None:
    gone = pruned(database_engine)
    assert set(gone) == {made[0].name, made[1].name}
    assert on_disk() == {adapter.name for adapter in made[2:]}
    with reading(database_engine) as session:
        owner = assistants.get(session, "shop")
        rows = adapters.every(session, owner)
        notes = audit.every(session, act="adapter.prune")
    assert [row.files_removed_at is not None for row in rows] == [False] * 4 + [True] * 2
    assert {(note.actor, note.subject) for note in notes} == {
        ("olga@example.com", name) for name in gone
    }
    assert all("It was live until" in note.detail["safe"] for note in notes)
    assert pruned(database_engine) == []


def test_only_what_a_person_agreed_to_goes(database_engine: Engine, made: list[Adapter]) -> None:
    names = [made[0].name, made[5].name, "shop-v9-00000000"]
    assert pruned(database_engine, names=names) == [made[0].name]
    assert pruned(database_engine, names=[]) == []


def test_an_adapter_without_files_is_refused_wherever_its_weights_are_needed(
    database_engine: Engine, made: list[Adapter]
) -> None:
    pruned(database_engine)
    with writing(database_engine) as session:
        owner = assistants.get(session, "shop")
        assert not adapters.usable(session, made[0])
        assert adapters.usable(session, made[5])
        for act in (
            lambda: promoted(session, owner, made[0]),
            lambda: exams.open_runs(session, owner, [made[0], None], None),
        ):
            with pytest.raises(Conflict, match=r"were removed on 20.*adapters list.*run a cycle"):
                act()


def test_a_rollback_passes_over_what_has_no_files(
    database_engine: Engine, made: list[Adapter]
) -> None:
    pruned(database_engine)
    with writing(database_engine) as session:
        owner = assistants.get(session, "shop")
        for adapter in made[2:5]:  # as if disk space had been worth more
            session.get_one(Adapter, adapter.id).files_removed_at = now()
        session.flush()
        assert adapters.back_to(session, owner) is None
        assert roll_back(session, owner, "mara", "Worse.").adapter_id is None


def test_what_speaks_while_the_engine_refuses_the_newest_stays(
    database_engine: Engine, made: list[Adapter], tmp_path: Path
) -> None:
    with writing(database_engine) as session:
        owner = assistants.get(session, "shop")
        for number in range(5):
            adapter = published(session, owner, tmp_path, f"refused {number}")
            promoted(session, owner, adapter)
            adapters.record_swap(session, adapter, "engine", False, "Too far off.")
    plan = planned(database_engine)
    assert why(plan, made[5]) == [
        "speaks until every engine has verified what was promoted after it"
    ]
    assert made[4].name in {each.name for each in plan.remove}


def test_what_waits_or_works_stays(
    database_engine: Engine, made: list[Adapter], tmp_path: Path
) -> None:
    with writing(database_engine) as session:
        owner = assistants.get(session, "shop")
        cycle = cycles.request(session, owner, "olga")
        built = built_adapter(tmp_path / "built", b"of a cycle")
        candidate = adapters.publish(session, owner, built, [], {}, {}, cycle.id)
        [run] = exams.open_runs(session, owner, [made[0]], cycle.id)
    plan = planned(database_engine)
    assert why(plan, candidate) == ["its cycle is not finished"]
    assert why(plan, made[0]) == ["an exam that it sits is not finished"]
    with writing(database_engine) as session:
        exams.finish(session, run)
        cycles.finish(session, cycle, CycleState.AWAITING, "Passed.")
    plan = planned(database_engine)
    assert why(plan, candidate) == ["waits for a decision"]
    assert made[0].name in {each.name for each in plan.remove}
    with writing(database_engine) as session:
        cycles.reject(session, session.get_one(Cycle, cycle.id), "olga", "No.")
    [verdict] = [each for each in planned(database_engine).remove if each.name == candidate.name]
    assert verdict.safe.startswith("It never went live and sat no exam.")


def test_who_spoke_with_it_last_is_said_and_a_recent_talk_keeps_it(
    database_engine: Engine, made: list[Adapter]
) -> None:
    with writing(database_engine) as session:
        owner = assistants.get(session, "shop")
        talk = conversations.begin(session, owner, made[0], "wren")
        answered(session, owner, "Hello?", conversation=talk)
    plan = planned(database_engine, LATER - timedelta(days=11))
    assert "a conversation spoke with it less than 30 days ago" in why(plan, made[0])
    [verdict] = [each for each in planned(database_engine).remove if each.name == made[0].name]
    assert f"conversation {talk.id}, on {now():%Y-%m-%d}" in verdict.safe
    assert "wren" not in verdict.safe, "it goes into the audit log, which forgets nobody"


def test_what_writes_an_answer_stays_even_where_the_conversation_has_moved_on(
    database_engine: Engine, made: list[Adapter]
) -> None:
    with writing(database_engine) as session:
        owner = assistants.get(session, "shop")
        talk = conversations.begin(session, owner, made[5])
        prompt = assistants.prompt_in_force(session, owner)
        _, row = conversations.ask(session, talk, "Hi?", prompt, made[0], "embedded", {})
        talk.last_message_at = now() + LATER
    assert why(planned(database_engine), made[0]) == ["an answer is being written with it"]
    with writing(database_engine) as session:
        conversations.finish(session, row.id, MessageState.COMPLETE, text="So.")
    assert made[0].name in {each.name for each in planned(database_engine).remove}


# Whatever happened before


@dataclass(frozen=True)
class Step:
    """Something that happens, and how many days pass before the next."""

    act: str
    which: int
    days: int


STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from(
            ["publish", "await", "open cycle", "promote", "base", "roll back", "talk", "refuse"]
        ),
        st.integers(0, 5),
        st.integers(0, 45),
    ),
    max_size=14,
)


class Story:
    """Acts a list of steps out: rows as the doors write them, then moved to the day of their step."""

    def __init__(self, database_engine: Engine, owner: Assistant, place: Path) -> None:
        self.database, self.owner, self.place = database_engine, owner, place
        self.adapters: list[Adapter] = []
        self.day = datetime(2026, 1, 1, tzinfo=UTC)

    def play(self, steps: list[Step]) -> None:
        for step in steps:
            with writing(self.database) as session:
                self._act(session, step)
            self.day += timedelta(days=step.days)

    def _act(self, session: Session, step: Step) -> None:
        chosen = self.adapters[step.which % len(self.adapters)] if self.adapters else None
        match step.act:
            case "publish" | "await" | "open cycle":
                self._publish(session, step.act)
            case "promote" | "base" | "roll back":
                self._promote(session, step.act, chosen)
            case "talk":
                talk = conversations.begin(
                    session, self.owner, self._that_can_speak(session, chosen)
                )
                answered(session, self.owner, "Hello?", conversation=talk)
                talk.last_message_at = self.day
            case "refuse" if chosen:
                adapters.record_swap(session, chosen, "engine", bool(step.which % 2), "Seen.")

    def _that_can_speak(self, session: Session, chosen: Adapter | None) -> Adapter | None:
        """No conversation begins with an adapter whose files are gone."""
        row = session.get_one(Adapter, chosen.id) if chosen else None
        return row if row and row.files_removed_at is None else None

    def _publish(self, session: Session, how: str) -> None:
        cycle = None
        if how != "publish":
            cycle = Cycle(assistant_id=self.owner.id, requested_by="olga")
            cycle.state = CycleState.AWAITING if how == "await" else CycleState.RUNNING
            session.add(cycle)
            session.flush()
        seed = f"{self.day} {len(self.adapters)}"
        built = built_adapter(self.place / seed, seed.encode())
        adapter = adapters.publish(
            session, self.owner, built, [], {}, {}, cycle.id if cycle else None
        )
        adapter.created_at = self.day
        self.adapters.append(adapter)

    def _promote(self, session: Session, how: str, chosen: Adapter | None) -> None:
        try:
            if how == "roll back":
                row = roll_back(session, self.owner, "mara", "Worse.")
            else:
                row = promoted(session, self.owner, None if how == "base" else chosen)
            row.created_at = self.day
        except Conflict:
            return  # nothing to roll back to, or live already

    def named(self, session: Session) -> set[str | None]:
        """The ids of all that may still be asked for: what a removal must never touch."""
        live = adapters.live_adapter(session, self.owner)
        back = adapters.back_to(session, self.owner) if adapters.live(session, self.owner) else None
        month_ago = self.day - timedelta(days=30)
        talked = session.exec(
            select(Conversation.adapter_id).where(col(Conversation.last_message_at) > month_ago)
        )
        unfinished = session.exec(
            select(Adapter.id)
            .join(Cycle, col(Cycle.id) == Adapter.cycle_id)
            .where(col(Cycle.state).in_([*cycles.OPEN, CycleState.AWAITING]))
        )
        first = [live.id if live else None, back.adapter_id if back else None]
        return {*first, *talked, *unfinished}


@pytest.mark.parametrize("database_engine", ["sqlite"], indirect=True)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, more=STEPS)
def test_whatever_happened_what_may_still_be_asked_for_keeps_its_files(
    database_engine: Engine,
    make_assistant: Callable[..., Assistant],
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[Step],
    more: list[Step],
) -> None:
    with reading(database_engine) as session:
        count = len(assistants.every(session))
    owner = make_assistant(f"shop-{count}")
    story = Story(database_engine, owner, tmp_path_factory.mktemp("built"))
    for part in (steps, more):  # the second part plays with some adapters gone
        story.play(part)
        with writing(database_engine) as session:
            named = story.named(session)
            before = adapters.back_to(session, owner) if adapters.live(session, owner) else None
            prune.mark(session, owner, OLGA, story.day)
        with reading(database_engine) as session:
            assert prune.sweep(session) == []
            for adapter in adapters.every(session, owner):
                whole = adapters.folder_of(adapter).is_dir()
                assert whole == (adapter.files_removed_at is None)
                assert whole or adapter.id not in named
                if whole:
                    adapter_folder.verify(adapters.folder_of(adapter), adapter.digest)
            live = adapters.live(session, owner)
            after = adapters.back_to(session, owner) if live else None
            assert (after and after.id) == (before and before.id)
        if live is not None and live.adapter_id != (before.adapter_id if before else None):
            with writing(database_engine) as session:
                row = roll_back(session, owner, "mara", "As promised.")
                row.created_at = story.day
                to = adapters.by_id(session, row.adapter_id)
                assert to is None or adapters.folder_of(to).is_dir()


# Kills and races


def test_a_kill_between_deciding_and_deleting_is_made_good_by_the_next_prune(
    database_engine: Engine, made: list[Adapter]
) -> None:
    with writing(database_engine) as session:
        prune.mark(session, assistants.get(session, "shop"), OLGA, now() + LATER)
    assert made[0].name in on_disk()
    plan = planned(database_engine)
    assert {each.name for each in plan.remove if each.begun} == {made[0].name, made[1].name}
    assert len(pruned(database_engine)) == 2
    assert on_disk() == {adapter.name for adapter in made[2:]}
    with reading(database_engine) as session:
        assert len(audit.every(session, act="adapter.prune")) == 2


def test_a_kill_while_deleting_leaves_nothing_under_the_name_and_is_made_good(
    database_engine: Engine, made: list[Adapter], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(folder: Path) -> None:
        (folder / adapter_folder.WEIGHTS).unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(adapter_folder, "delete", killed)
        with pytest.raises(KeyboardInterrupt):
            pruned(database_engine)
    half = [name for name in on_disk() if name.startswith(adapter_folder.ASIDE)]
    assert len(half) == 1
    for name in on_disk() - set(half):
        adapter_folder.file_hashes(feedback_settings().adapters_dir / name)  # all there
    assert len(planned(database_engine).remove) == 2
    pruned(database_engine)
    assert on_disk() == {adapter.name for adapter in made[2:]}


def test_a_decision_that_was_undone_removes_nothing(
    database_engine: Engine, made: list[Adapter]
) -> None:
    with pytest.raises(RuntimeError), writing(database_engine) as session:
        prune.mark(session, assistants.get(session, "shop"), OLGA, now() + LATER)
        raise RuntimeError("kill -9")
    with reading(database_engine) as session:
        prune.sweep(session)
    assert on_disk() == {adapter.name for adapter in made}


def test_what_may_not_be_deleted_here_is_left_for_the_loop(
    database_engine: Engine, made: list[Adapter], monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(_folder: Path) -> Path:
        raise OSError(30, "Read-only file system")

    with writing(database_engine) as session:
        prune.mark(session, assistants.get(session, "shop"), OLGA, now() + LATER)
    with monkeypatch.context() as patch, reading(database_engine) as session:
        patch.setattr(adapter_folder, "set_aside", read_only)
        assert set(prune.sweep(session)) == {made[0].name, made[1].name}
    assert on_disk() == {adapter.name for adapter in made}
    with reading(database_engine) as session:
        assert prune.sweep(session) == []
    assert on_disk() == {adapter.name for adapter in made[2:]}


def test_several_at_once_remove_each_once(database_engine: Engine, made: list[Adapter]) -> None:
    raised = at_the_same_time(*[lambda: pruned(database_engine)] * 4)
    assert raised == []
    assert on_disk() == {adapter.name for adapter in made[2:]}
    with reading(database_engine) as session:
        assert len(audit.every(session, act="adapter.prune")) == 2


def test_a_promotion_that_comes_during_a_removal_is_refused_or_prevents_it(
    database_engine: Engine, made: list[Adapter]
) -> None:
    def promote(session: Session) -> None:
        owner = assistants.get(session, "shop")
        promoted(session, owner, adapters.get(session, made[0].name))

    def remove(session: Session) -> None:
        prune.mark(session, assistants.get(session, "shop"), OLGA, now() + LATER)

    [error] = while_open(database_engine, remove, promote)
    assert isinstance(error, Conflict)
    assert "were removed on" in str(error)
    with writing(database_engine) as session:
        session.exec(update(Adapter).values(files_removed_at=None))
    assert while_open(database_engine, promote, remove) == []
    with reading(database_engine) as session:
        assert adapters.get(session, made[0].name).files_removed_at is None
        assert adapters.get(session, made[1].name).files_removed_at is not None


def test_a_turn_that_comes_during_a_removal_waits_for_it_and_one_before_prevents_it(
    database_engine: Engine, made: list[Adapter]
) -> None:
    found: list[bool] = []

    def turn(session: Session) -> None:
        found.append(adapters.usable(session, made[0]))

    def remove(session: Session) -> None:
        prune.mark(session, assistants.get(session, "shop"), OLGA, now() + LATER)

    assert while_open(database_engine, turn, remove) == []
    is_sqlite = database_engine.dialect.name == "sqlite"  # there the removal has waited instead
    with writing(database_engine) as session:
        removed = adapters.get(session, made[0].name).files_removed_at
        assert (removed is not None) == is_sqlite
        session.exec(update(Adapter).values(files_removed_at=None))
    assert while_open(database_engine, remove, turn) == []
    assert found == [True, False]


# Folders without a row


def orphan(database_engine: Engine, place: Path, seed: str = "orphan", how: str = "shop") -> str:
    """The folder of a publication that died before its commit."""
    with pytest.raises(RuntimeError), writing(database_engine) as session:
        name = published(session, assistants.get(session, how), place, seed).name
        raise RuntimeError("kill -9")
    return name


def test_a_folder_that_was_never_registered_goes_after_a_day(
    database_engine: Engine, made: list[Adapter], tmp_path: Path
) -> None:
    name = orphan(database_engine, tmp_path)
    plan = planned(database_engine, timedelta(hours=23))
    assert [each.keep for each in plan.keep if each.name == name] == [
        ["appeared less than 24 hours ago"]
    ]
    assert pruned(database_engine, timedelta(hours=25)) == [name]
    assert on_disk() == {adapter.name for adapter in made}
    with reading(database_engine) as session:
        assert [note.subject for note in audit.every(session)] == [name]


def test_a_folder_that_an_open_cycle_may_still_register_stays_and_is_registered(
    database_engine: Engine, assistant: Assistant, tmp_path: Path
) -> None:
    name = orphan(database_engine, tmp_path)
    with writing(database_engine) as session:
        cycle = cycles.request(session, assistant, "olga")
    [verdict] = planned(database_engine).keep
    assert verdict.keep == ["a cycle that is not finished may still register it"]
    assert pruned(database_engine) == []
    with writing(database_engine) as session:
        built = tmp_path / "built-orphan"
        adapter = adapters.publish(session, assistant, built, [], {}, {}, cycle.id)
    assert adapter.name == name


def test_folders_of_others_are_not_ours_to_remove(
    database_engine: Engine, make_assistant: Callable[..., Assistant], tmp_path: Path
) -> None:
    make_assistant("shop")
    make_assistant("shop-v1-shop")
    place = feedback_settings().adapters_dir
    neighbour = orphan(database_engine, tmp_path, how="shop-v1-shop")
    (place / "notes").mkdir()
    (place / "shop-v1-00000000").mkdir()
    of_another_database = place / "shop-v7-12345678"
    os.rename(place / orphan(database_engine, tmp_path, "other"), of_another_database)
    reasons = {each.name: each.keep for each in planned(database_engine).keep}
    assert set(reasons) == {"shop-v1-00000000", of_another_database.name}
    assert "cannot be read" in reasons["shop-v1-00000000"][0]
    assert "may be another database's" in reasons[of_another_database.name][0]
    assert pruned(database_engine) == []
    assert {neighbour, "notes"} < on_disk()


def test_the_rest_of_a_removed_folder_is_not_mistaken_for_one_published_again(
    database_engine: Engine, assistant: Assistant, tmp_path: Path
) -> None:
    name = orphan(database_engine, tmp_path)
    adapter_folder.set_aside(feedback_settings().adapters_dir / name)
    with writing(database_engine) as session:
        again = built_adapter(tmp_path / "again", b"orphan")
        adapter = adapters.publish(session, assistant, again, [], {}, {})
    assert adapter.name == name
    pruned(database_engine, timedelta())
    assert on_disk() == {name}
    adapter_folder.verify(adapters.folder_of(adapter), adapter.digest)
