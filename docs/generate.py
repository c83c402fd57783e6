"""Writes the reference pages from the code: settings, commands, routes and tables.

Run `python docs/generate.py` after changing one of them; a test fails while a page is out of date.
"""

import ast
import json
import re
import sys
from pathlib import Path
from typing import Any

import click
import typer.main
from pydantic_settings import BaseSettings
from sqlmodel import SQLModel

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import feedback.exam_tables  # noqa: E402
import feedback.swap_tables  # noqa: E402
import feedback.tables  # noqa: E402
import feedback.trust_tables  # noqa: E402
import understudy  # noqa: E402
from evals.doors import DOORS  # noqa: E402
from evals.settings import EvalsSettings  # noqa: E402
from feedback.settings import FeedbackSettings  # noqa: E402
from service.app import create_app  # noqa: E402
from service.settings import ServiceSettings  # noqa: E402
from training.settings import TrainingSettings  # noqa: E402

NOTE = "<!-- Written by docs/generate.py from the code. Do not edit. -->\n"
SETTINGS: list[type[BaseSettings]] = [
    FeedbackSettings,
    ServiceSettings,
    EvalsSettings,
    TrainingSettings,
]


def settings_page() -> str:
    """Every setting: its environment variable, its default, what it does."""
    lines = [
        "# Settings",
        NOTE,
        "Set them in the environment by the name shown, or in `understudy.toml` in the section of the "
        "package, in lower case without the prefix. The environment wins.",
        "\n```toml\n[training]\nsft_epochs = 4\n\n[service]\nport = 9000\n```",
    ]
    for settings in SETTINGS:
        prefix = str(settings.model_config.get("env_prefix"))
        lines += [f"\n## [{prefix.rstrip('_').lower()}]\n", f"{settings.__doc__}\n"]
        lines += ["| variable | default | what it does |", "| --- | --- | --- |"]
        for name, field in settings.model_fields.items():
            default = field.get_default(call_default_factory=True)
            shown = json.dumps(default, default=str)
            if isinstance(default, tuple):  # names, given between commas
                shown = json.dumps(",".join(default))
            lines.append(f"| `{prefix}{name.upper()}` | `{shown}` | {field.description} |")
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    """Every command with its help."""
    lines = ["# Commands", NOTE, "`understudy COMMAND --help` says the same on the terminal."]
    command = typer.main.get_command(understudy.app)
    lines += _command(command, "understudy")
    return "\n".join(lines) + "\n"


def _command(command: Any, path: str) -> list[str]:
    lines = [f"\n## `{path}`\n", (command.help or "").strip()]
    rows = []
    for parameter in command.params:
        if parameter.name == "help" or getattr(parameter, "hidden", False):
            continue
        names = parameter.opts + parameter.secondary_opts
        shown = ", ".join(f"`{name}`" for name in names)
        if isinstance(parameter, click.Argument) or parameter.param_type_name == "argument":
            shown = f"`{(parameter.name or '').upper()}`"
        rows.append(f"| {shown} | {getattr(parameter, 'help', '') or ''} |")
    if rows:
        lines += ["\n| option | what it does |", "| --- | --- |", *rows]
    if command.epilog:
        lines += ["", command.epilog.strip()]
    for name, child in sorted(getattr(command, "commands", {}).items()):
        lines += _command(child, f"{path} {name}")
    return lines


def api_page() -> str:
    """Every route, from the OpenAPI description."""
    described = create_app(more_doors=DOORS).openapi()
    lines = [
        "# API",
        NOTE,
        "All routes but `/health` and `/ready` want `Authorization: Bearer <API key>`. A running "
        "service describes the same at `/openapi.json`, for any OpenAPI client. Errors are "
        '`{"error": {"message": …, "type": …}}` with a fitting status.',
    ]
    by_tag: dict[str, list[tuple[str, str, Any]]] = {}
    for path, methods in described["paths"].items():
        for method, route in methods.items():
            by_tag.setdefault(route["tags"][0], []).append((method.upper(), path, route))
    for tag, routes in by_tag.items():
        lines += [f"\n## {tag}\n", "| route | what it does | takes | gives |"]
        lines += ["| --- | --- | --- | --- |"]
        for method, path, route in routes:
            does = (route.get("description") or route["summary"]).replace("\n", " ")
            lines.append(f"| `{method} {path}` | {does} | {_takes(route)} | {_gives(route)} |")
    lines.append("\n## Shapes\n")
    for name, shape in sorted(described["components"]["schemas"].items()):
        if name in ("HTTPValidationError", "ValidationError"):
            continue
        lines.append(
            f"- **{name}**: "
            + ", ".join(f"`{each}`" for each in shape.get("properties") or shape.get("enum", []))
        )
    return "\n".join(lines) + "\n"


