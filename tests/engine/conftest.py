"""One real engine for all tests of this folder, with two random adapters loaded."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.adapters import make_adapter
from tests.engine.asking import load_adapter
from tests.engine_process import EngineProcess, running_engine


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    with running_engine(tmp_path_factory.mktemp("engine")) as process:
        yield process


@pytest.fixture(scope="session")
def adapters(engine: EngineProcess, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Loaded adapters by name. Their ranks differ, and one fills the engine's."""
    folder = tmp_path_factory.mktemp("adapters")
    paths = {
        "adapter-a": make_adapter(engine.model, folder / "adapter-a", rank=8, seed=1),
        "adapter-b": make_adapter(engine.model, folder / "adapter-b", rank=16, seed=2),
    }
    for name, path in paths.items():
        load_adapter(engine, name, path)
    return paths
