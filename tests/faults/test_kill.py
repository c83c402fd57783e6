"""kill -9, one process at a time, in each stage: the next start finishes, and nothing said is lost.

Real processes, the real trainers on a tiny model, and the stand-in engine; tests/cycle kills a trainer
beside the real one.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlmodel import select

from feedback import (
    adapters,
    api_keys,
    assistants,
    conversations,
    corrections,
    cycles,
    exams,
    tickets,
)
from feedback.assistants import Gate, Sampling
from feedback.database import reading, writing
from feedback.settings import feedback_settings
from feedback.tables import (
    Assistant,
    Cycle,
    CycleState,
    Feedback,
    FeedbackKind,
    Message,
    Role,
    Speaker,
    StageState,
)
from tests.conftest import forget_settings
from tests.engine_process import free_port
from tests.service.talk import ask, begin, events, eventually, stream
from tests.stand_in_engine import StandInEngine, stand_in_engine
from tests.training.tiny import tiny_model

FEW_TICKETS = Gate(
    min_tickets=6, zero_tolerance=[], wrong_promotions=0.4, candidates_planned=2, guardrails={}
)
"""A handful of tickets and corrections can only show as much as this; no shop should ask for so little."""

pytestmark = [pytest.mark.cycle, pytest.mark.timeout(300)]

STAGES = ("freeze", "sft", "dpo", "publish", "exam", "promote")
RECIPE = {
    "TRAINING_MAX_STEPS": "4",
    "TRAINING_CHECKPOINT_STEPS": "2",
    "TRAINING_LEASE_SECONDS": "2",
    "TRAINING_POLL_SECONDS": "0.2",
    "TRAINING_MIN_CORRECTIONS": "4",
    "TRAINING_LORA_RANK": "8",
    "TRAINING_PROBE_PROMPTS": "1",
    "TRAINING_PROBE_TOKENS": "4",
    "TRAINING_THREADS": "1",
    "SERVICE_SWAP_POLL_SECONDS": "0.2",
    "FEEDBACK_VALIDATION_PERCENT": "0",
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def engine() -> Iterator[StandInEngine]:
    with stand_in_engine() as running:
        yield running


@pytest.fixture
def shop(
    engine: StandInEngine,
    model: Path,
    var_dir: Path,
    sqlite_template: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Assistant:
    """An assistant with a little feedback and an exam, and the environment of its processes."""
    where = {
        "SERVICE_MODEL": str(model),
        "SERVICE_ENGINE_URL": engine.url,
        "SERVICE_ENGINE_API_KEY": engine.api_key,
        "SERVICE_PORT": str(free_port()),
    }
    for name, value in {**RECIPE, **where}.items():
        monkeypatch.setenv(name, value)
    var_dir.mkdir(parents=True)
    shutil.copy(sqlite_template, var_dir / "understudy.db")
    forget_settings()
    with writing() as session:
        assistant = assistants.create(
            session, "shop", "Shop", str(model), "Be kind.", "test",
            sampling=Sampling(max_tokens=32), gate=FEW_TICKETS, auto_promote=True,
        )  # fmt: skip
        for number in range(8):
            talk = conversations.begin(session, assistant, None, f"customer-{number}")
            conversations.say(
                session, talk, Speaker.CUSTOMER, f"What is the price of item {number}?"
            )
            wrong = conversations.say(session, talk, Speaker.ASSISTANT, "I do not know.")
            corrections.give(
                session, wrong.id, FeedbackKind.CORRECTION, "mara", Role.AGENT,
                text=f"Item {number} costs {number + 3} euros.",
            )  # fmt: skip
        for number in range(8):
            context = [
                {"role": "user", "content": f"Tell me, may I bring back thing {number} later?"}
            ]
            tickets.create(session, assistant, f"t{number}", context, f"Within {number} weeks.")
    return assistant


def start(name: str) -> subprocess.Popen[bytes]:
    with (feedback_settings().var_dir / f"{name}.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "understudy", name],
            cwd=Path(__file__).parents[2],
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.fixture
def running() -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []

    def begin_process(name: str) -> subprocess.Popen[bytes]:
        started.append(start(name))
        return started[-1]

    yield begin_process
    for process in started:
        if process.poll() is None:
            kill(process)


def request(shop: Assistant) -> str:
    with writing() as session:
        return cycles.request(session, shop, "test").id


def cycle_and_stages(cycle_id: str) -> tuple[Cycle, dict[str, Any]]:
    with reading() as session:
        cycle = cycles.get(session, cycle_id)
        return cycle, {stage.name: stage for stage in cycles.stages(session, cycle)}


def reached(cycle_id: str, stage: str) -> bool:
    return stage in cycle_and_stages(cycle_id)[1] or ended(cycle_id) is not None


def ended(cycle_id: str) -> Cycle | None:
    cycle, _ = cycle_and_stages(cycle_id)
    return None if cycle.state in cycles.OPEN else cycle


def test_a_loop_killed_in_any_stage_is_finished_by_the_next(
    shop: Assistant, running: Callable[[str], subprocess.Popen[bytes]], engine: StandInEngine
) -> None:
    cycle_id = request(shop)
    engine.pause_seconds = 0.05  # an exam long enough to be interrupted
    seen: list[str] = []
    for name in STAGES:
        if ended(cycle_id):
            break
        loop = running("loop")
        eventually(partial(reached, cycle_id, name), 90)
        if name in ("sft", "dpo"):
            time.sleep(3)  # well inside the trainer's life
        seen.append(name)
        kill(loop)
    running("loop")
    cycle = eventually(lambda: ended(cycle_id), 120)
    assert cycle.state in (CycleState.PROMOTED, CycleState.REFUSED), cycle.reason
    stages = cycle_and_stages(cycle_id)[1]
    assert all(stage.state == StageState.DONE for stage in stages.values())
    assert {"freeze", "sft", "dpo"} <= set(seen)
    assert any(stage.attempts > 1 for stage in stages.values())
    with reading() as session:
        assert len(adapters.every(session, shop)) == 1
        assert len(session.exec(select(Feedback)).all()) == 8
        runs = exams.runs(session, shop)
        assert [len(exams.answered(session, run)) for run in runs] == [8, 8]
    assert orphans(cycle_id) == []


def orphans(cycle_id: str) -> list[int]:
    """Trainers of this cycle that are still running."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            try:
                line = (process / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if cycle_id in line:
                found.append(int(process.name))
    return found


def test_an_engine_that_dies_in_the_exam_and_comes_back_is_waited_for(
    shop: Assistant,
    running: Callable[[str], subprocess.Popen[bytes]],
    engine: StandInEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TRAINING_STAGES", "sft")
    cycle_id = request(shop)
    engine.pause_seconds = 0.05
    running("loop")
    eventually(lambda: "exam" in cycle_and_stages(cycle_id)[1] and engine.asked, 120)
    engine.down = True
    engine.restart()  # it has forgotten its adapters, too
    time.sleep(3)
    engine.down = False
    cycle = eventually(lambda: ended(cycle_id), 120)
    assert cycle.state in (CycleState.PROMOTED, CycleState.REFUSED), cycle.reason
    with reading() as session:
        for run in exams.runs(session, shop):
            assert all(one.answer.error is None for one in exams.answers(session, run))


def test_a_service_killed_in_the_middle_of_an_answer_loses_nothing_that_was_acknowledged(
    shop: Assistant, running: Callable[[str], subprocess.Popen[bytes]], engine: StandInEngine
) -> None:
    with writing() as session:
        site = api_keys.create(session, "site", Role.CUSTOMER, shop)[1]
        agent = api_keys.create(session, "mara", Role.AGENT, shop)[1]
    url = f"http://127.0.0.1:{os.environ['SERVICE_PORT']}"
    keys = {"Authorization": f"Bearer {site}"}
    service = running("service")
    with httpx.Client(base_url=url, headers=keys, timeout=30, trust_env=False) as http:
        eventually(lambda: answers(http), 60)
        talk = begin(http, customer="ada")["id"]
        first = ask(http, talk, "One", "k1").json()["answer"]
        rated = http.post(f"/v1/messages/{first['id']}/ratings", json={"value": -1})
        corrected = http.post(
            f"/v1/messages/{first['id']}/corrections",
            json={"text": "Item 1 costs 4 euros."},
            headers={"Authorization": f"Bearer {agent}"},
        )
        assert rated.status_code == corrected.status_code == 201
        engine.words, engine.pause_seconds = 30, 0.1
        with pytest.raises(httpx.RemoteProtocolError), stream(http, talk, "Two", "k2") as cut:
            told = events(cut)
            for _ in range(4):
                next(told)
            kill(service)
            list(told)
        engine.pause_seconds = 0.0
        running("service")
        eventually(lambda: answers(http), 60)
        whole = ask(http, talk, "Two", "k2").json()["answer"]
        assert whole["state"] == "complete" and len(whole["text"].split()) == 30
        said = http.get(f"/v1/conversations/{talk}").json()["messages"]
        assert [message["speaker"] for message in said] == ["customer", "assistant"] * 2
    with reading() as session:
        kinds = [row.kind for row in session.exec(select(Feedback).where(
            Feedback.message_id == first["id"]
        ))]  # fmt: skip
        assert sorted(kinds) == ["correction", "rating"]
        assert session.get_one(Message, first["id"]).text == first["text"]


def answers(http: httpx.Client) -> bool:
    try:
        return http.get("/health").is_success
    except httpx.TransportError:
        return False


def test_a_cycle_stopped_by_a_person_ends_as_stopped_and_leaves_no_trainer(
    shop: Assistant, running: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    cycle_id = request(shop)
    running("loop")
    eventually(lambda: "sft" in cycle_and_stages(cycle_id)[1], 60)
    with writing() as session:
        cycles.stop(session, cycles.get(session, cycle_id), "olga")
    cycle = eventually(lambda: ended(cycle_id), 45)
    assert cycle.state == CycleState.STOPPED
    assert "olga" in cycle.reason
    assert orphans(cycle_id) == []
