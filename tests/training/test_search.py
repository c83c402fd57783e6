"""A search for a recipe: the real trainers on a tiny model, killed in the middle, gone on with, adopted."""

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from typer.testing import CliRunner

from feedback import assistants, audit, conversations, corrections, freezing
from feedback.database import reading, writing
from feedback.errors import Conflict, Invalid
from feedback.recipes import Recipe
from feedback.settings import FeedbackSettings
from feedback.tables import FeedbackKind, Role, Speaker
from tests.conftest import forget_settings
from tests.training.tiny import tiny_model, write_rows
from training import search_page, search_report, search_space, search_study, search_trial
from training.commands import app
from training.job import ADAPTER, CHECKPOINTS, PROGRESS, job_for, read_job, read_json
from training.measuring import answer_losses
from training.progress import ProgressWriter
from training.rows import answered, read_rows
from training.search_files import (
    REPORT,
    TRIALS,
    Clock,
    Span,
    Spec,
    held,
    read_spec,
    unfinished,
    winner,
    write_spec,
)
from training.search_trial import GRACE_SECONDS, _Looks
from training.settings import TrainingSettings
from training.supervise import TrainingFailed

pytestmark = pytest.mark.timeout(900)
ROOT = Path(__file__).parents[2]
TRIALS_WANTED = 2
ENVIRONMENT = {
    "TRAINING_STAGES": "sft",
    "TRAINING_SFT_EPOCHS": "40",
    "TRAINING_CHECKPOINT_STEPS": "4",
    "TRAINING_THREADS": "1",
    "TRAINING_DEVICE": "cpu",
    "TRAINING_LORA_RANK": "8",
    "FEEDBACK_VALIDATION_PERCENT": "40",
}


def spec_of(**more: Any) -> Spec:
    settings = TrainingSettings()
    values: dict[str, Any] = {
        "assistant": "shop",
        "base_model": "m",
        "settings": settings.model_dump(mode="json"),
        "recipe": {},
        "stages": ["sft", "dpo"],
        "datasets": {"sft": "sft-1", "dpo": "dpo-1"},
        "rows": {"sft": 20, "dpo": 20},
        "validation_rows": 8,
        "start": None,
        "label_noise": None,
        "space": search_space.space_of(settings, ["sft", "dpo"], "m", 16, goes_on=False),
    }
    return Spec(**{**values, **more})


def test_what_is_explored_holds_what_is_in_force_and_what_the_engine_takes() -> None:
    spec = spec_of()
    for name, value in search_space.of_present(spec).items():
        choice = spec.space[name]
        inside = choice.low < value < choice.high if isinstance(choice, Span) else value in choice
        assert inside, name
        assert name in Recipe.model_fields
    assert spec.space["lora_rank"] == [16, 1, 8]
    assert "dpo_beta" in spec.space and "kto_beta" not in spec.space


def test_an_adapter_that_is_gone_on_from_keeps_its_shape() -> None:
    space = search_space.space_of(TrainingSettings(), ["kto"], "m", 16, goes_on=True)
    assert sorted(space) == ["kto_beta", "kto_epochs", "kto_learning_rate"]


def test_only_modules_that_the_model_has_are_explored(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "model")
    assert {"q_proj", "v_proj", "up_proj"} <= search_space.linear_names(folder)
    named = search_space.space_of(TrainingSettings(), ["sft"], str(folder), 16, goes_on=False)
    assert named["lora_modules"] == list(search_space.MODULES)
    unknown = search_space.space_of(TrainingSettings(), ["sft"], "a/hub-id", 16, goes_on=False)
    assert unknown["lora_modules"] == ["all-linear"]


def test_a_trial_says_only_what_is_otherwise_than_set_and_keeps_the_scale(tmp_path: Path) -> None:
    spec = spec_of(recipe={"batch_size": 8})
    study = search_study.opened(tmp_path, spec)
    assert search_space.suggested(study.ask(), spec) == {"batch_size": 8}, "the first is in force"
    for _ in range(20):
        recipe = search_space.suggested(study.ask(), spec)
        assert recipe["batch_size"] == 8
        settings = spec.with_recipe(recipe)
        assert settings.lora_alpha / settings.lora_rank == 2
        common = TrainingSettings().model_dump(mode="json")
        assert all(common[name] != value for name, value in recipe.items())


