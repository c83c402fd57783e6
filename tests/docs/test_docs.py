"""The docs say what the code does: reference pages are current, examples run, links lead somewhere."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("k8s/*.md")])
EXAMPLE = re.compile(r"<!-- test: (curl|python) -->\n```\w+\n(.*?)```", re.DOTALL)


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


def shown_pictures() -> list[tuple[Path, str, Path]]:
    """Every picture that a page shows: the page, what it says of the picture, the file."""
    return [
        (page, alt, (page.parent / target).resolve())
        for page in PAGES
        for alt, target in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    ]


def test_every_picture_is_shown_to_somebody_and_every_shown_picture_exists() -> None:
    shown = {picture for _, _, picture in shown_pictures()}
    kept = set((ROOT / "docs" / "screenshots").iterdir())
    assert {one.name for one in kept - shown} == set(), "pictures that no page shows"
    assert {one.name for one in shown if not one.exists()} == set(), "pictures that do not exist"


def test_every_picture_says_in_words_what_it_shows() -> None:
    for page, alt, picture in shown_pictures():
        assert len(alt.split()) >= 2, f"{page.name} shows {picture.name} as {alt!r}"


@pytest.mark.parametrize("person", ["customers", "agents", "operators"])
def test_each_of_the_three_people_has_a_page_with_pictures(person: str) -> None:
    pages = [page.stem for page, _, _ in shown_pictures() if page.parent.name == "docs"]
    assert pages.count(person) >= 3


def test_the_tree_in_the_readme_is_the_tree() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme == generator().readme(), "run `python docs/generate.py`"
