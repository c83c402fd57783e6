"""The inbox over HTTP: views, counts, search, pages."""

import re

import httpx
import pytest

from tests.console.agents import asks_for_a_person, flagged, talked, titles
from tests.service.conftest import Shop
from tests.service.talk import begin


def test_an_agent_begins_where_somebody_waits(shop: Shop, mara: httpx.Client) -> None:
    talked(shop, "All fine", "calm")
    conversation, _ = talked(shop, "Help me", "ann")
    assert 'aria-current="page">Not reviewed' in mara.get("/console/shop/inbox").text
    asks_for_a_person(shop, conversation)
    page = mara.get("/console/shop/inbox").text
    assert 'aria-current="page">Waiting for a person' in page
    assert titles(page) == ["ann"]
    assert "waiting 0 min" in page


def test_every_view_says_something_kind_when_it_is_empty(shop: Shop, mara: httpx.Client) -> None:
    for view, words in {
        "waiting": "Nobody is waiting",
        "flagged": "No complaints",
        "unsure": "sure of itself",
        "not_reviewed": "All looked at",
        "mine": "no open conversations",
        "all": "No conversations yet",
    }.items():
        assert words in mara.get(f"/console/shop/inbox?view={view}").text


def test_flagged_conversations_have_a_view_and_a_count(shop: Shop, mara: httpx.Client) -> None:
    talked(shop, customer="calm")
    _, answer = talked(shop, customer="ann")
    flagged(shop, answer)
    page = mara.get("/console/shop/inbox/list?view=flagged").text
    assert titles(page) == ["ann"]
    assert '<span class="count hot">1</span>' in page
    assert "<html" not in page


def test_search_finds_what_was_said_by_the_beginning_of_a_word(
    shop: Shop, mara: httpx.Client
) -> None:
    talked(shop, "My tent leaks", "ann")
    talked(shop, "My spoon bends", "bob")
    assert titles(mara.get("/console/shop/inbox/list?q=ten").text) == ["ann"]
    assert titles(mara.get("/console/shop/inbox?q=bob").text) == ["bob"]
    assert "Nothing found" in mara.get("/console/shop/inbox/list?q=zebra").text


def test_a_search_is_shown_as_text_whatever_it_contains(shop: Shop, mara: httpx.Client) -> None:
    page = mara.get("/console/shop/inbox", params={"q": '"><script>alert(1)</script>'})
    assert page.status_code == 200
    assert "<script>alert" not in page.text


def test_older_conversations_are_on_the_next_page(
    shop: Shop, mara: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.console.inbox.PAGE", 2)
    for name in ("one", "two", "three"):
        talked(shop, customer=name)
    first = mara.get("/console/shop/inbox?view=all").text
    assert titles(first) == ["three", "two"]
    older = first.partition("&after=")[2]
    link = first.split('class="button" href="')[1].split('"')[0].replace("&amp;", "&")
    assert older
    assert titles(mara.get(link).text) == ["one"]


def test_older_hits_of_a_search_are_on_the_next_page(
    shop: Shop, mara: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.console.inbox.PAGE", 2)
    for name in ("one", "two", "three"):
        talked(shop, "Is ORD-7 & ORD-8 here?", customer=name)
    first = mara.get("/console/shop/inbox", params={"q": "ORD-7 & ORD-8"}).text
    assert titles(first) == ["three", "two"]
    assert "2+ conversations with" in first
    link = first.split('class="button" href="')[1].split('"')[0].replace("&amp;", "&")
    second = mara.get(link).text
    assert titles(second) == ["one"]
    assert "1 older conversation with" in second
    assert "Older →" not in second


def test_an_agent_of_one_assistant_sees_no_other_inbox(shop: Shop, mara: httpx.Client) -> None:
    with shop.client("bakery") as client:
        begin(client, customer="baker")
    assert mara.get("/console/bakery/inbox").status_code == 404
    assert "baker" not in mara.get("/console/shop/inbox?view=all").text


def test_without_a_session_one_signs_in_first(shop: Shop) -> None:
    with httpx.Client(base_url=shop.url, trust_env=False) as nobody:
        door = nobody.get("/console/shop/inbox")
    assert door.headers["location"] == "/console/sign-in?next=/console/shop/inbox"


def test_the_pages_load_the_htmx_that_is_installed(shop: Shop, mara: httpx.Client) -> None:
    page = mara.get("/console/shop/inbox").text
    for script in re.findall(r'<script src="([^"]+)"', page):
        assert mara.get(script).status_code == 200, script
