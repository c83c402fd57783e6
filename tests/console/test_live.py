"""The live stream of the consoles: it speaks when something changed after the page was made."""

import re

import httpx

from feedback import staff
from feedback.database import writing
from tests.console.agents import talked
from tests.service.conftest import Shop


def stream_of(page: str) -> str:
    found = re.search(r'data-live="([^"]+)"', page)
    assert found
    return found.group(1)


def test_a_page_hears_only_of_what_happened_after_it_was_made(
    shop: Shop, mara: httpx.Client
) -> None:
    talked(shop, "Before", "ann")
    fresh = stream_of(mara.get("/console/shop/inbox").text)
    with mara.stream("GET", fresh) as events:
        lines = events.iter_lines()
        assert next(lines) == ": listening"
        talked(shop, "After", "bob")
        mark = next(line for line in lines if line.startswith("id: ")).removeprefix("id: ")
    later = stream_of(mara.get("/console/shop/inbox").text)
    assert later.endswith(mark)  # what the stream told of is what a new page shows
    with mara.stream("GET", fresh) as events:
        assert next(line for line in events.iter_lines() if line.startswith("event"))


def test_a_browser_that_reconnects_is_not_told_twice(shop: Shop, mara: httpx.Client) -> None:
    old = stream_of(mara.get("/console/shop/inbox").text)
    talked(shop, "Meanwhile", "ann")
    mark = stream_of(mara.get("/console/shop/inbox").text).rpartition("=")[2]
    with mara.stream("GET", old, headers={"Last-Event-ID": mark}) as events:
        lines = events.iter_lines()
        assert next(lines) == ": listening"
        talked(shop, "Now", "bob")
        told = next(line for line in lines if line.startswith("id: "))
    assert told != f"id: {mark}"


def test_a_page_left_open_hears_nothing_more_once_its_owner_is_shut_out(
    shop: Shop, mara: httpx.Client
) -> None:
    with mara.stream("GET", stream_of(mara.get("/console/shop/inbox").text)) as events:
        lines = events.iter_lines()
        assert next(lines) == ": listening"
        with writing(shop.database) as session:
            staff.disable(session, staff.get(session, "mara@example.com"))
        talked(shop, "Secret", "ann")
        assert "event: changed" not in list(lines)
