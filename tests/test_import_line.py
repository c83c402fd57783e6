"""Imports run one way, and each outside world is known to one place only.

understudy (and doctor, examples) -> training -> evals -> service -> feedback: left may import right.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = {"feedback": 0, "service": 1, "evals": 2, "training": 3}
TOP = 4
TORCH = {"torch", "trl", "peft", "transformers"}
TORCH_FILES = {
    "training/sft.py",
    "training/dpo.py",
    "training/kto.py",
    "training/trainer.py",
    "training/reporter.py",
    "training/rows.py",
    "training/order.py",
    "training/cheap_head.py",
    "training/cheap_lora.py",
    "training/prefix_tree.py",
    "training/canary.py",
    "training/probing.py",
    "training/measuring.py",
    "training/merging.py",
    "training/gguf_file.py",
    "service/engine/cpu_fused_lora.py",
    "service/engine/cpu_layers.py",
    "service/engine/cpu_lora.py",
    "service/engine/embedded_model.py",
}


def sources() -> list[Path]:
    packages = [*FLOORS, "examples"]
    found = [path for name in packages for path in (ROOT / name).rglob("*.py")]
    return sorted([*ROOT.glob("*.py"), *found])


def floor(package: str) -> int:
    return FLOORS.get(package, TOP)


def imported(path: Path) -> Iterator[tuple[int, str, str]]:
    """Line, top-level package and full name of everything a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name.partition(".")[0], alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}, line {node.lineno}: a relative import"
            module = node.module or ""
            for alias in node.names:
                yield node.lineno, module.partition(".")[0], f"{module}.{alias.name}"


OURS = {*FLOORS, "examples", *(path.stem for path in ROOT.glob("*.py"))}
FILES = sources()


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def package_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_imports_only_from_its_own_floor_or_below(path: Path) -> None:
    mine = floor(package_of(path))
    wrong = [
        f"{name_of(path)}, line {line}: {name}"
        for line, package, name in imported(path)
        if package in OURS and floor(package) > mine
    ]
    assert wrong == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_only_the_floor_speaks_sql_and_the_floor_speaks_nothing_else(path: Path) -> None:
    is_floor = package_of(path) == "feedback"
    wrong = []
    for line, package, name in imported(path):
        of_sqlmodel = package == "sqlmodel" and name != "sqlmodel.Session"
        # To hand an engine on, or to survive its errors, is not to speak SQL.
        is_harmless = name == "sqlalchemy.Engine" or name.startswith("sqlalchemy.exc.")
        of_others = package in {"sqlalchemy", "alembic", "psycopg"} and not is_harmless
        speaks_sql = of_sqlmodel or of_others
        if (speaks_sql and not is_floor) or (package in {"fastapi", "httpx"} and is_floor):
            wrong.append(f"{name_of(path)}, line {line}: {name}")
    assert wrong == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_only_the_trainers_and_the_engine_know_torch(path: Path) -> None:
    wrong = [
        f"{name_of(path)}, line {line}: {name}"
        for line, package, name in imported(path)
        if package in TORCH and name_of(path) not in TORCH_FILES
    ]
    assert wrong == []


def read_with(path: Path) -> set[Path]:
    """A file, and all of ours that importing it reads."""
    found, left = set[Path](), [path]
    while left:
        path = left.pop()
        found.add(path)
        for _, package, name in imported(path):
            whole = ROOT / f"{name.replace('.', '/')}.py"
            holder = ROOT / f"{name.rpartition('.')[0].replace('.', '/')}.py"
            if package in OURS:
                left += [each for each in (whole, holder) if each.exists() and each not in found]
    return found


@pytest.mark.parametrize("stage", ["sft", "dpo", "kto"])
def test_a_trainer_knows_no_database(stage: str) -> None:
    read = read_with(ROOT / "training" / f"{stage}.py")
    assert ROOT / "training" / "rows.py" in read
    wrong = [
        f"{name_of(path)}, line {line}: {name}"
        for path in sorted(read)
        for line, package, name in imported(path)
        if package in {"sqlalchemy", "sqlmodel"}
    ]
    assert wrong == []


def test_there_are_files_on_every_floor() -> None:
    assert {package_of(path) for path in FILES} >= {*FLOORS, "examples", "understudy"}
