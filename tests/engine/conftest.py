"""Random adapters in every slot of the one real engine."""

from pathlib import Path

import pytest

from service.settings import ServiceSettings
from tests.engine.adapters import make_adapter
from tests.engine.asking import load_adapter
from tests.engine_process import EngineProcess


@pytest.fixture(scope="session")
def adapters(engine: EngineProcess, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Loaded adapters by name, of two ranks, one of which is the engine's largest.

    They fill every slot: stock operators take the last slot's adapter for "no adapter".
    """
    folder = tmp_path_factory.mktemp("adapters")
    paths: dict[str, Path] = {}
    for n, letter in enumerate("abcdefgh"[: ServiceSettings().engine_max_loras]):
        name = f"adapter-{letter}"
        paths[name] = make_adapter(engine.model, folder / name, rank=8 + n % 2 * 8, seed=n)
        load_adapter(engine, name, paths[name])
    return paths
