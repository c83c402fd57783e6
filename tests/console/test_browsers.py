"""What browsers are told, on every route there is and on every kind of error: one policy, no exception."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from evals import page
from evals.doors import DOORS
from service import widget_api
from service.app import create_app
from service.browsers import HEADERS, POLICY
from tests.console.test_permissions import EXPECTED
from tests.service.conftest import Shop
from tests.service.world import World, filled, flat

INLINE = re.compile(r"<script(?![^>]*\ssrc=)|\s(?:on\w+|style|hx-on[^=\s]*)=|<style|javascript:")
RECORD = re.compile(r"/decisions/\w+/report(\.html)?$")
FILES = [
    "/console/static/console.js",
    "/console/static/console.css",
    "/console/static/missing.css",
    "/console/lib/htmx.min.js",
    "/openapi.json",
]


@contextmanager
def told(client: httpx.Client, method: str, path: str, **more: Any) -> Iterator[httpx.Response]:
    """An answer as it begins; a stream is not waited for."""
    with client.stream(method, path, follow_redirects=False, **more) as response:
        yield response


def check(response: httpx.Response) -> None:
    """The strict policy, the other headers, and no page that would need more than it allows."""
    where = f"{response.request.method} {response.request.url.path} {response.status_code}"
    html = response.headers.get("content-type", "").startswith("text/html")
    if html and response.is_success and RECORD.search(response.request.url.path):
        check_record(response)
        return
    assert response.headers.get_list("content-security-policy") == [POLICY], where
    for name, value in HEADERS.items():
        assert response.headers.get_list(name) == [value], (where, name)
    if html:
        response.read()
        assert not (found := INLINE.search(response.text)), (where, found)


def check_record(response: httpx.Response) -> None:
    """An exam's record brings its own style sheet, named by its hash, and may run and load nothing at all."""
    [policy] = response.headers.get_list("content-security-policy")
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules.pop("style-src").startswith("'sha256-") and page.policy() in policy
    assert set(rules.values()) == {"'none'"} and "frame-ancestors" in rules
    response.read()
    assert not INLINE.search(response.text.replace("<style>", "", 1))


def test_the_policy_allows_our_own_files_and_nothing_inline() -> None:
    rules = dict(rule.split(" ", 1) for rule in POLICY.split("; "))
    assert rules["default-src"] == "'none'" and rules["script-src"] == "'self'"
    assert "unsafe" not in POLICY and "http" not in POLICY and "*" not in POLICY


def test_every_route_tells_browsers_the_same(shop: Shop, settings: Any, ada: httpx.Client) -> None:
    world = World(shop)
    found = set()
    with httpx.Client(base_url=shop.url, timeout=30, trust_env=False) as stranger:
        for path, route in flat(create_app(settings, shop.database, DOORS).routes):
            for method in route.methods:
                ids = world.ids("ada@example.com")
                with told(stranger, method, filled(path, ids)) as response:
                    check(response)
                if path != "/console/sign-out":
                    with told(ada, method, filled(path, ids)) as response:
                        check(response)
                ids.spent = method != "GET"
                found.add(f"{method} {path}")
        for path in FILES:
            with told(stranger, "GET", path) as response:
                check(response)
    assert len(found) > len(EXPECTED) + 50  # of the consoles and of the API


def test_every_error_tells_browsers_the_same(
    shop: Shop, settings: Any, ada: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr(widget_api, "_site", broken)
    large = b"x" * (settings.body_max_bytes + 1)
    customer = {"Authorization": f"Bearer {shop.keys['customer']}"}
    json = {**customer, "Content-Type": "application/json"}
    errors: list[tuple[int, str, str, dict[str, Any]]] = [
        (401, "GET", "/v1/conversations", {}),
        (403, "GET", "/v1/staff", {"headers": customer}),
        (404, "GET", "/nowhere", {}),
        (404, "GET", "/console/shop/nowhere", {}),
        (404, "GET", "/docs", {}),
        (404, "GET", "/redoc", {}),
        (405, "DELETE", "/v1/conversations", {}),
        (405, "PUT", "/console/static/console.css", {}),
        (413, "POST", "/v1/conversations", {"content": large, "headers": json}),
        (422, "POST", "/v1/conversations", {"json": {"x": 1}, "headers": customer}),
        (422, "GET", "/console/shop/inbox?view=none", {}),
        (500, "GET", "/v1/widget/any", {}),
        (403, "OPTIONS", "/v1/conversations", {
            "headers": {"Origin": "https://a.example", "Access-Control-Request-Method": "GET"}
        }),
    ]  # fmt: skip
    for status, method, path, more in errors:
        with told(ada, method, path, **more) as response:
            assert response.status_code == status, (method, path, response.status_code)
            check(response)


def test_a_body_that_grows_too_large_on_the_way_is_told_the_same(shop: Shop, settings: Any) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(settings.body_max_bytes // 65_536 + 1):
            yield b" " * 65_536

    headers = {
        "Authorization": f"Bearer {shop.keys['customer']}",
        "Content-Type": "application/json",
    }
    path = "/v1/conversations"
    with (
        httpx.Client(base_url=shop.url, timeout=30, trust_env=False) as client,
        told(client, "POST", path, content=pieces(), headers=headers) as answer,
    ):
        assert 400 <= answer.status_code < 500
        check(answer)
