"""Lighthouse (desktop and mobile are its own presets) on the shop's page with the widget and the inbox.

    .venv/bin/python -m benchmarks.lighthouse

Needs Chromium and Node (`npx lighthouse@12`). Serves both pages over a database of its own; the engine
is not asked for anything here.
"""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import httpx

from examples.shop.site import open_shop
from feedback import assistants, conversations, sites, staff
from feedback.database import connect, migrate, writing
from feedback.sites import Look
from feedback.tables import Role, Speaker
from service.app import create_app
from service.settings import ServiceSettings
from tests.engine_process import free_port
from tests.stand_in_engine import serving

PASSWORD = "nine quiet herons"
FLAGS = "--headless=new --no-sandbox --disable-dev-shm-usage --disable-gpu --disable-quic"
ROUNDS = 3


def score(url: str, cookie: str | None = None) -> dict[str, int]:
    """Best-case noise aside: the median of ROUNDS runs, per category."""
    found: dict[str, list[float]] = {"performance": [], "accessibility": []}
    for _ in range(ROUNDS):
        words = [
            "npx",
            "--yes",
            "lighthouse@12",
            url,
            "--quiet",
            "--output=json",
            "--output-path=stdout",
        ]
        words += ["--only-categories=performance,accessibility", f"--chrome-flags={FLAGS}"]
        if cookie:
            words.append(f"--extra-headers={json.dumps({'Cookie': cookie})}")
        told = subprocess.run(words, capture_output=True, text=True, env=_environment())
        assert told.returncode == 0, told.stderr[-1500:]
        for name, category in json.loads(told.stdout)["categories"].items():
            found[name].append(category["score"] * 100)
    return {name: round(sorted(values)[len(values) // 2]) for name, values in found.items()}


def _environment() -> dict[str, str]:
    return {**os.environ, "CHROME_PATH": shutil.which("chromium") or ""}


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="lighthouse-"))
    database = connect(f"sqlite:///{folder / 'understudy.db'}")
    migrate(database)
    port = free_port()
    with writing(database) as session:
        owner = assistants.create(session, "shop", "Puddle & Pine", "embedded", "Be kind.", "test")
        site = sites.create(session, owner, "Web", [f"http://127.0.0.1:{port}"], Look())
        person, link = staff.invite(session, "olga@example.com", "Olga", "test")
        staff.grant(session, person, Role.ADMIN, None, "test")
        staff.choose_password(session, link, PASSWORD)
        for number in range(60):
            talk = conversations.begin(session, owner, None, f"customer-{number}", "widget")
            conversations.say(session, talk, Speaker.CUSTOMER, "May I return a wet tent?")
            conversations.say(
                session, talk, Speaker.ASSISTANT, "Within forty days.", mean_logprob=-0.4
            )
    with serving(create_app(ServiceSettings(), database)) as service:
        with httpx.Client(base_url=service, trust_env=False) as client:
            form = {"email": "olga@example.com", "password": PASSWORD}
            client.post("/console/sign-in", data=form)
            cookie = f"understudy_session={client.cookies['understudy_session']}"
        with open_shop(port, service, site.public_key) as shop:
            print("shop page with the widget:", score(shop), flush=True)
        print("inbox:", score(f"{service}/console/shop/inbox?view=all", cookie), flush=True)


if __name__ == "__main__":
    main()