def test_a_study_is_opened_again_with_half_a_line_and_a_dead_lock_in_it(tmp_path: Path) -> None:
    spec = spec_of()
    study = search_study.opened(tmp_path, spec)
    trial = study.ask()
    recipe = search_space.suggested(trial, spec)
    trial.report(1.5, 1)
    path = tmp_path / "study.jsonl"
    with path.open("ab") as file:
        file.write(b'{"op_code": 4, "work')
    (tmp_path / "study.jsonl.lock").symlink_to(path)
    again = search_study.opened(tmp_path, spec)
    taken = search_study.taken_up(again)
    assert taken is not None and taken.number == 0
    assert search_space.suggested(taken, spec) == recipe
    again.tell(taken, 1.0)
    assert [each.value for each in search_study.whole(search_study.opened(tmp_path, spec))] == [1.0]


def looks(tmp_path: Path, study: optuna.Study, losses: list[float]) -> optuna.Trial:
    """A trial whose validation rows cost so much at each tenth of twenty steps."""
    trial = study.ask()
    run = tmp_path / f"run-{trial.number}"
    run.mkdir()
    with ProgressWriter(run / PROGRESS) as progress:
        progress.write("training", step=0, total=20)
        for tenth, loss in enumerate(losses, 1):
            progress.write("training", step=2 * tenth, total=20, loss=loss)
            progress.write("training", step=2 * tenth, eval_loss=loss)
    _Looks(trial, run).take_in(20)
    return trial


def test_a_trial_that_does_worse_than_most_is_given_up_but_never_the_first(tmp_path: Path) -> None:
    study = search_study.opened(tmp_path, spec_of())
    for number in range(search_study.JUDGED_FROM):
        study.tell(looks(tmp_path, study, [9.0 - tenth / 10 for tenth in range(10)]), float(number))
    looks(tmp_path, study, [8.0] * 10)
    looks(tmp_path, study, [12.0])  # too early to tell
    with pytest.raises(optuna.TrialPruned):
        looks(tmp_path, study, [12.0] * 4)


def test_a_loss_that_is_no_number_is_not_kept_and_is_no_better_than_others(tmp_path: Path) -> None:
    study = search_study.opened(tmp_path, spec_of())
    trial = looks(tmp_path, study, [1.0, math.nan, math.inf])
    study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    kept = search_study.frozen(study, trial.number).intermediate_values
    assert list(kept.values()) == [1.0]
    search_report.write(tmp_path, spec_of(), study, 1, 2, finished=True)


def test_a_trial_whose_folder_holds_another_recipes_run_is_trained_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[float] = []

    def supervised(run: Path, *_: Any, **__: Any) -> dict[str, Any]:
        assert sorted(path.name for path in run.iterdir()) == ["job.json"]
        trained.append(read_job(run).learning_rate)
        (run / "result.json").write_text("{}")
        return {}

    monkeypatch.setattr(search_trial, "supervise", supervised)
    spec = spec_of(stages=["sft"])
    for rate in (1e-3, 2e-3):
        (tmp_path / str(rate)).mkdir()
        trial = search_study.opened(tmp_path / str(rate), spec).ask()
        recipe = {"sft_learning_rate": rate}
        search_trial.learn(trial, recipe, spec, tmp_path / "0000", lambda *_: None, lambda: False)
    assert trained == [1e-3, 2e-3]


def test_the_best_is_one_of_those_measured_on_what_the_newest_was(tmp_path: Path) -> None:
    study = search_study.opened(tmp_path, spec_of())
    for loss, answers in ((2.0, 9), (1.5, 9), (1.8, 8), (1.9, 8)):
        trial = study.ask()
        trial.set_user_attr("answer_nats", [loss] * answers)
        study.tell(trial, loss)
    best = search_study.best(study)
    assert best is not None and best.value == 1.8


def test_where_no_answer_is_left_to_measure_a_trial_fails_in_words() -> None:
    with pytest.raises(TrainingFailed, match="No validation answer could be measured"):
        search_trial.loss_of({"answer_nats": [], "answer_tokens": []})


