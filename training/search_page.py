"""A search's report as one HTML page that needs nothing else: styles and drawings inside, no script."""

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from evals.page import NONE, environment, number, policy, style
from training import search_plots

TEMPLATES = Path(__file__).parent / "templates"


def html(told: dict[str, Any]) -> str:
    """The whole page, from the report as it is in JSON."""
    present = told["present"]["loss"] if told["present"] else None
    spans = {
        name: choice if isinstance(choice, dict) else None for name, choice in told["space"].items()
    }
    return (
        _environment()
        .get_template("search.html")
        .render(
            told=told,
            css=Markup(style()),  # noqa: S704 - our own style sheets
            policy=policy(),
            history=search_plots.history(told["trials"], present),
            mattered=search_plots.mattered(told["mattered"]) if told["mattered"] else None,
            by_value=[
                search_plots.by_value(name, told["trials"], span) for name, span in spans.items()
            ],
        )
    )


@cache
def _environment() -> Environment:
    made = environment(TEMPLATES)
    made.filters |= {
        "num": number,
        "loss": lambda value: NONE if value is None else f"{value:.4f}",
        "value": _value,
    }
    return made


def _value(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
