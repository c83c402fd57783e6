"""The registry: immutable names, whole folders or none, a complete history, lineage both ways."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlmodel import Session

from feedback import adapter_folder, adapters, assistants, conversations, freezing, lineage
from feedback.adapter_folder import MANIFEST, WEIGHTS
from feedback.database import reading, writing
from feedback.errors import Conflict, Invalid, NotFound
from feedback.tables import Adapter, Assistant, Dataset
from tests.feedback.said import (
    NIGHT,
    SHOES,
    SPOON,
    at_the_same_time,
    built_adapter,
    corrected,
    roll_back,
)


def publish(
    session: Session,
    assistant: Assistant,
    built: Path,
    learned: list[Dataset] | None = None,
) -> Adapter:
    return adapters.publish(session, assistant, built, learned or [], {"lr": 1e-3}, {"trl": "1"})


def test_a_published_adapter_is_named_by_version_and_content_and_its_folder_says_so(
    assistant: Assistant, session: Session, tmp_path: Path, var_dir: Path
) -> None:
    corrected(session, assistant, NIGHT, "Air it.")
    learned = list(freezing.freeze(session, assistant))
    adapter = publish(session, assistant, built_adapter(tmp_path / "built"), learned)
    assert adapter.name == f"shop-v1-{adapter.digest[:8]}"
    folder = adapters.folder_of(adapter)
    assert folder == (var_dir / "adapters" / adapter.name).resolve()
    manifest = json.loads((folder / MANIFEST).read_text())
    assert manifest["datasets"] == {dataset.kind: dataset.sha256 for dataset in learned}
    assert not (tmp_path / "built").exists()
    adapter_folder.verify(folder, adapter.digest)


def test_a_publication_that_died_before_its_commit_is_taken_up_under_the_same_name(
    database_engine: Engine, assistant: Assistant, tmp_path: Path
) -> None:
    built = built_adapter(tmp_path / "built")
    with pytest.raises(RuntimeError), writing(database_engine) as session:
        name = publish(session, assistant, built).name
        raise RuntimeError("kill -9")
    with writing(database_engine) as session:
        assert publish(session, assistant, built).name == name
    with reading(database_engine) as session:
        assert [adapter.name for adapter in adapters.every(session, assistant)] == [name]


@pytest.mark.parametrize("own", [0, 1])
def test_the_folder_of_a_cycle_given_up_is_not_mistaken_for_ones_own(
    database_engine: Engine, assistant: Assistant, tmp_path: Path, own: int
) -> None:
    died = []
    for number, question in enumerate((NIGHT, SHOES)):
        with writing(database_engine) as session:
            corrected(session, assistant, question, "So.")
            learned = list(freezing.freeze(session, assistant))
        built = built_adapter(tmp_path / f"built-{number}", weights=bytes([number]))
        with pytest.raises(RuntimeError), writing(database_engine) as session:
            died.append((built, learned, publish(session, assistant, built, learned).name))
            raise RuntimeError("kill -9")
    built, learned, name = died[own]
    with writing(database_engine) as session:
        assert publish(session, assistant, built, learned).name == name


def test_the_same_weights_trained_again_after_a_crash_are_published(
    database_engine: Engine, assistant: Assistant, tmp_path: Path
) -> None:
    with pytest.raises(RuntimeError), writing(database_engine) as session:
        publish(session, assistant, built_adapter(tmp_path / "first"))
        raise RuntimeError("kill -9")
    with writing(database_engine) as session:
        adapter = publish(session, assistant, built_adapter(tmp_path / "second"))
    adapter_folder.verify(adapters.folder_of(adapter), adapter.digest)


def test_an_assistant_whose_name_begins_with_anothers_keeps_its_own_folders(
    database_engine: Engine, make_assistant: Callable[..., Assistant], tmp_path: Path
) -> None:
    shop, other = make_assistant("shop"), make_assistant("shop-v1-shop")
    with pytest.raises(RuntimeError), writing(database_engine) as session:
        publish(session, other, built_adapter(tmp_path / "other"))
        raise RuntimeError("kill -9")
    with writing(database_engine) as session, pytest.raises(Invalid, match="lacks"):
        publish(session, shop, tmp_path / "never-built")


@pytest.mark.parametrize("damage", ["changed", "missing", "foreign", "gone"])
def test_a_folder_that_is_not_what_was_published_is_found_out(
    assistant: Assistant, session: Session, tmp_path: Path, damage: str
) -> None:
    adapter = publish(session, assistant, built_adapter(tmp_path / "built"))
    folder = adapters.folder_of(adapter)
    match damage:
        case "changed":
            (folder / WEIGHTS).write_bytes(b"others")
        case "missing":
            (folder / WEIGHTS).unlink()
        case "foreign":
            (folder / "model.pkl").write_bytes(b"")
        case "gone":
            shutil.rmtree(folder)
    with pytest.raises(Invalid, match=adapter.name):
        adapter_folder.verify(folder, adapter.digest)


def test_an_unfinished_folder_is_not_published(
    assistant: Assistant, session: Session, tmp_path: Path, var_dir: Path
) -> None:
    built = built_adapter(tmp_path / "built")
    (built / WEIGHTS).unlink()
    with pytest.raises(Invalid, match=f"lacks {WEIGHTS}"):
        publish(session, assistant, built)
    assert not list(var_dir.glob("adapters/*"))


def test_the_newest_promotion_is_live_and_rolling_back_is_one_more(
    assistant: Assistant, session: Session, tmp_path: Path
) -> None:
    assert adapters.live(session, assistant) is None
    with pytest.raises(Conflict, match="Nothing was ever promoted"):
        roll_back(session, assistant, "mara", "Why not.")
    one, two = (
        publish(session, assistant, built_adapter(tmp_path / name, name.encode()))
        for name in ("one", "two")
    )
    for adapter in (one, two):
        adapters.promote(session, assistant, adapter, "mara", "Better.")
        assert adapters.live_adapter(session, assistant) == adapter
    roll_back(session, assistant, "jonas", "It forgot the fees.")
    assert adapters.live_adapter(session, assistant) == one
    adapters.promote(session, assistant, None, "jonas", "Start over.")
    assert adapters.live_adapter(session, assistant) is None
    past = adapters.history(session, assistant)
    assert [(row.sequence, row.adapter_id) for row in past] == [
        (4, None),
        (3, one.id),
        (2, two.id),
        (1, one.id),
    ]


def test_the_first_promotion_is_rolled_back_to_the_base_model(
    assistant: Assistant, session: Session, tmp_path: Path
) -> None:
    adapter = publish(session, assistant, built_adapter(tmp_path / "built"))
    adapters.promote(session, assistant, adapter, "mara", "Better.")
    assert roll_back(session, assistant, "mara", "Worse.").adapter_id is None


def test_fifty_promotions_and_rollbacks_leave_a_complete_history(
    database_engine: Engine, assistant: Assistant, tmp_path: Path
) -> None:
    with writing(database_engine) as session:
        made = [
            publish(session, assistant, built_adapter(tmp_path / str(n), bytes([n])))
            for n in range(3)
        ]
    expected: list[str | None] = []
    for number in range(50):
        with writing(database_engine) as session:
            if number % 5 == 4:
                row = roll_back(session, assistant, "mara", f"back {number}")
            else:
                live = adapters.live_adapter(session, assistant)
                other = next(
                    a for a in made[number % 3 :] + made if live is None or a.id != live.id
                )
                row = adapters.promote(session, assistant, other, "mara", f"{number}")
            expected.append(row.adapter_id)
            live = adapters.live_adapter(session, assistant)
            assert (live.id if live else None) == row.adapter_id
    with reading(database_engine) as session:
        past = adapters.history(session, assistant)[::-1]
    assert [row.sequence for row in past] == list(range(1, 51))
    assert [row.adapter_id for row in past] == expected
    assert all(row.approved_by == "mara" and row.reason for row in past)


def test_promotions_from_several_threads_get_numbers_of_their_own(
    database_engine: Engine, assistant: Assistant, tmp_path: Path
) -> None:
    with writing(database_engine) as session:
        made = [
            publish(session, assistant, built_adapter(tmp_path / str(n), bytes([n])))
            for n in range(4)
        ]

    def promoting(adapter: Adapter) -> Callable[[], None]:
        def act() -> None:
            with writing(database_engine) as session:
                owner = assistants.get(session, "shop")
                adapters.promote(session, owner, adapter, "mara", "At once.")

        return act

    assert at_the_same_time(*[promoting(adapter) for adapter in made]) == []
    with reading(database_engine) as session:
        past = adapters.history(session, assistant)
    assert [row.sequence for row in past] == [4, 3, 2, 1]


def test_what_may_not_go_live_is_refused_with_the_reason(
    database_engine: Engine, make_assistant: Callable[..., Assistant], tmp_path: Path
) -> None:
    shop, bakery = make_assistant("shop"), make_assistant("bakery")
    with writing(database_engine) as session:
        adapter = publish(session, shop, built_adapter(tmp_path / "built"))
        with pytest.raises(Conflict, match="belongs to another assistant"):
            adapters.promote(session, bakery, adapter, "mara", "x")
        adapters.promote(session, shop, adapter, "mara", "x")
        with pytest.raises(Conflict, match="is live already"):
            adapters.promote(session, shop, adapter, "mara", "x")
        roll_back(session, shop, "mara", "x")
        with pytest.raises(Conflict, match="'base' is live already"):
            adapters.promote(session, shop, None, "mara", "x")
        shop.base_model = "another/model"
        session.add(shop)
        with pytest.raises(Conflict, match="was trained on 'embedded'"):
            adapters.promote(session, shop, adapter, "mara", "x")
        with pytest.raises(NotFound, match="adapters list"):
            adapters.get(session, "shop-v9-00000000")


def test_who_taught_an_adapter_and_which_adapters_learned_from_a_person(
    assistant: Assistant, session: Session, tmp_path: Path
) -> None:
    words = {
        "wren": corrected(session, assistant, NIGHT, "Air it.", "wren", author="mara"),
        "otis": corrected(session, assistant, SHOES, "Yellow.", "otis", author="jonas"),
    }
    first = publish(
        session, assistant, built_adapter(tmp_path / "1", b"1"),
        list(freezing.freeze(session, assistant)[:2]),
    )  # fmt: skip
    words["tilda"] = corrected(session, assistant, SPOON, "None.", "tilda", author="mara")
    second = publish(
        session, assistant, built_adapter(tmp_path / "2", b"2"),
        list(freezing.freeze(session, assistant)),
    )  # fmt: skip

    def behind(adapter: Adapter) -> list[tuple[str, int]]:
        found = lineage.customers_behind(session, adapter)
        return [(customer.external_id, rows) for customer, rows in found]

    def learned_from(name: str) -> list[str]:
        customer = conversations.customer_named(session, assistant, name)
        return [adapter.name for adapter in lineage.learned_from(session, customer)]

    assert behind(first) == [("otis", 2), ("wren", 2)]
    assert behind(second) == [("otis", 2), ("tilda", 2), ("wren", 2)]
    assert {w.id for w in lineage.feedback_behind(session, first)} == {
        words["wren"].id,
        words["otis"].id,
    }
    assert learned_from("wren") == [first.name, second.name]
    assert learned_from("tilda") == [second.name]
    assert learned_from("stranger") == []
    assert [d.kind for d in adapters.datasets_of(session, first)] == ["sft", "dpo"]


def test_the_last_word_of_an_engine_is_the_newest(
    assistant: Assistant, session: Session, tmp_path: Path
) -> None:
    adapter = publish(session, assistant, built_adapter(tmp_path / "built"))
    assert adapters.last_swap(session, adapter) is None
    adapters.record_swap(session, adapter, "engine-1", False, "Too far off.", 90, 0.7)
    adapters.record_swap(session, adapter, "engine-1", True, "As the trainer.", 90, 1e-4)
    last = adapters.last_swap(session, adapter)
    assert last is not None
    assert (last.verified, last.reason) == (True, "As the trainer.")
