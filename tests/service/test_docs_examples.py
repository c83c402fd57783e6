"""The examples of the how-to pages run as they stand, against a whole service."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.conftest import Shop
from tests.service.talk import ask, begin

ROOT = Path(__file__).parents[2]
EXAMPLE = re.compile(r"<!-- test: (curl|python) -->\n```\w+\n(.*?)```", re.DOTALL)


def examples(kind: str) -> list[str]:
    return [
        text
        for page in ("customers.md", "agents.md")
        for found, text in EXAMPLE.findall((ROOT / "docs" / page).read_text(encoding="utf-8"))
        if found == kind
    ]


@pytest.fixture
def places(shop: Shop) -> Iterator[dict[str, str]]:
    """What the examples take as given."""
    with shop.client("customer") as client:
        conversation = begin(client)["id"]
        answer = ask(client, conversation, "Hello").json()["answer"]["id"]
    yield {
        "URL": shop.url,
        "KEY": shop.keys["customer"],
        "AGENT": shop.keys["agent"],
        "CONVERSATION": conversation,
        "ANSWER": answer,
    }


def test_the_curl_examples_run(places: dict[str, str]) -> None:
    if not shutil.which("curl"):
        pytest.skip("curl is not on this machine")
    found = examples("curl")
    assert len(found) >= 5
    for text in found:
        done = subprocess.run(
            ["bash", "-ec", text.replace("curl -s", "curl --fail-with-body -s")],
            env={**places, "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        assert done.stdout


def test_the_openai_examples_run(places: dict[str, str]) -> None:
    found = examples("python")
    assert found
    for text in found:
        text = text.replace("puddle-and-pine", "shop")
        given = f"URL, KEY = {json.dumps(places['URL'])}, {json.dumps(places['KEY'])}\n"
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", given + text],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert "You said" in done.stdout