def test_two_searches_do_not_share_a_folder(tmp_path: Path) -> None:
    with held(tmp_path), pytest.raises(Conflict, match="Another search is at work"), held(tmp_path):
        pass


def test_the_time_is_counted_over_all_starts(tmp_path: Path) -> None:
    first = Clock(tmp_path)
    time.sleep(0.2)
    first.write()
    assert Clock(tmp_path).spent >= 0.2


def test_a_search_that_was_cut_off_is_found_and_one_that_ended_is_not(tmp_path: Path) -> None:
    for name, assistant in (("search-1", "shop"), ("search-2", "shop"), ("search-3", "bakery")):
        write_spec(tmp_path / name, spec_of(assistant=assistant))
    assert unfinished(tmp_path, "shop") == tmp_path / "search-2"
    (tmp_path / "search-2" / REPORT).write_text('{"finished": true}')
    assert unfinished(tmp_path, "shop") == tmp_path / "search-1"
    assert unfinished(tmp_path, "cafe") is None


def test_a_winner_is_adopted_by_its_own_assistant_only(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="holds no search's report"):
        winner(tmp_path, "shop")
    report = {"assistant": "shop", "winner": None}
    (tmp_path / REPORT).write_text(json.dumps(report))
    with pytest.raises(Invalid, match="Found a search for 'shop', expected one for 'bakery'"):
        winner(tmp_path, "bakery")
    with pytest.raises(Invalid, match="No trial of that search came to its end"):
        winner(tmp_path, "shop")


def test_the_report_says_what_mattered_and_by_how_much_the_winner_leads(tmp_path: Path) -> None:
    spec = spec_of()
    study = search_study.opened(tmp_path, spec)
    for _ in range(12):
        trial = study.ask()
        trial.set_user_attr("recipe", search_space.suggested(trial, spec))
        loss = 2 + trial.params["sft_learning_rate"] * 100
        trial.set_user_attr("answer_nats", [loss * 10 + row % 3 for row in range(8)])
        trial.set_user_attr("answer_tokens", [10] * 8)
        trial.set_user_attr("seconds", 30.0)
        study.tell(trial, loss + 0.0875)
    pruned = study.ask()
    pruned.set_user_attr("why", "given up: <worse>")
    study.tell(pruned, state=optuna.trial.TrialState.PRUNED)
    told = search_report.write(tmp_path, spec, study, 400, 600, finished=True)
    assert told["mattered"][0]["name"] == "sft_learning_rate"
    assert told["mattered"][0]["rank_correlation"] == pytest.approx(1)
    assert told["lead"]["mean"] == pytest.approx(told["present"]["loss"] - told["winner"]["loss"])
    assert told["lead"]["low"] <= told["lead"]["mean"] <= told["lead"]["high"]
    page = (tmp_path / "report.html").read_text()
    assert told["winner"]["changes"] and "To train with it from the next cycle on" in page
    assert "given up: &lt;worse&gt;" in page
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", page) and "<script" not in page
    assert search_page.html(json.loads((tmp_path / REPORT).read_text())) == page


def test_answers_are_weighed_as_transformers_weighs_them(tmp_path: Path) -> None:
    base = tiny_model(tmp_path / "base")
    files = {stage: write_rows(tmp_path / f"{stage}.jsonl", stage) for stage in ("sft", "dpo")}
    job = job_for("sft", TrainingSettings(), base_model=str(base), dataset=files["sft"])
    assert answer_losses(None, None, job) == {}, "only where a search asks"
    job = job.model_copy(update={"measured_on": files["sft"], "pairs_on": files["dpo"]})
    model = AutoModelForCausalLM.from_pretrained(base)
    tokenizer = AutoTokenizer.from_pretrained(base)
    told = answer_losses(model, tokenizer, job)
    teaches = '"split": "train"'
    lines = files["sft"].read_text().splitlines()
    validating = write_rows(tmp_path / "validating.jsonl", "sft")
    validating.write_text("\n".join(line for line in lines if teaches not in line))
    without = answer_losses(model, tokenizer, job.model_copy(update={"measured_on": validating}))
    assert without == told, "no row has to teach"
    rows = list(read_rows(job, tokenizer, answered).validation or [])
    assert len(rows) == len(told["answer_nats"]) == 2
    for row, nats, tokens in zip(rows, told["answer_nats"], told["answer_tokens"], strict=True):
        asked = {name: torch.tensor([row[name]]) for name in ("input_ids", "labels")}
        assert nats / tokens == pytest.approx(float(model(**asked).loss.detach()), rel=1e-4)
    assert told["pairs_preferred"] in (0, 0.5, 1)


