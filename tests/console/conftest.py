"""The consoles over HTTP, without a browser: a signed-in client per role, on a real socket."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from argon2 import PasswordHasher
from sqlalchemy import Engine

from feedback import assistants, staff, staff_sessions
from feedback.database import writing
from feedback.tables import Role
from service.console.session import COOKIE
from tests.service.conftest import Shop, engine, settings, shop, store

__all__ = ["engine", "settings", "shop", "store"]
PASSWORD = "correct horse battery"


def hire(database: Engine, name: str, role: Role, assistant: str | None = "shop") -> str:
    """A member of staff with a password; returns their address."""
    email = f"{name}@example.com"
    with writing(database) as session:
        scope = assistants.get(session, assistant) if assistant else None
        person, secret = staff.invite(session, email, name.title(), "test")
        staff.grant(session, person, role, scope, "test")
        staff.choose_password(session, secret, PASSWORD)
    return email


@contextmanager
def signed_in(shop: Shop, email: str) -> Iterator[httpx.Client]:
    """A client with a session cookie and the token that our pages carry."""
    form = {"email": email, "password": PASSWORD}
    with httpx.Client(
        base_url=shop.url, timeout=30, trust_env=False, follow_redirects=True
    ) as client:
        answer = client.post("/console/sign-in", data=form, follow_redirects=False)
        assert answer.status_code == 303, answer.text
        client.headers["X-CSRF-Token"] = staff_sessions.csrf_token(client.cookies[COOKIE])
        yield client


@pytest.fixture(autouse=True, scope="package")
def quick_hashes() -> Iterator[None]:
    """A hash takes 0.2 s by design; tests/feedback/test_staff.py has the real one."""
    with pytest.MonkeyPatch.context() as patch:
        quick = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
        patch.setattr(staff, "HASHER", quick)
        patch.setattr(staff, "NOBODY", quick.hash("nobody's"))
        yield


@pytest.fixture
def mara(shop: Shop) -> Iterator[httpx.Client]:
    """An agent of the shop."""
    with signed_in(shop, hire(shop.database, "mara", Role.AGENT)) as client:
        yield client


@pytest.fixture
def olga(shop: Shop) -> Iterator[httpx.Client]:
    """An operator of the shop."""
    with signed_in(shop, hire(shop.database, "olga", Role.OPERATOR)) as client:
        yield client


@pytest.fixture
def ada(shop: Shop) -> Iterator[httpx.Client]:
    """An admin of everything."""
    with signed_in(shop, hire(shop.database, "ada", Role.ADMIN, None)) as client:
        yield client
