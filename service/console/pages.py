"""How a console page is made: a Jinja2 template with what every page shows, or a part of one for htmx."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from feedback.tables import now
from service.console.session import Seat

HERE = Path(__file__).parent
environment = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=select_autoescape(default=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
NONE = "\u2013"
templates = Jinja2Templates(env=environment)


def page(
    request: Request, seat: Seat | None, template: str, status: int = 200, **context: Any
) -> HTMLResponse:
    """A whole page or, where the template is one, a part of it."""
    shared = {"seat": seat, "theme": request.cookies.get("understudy_theme", "auto")}
    return templates.TemplateResponse(
        request, template, {**shared, **context}, status, headers={"Cache-Control": "no-store"}
    )


def ago(at: datetime | None) -> str:
    """How long ago something was, as people say it."""
    if at is None:
        return "never"
    seconds = (now() - at).total_seconds()
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit} ago"
    return "just now"


def day_and_time(at: datetime | None) -> str:
    """A time as 2026-11-23 14:05 UTC."""
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else NONE


def duration(seconds: float | None) -> str:
    """A duration as 4 s, 3 min 5 s, 2 h 10 min or 15 d 3 h."""
    if seconds is None:
        return NONE
    whole = timedelta(seconds=round(seconds))
    minutes, rest = divmod(int(whole.total_seconds()), 60)
    if minutes >= 2 * 24 * 60:
        return f"{minutes // 1440} d {minutes % 1440 // 60} h"
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def words(name: str) -> str:
    """A value of an enumeration as words: missing_step is 'missing step'."""
    return name.replace("_", " ")


def percent(share: float | None) -> str:
    """A share of one as a percentage."""
    return NONE if share is None else f"{share * 100:.0f} %"


def megabytes(size_bytes: int) -> str:
    """A size on disk in MB."""
    return f"{size_bytes / 1e6:.1f} MB"


def signed(value: float | None) -> str:
    """A gain with its sign."""
    return NONE if value is None else f"{value:+.1f}"


for shown in (ago, day_and_time, duration, words, percent, signed, megabytes):
    environment.filters[shown.__name__] = shown
