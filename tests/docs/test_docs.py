"""The docs say what the code does: reference pages are current, examples run, links lead somewhere."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.service.conftest import Shop
from tests.service.talk import ask, begin

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("k8s/*.md")])
EXAMPLE = re.compile(r"<!-- test: (curl|python) -->\n```\w+\n(.*?)```", re.DOTALL)

pytest_plugins = ["tests.service.conftest"]


def generator() -> Any:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_pages_are_what_the_code_says() -> None:
    for name, page in generator().PAGES.items():
        written = (ROOT / "docs" / name).read_text(encoding="utf-8")
        assert written == page(), f"docs/{name} is out of date: run `python docs/generate.py`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target!r}"


def test_the_tree_in_the_readme_is_the_tree() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme == generator().readme(), "run `python docs/generate.py`"


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