@dataclass(frozen=True)
class Searched:
    """A search that was killed in its second trial and gone on with by the same command."""

    out: Path
    first_trial: bytes
    steps_when_killed: int
    left_running: list[str]
    report: dict[str, Any]


def of_folder(folder: Path) -> list[str]:
    """Processes that name this folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if f"{folder}/{TRIALS}" in words:
            found.append(words)
    return found


def command(out: Path, *more: str) -> list[str]:
    words = ("training", "search", "--out", str(out), "--minutes", "30", *more)
    return [sys.executable, "-m", "understudy", *words]


@pytest.fixture(scope="module")
def place(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path
) -> Iterator[dict[str, str]]:
    """A shop with corrections of twenty customers, frozen; the environment of its commands."""
    var = tmp_path_factory.mktemp("search") / "var"
    var.mkdir()
    shutil.copy(sqlite_template, var / "understudy.db")
    model = tiny_model(var / "tiny")
    environment = {**ENVIRONMENT, "FEEDBACK_VAR_DIR": str(var), "SERVICE_MODEL": str(model)}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        forget_settings()
        with writing() as session:
            shop = assistants.create(session, "shop", "Shop", str(model), "Be kind.", "test")
            for number in range(20):
                talk = conversations.begin(session, shop, None, f"customer-{number}")
                asked = f"What is the price of item {number} in the {number % 4}th aisle?"
                conversations.say(session, talk, Speaker.CUSTOMER, asked)
                wrong = conversations.say(session, talk, Speaker.ASSISTANT, "I do not know.")
                corrections.give(
                    session, wrong.id, FeedbackKind.CORRECTION, "mara", Role.AGENT,
                    text=f"Item {number} costs {number + 3} euros.",
                )  # fmt: skip
            freezing.freeze(session, shop)
    forget_settings()
    yield environment
    forget_settings()


@pytest.fixture
def here(place: dict[str, str], var_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process looks at that shop, too."""
    for name, value in place.items():
        monkeypatch.setenv(name, value)
    forget_settings()


@pytest.fixture(scope="module")
def searched(place: dict[str, str]) -> Searched:
    out = Path(place["FEEDBACK_VAR_DIR"]) / "runs" / "search-try"
    environment = {**os.environ, **place}
    words = command(out, "--trials", str(TRIALS_WANTED))
    told = out.with_name("told.txt")
    told.parent.mkdir(parents=True, exist_ok=True)
    second = out / TRIALS / "0001" / "sft"
    until = time.monotonic() + 400
    with (
        told.open("wb") as file,
        subprocess.Popen(words, cwd=ROOT, env=environment, stderr=file) as running,
    ):
        while not list(second.glob(f"{CHECKPOINTS}/*/complete.json")):
            assert running.poll() is None, told.read_text()
            assert time.monotonic() < until, "the second trial never came to a checkpoint"
            time.sleep(0.02)
        running.send_signal(signal.SIGKILL)
    steps = last_step(second)
    first = (out / TRIALS / "0000" / "sft" / PROGRESS).read_bytes()
    time.sleep(1)
    left = of_folder(out)
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + done.stdout
    return Searched(out, first, steps, left, read_json(out / REPORT) or {})


def last_step(run: Path) -> int:
    lines = (run / PROGRESS).read_text().splitlines()
    return max(int(json.loads(line).get("step", 0)) for line in lines if line.endswith("}"))


def test_killed_in_the_middle_it_goes_on_where_it_was(searched: Searched) -> None:
    assert searched.left_running == [], "a trainer outlived its search"
    first = searched.out / TRIALS / "0000" / "sft" / PROGRESS
    assert first.read_bytes() == searched.first_trial, "the first trial was trained again"
    log = (searched.out / TRIALS / "0001" / "sft" / "log.txt").read_text()
    assert "resuming from checkpoint-" in log
    assert [each["state"] for each in searched.report["trials"]] == ["whole"] * TRIALS_WANTED


