"""The story of the product, told with the sample company on real parts. Called by `understudy demo`.

Customers ask, agents correct, one cycle runs, the same engine answers better. Everything goes through
the public API, as a customer's site and an agents' console would. Works in a folder of its own.
"""

import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from sqlmodel import Session

from examples.shop.site import open_shop
from feedback import (
    adapters,
    api_keys,
    assistant_file,
    assistants,
    cycles,
    decisions,
    imports,
    sites,
    staff,
)
from feedback.database import database, migrate, reading, writing
from feedback.errors import UnderstudyError
from feedback.settings import feedback_settings
from feedback.sites import Look
from feedback.tables import CycleState, Role
from service.processes import Processes
from service.settings import service_settings
from training.watching import CycleView

COMPANY = Path(__file__).parent / "puddle_and_pine"
AT_ONCE = 16
SHOP_PORT = 8090
SHOP_ORIGIN = f"http://127.0.0.1:{SHOP_PORT}"
OLGA = "olga@puddle-and-pine.example"
console = Console()


@dataclass
class Story:
    """What the demo measured; written to var/demo.json."""

    seconds: dict[str, float] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Note how long a part took."""
        started = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - started, 1)


def tell(once: bool) -> None:
    """The whole story; stays up afterwards unless `once`."""
    summary_path = feedback_settings().var_dir / "demo.json"
    summary_path.unlink(missing_ok=True)
    story = Story()
    setup = feedback_settings().var_dir / "setup_seconds"
    story.seconds["setup"] = float(setup.read_text()) if setup.exists() else 0.0
    environment = _own_folder()
    with Processes(
        ["engine", "service", "loop"], feedback_settings().var_dir / "logs", environment
    ) as parts:
        keys = _open_shop()
        _act(story, parts, keys)
        summary_path.write_text(
            json.dumps({**story.facts, "seconds": story.seconds}, indent=2) + "\n"
        )
        if not once:
            with open_shop(SHOP_PORT, _address(), keys["widget"]) as shop_page:
                _what_next(keys, summary_path, shop_page)
                _stay(parts)
    if story.facts["cycle_state"] != CycleState.PROMOTED:
        raise UnderstudyError(f"The candidate was not promoted: {story.facts['reason']}")


def _stay(parts: Processes) -> None:
    while True:
        for news in parts.keep_alive():
            console.print(news)
        time.sleep(0.5)


def _own_folder() -> dict[str, str]:
    """A fresh folder for the demo, so that it never meets real data; for us and our children."""
    folder = feedback_settings().var_dir.resolve() / "demo"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    models = str(feedback_settings().models_dir.resolve())
    os.environ |= {"FEEDBACK_VAR_DIR": str(folder), "FEEDBACK_MODELS_DIR": models}
    os.environ.pop("FEEDBACK_DATABASE_URL", None)
    feedback_settings.cache_clear()
    database.cache_clear()
    return dict(os.environ)


def _open_shop() -> dict[str, str]:
    """The database, the assistant, its exam, and a key for each person. Returns the keys' secrets."""
    console.rule("[bold]Puddle & Pine opens its support desk")
    migrate()
    written = assistant_file.read(COMPANY / "assistant.toml")
    with writing() as session:
        shop = assistants.create(
            session,
            str(written.name),
            str(written.title),
            service_settings().model,
            str(written.prompt),
            "demo",
            written.topics,
            written.sampling,
            auto_promote=True,
            desk=written.desk.model_dump(mode="json", exclude_defaults=True),
        )
        keys = {"site": api_keys.create(session, "website", Role.CUSTOMER, shop)[1]}
        keys["operator"] = api_keys.create(session, "operator", Role.OPERATOR, shop)[1]
        for agent in sorted({row["agent"] for row in _rows("corrections")}):
            keys[agent] = api_keys.create(session, agent, Role.AGENT, shop)[1]
        keys["widget"] = sites.create(
            session, shop, "Puddle & Pine", [SHOP_ORIGIN], Look(colour="#215c4a")
        ).public_key
        keys["password"] = _hire(session)
        imports.import_tickets(session, shop, COMPANY / "tickets.jsonl")
    return keys


def _hire(session: Session) -> str:
    """Olga, who may do everything here; her password is made up for this run."""
    password = secrets.token_urlsafe(12)
    olga, link = staff.invite(session, OLGA, "Olga", "demo")
    staff.grant(session, olga, Role.ADMIN, None, "demo")
    staff.choose_password(session, link, password)
    return password


