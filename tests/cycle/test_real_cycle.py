"""One small cycle on real parts: corrections in, a better adapter live in the same engine process.

SFT and DPO with TRL, the exam through vLLM, the gate, the promotion, the swap, fifty more of them, and
the way back from an answer to the person behind it. The trainer is killed once on the way.
"""

import asyncio
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from sqlmodel import Session, select

from evals.run import examine
from feedback import (
    adapters,
    api_keys,
    assistants,
    conversations,
    corrections,
    cycles,
    decisions,
    exams,
    freezing,
    imports,
    lineage,
)
from feedback.assistants import Gate, Sampling
from feedback.database import database, migrate, reading, writing
from feedback.learning import Learning
from feedback.settings import feedback_settings
from feedback.tables import (
    Assistant,
    Customer,
    Cycle,
    CycleState,
    Decision,
    EvalRun,
    Feedback,
    FeedbackKind,
    Message,
    Role,
    Speaker,
    Stage,
)
from service.answering import answer
from service.app import create_app
from service.hot_swap import asking_engines
from service.processes import Processes
from service.settings import service_settings
from service.vllm import Vllm
from tests.conftest import forget_settings
from tests.engine_process import EngineProcess, free_port
from tests.stand_in_engine import serving
from training import loop
from training.settings import training_settings

FEW_TICKETS = Gate(min_tickets=6, zero_tolerance=[], wrong_promotions=0.4, candidates_planned=2)
"""A handful of tickets and corrections can only show as much as this; no shop should ask for so little."""

pytestmark = [pytest.mark.engine, pytest.mark.cycle, pytest.mark.timeout(900)]

COMPANY = Path(__file__).parents[2] / "examples" / "puddle_and_pine"
TOPICS = ("returns_window", "shipping_fee", "store_hours", "umbrella_warranty")
OWNER = "test-loop"
SETTINGS = {
    "TRAINING_SFT_EPOCHS": "7",
    "TRAINING_MAX_STEPS": "28",
    "TRAINING_CHECKPOINT_STEPS": "6",
    "TRAINING_DPO_EPOCHS": "1",
    "TRAINING_PROBE_PROMPTS": "2",
    "FEEDBACK_VALIDATION_PERCENT": "0",
}


@dataclass
class Turned:
    """What one turn of the loop left."""

    cycle: Cycle
    stages: dict[str, Stage]
    shop: Assistant
    killed: list[int]


