"""vLLM's command line, environment and secret, as the settings say. Nothing is started."""

import importlib.util
import os
import stat
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from feedback.settings import FeedbackSettings
from service.engine import embedded_model, guard, launch
from service.settings import EMBEDDED_MODEL, ServiceSettings

KEY = "a-secret-key"


def flag(line: list[str], name: str) -> str:
    assert line.count(name) == 1
    return line[line.index(name) + 1]


def settings(**values: Any) -> ServiceSettings:
    return ServiceSettings(**values)


def test_cpu_command() -> None:
    line = launch.command(
        settings(engine_port=18110, engine_kv_cache_gib=0.5, engine_max_loras=5), "hub/model", "cpu"
    )
    assert line[:3] == [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    assert flag(line, "--model") == "hub/model"
    assert flag(line, "--served-model-name") == "base"
    assert flag(line, "--host") == "127.0.0.1"
    assert flag(line, "--port") == "18110"
    assert flag(line, "--dtype") == "float32"
    assert flag(line, "--max-loras") == "5"
    assert flag(line, "--max-cpu-loras") == "16"
    assert flag(line, "--max-lora-rank") == "16"
    assert flag(line, "--max-model-len") == "2048"
    assert flag(line, "--max-num-seqs") == "32"
    assert flag(line, "--kv-cache-memory-bytes") == str(2**29)
    assert "--enable-lora" in line
    assert "--gpu-memory-utilization" not in line


def test_customers_may_be_taken_before_exams() -> None:
    """vLLM takes requests as they come unless it is started so."""
    for device in ("cpu", "cuda"):
        assert flag(launch.command(settings(), "m", device), "--scheduling-policy") == "priority"


def test_cuda_command() -> None:
    line = launch.command(settings(engine_tensor_parallel=2), "hub/model", "cuda")
    assert flag(line, "--dtype") == "bfloat16"
    assert flag(line, "--tensor-parallel-size") == "2"
    assert flag(line, "--gpu-memory-utilization") == "0.85"
    assert "--kv-cache-memory-bytes" not in line


def test_a_set_dtype_and_further_arguments_are_passed_on() -> None:
    line = launch.command(
        settings(engine_dtype="float16", engine_extra_args=["--seed", "3"]), "hub/model", "cuda"
    )
    assert flag(line, "--dtype") == "float16"
    assert line[-2:] == ["--seed", "3"]


def test_host_memory_holds_at_least_the_adapters_of_one_batch() -> None:
    """vLLM refuses to start otherwise."""
    line = launch.command(settings(engine_max_loras=8, engine_max_cpu_loras=2), "m", "cpu")
    assert flag(line, "--max-cpu-loras") == "8"


def test_customers_words_are_not_logged() -> None:
    line = launch.command(settings(), "m", "cpu")
    assert {"--no-enable-log-requests", "--no-enable-log-outputs"} <= set(line)


def test_environment(tmp_path: Path) -> None:
    inherited = {
        "PATH": "/bin",
        "FEEDBACK_DATABASE_URL": "postgresql://user:password@db/x",
        "SERVICE_ENGINE_API_KEY": "other",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    env = launch.environment(settings(), str(tmp_path), "cpu", KEY, inherited)
    assert env["PATH"] == "/bin"
    assert not [name for name in env if name.startswith(("FEEDBACK_", "SERVICE_", "PYTHONDONT"))]
    assert env["VLLM_API_KEY"] == KEY
    assert env["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "True"
    assert env["VLLM_NO_USAGE_STATS"] == "1"
    assert env["VLLM_PLUGINS"] == launch.PLUGIN
    assert env["HF_HUB_OFFLINE"] == "1"
    assert env["VLLM_CPU_OMP_THREADS_BIND"] == launch._ranges(os.sched_getaffinity(0))


def test_a_cpus_weights_lie_in_huge_pages_beside_an_operators_own_tunables() -> None:
    inherited = {"GLIBC_TUNABLES": "glibc.malloc.arena_max=2"}
    env = launch.environment(settings(), "hub/model", "cpu", KEY, inherited)
    assert env["GLIBC_TUNABLES"] == "glibc.malloc.arena_max=2:glibc.malloc.hugetlb=1"
    assert "GLIBC_TUNABLES" not in launch.environment(settings(), "hub/model", "cuda", KEY, {})


def test_environment_of_a_hub_model_on_cuda() -> None:
    env = launch.environment(settings(), "hub/model", "cuda", KEY, {"VLLM_PLUGINS": "other"})
    assert "HF_HUB_OFFLINE" not in env
    assert "VLLM_CPU_OMP_THREADS_BIND" not in env
    assert env["VLLM_PLUGINS"] == f"other,{launch.PLUGIN}"


def test_the_plugin_vllm_is_told_to_load_exists() -> None:
    (plugin,) = entry_points(group="vllm.general_plugins", name=launch.PLUGIN)
    assert plugin.value == "service.engine.cpu_lora:register"


def test_the_named_middleware_exists() -> None:
    module, name = launch.GUARD.rsplit(".", 1)
    assert (module, name) == (guard.__name__, guard.OnlyGuardedRoutes.__name__)


def test_cores_are_named_as_vllm_reads_them() -> None:
    assert launch._ranges({0, 1}) == "0-1"
    assert launch._ranges({3}) == "3"
    assert launch._ranges({8, 0, 1, 2, 5, 9}) == "0-2,5,8-9"


@pytest.mark.parametrize(
    ("build", "device"),
    [("vllm-cpu 0.32.0", "cpu"), ("vllm 0.32.0+cpu", "cpu"), ("vllm 0.32.0", "cuda")],
)
def test_the_installed_build_decides_the_device(
    build: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "vllm_build", lambda: build)
    assert launch.engine_device(settings()) == device
    assert launch.engine_device(settings(engine_device="cuda")) == "cuda"


def test_run_becomes_vllm_and_the_secret_is_in_no_argument(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[str, list[str], dict[str, str]]] = []
    monkeypatch.setattr(os, "execve", lambda *given: started.append(given))
    key = SecretStr(KEY)
    service = settings(engine_api_key=key, model="hub/model", engine_device="cpu")
    launch.run(service, FeedbackSettings(var_dir=tmp_path))
    ((program, line, env),) = started
    assert program == sys.executable == line[0]
    assert not [part for part in line if KEY in part]
    assert env["VLLM_API_KEY"] == KEY
    assert not (tmp_path / "secrets").exists()


def test_run_without_the_plugin_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "entry_points", lambda **_: ())
    service = settings(model="hub/model", engine_device="cpu")
    with pytest.raises(RuntimeError, match="would not find the plugin 'understudy_cpu_lora'"):
        launch.run(service, FeedbackSettings(var_dir=tmp_path))


def test_the_secret_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    key = launch.engine_api_key(settings(), tmp_path)
    assert len(key) >= 32
    assert launch.engine_api_key(settings(), tmp_path) == key
    (file,) = (tmp_path / "secrets").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_a_process_that_comes_second_takes_the_firsts_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first_links_meanwhile(source: Path, target: Path) -> None:
        target.write_text("the firsts")
        raise FileExistsError

    monkeypatch.setattr(os, "link", first_links_meanwhile)
    assert launch.engine_api_key(settings(), tmp_path) == "the firsts"
    assert len(list((tmp_path / "secrets").iterdir())) == 1


def test_an_empty_secret_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "engine_api_key").touch()
    with pytest.raises(RuntimeError, match="is empty"):
        launch.engine_api_key(settings(), tmp_path)


def test_base_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match="understudy setup"):
        embedded_model.base_model(EMBEDDED_MODEL, tmp_path)
    prepared = tmp_path / embedded_model.FOLDER
    prepared.mkdir()
    assert embedded_model.base_model(EMBEDDED_MODEL, tmp_path) == str(prepared)
    monkeypatch.chdir(tmp_path)
    assert embedded_model.base_model(embedded_model.FOLDER, tmp_path) == str(prepared)
    assert embedded_model.base_model("hub/model", tmp_path) == "hub/model"


def test_prepare_is_done_once_and_leaves_no_half_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_: Path, folder: Path) -> None:
        folder.mkdir()
        (folder / "half").touch()
        raise KeyboardInterrupt

    def whole(_: Path, folder: Path) -> None:
        folder.mkdir()
        (folder / "whole").touch()

    monkeypatch.setattr(embedded_model, "_gguf", lambda: Path("x.gguf"))
    monkeypatch.setattr(embedded_model, "_convert", killed)
    with pytest.raises(KeyboardInterrupt):
        embedded_model.prepare(tmp_path)
    assert not (tmp_path / embedded_model.FOLDER).exists()
    monkeypatch.setattr(embedded_model, "_convert", whole)
    assert [file.name for file in embedded_model.prepare(tmp_path).iterdir()] == ["whole"]
    monkeypatch.setattr(embedded_model, "_convert", killed)
    embedded_model.prepare(tmp_path)


def test_prepare_without_the_package_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(FileNotFoundError, match="SERVICE_MODEL"):
        embedded_model.prepare(tmp_path)
