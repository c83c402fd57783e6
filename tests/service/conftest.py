"""A whole service on a real socket, over a fresh database and the stand-in engine."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from evals.doors import DOORS
from feedback import adapters, api_keys, assistants
from feedback.assistants import Sampling
from feedback.database import connect, writing
from feedback.tables import Adapter, Role
from service.app import create_app
from service.settings import ServiceSettings
from tests.stand_in_engine import StandInEngine, build_adapter, serving, stand_in_engine


@dataclass
class Shop:
    """One assistant behind the doors, with a key for each kind of caller."""

    database: Engine
    url: str
    keys: dict[str, str]
    folder: Path

    def client(self, role: str) -> httpx.Client:
        """An HTTP client that holds this role's key."""
        headers = {"Authorization": f"Bearer {self.keys[role]}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, trust_env=False)

    def publish(self, seed: str, assistant: str = "shop") -> Adapter:
        """A registered adapter that the stand-in engine can load."""
        built = build_adapter(self.folder / f"built-{seed}", seed)
        with writing(self.database) as session:
            owner = assistants.get(session, assistant)
            return adapters.publish(session, owner, built, [], {}, {})


@pytest.fixture
def engine() -> Iterator[StandInEngine]:
    with stand_in_engine() as running:
        yield running


@pytest.fixture
def settings(engine: StandInEngine) -> ServiceSettings:
    return ServiceSettings(
        engine_url=engine.url,
        engine_api_key=SecretStr(engine.api_key),
        swap_poll_seconds=0.05,
        stall_timeout_seconds=3.0,
        answer_timeout_seconds=20.0,
    )


@pytest.fixture
def store(var_dir: Path, sqlite_template: Path) -> Iterator[Engine]:
    var_dir.mkdir(parents=True)
    shutil.copy(sqlite_template, var_dir / "understudy.db")
    engine = connect(f"sqlite:///{var_dir / 'understudy.db'}")
    yield engine
    engine.dispose()


@pytest.fixture
def shop(store: Engine, settings: ServiceSettings, tmp_path: Path) -> Iterator[Shop]:
    keys = {}
    with writing(store) as session:
        for name in ("shop", "bakery"):
            assistants.create(
                session, name, name, "embedded", f"You are the {name}.", "test",
                sampling=Sampling(max_tokens=64),
            )  # fmt: skip
        owner = assistants.get(session, "shop")
        for role in Role:
            keys[str(role)] = api_keys.create(session, role, role, owner)[1]
        keys["other site"] = api_keys.create(session, "other", Role.CUSTOMER, owner)[1]
        bakery = assistants.get(session, "bakery")
        keys["bakery"] = api_keys.create(session, "bakery", Role.CUSTOMER, bakery)[1]
        keys["bakery operator"] = api_keys.create(session, "bo", Role.OPERATOR, bakery)[1]
        keys["everything"] = api_keys.create(session, "root", Role.OPERATOR)[1]
    with serving(create_app(settings, store, DOORS)) as url:
        yield Shop(store, url, keys, tmp_path)


@pytest.fixture
def customer(shop: Shop) -> Iterator[httpx.Client]:
    with shop.client("customer") as client:
        yield client


@pytest.fixture
def agent(shop: Shop) -> Iterator[httpx.Client]:
    with shop.client("agent") as client:
        yield client


@pytest.fixture
def operator(shop: Shop) -> Iterator[httpx.Client]:
    with shop.client("operator") as client:
        yield client