def test_what_wins_is_no_worse_than_what_was_in_force(searched: Searched) -> None:
    report = searched.report
    assert report["trials"][0]["recipe"] == {}, "the first trial is what is in force"
    losses = [each["loss"] for each in report["trials"]]
    assert report["winner"]["loss"] == min(losses) <= report["present"]["loss"] == losses[0]
    assert report["validation_rows"] > 0 and report["finished"]


def test_trials_are_watched_on_the_way_and_leave_no_weights(searched: Searched) -> None:
    for each in searched.report["trials"]:
        assert len(each["looks"]) >= 5
        assert 0 <= each["pairs_preferred"] <= 1
    for name in (ADAPTER, CHECKPOINTS):
        assert list(searched.out.glob(f"{TRIALS}/*/*/{name}")) == []


@pytest.mark.usefixtures("here")
def test_the_winner_becomes_the_assistants_by_an_operators_act(searched: Searched) -> None:
    with writing() as session:
        assistants.change(
            session, assistants.get(session, "shop"), recipe={"sft_epochs": 39, "patience": 3}
        )
    words = ["recipe", "set", "--from-search", str(searched.out), "--by", "olga"]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    with reading() as session:
        owner = assistants.get(session, "shop")
        [entry] = audit.every(session, [owner.id], act="assistant.change")
    assert owner.recipe == {**searched.report["winner"]["recipe"], "patience": 3}
    explored = searched.report["space"]
    assert set(explored) < set(owner.recipe), "also what is as set today"
    assert entry.subject == "shop: recipe"
    assert entry.detail == {
        "before": {"sft_epochs": 39, "patience": 3},
        "after": owner.recipe,
        "by": "olga",
        "search": "search-try",
    }


def test_the_budget_is_kept_and_what_it_cut_off_is_said(
    searched: Searched, place: dict[str, str]
) -> None:
    """One more trial is begun, in a copy of the search, with time for a part of it."""
    out = searched.out.with_name("search-brief")
    shutil.copytree(searched.out, out)
    spec, study = read_spec(out), None
    assert spec is not None
    study = search_study.opened(out, spec)
    quickest = min(each.user_attrs["seconds"] for each in search_study.whole(study))
    before = Clock(out).spent
    minutes = (before + quickest + 1) / 60
    words = ["training", "search", "--out", str(out), "--minutes", f"{minutes:.4f}"]
    slower = {**place, "TRAINING_SFT_EPOCHS": "400"}  # not heard: a search keeps what it began with
    subprocess.run(
        [sys.executable, "-m", "understudy", *words],
        cwd=ROOT, env={**os.environ, **slower}, check=True, capture_output=True,
    )  # fmt: skip
    report = read_json(out / REPORT) or {}
    assert report["spent_seconds"] <= minutes * 60 + GRACE_SECONDS + 5
    assert len(report["trials"]) == TRIALS_WANTED + 1
    assert report["finished"]


@pytest.mark.usefixtures("here")
def test_a_stage_by_hand_is_trained_with_the_recipe(tmp_path: Path) -> None:
    with writing() as session:
        shop = assistants.get(session, "shop")
        assistants.change(session, shop, recipe={"lora_rank": 1, "sft_epochs": 1})
        frozen = freezing.freeze(session, shop)
    words = ["sft", frozen.sft.name, "--out", str(tmp_path / "run")]
    assert CliRunner().invoke(app, words, catch_exceptions=False).exit_code == 0
    job = read_json(tmp_path / "run" / "job.json") or {}
    assert (job["lora_rank"], job["epochs"]) == (1, 1)
    with writing() as session:
        assistants.change(session, assistants.get(session, "shop"), recipe={})


@pytest.mark.usefixtures("here")
def test_without_validation_rows_nothing_is_searched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FEEDBACK_VALIDATION_PERCENT", "0")
    forget_settings()
    assert FeedbackSettings().validation_percent == 0
    with writing() as session:
        frozen = freezing.freeze(session, assistants.get(session, "shop"))
    with pytest.raises(Invalid, match="no validation rows to measure recipes on"):
        CliRunner().invoke(
            app,
            ["search", "--out", str(tmp_path / "none"), "--dataset", frozen.sft.name],
            catch_exceptions=False,
        )
