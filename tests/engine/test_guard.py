"""vLLM's other doors are shut: only keyed routes and the two that watch over it answer."""

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.engine.guard import OnlyGuardedRoutes
from tests.engine.asking import post
from tests.engine_process import EngineProcess

SHUT = ["/adapters", "/invocations", "/scale_elastic_ep", "/docs", "/v1", "/v1x", "/"]


def test_only_known_routes_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "the key")
    app = FastAPI()
    app.add_middleware(OnlyGuardedRoutes)

    @app.get("/{path:path}")
    def anything(path: str) -> str:
        return path

    with TestClient(app) as client:
        for path in ("/health", "/metrics", "/v1/models"):
            assert client.get(path).status_code == 200
        for path in SHUT:
            assert client.get(path).status_code == 404
        right, wrong = ({"Authorization": f"Bearer {key}"} for key in ("the key", "another"))
        assert client.get("/tokenize", headers=right).status_code == 200
        assert client.get("/tokenize", headers=wrong).status_code == 401
        assert client.get("/tokenize").status_code == 401


def test_without_a_key_of_its_own_the_engine_tokenizes_for_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "")
    app = FastAPI()
    app.add_middleware(OnlyGuardedRoutes)
    with TestClient(app) as client:
        headers = {"Authorization": "Bearer "}
        assert client.get("/tokenize", headers=headers).status_code == 401


@pytest.mark.engine
def test_the_engine_asks_for_its_key_or_has_no_such_door(engine: EngineProcess) -> None:
    stranger = EngineProcess(engine.url, "wrong", engine.pid, engine.model, engine.log_path)
    for path in (
        "/tokenize",
        "/v1/chat/completions",
        "/v1/load_lora_adapter",
        "/v1/unload_lora_adapter",
    ):
        assert post(stranger, path, {}).status_code == 401
    for path in SHUT:
        assert post(stranger, path, {}).status_code == 404


@pytest.mark.engine
def test_the_secret_is_on_no_command_line_and_in_no_log(engine: EngineProcess) -> None:
    with open(f"/proc/{engine.pid}/cmdline") as file:
        assert engine.api_key not in file.read()
    assert engine.api_key not in engine.log_path.read_text()