def _takes(route: dict[str, Any]) -> str:
    taken = [f"`{each['name']}`" for each in route.get("parameters", []) if each["in"] != "path"]
    for content in route.get("requestBody", {}).get("content", {}).values():
        taken.append(_name(content["schema"]))
    return ", ".join(taken)


def _gives(route: dict[str, Any]) -> str:
    for status, response in route["responses"].items():
        if status.startswith("2"):
            schema = response.get("content", {}).get("application/json", {}).get("schema", {})
            return f"{status} {_name(schema)}".strip()
    return ""


def _name(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if schema.get("type") == "array":
        return f"list of {_name(schema['items'])}"
    if "anyOf" in schema:
        return " or ".join(_name(each) for each in schema["anyOf"])
    return ""


def data_model_page() -> str:
    """Every table, its columns and what they point to."""
    lines = ["# Data model", NOTE, _picture()]
    tables = {
        each.__table__.name: each
        for module in (
            feedback.tables,
            feedback.desk_tables,
            feedback.exam_tables,
            feedback.swap_tables,
            feedback.trust_tables,
        )
        for each in vars(module).values()
        if isinstance(each, type) and hasattr(each, "__table__")
    }
    for table in SQLModel.metadata.sorted_tables:
        lines += [f"\n## {table.name}\n", str(tables[table.name].__doc__).strip()]
        lines += ["\n| column | type | points to |", "| --- | --- | --- |"]
        for column in table.columns:
            target = ", ".join(key.target_fullname for key in column.foreign_keys)
            kind = str(column.type).lower() + ("" if column.nullable else ", required")
            lines.append(f"| `{column.name}` | {kind} | {target} |")
    return "\n".join(lines) + "\n"


def _picture() -> str:
    arrows = sorted(
        {
            f'  {key.column.table.name} ||--o{{ {table.name} : ""'
            for table in SQLModel.metadata.sorted_tables
            for key in table.foreign_keys
            if key.column.table.name not in ("assistant", table.name)
        }
    )
    return "\n".join(["```mermaid", "erDiagram", *arrows, "```"])


def readme() -> str:
    """README.md with the tree as it stands: every module with the first line of its docstring."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    before, _, rest = text.partition(TREE)
    _, _, after = rest.partition(TREE)
    return f"{before}{TREE}\n```\n{tree()}\n```\n{TREE}{after}"


TREE = "<!-- the tree, written by docs/generate.py -->"
ROOMS = (
    "training", "evals", "service", "service/console", "service/engine", "feedback", "examples"
)  # fmt: skip


def tree() -> str:
    """The modules by package, in the order in which they may import each other."""
    lines = [_module(path, "") for path in sorted(ROOT.glob("*.py"), reverse=True)]
    for room in ROOMS:
        lines.append(f"{room + '/':<28}# {_first_line(ROOT / room / '__init__.py')}")
        modules = sorted((ROOT / room).glob("*.py"))
        lines += [_module(path, "  ") for path in modules if path.name != "__init__.py"]
    return "\n".join([*lines, *OTHERS])


OTHERS = [
    "tests/                      # sentences; engine/ and cycle/ run the real vLLM and TRL",
    "benchmarks/                 # measurements, with the machine and the command",
    "docs/                       # how-to pages, references, decisions",
    "k8s/, Dockerfile            # images and manifests",
]


def _module(path: Path, indent: str) -> str:
    return f"{indent + path.name:<28}# {_first_line(path)}"


def _first_line(path: Path) -> str:
    document = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return re.split(r"(?<=[.;])\s", document.replace("\n", " "))[0].rstrip(".;")


PAGES = {
    "settings.md": settings_page,
    "commands.md": commands_page,
    "api.md": api_page,
    "data-model.md": data_model_page,
}


def main() -> None:
    """Write every page."""
    for name, page in PAGES.items():
        (ROOT / "docs" / name).write_text(page(), encoding="utf-8")
        print(f"docs/{name}")
    (ROOT / "README.md").write_text(readme(), encoding="utf-8")
    print("README.md")


if __name__ == "__main__":
    main()
