"""Reads the Dockerfile: its stages, and what a target ends up with."""

import json
import re
from dataclasses import dataclass, field

from tests.deployment.rendering import ROOT

TARGETS = ("service", "engine", "loop")


@dataclass
class Stage:
    """One FROM: its parent, and its own instructions in order."""

    name: str
    parent: str
    instructions: list[tuple[str, str]] = field(default_factory=list)


def read() -> tuple[dict[str, str], dict[str, Stage]]:
    """The arguments before the first FROM, and the stages by name."""
    arguments: dict[str, str] = {}
    stages: dict[str, Stage] = {}
    for word, rest in _instructions():
        if word == "FROM":
            parent, _, name = rest.partition(" AS ")
            stages[name] = Stage(name, parent)
        elif stages:
            list(stages.values())[-1].instructions.append((word, rest))
        else:
            name, _, value = rest.partition("=")
            arguments[name] = value
    return arguments, stages


def _instructions() -> list[tuple[str, str]]:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", "", text)
    split = (line.split(maxsplit=1) for line in joined.splitlines() if line.strip())
    return [(word, rest.strip()) for word, rest in split]


def history(target: str) -> list[tuple[str, str]]:
    """Every instruction behind a target, inherited ones first."""
    _, stages = read()
    stage = stages[target]
    inherited = history(stage.parent) if stage.parent in stages else []
    return inherited + stage.instructions


def last(target: str, word: str) -> str:
    """The instruction in force."""
    return [rest for found, rest in history(target) if found == word][-1]


def command(target: str, word: str) -> list[str]:
    """An instruction in its JSON form."""
    found: list[str] = json.loads(last(target, word))
    return found


def environment(target: str) -> dict[str, str]:
    """The variables an image sets."""
    found: dict[str, str] = {}
    for word, rest in history(target):
        if word == "ENV":
            found |= dict(pair.split("=", 1) for pair in rest.split())
    return found