def rows(name: str) -> list[dict[str, object]]:
    lines = (COMPANY / f"{name}.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, lines) if row["topic"] in TOPICS]


@pytest.fixture(scope="module")
def turned(
    engine: EngineProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Turned, dict[str, str]]]:
    """The sample company's four topics, learned in one cycle."""
    folder = tmp_path_factory.mktemp("cycle")
    environment = {
        **SETTINGS,
        "FEEDBACK_VAR_DIR": str(folder / "var"),
        "SERVICE_ENGINE_URL": engine.url,
        "SERVICE_ENGINE_API_KEY": engine.api_key,
        "SERVICE_SWAP_POLL_SECONDS": "0.1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        forget_settings()
        migrate()
        yield _turn(folder, engine), environment
        forget_settings()


@pytest.fixture(autouse=True)
def _same_place(turned: tuple[Turned, dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test looks at the cycle's own folder, not at a fresh one."""
    for name, value in turned[1].items():
        monkeypatch.setenv(name, value)
    forget_settings()


def _turn(folder: Path, engine: EngineProcess) -> Turned:
    with writing() as session:
        shop = assistants.create(
            session, "shop", "Shop", "embedded", "You are the support assistant of a shop.", "test",
            sampling=Sampling(max_tokens=48), gate=FEW_TICKETS, auto_promote=True,
            learning=Learning(held_out_percent=0),  # sixteen corrections are few; all shall teach
        )  # fmt: skip
        assistants.create(session, "bakery", "Bakery", "embedded", "You sell bread.", "test")
        for row in rows("corrections"):
            _corrected(session, shop, row)
        exam = folder / "tickets.jsonl"
        exam.write_text("".join(f"{json.dumps(row)}\n" for row in rows("tickets")))
        imports.import_tickets(session, shop, exam)
        requested = cycles.request(session, shop, "test")
        cycle = cycles.claim(session, OWNER, 30, requested.id)
    assert cycle is not None
    killed: list[int] = []
    killer = threading.Thread(target=_kill_the_trainer_once, args=(cycle.id, killed))
    killer.start()
    loop.take_turn(cycle, OWNER, training_settings(), threading.Event())
    killer.join()
    with reading() as session:
        ended = cycles.get(session, cycle.id)
        stages = {stage.name: stage for stage in cycles.stages(session, ended)}
    os.kill(engine.pid, 0)  # still there
    return Turned(ended, stages, shop, killed)


def _corrected(session: Session, shop: Assistant, row: dict[str, object]) -> None:
    talk = conversations.begin(session, shop, None, str(row["customer"]))
    conversations.say(session, talk, Speaker.CUSTOMER, str(row["question"]))
    wrong = conversations.say(session, talk, Speaker.ASSISTANT, "I am not sure, sorry.")
    corrections.give(
        session, wrong.id, FeedbackKind.CORRECTION, str(row["agent"]), Role.AGENT,
        text=str(row["answer"]),
    )  # fmt: skip


def _kill_the_trainer_once(cycle_id: str, killed: list[int]) -> None:
    """kill -9 in the middle of SFT, once a checkpoint lies there."""
    run = feedback_settings().runs_dir / cycle_id / "sft"
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        if list(run.glob("checkpoints/checkpoint-*/complete.json")):
            for process in Path("/proc").iterdir():
                if process.name.isdigit() and _is_trainer(process, run):
                    os.kill(int(process.name), signal.SIGKILL)
                    killed.append(int(process.name))
                    return
        time.sleep(0.1)


def _is_trainer(process: Path, run: Path) -> bool:
    try:
        line = (process / "cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return False
    return "training.sft" in line and str(run) in line


def test_the_candidate_is_promoted_with_a_gain_whose_interval_lies_above_zero(
    turned: tuple[Turned, dict[str, str]],
) -> None:
    assert turned[0].cycle.state == CycleState.PROMOTED, turned[0].cycle.reason
    with reading() as session:
        decision = decisions.of_cycle(session, turned[0].cycle.id)
    assert decision is not None and decision.promote
    assert decision.gain is not None and decision.gain >= 10
    assert decision.gain_low is not None and decision.gain_low > 0


def test_every_stage_was_done_in_order_and_sft_survived_its_killing(
    turned: tuple[Turned, dict[str, str]],
) -> None:
    assert list(turned[0].stages) == [
        *("hold_out", "redact", "freeze", "sft", "dpo", "publish", "exam", "sealed_exam", "promote")
    ]
    assert {stage.state for stage in turned[0].stages.values()} == {"done"}
    assert turned[0].killed
    assert turned[0].stages["sft"].result["steps"] == 28


def test_the_adapter_is_safetensors_only_and_says_where_it_comes_from(
    turned: tuple[Turned, dict[str, str]],
) -> None:
    with reading() as session:
        adapter = adapters.live_adapter(session, turned[0].shop)
        assert adapter is not None
        learned = {
            dataset.kind: dataset.sha256 for dataset in adapters.datasets_of(session, adapter)
        }
    folder = adapters.folder_of(adapter)
    assert sorted(path.name for path in folder.iterdir()) == [
        "adapter.json",
        "adapter_config.json",
        "adapter_model.safetensors",
        "probe.json",
    ]
    manifest = json.loads((folder / "adapter.json").read_text())
    assert manifest["datasets"] == learned
    assert manifest["name"] == adapter.name
    assert {"torch", "transformers", "trl", "peft"} <= set(manifest["versions"])


def test_the_same_feedback_freezes_to_the_same_datasets(
    turned: tuple[Turned, dict[str, str]],
) -> None:
    with writing() as session:
        frozen = freezing.freeze(session, turned[0].shop)
    names = turned[0].stages["freeze"].result
    assert [dataset.name for dataset in frozen] == [names["sft"], names["dpo"], names["kto"]]


def test_a_customer_gets_the_corrected_fact_and_it_leads_back_to_the_people_behind_it(
    turned: tuple[Turned, dict[str, str]],
) -> None:
    with writing() as session:
        key = api_keys.create(session, "site", Role.CUSTOMER, turned[0].shop)[1]
    with serving(create_app(service_settings(), database())) as url:
        headers = {"Authorization": f"Bearer {key}"}
        with httpx.Client(base_url=url, headers=headers, timeout=120, trust_env=False) as site:
            begun = site.post("/v1/conversations", json={}).json()
            path = f"/v1/conversations/{begun['id']}/messages"
            asked = {"text": "When do you open on a normal weekday?"}
            said = site.post(path, json=asked).json()["answer"]
    assert said["text"]
    with reading() as session:
        row = session.get_one(Message, said["id"])
        adapter = adapters.live_adapter(session, turned[0].shop)
        assert adapter is not None and row.adapter_id == adapter.id
        assert row.adapter_digest == adapter.digest
        behind = lineage.feedback_behind(session, adapter)
        assert len(behind) == 16
        customer = session.exec(select(Customer)).first()
        assert customer is not None
        assert [a.id for a in lineage.learned_from(session, customer)] == [adapter.id]
        assert len(session.exec(select(Feedback)).all()) == 16


def test_fifty_promotions_and_rollbacks_answer_as_the_named_adapter_and_lose_no_history(
    turned: tuple[Turned, dict[str, str]], engine: EngineProcess
) -> None:
    shop = turned[0].shop
    asked = [{"role": "user", "content": "What does shipping cost?"}]

    async def alone() -> dict[str, str]:
        client = Vllm(service_settings(), engine.api_key)
        try:
            with reading() as session:
                adapter = adapters.live_adapter(session, shop)
                prompt = assistants.prompt_in_force(session, shop).text
            assert adapter is not None
            messages = [{"role": "system", "content": prompt}, *asked]
            return {
                name or "base": (await answer(client, messages, Sampling(max_tokens=10), name)).text
                for name in (adapter.name, None)
            }
        finally:
            await client.close()

    expected = asyncio.run(alone())
    with reading() as session:
        adapter = adapters.live_adapter(session, shop)
        before = len(adapters.history(session, shop))
    assert adapter is not None
    with writing() as session:
        site = api_keys.create(session, "site 2", Role.CUSTOMER, shop)[1]
        operator = api_keys.create(session, "operator", Role.OPERATOR, shop)[1]
    with (
        serving(create_app(service_settings(), database())) as url,
        httpx.Client(base_url=url, timeout=120, trust_env=False) as http,
    ):
        for turn in range(50):
            act = {"headers": {"Authorization": f"Bearer {operator}"}, "json": {"reason": "again"}}
            done = http.post("/v1/rollbacks", **act)  # type: ignore[arg-type]
            assert done.status_code == 201, done.text
            live = done.json()["adapter"]
            assert live == ("base" if turn % 2 == 0 else adapter.name)
            _wait_for_the_voice_of(http, site, live)
            body = {"model": "shop", "messages": asked, "max_tokens": 10}
            said = http.post(
                "/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {site}"}
            ).json()["choices"][0]["message"]["content"]
            assert said == expected[live]
    with reading() as session:
        history = adapters.history(session, shop)
    assert len(history) == before + 50
    assert [row.sequence for row in history] == list(range(before + 50, 0, -1))
    os.kill(engine.pid, 0)


def _wait_for_the_voice_of(http: httpx.Client, key: str, live: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        headers = {"Authorization": f"Bearer {key}"}
        begun = http.post("/v1/conversations", json={}, headers=headers).json()
        if (begun["adapter"] or "base") == live:
            return
        time.sleep(0.05)
    raise AssertionError(f"{live} never came into force")


def test_the_other_assistant_on_the_same_engine_was_not_touched(
    turned: tuple[Turned, dict[str, str]],
) -> None:
    with reading() as session:
        bakery = assistants.get(session, "bakery")
        assert adapters.live(session, bakery) is None
        assert cycles.every(session, bakery) == []


def test_vllm_killed_in_the_middle_of_an_exam_is_started_again_and_the_exam_goes_on(
    turned: tuple[Turned, dict[str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """kill -9 of a vLLM of its own, watched as `understudy up` watches it."""
    port = free_port()
    monkeypatch.setenv("EVALS_CACHE", "false")  # the cycle's own exam asked all of it before
    monkeypatch.setenv("SERVICE_ENGINE_PORT", str(port))
    monkeypatch.setenv("SERVICE_ENGINE_URL", f"http://127.0.0.1:{port}")
    forget_settings()
    with reading() as session:
        [adapter] = adapters.every(session, turned[0].shop)
    killed: list[int] = []
    with Processes(["engine"], tmp_path, os.environ) as parts, _watched(parts):
        parts.start()
        parts.wait_until(_engine_answers, "engine", service_settings().engine_start_timeout_seconds)

        def kill_once(done: int, total: int, eta_seconds: float | None) -> None:
            if done >= 4 and not killed:
                killed.append(parts["engine"].pid)
                os.kill(killed[0], signal.SIGKILL)

        async def sit() -> Decision:
            async with asking_engines(database(), service_settings()) as swaps:
                return await examine(
                    swaps, database(), turned[0].shop, adapter, None, progress=kill_once
                )

        decision = asyncio.run(sit())
        assert killed and parts["engine"].pid != killed[0]
    with reading() as session:
        runs = (decision.candidate_run_id, decision.live_run_id)
        sat = [session.get_one(EvalRun, run) for run in runs]
        answered = [one.answer for run in sat for one in exams.answers(session, run)]
    assert len(answered) == 2 * decision.tickets
    assert [answer.error for answer in answered] == [None] * len(answered)
    assert decision.promote


@contextmanager
def _watched(parts: Processes) -> Iterator[None]:
    """The parts are kept alive until the block ends."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.2):
            parts.keep_alive()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _engine_answers() -> bool:
    try:
        return httpx.get(f"{service_settings().engine_url}/health", timeout=2).is_success
    except httpx.HTTPError:
        return False