def _rows(name: str) -> list[dict[str, Any]]:
    lines = (COMPANY / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def _act(story: Story, parts: Processes, keys: dict[str, str]) -> None:
    address = _address()
    with httpx.Client(base_url=address, timeout=300.0, trust_env=False) as http:
        with story.timed("first_answer"):
            _start(parts, http)
            questions = _rows("questions")
            before = [_ask(http, keys["site"], questions[0]["question"])]
        story.facts["engine_pid_before"] = parts["engine"].pid
        console.print(
            f"\n[bold]Customer:[/] {questions[0]['question']}\n[bold]Bot:[/]      {before[0]}\n"
        )
        started = time.monotonic()
        with story.timed("questions"):
            before += _all(
                "Asking what we will ask again",
                questions[1:],
                lambda row: _ask(http, keys["site"], row["question"]),
            )
            asked = _all(
                "Customers ask",
                _rows("corrections"),
                lambda row: _converse(http, keys["site"], row),
            )
        with story.timed("corrections"):
            _all(
                "Agents correct",
                list(zip(_rows("corrections"), asked, strict=True)),
                lambda pair: _correct(http, keys[pair[0]["agent"]], *pair),
            )
        _turn_the_loop(story, http, keys["operator"])
        story.seconds["loop"] = round(time.monotonic() - started, 1)
        with story.timed("asked_again"):
            after = _all(
                "Asking again",
                questions,
                lambda row: _ask(http, keys["site"], row["question"]),
            )
        story.facts["engine_pid_after"] = parts["engine"].pid
        story.facts["engine_survived"] = parts["engine"].ended() is None
    _show(story, questions, before, after)


def _start(parts: Processes, http: httpx.Client) -> None:
    def ready() -> bool:
        try:
            return http.get("/ready", timeout=2.0).is_success
        except httpx.HTTPError:
            return False

    def engine_answers() -> bool:
        try:
            url = f"{service_settings().engine_url}/health"
            return httpx.get(url, timeout=2.0, trust_env=False).is_success
        except httpx.HTTPError:
            return False

    _refuse_if_taken(engine_answers(), "engine", service_settings().engine_url)
    _refuse_if_taken(ready(), "service", str(http.base_url))
    parts.start()
    with console.status("Starting vLLM, the service and the loop (about a minute) …"):
        timeout_seconds = service_settings().engine_start_timeout_seconds
        parts.wait_until(engine_answers, "engine", timeout_seconds)
        parts.wait_until(ready, "service", 60.0)


def _refuse_if_taken(taken: bool, what: str, where: str) -> None:
    if taken:
        raise UnderstudyError(
            f"Another {what} answers at {where} already. End it, or choose other ports with "
            "SERVICE_PORT, SERVICE_ENGINE_PORT and SERVICE_ENGINE_URL."
        )


def _all(title: str, rows: list[Any], work: Callable[[Any], Any]) -> list[Any]:
    """Do `work` for each row, a few at once, with a bar and the time left."""
    columns = (TextColumn(f"{title:<32}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar, ThreadPoolExecutor(AT_ONCE) as pool:
        return list(bar.track(pool.map(work, rows), total=len(rows)))


def _post(http: httpx.Client, key: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    response = http.post(path, json=body, headers={"Authorization": f"Bearer {key}"})
    if response.is_error:
        raise UnderstudyError(f"POST {path} was answered {response.status_code}: {response.text}")
    answer: dict[str, Any] = response.json()
    return answer


def _ask(http: httpx.Client, key: str, question: str) -> str:
    conversation = _post(http, key, "/v1/conversations", {"customer": "curious-visitor"})
    path = f"/v1/conversations/{conversation['id']}/messages"
    return str(_post(http, key, path, {"text": question})["answer"]["text"])


def _converse(http: httpx.Client, key: str, row: dict[str, Any]) -> dict[str, Any]:
    """A customer's conversation up to the answer that will be corrected: its last exchange."""
    conversation = _post(http, key, "/v1/conversations", {"customer": row["customer"]})
    path = f"/v1/conversations/{conversation['id']}/messages"
    for turn in row.get("before", []):
        if turn["role"] == "user":
            _post(http, key, path, {"text": turn["content"]})
    return _post(http, key, path, {"text": row["question"]})


def _correct(http: httpx.Client, key: str, row: dict[str, Any], exchange: dict[str, Any]) -> None:
    path = f"/v1/messages/{exchange['answer']['id']}"
    _post(http, key, f"{path}/flags", {"reason": row["flag"]})
    _post(http, key, f"{path}/corrections", {"text": row["answer"]})


def _turn_the_loop(story: Story, http: httpx.Client, key: str) -> None:
    console.rule("[bold]One turn of the loop")
    cycle_id = _post(http, key, "/v1/cycles", {})["id"]
    with Live(console=console, refresh_per_second=4) as live:
        while True:
            with reading() as session:
                cycle = cycles.get(session, cycle_id)
                stages = cycles.stages(session, cycle)
            live.update(CycleView(cycle, stages))
            if cycle.state not in cycles.OPEN:
                break
            time.sleep(0.5)
    console.print()
    for stage in stages:
        if "seconds" in stage.result:
            story.seconds[stage.name] = stage.result["seconds"]
    with reading() as session:
        decision = decisions.of_cycle(session, cycle_id)
    gains = ("gain", "gain_low", "gain_high")
    story.facts |= {
        "promoted": cycle.state == CycleState.PROMOTED,
        "cycle_state": cycle.state,
        "reason": cycle.reason,
        "tickets": decision.tickets if decision else 0,
        **{
            name.replace("gain", "gain_chrf"): decision and getattr(decision, name)
            for name in gains
        },
    }
    if cycle.state == CycleState.PROMOTED:
        with story.timed("swap"):
            _wait_for_the_swap(http, key)


def _wait_for_the_swap(http: httpx.Client, key: str) -> None:
    """Until a new conversation has the promoted voice."""
    with reading() as session:
        shop = assistants.only(session, None)
        adapter = adapters.live_adapter(session, shop)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        begun = _post(http, key, "/v1/conversations", {})
        if adapter and begun["adapter"] == adapter.name:
            return
        time.sleep(0.1)
    raise UnderstudyError("The promoted adapter was not in use after 60 s; see the service's log.")


def _show(
    story: Story, questions: list[dict[str, Any]], before: list[str], after: list[str]
) -> None:
    console.rule("[bold]Before and after, in other words than those corrected")
    table = Table("Customer asks", "Before", "After", "House answer", show_lines=True)
    for row, old, new in zip(questions, before, after, strict=True):
        table.add_row(row["question"], f"[dim]{old}[/]", f"[green]{new}[/]", row["reference"])
    console.print(table)
    facts = story.facts
    if facts["gain_chrf"] is not None:
        console.print(
            f"[bold]Verdict:[/] {facts['reason']}\n"
            f"chrF on {facts['tickets']} held-out tickets: {facts['gain_chrf']:+.1f} "
            f"(95 % interval {facts['gain_chrf_low']:+.1f} to {facts['gain_chrf_high']:+.1f})."
        )
    same = facts["engine_pid_before"] == facts["engine_pid_after"] and facts["engine_survived"]
    process = "The same engine process" if same else "[red]Another[/] engine process"
    console.print(f"{process} served throughout (process {facts['engine_pid_after']}).")
    spent = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in story.seconds.items())
    console.print(f"Time: {spent}.")


def _address() -> str:
    return f"http://{service_settings().host}:{service_settings().port}"


def _what_next(keys: dict[str, str], summary: Path, shop_page: str) -> None:
    address = _address()
    var = feedback_settings().var_dir
    console.rule("[bold]What to open next")
    console.print(
        f"The shop:     {shop_page} (the widget is in the corner)\n"
        f"The consoles: {address}/console as {OLGA}, password {keys['password']}\n"
        f"Talk to it:   curl -s {address}/v1/chat/completions -H 'Authorization: Bearer {keys['site']}' "
        '-H \'Content-Type: application/json\' -d \'{"model": "puddle-and-pine", "messages": '
        '[{"role": "user", "content": "Can I rent a tent?"}]}\'\n'
        f"The API:      docs/api.md; {address}/openapi.json for OpenAPI clients\n"
        f"Its history:  FEEDBACK_VAR_DIR={var} .venv/bin/understudy adapters history\n"
        f"The exam:     FEEDBACK_VAR_DIR={var} .venv/bin/understudy evals decisions list\n"
        f"Undo it:      FEEDBACK_VAR_DIR={var} .venv/bin/understudy adapters rollback "
        "--by you --reason 'to see it'\n"
        f"The numbers:  {summary}",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )
