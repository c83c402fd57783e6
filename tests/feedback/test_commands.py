"""The command line of the store: what it prints, for people and for scripts."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from sqlalchemy import Engine
from typer.main import get_command
from typer.testing import CliRunner

from feedback import (
    adapter_commands,
    adapters,
    assistants,
    audit,
    commands,
    corrections,
    cycles,
    freezing,
    promotions,
    staff,
    tickets,
)
from feedback.database import reading, writing
from feedback.errors import Conflict, Invalid, NotFound
from feedback.tables import Adapter, Assistant
from tests.feedback.said import NIGHT, SHOES, answered, built_adapter, corrected, long_ago
from training.commands import app as training_app

EXAMPLES = Path(__file__).parents[2] / "examples" / "puddle_and_pine"

pytestmark = pytest.mark.parametrize("database_engine", ["sqlite"], indirect=True)


def run(app: typer.Typer, *words: str) -> str:
    """What a command prints; what it raises is raised."""
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def feedback(*words: str) -> str:
    return run(commands.app, *words)


def as_json(app: typer.Typer, *words: str) -> Any:
    return json.loads(run(app, *words, "--json"))


@pytest.fixture
def shop(assistant: Assistant, database_engine: Engine, tmp_path: Path) -> list[Adapter]:
    """Two published adapters; the second one learned from another customer too."""
    made = []
    for name, question in (("wren", NIGHT), ("otis", SHOES)):
        with writing(database_engine) as session:
            corrected(session, assistant, question, f"As {name} knows.", name)
            learned = list(freezing.freeze(session, assistant))
            built = built_adapter(tmp_path / name, name.encode())
            made.append(adapters.publish(session, assistant, built, learned, {}, {}))
    return made


def every_command(app: typer.Typer) -> Iterator[list[str]]:
    def walk(command: Any, path: list[str]) -> Iterator[list[str]]:
        yield path
        for name, child in getattr(command, "commands", {}).items():
            yield from walk(child, [*path, name])

    yield from walk(get_command(app), [])


@pytest.mark.parametrize("app", [commands.app, adapter_commands.app], ids=["feedback", "adapters"])
def test_every_command_explains_itself_and_shows_an_example(
    database_engine: Engine, app: typer.Typer
) -> None:
    for path in every_command(app):
        shown = run(app, *path, "--help")
        assert "Usage:" in shown
        is_group = "Commands" in shown
        assert is_group or "understudy " in shown.split("Examples")[-1], path


def test_a_shop_is_set_up_from_its_files(database_engine: Engine) -> None:
    assert "newest schema" in feedback("migrate")
    feedback("assistants", "create", "--file", str(EXAMPLES / "assistant.toml"))
    made = as_json(commands.app, "assistants", "show", "puddle-and-pine")
    assert made["base_model"] == "embedded"
    assert made["sampling"]["max_tokens"] == 64
    assert len(made["topics"]) == 15
    exam = str(EXAMPLES / "tickets.jsonl")
    assert "Would import 40 tickets" in feedback("import", "tickets", exam, "--dry-run")
    assert "Imported 40 tickets; 0 already there." in feedback("import", "tickets", exam)
    assert "Imported 0 tickets; 40 already there." in feedback("import", "tickets", exam)
    past = [str(EXAMPLES / "past_tickets.csv"), "--map", "id=Ticket No", "--map", "agent=Agent"]
    shown = feedback(
        "import", "conversations", *past, "--map", "question=Question", "--map", "answer=Reply"
    )
    assert "Imported 20 conversations" in shown
    assert "Columns not used: Opened, Customer E-mail, Subject." in shown
    feedback("tickets", "retire", "t07")
    assert len(as_json(commands.app, "tickets", "list")) == 39
    assert len(as_json(commands.app, "tickets", "list", "--retired")) == 40
    assert len(as_json(commands.app, "list", "--kind", "demonstration")) == 20
    assert as_json(commands.app, "list", "--since", "2999-01-01") == []


def test_an_option_wins_over_the_file_and_a_wrong_key_is_named(
    database_engine: Engine, tmp_path: Path
) -> None:
    file = tmp_path / "bot.toml"
    file.write_text('name = "bot"\nprompt = "Hi."\n[sampling]\ntemprature = 0.2\n')
    with pytest.raises(Invalid, match=r"bot\.toml, key 'sampling\.temprature'"):
        feedback("assistants", "create", "--file", str(file))
    file.write_text('name = "bot"\nprompt = "Hi."\nbase_model = "a/b"\n')
    feedback("assistants", "create", "robot", "--file", str(file), "--base-model", "c/d")
    [made] = as_json(commands.app, "assistants", "list")
    assert (made["name"], made["base_model"], made["live"]) == ("robot", "c/d", "base")
    feedback("assistants", "set-prompt", "robot", "Be brief.", "--by", "mara")
    shown = as_json(commands.app, "assistants", "show", "robot")
    assert (shown["prompt"], shown["prompt_version"]) == ("Be brief.", 2)
    with pytest.raises(Invalid, match="needs a name and a prompt"):
        feedback("assistants", "create")


def test_the_secret_of_a_key_is_printed_once(assistant: Assistant) -> None:
    shown = feedback("keys", "create", "--role", "customer", "--name", "site", "--json")
    made = json.loads(shown)
    assert made["secret"].startswith("us-customer-")
    listed = feedback("keys", "list", "--json")
    assert made["secret"] not in listed
    assert "sha256" not in listed
    feedback("keys", "revoke", made["id"])
    assert json.loads(feedback("keys", "list", "--json"))[0]["revoked_at"]


def test_feedback_of_every_kind_is_given_and_shown(
    assistant: Assistant, database_engine: Engine
) -> None:
    with writing(database_engine) as session:
        question, answer = answered(session, assistant, NIGHT, "Burn it.", "wren")
    feedback("give", "rate", answer.id, "--down", "--author", "mara")
    feedback("give", "flag", answer.id, "unsafe", "--author", "mara", "--note", "Really.")
    feedback("give", "correct", answer.id, "Air it.", "--author", "mara")
    assert "it replaces" in feedback("give", "correct", answer.id, "Wash it.", "--author", "mara")
    feedback("give", "approve", answer.id, "--author", "jonas")
    feedback("give", "demonstrate", question.id, "Air it.", "--author", "mara")
    with reading(database_engine) as session:
        words = corrections.about_message(session, answer.id)
    feedback("give", "withdraw", words[-1].id, "--author", "jonas")
    listed = as_json(commands.app, "list", "--state", "active")
    assert {word["kind"] for word in listed} == {"rating", "flag", "correction", "demonstration"}
    assert "correction (superseded)" in re.sub(r"\s+", " ", feedback("list"))
    shown = as_json(commands.app, "show", answer.id)
    assert shown["said"] == [f"customer: {NIGHT}", "assistant: Burn it."]
    assert len(shown["feedback"]) == 5
    assert any("unsafe (Really.)" in sentence for sentence in shown["feedback"])


def test_datasets_are_frozen_shown_and_exported(shop: list[Adapter], tmp_path: Path) -> None:
    frozen = as_json(commands.app, "datasets", "freeze")
    assert frozen == as_json(commands.app, "datasets", "freeze")
    assert [dataset["kind"] for dataset in frozen] == ["sft", "dpo", "kto"]
    name = frozen[0]["name"]
    assert name in {found["name"] for found in as_json(commands.app, "datasets", "list")}
    first = as_json(commands.app, "datasets", "show", name)["first"]
    assert {row["question"] for row in first} == {NIGHT, SHOES}
    target = tmp_path / "sft.jsonl"
    feedback("datasets", "export", name, "--to", str(target))
    assert len(target.read_text().splitlines()) == 2
    feedback("datasets", "export", name, "--format", "folder", "--to", str(tmp_path / "sft"))
    assert name in (tmp_path / "sft" / "README.md").read_text()
    explained = as_json(commands.app, "datasets", "explain", name)
    assert [row["number"] for row in explained if row["number"]] == [2, 2]
    same = as_json(commands.app, "datasets", "diff", name, name)
    assert (same["same"], same["added"], same["changes"]) == (2, 0, [])


def test_what_is_too_close_to_the_exam_is_listed_with_its_ticket(
    shop: list[Adapter], assistant: Assistant, database_engine: Engine
) -> None:
    assert as_json(commands.app, "datasets", "near-copies") == []
    with writing(database_engine) as session:
        tickets.create(session, assistant, "t1", [{"role": "user", "content": NIGHT}], "Air it.")
    feedback("datasets", "freeze")
    [pair] = as_json(commands.app, "datasets", "near-copies")
    assert (pair["question"], pair["exam_question"]) == (NIGHT, NIGHT)
    assert (pair["ticket"], pair["similarity"], pair["method"]) == ("t1", 1.0, "trigrams")
    assert NIGHT.split()[0] in feedback("datasets", "near-copies")


def test_lineage_is_one_command_in_each_direction(shop: list[Adapter]) -> None:
    taught = as_json(commands.app, "who-taught", shop[1].name)
    assert [row["customer"] for row in taught["customers"]] == ["otis", "wren"]
    assert taught["authors"] == ["mara"]
    learned = as_json(commands.app, "learned-from", "wren")
    assert [row["adapter"] for row in learned] == [adapter.name for adapter in shop]
    assert len(as_json(commands.app, "learned-from", "otis")) == 1
    with pytest.raises(NotFound, match="no customer 'nobody'"):
        feedback("learned-from", "nobody")


def carry_out(database_engine: Engine) -> None:
    """What a running service does once its engines compute what was asked for."""
    with writing(database_engine) as session:
        for asked in [promotions.waiting(session, each) for each in assistants.every(session)]:
            if asked:
                promotions.carry_out(session, asked.id)


def test_promoting_and_rolling_back_say_what_changed(
    shop: list[Adapter], database_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "feedback.promotions.time.sleep", lambda _seconds: carry_out(database_engine)
    )
    app, who = adapter_commands.app, ["--by", "mara", "--reason", "Better."]
    one, two = (adapter.name for adapter in shop)
    shown = run(app, "promote", one, *who)
    assert f"Asked for by mara: base → {one}." in shown and f"{one} is live." in shown
    assert f"{two} is live." in run(app, "promote", two, *who)
    with pytest.raises(Conflict, match="is live now"):
        run(app, "rollback", "--expected", one, *who)
    with pytest.raises(Conflict, match="is live now"):
        run(app, "promote", one, "--expected", "base", *who)
    assert f"{two} → {one}" in run(app, "rollback", "--expected", two, *who)
    assert "base is live." in run(app, "rollback", "--to", "base", *who)
    past = as_json(app, "history")
    assert [row["adapter"] for row in past] == ["base", one, two, one]
    assert [row["live"] for row in as_json(app, "list")] == [False, False]
    asked = as_json(app, "requests")
    assert [row["state"] for row in asked] == ["done"] * 4


def test_a_promotion_for_the_other_topics_only_says_so_everywhere(
    shop: list[Adapter], database_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "feedback.promotions.time.sleep", lambda _seconds: carry_out(database_engine)
    )
    app, who = adapter_commands.app, ["--by", "mara", "--reason", "Better."]
    one, two = (adapter.name for adapter in shop)
    with writing(database_engine) as session:
        assistants.get(session, "shop").topics = ["refunds", "fees", "returns"]
    run(app, "promote", one, *who)
    with pytest.raises(Invalid, match="'tents'"):
        run(app, "promote", two, "--except-topic", "tents", *who)
    shown = run(app, "promote", two, "--except-topic", "fees", "--except-topic", "refunds", *who)
    assert f"{two} is live, all but refunds, fees." in shown
    said = f"all but refunds and fees (these stay with {one})"
    assert {row["name"]: row["answers"] for row in as_json(app, "list")} == {
        one: "refunds, fees",
        two: said,
    }
    assert [row["answers"] for row in as_json(app, "history")] == [said, "all topics"]
    assert said in as_json(app, "show", two)["promotions"][0]
    [newest, _] = as_json(app, "requests")
    assert newest["except_topics"] == "refunds, fees"
    with writing(database_engine) as session:
        [entry] = [each for each in audit.every(session) if "except_topics" in each.detail]
        assert entry.detail["except_topics"] == ["fees", "refunds"]


def test_without_a_service_a_promotion_waits_and_says_so(shop: list[Adapter]) -> None:
    app, who = adapter_commands.app, ["--by", "mara", "--reason", "Better.", "--wait", "0"]
    assert "No service has decided yet" in run(app, "promote", shop[0].name, *who)
    assert as_json(app, "history") == []
    [asked] = as_json(app, "requests")
    assert (asked["adapter"], asked["state"]) == (shop[0].name, "waiting")


def test_a_promotion_the_engines_refuse_is_an_error_with_their_reason(
    shop: list[Adapter], database_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_seconds: float) -> None:
        with writing(database_engine) as session:
            asked = promotions.waiting(session, assistants.get(session, "shop"))
            assert asked is not None
            promotions.refuse(session, asked.id, "It differs from the trainer's.")

    monkeypatch.setattr("feedback.promotions.time.sleep", refuse)
    with pytest.raises(Conflict, match=r"nothing changed: It differs"):
        run(adapter_commands.app, "promote", shop[0].name, "--by", "mara", "--reason", "Better.")
    assert as_json(adapter_commands.app, "history") == []


def test_a_changed_adapter_is_shown_as_such(shop: list[Adapter]) -> None:
    app = adapter_commands.app
    shown = as_json(app, "show", shop[0].name)
    assert shown["files"] == "as they were published"
    assert (shown["corrections"], len(shown["datasets"])) == (1, 3)
    (adapters.folder_of(shop[0]) / "probe.json").write_text("[1]")
    assert "was changed" in as_json(app, "show", shop[0].name)["files"]


def test_pruning_says_what_would_go_and_why_and_removes_it_only_when_told_to(
    shop: list[Adapter], assistant: Assistant, database_engine: Engine
) -> None:
    app = adapter_commands.app
    assert "Nothing may go." in run(app, "prune")
    with writing(database_engine) as session:
        adapters.promote(session, assistant, shop[1], "mara", "Better.")
        long_ago(session)
    shown = " ".join(run(app, "prune").split())
    assert "Would remove the files of 1 adapter, 0.0 MB." in shown
    assert "It never went live and sat no exam." in shown
    assert "is live" in shown
    assert "Nothing was changed." in shown
    assert adapters.folder_of(shop[0]).is_dir()
    would = as_json(app, "prune")
    assert [each["adapter"] for each in would["remove"]] == [shop[0].name]
    assert [each["adapter"] for each in would["keep"]] == [shop[1].name]
    did = as_json(app, "prune", "--yes")
    assert did["removed"] == would["remove"]
    assert did["keep"] == would["keep"]
    assert did["left_to_the_loop"] == []
    assert not adapters.folder_of(shop[0]).exists()
    assert as_json(app, "show", shop[0].name)["files"].startswith("removed on 20")
    assert [bool(row["files_removed"]) for row in as_json(app, "list")] == [False, True]
    assert "Removed the files of 0 adapters" in run(app, "prune", "--yes")
    with reading(database_engine) as session:
        [note] = audit.every(session, act="adapter.prune")
    assert (note.subject, note.role) == (shop[0].name, "command line")


def test_with_two_assistants_one_must_be_named(shop: list[Adapter]) -> None:
    with writing() as session:
        assistants.create(session, "bakery", "Bakery", "embedded", "Hi.", "x")
    with pytest.raises(Invalid, match="there are 2: 'bakery', 'shop'"):
        feedback("tickets", "list")
    assert as_json(commands.app, "list", "-a", "bakery") == []


def test_a_mapping_that_is_no_pair_is_explained(assistant: Assistant, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="expected field=Column"):
        feedback("import", "tickets", str(tmp_path / "x.csv"), "--map", "question")


def acts() -> list[tuple[str, str, str | None, Any]]:
    """What the log says, oldest first: act, subject, assistant, who is said to do it."""
    with reading() as session:
        entries = audit.every(session, limit=None)
        names = {each.id: each.name for each in assistants.every(session)}
    assert {entry.role for entry in entries} <= {"command line"}
    return [
        (one.act, one.subject, names.get(one.assistant_id or ""), one.detail.get("by"))
        for one in reversed(entries)
    ]


def test_what_staff_do_on_the_command_line_is_in_the_audit_log(
    assistant: Assistant, database_engine: Engine, shop: list[Adapter]
) -> None:
    with writing(database_engine) as session:
        asked, answer = answered(session, assistant, SHOES)
    _, second = shop
    wait = ["--reason", "Better.", "--wait", "0"]
    run(adapter_commands.app, "promote", second.name, "--by", "olga", *wait)
    run(adapter_commands.app, "rollback", "--by", "olga", *wait)
    key = as_json(
        commands.app, "keys", "create", "--role", "agent", "--name", "web", "--assistant", "shop"
    )
    feedback("keys", "revoke", key["id"])
    feedback("assistants", "create", "bakery", "--prompt", "Bake.", "--by", "olga")
    feedback("assistants", "set-prompt", "bakery", "Bake well.", "--by", "olga")
    exam = str(EXAMPLES / "tickets.jsonl")
    feedback("import", "tickets", exam, "-a", "bakery", "--dry-run")
    feedback("import", "tickets", exam, "-a", "bakery")
    feedback("tickets", "retire", "t07", "-a", "bakery")
    feedback("give", "demonstrate", asked.id, "In yellow.", "--author", "mara")
    feedback("give", "approve", answer.id, "--author", "mara")
    with reading(database_engine) as session:
        word = corrections.about_message(session, answer.id)[0]
    feedback("give", "withdraw", word.id, "--author", "mara")
    run(training_app, "request", "-a", "shop", "--by", "olga")
    with reading(database_engine) as session:
        [cycle] = cycles.every(session, assistant)
    run(training_app, "stop", cycle.id, "--by", "olga")
    assert acts() == [
        ("adapter.promote", second.name, "shop", "olga"),
        ("adapter.roll_back", "base", "shop", "olga"),
        ("key.create", f"key {key['id']}", "shop", None),
        ("key.revoke", f"key {key['id']}", "shop", None),
        ("assistant.create", "bakery", "bakery", "olga"),
        ("assistant.change", "bakery: prompt", "bakery", "olga"),
        ("import.tickets", "file tickets.jsonl", "bakery", None),
        ("ticket.retire", "ticket t07", "bakery", None),
        ("feedback.demonstration", f"message {asked.id}", "shop", "mara"),
        ("feedback.approval", f"message {answer.id}", "shop", "mara"),
        ("feedback.withdraw", f"message {answer.id}", "shop", "mara"),
        ("cycle.request", f"cycle {cycle.id}", "shop", "olga"),
        ("cycle.stop", f"cycle {cycle.id}", "shop", "olga"),
    ]


def test_a_person_is_erased_after_a_look_and_the_certificate_is_kept(
    shop: list[Adapter], tmp_path: Path
) -> None:
    first, second = shop
    found = as_json(commands.app, "lineage", "--customer", "wren")
    assert {each["name"] for each in found["adapters"]} == {first.name, second.name}
    behind = as_json(commands.app, "lineage", "--adapter", second.name)
    assert behind["customers"] == {"otis": 2, "wren": 2}
    shown = as_json(commands.app, "erase", "--customer", "wren", "--dry-run")
    assert shown["removed"]["conversation"] == 1 and len(shown["adapters"]) == 2
    with pytest.raises(Invalid, match="no --reason"):
        feedback("erase", "--customer", "wren", "--yes")
    told = feedback("erase", "--customer", "wren", "--by", "mara", "--reason", "Asked.", "--yes")
    assert first.name in told and "nothing was found" in told
    [row] = as_json(commands.app, "erasures", "list")
    feedback("erasures", "show", row["id"], "--certificate", str(tmp_path / "wren.md"))
    assert row["id"] in (tmp_path / "wren.md").read_text()
    assert "come to its end" in feedback("erasures", "finish")
    with pytest.raises(NotFound, match="They were erased on"):
        feedback("erase", "--customer", "wren", "--dry-run")
    assert "Nothing is older" in feedback("erase", "--expired")


def test_topics_are_set_and_a_conversations_is_named_on_the_command_line(
    database_engine: Engine, assistant: Assistant
) -> None:
    with writing(database_engine) as session:
        asked, _ = answered(session, assistant, NIGHT)
        staff.invite(session, "mara@example.com", "Mara", "test")
    said = feedback("assistants", "set-topics", "shop", "care", "returns", "--by", "olga")
    assert said == "shop: care, returns.\n"
    assert as_json(commands.app, "assistants", "show", "shop")["topics"] == ["care", "returns"]
    about = ("desk", "topic", asked.conversation_id)
    assert feedback(*about, "care", "--by", "mara@example.com") == "It is about 'care'.\n"
    with pytest.raises(Invalid, match="'weather'"):
        feedback(*about, "weather", "--by", "mara@example.com")
    assert feedback(*about, "--by", "mara@example.com") == "It has no topic.\n"
    with reading(database_engine) as session:
        done = [entry.act for entry in audit.every(session)]
    assert done.count("conversation.topic") == 2 and done.count("assistant.change") == 1
