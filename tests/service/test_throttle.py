"""How often one client may knock: by address, by the minute, and told when to come back."""

import asyncio
from typing import Any, cast

import httpx
import pytest
from sqlalchemy import Engine
from sqlmodel import select
from starlette.types import Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from feedback import assistants, sites
from feedback.database import reading, writing
from feedback.errors import TooMany
from feedback.tables import Customer
from service.app import create_app
from service.serve import config_of
from service.settings import ServiceSettings
from service.throttle import Throttle, client_of
from tests.service.conftest import Shop
from tests.stand_in_engine import serving


def test_each_client_has_its_share_of_every_minute() -> None:
    seconds = [0.0]
    throttle = Throttle(2, "tries", "SERVICE_TRIES", lambda: seconds[0])
    for _ in range(2):
        throttle.enter("192.0.2.1")
    seconds[0] = 20.0
    with pytest.raises(TooMany, match=r"SERVICE_TRIES.*again in 40 seconds") as refused:
        throttle.enter("192.0.2.1")
    assert refused.value.retry_after_seconds == 40
    throttle.enter("192.0.2.2")
    throttle.forgive("192.0.2.1")
    throttle.enter("192.0.2.1")
    seconds[0] = 60.0
    throttle.enter("192.0.2.1")


def test_an_ipv6_network_is_one_client_and_a_mapped_address_is_its_ipv4_one() -> None:
    assert client_of("2001:db8:0:1::1") == client_of("2001:db8:0:1:ffff::2")
    assert client_of("2001:db8:0:1::1") != client_of("2001:db8:0:2::1")
    assert client_of("::ffff:192.0.2.1") == client_of("192.0.2.1")
    assert client_of(None) == client_of("")


def test_new_visitors_are_bounded_by_address_and_nothing_is_stored_beyond(
    store: Engine, settings: ServiceSettings, shop: Shop
) -> None:
    with writing(store) as session:
        owner = assistants.get(session, "shop")
        site = sites.create(session, owner, "Web", ["https://shop.example"], sites.Look())
    few = settings.model_copy(update={"visitors_per_minute": 3})
    with serving(create_app(few, store)) as url:
        path = f"{url}/v1/widget/{site.public_key}/visitors"
        with httpx.Client(trust_env=False, timeout=30) as browser:
            told = [browser.post(path, json={}) for _ in range(5)]
    assert [answer.status_code for answer in told] == [201, 201, 201, 429, 429]
    assert 1 <= int(told[-1].headers["retry-after"]) <= 60
    assert "SERVICE_VISITORS_PER_MINUTE" in told[-1].json()["error"]["message"]
    with reading(store) as session:
        assert len(session.exec(select(Customer)).all()) == 3


def test_only_a_trusted_proxy_says_who_its_clients_are(
    store: Engine, settings: ServiceSettings
) -> None:
    seen = []

    async def note(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["client"][0])

    config = config_of(settings.model_copy(update={"trusted_proxies": ["10.0.0.0/8"]}))
    behind: Any = ProxyHeadersMiddleware(cast(Any, note), config.forwarded_allow_ips or [])
    headers = [(b"x-forwarded-for", b"192.0.2.7")]
    for proxy in ("10.1.2.3", "203.0.113.9"):
        scope = {"type": "http", "scheme": "http", "client": (proxy, 1), "headers": headers}
        asyncio.run(behind(scope, None, None))
    assert seen == ["192.0.2.7", "203.0.113.9"]
