"""Websites with the widget on them: which assistant, from which origins, how it looks.

A site's key is public. What a visitor may do rests on a token the service signs, not on this key.
"""

import re
import secrets
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlmodel import Session, col, select

from feedback.conversations import check_name
from feedback.desk_tables import Site
from feedback.errors import Invalid, NotFound
from feedback.tables import Assistant, now

COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
TEXT_MAX_CHARS = 300
_NAMES = """
open close messages greeting placeholder send writing you person waiting ahead next hours reply here closed
up down why thanks menu fresh save end rate worst best cut offline busy retry failed gone unread
"""
TEXTS = tuple(_NAMES.split())
"""The wordings a site may replace, as the widget names them; a test compares the two."""


class Look(BaseModel):
    """How the widget looks and speaks on a site."""

    model_config = ConfigDict(extra="forbid")

    title: str = Field(
        "", max_length=80, description="Heading of the panel; empty: the assistant's."
    )
    greeting: str = Field("", max_length=400, description="Shown before anything was said.")
    colour: str = Field("#0f766e", pattern=COLOUR.pattern, description="The brand's colour.")
    theme: Literal["auto", "light", "dark"] = Field(
        "auto", description="'auto' follows the visitor's system."
    )
    position: Literal["right", "left"] = Field("right", description="Corner of the launcher.")
    language: Literal["auto", "en", "de", "es", "ar"] = Field(
        "auto", description="'auto' follows the page, then the visitor's browser."
    )
    texts: dict[str, str] = Field({}, description="Own wordings, by the name of the text.")


def create(
    session: Session, assistant: Assistant, name: str, origins: list[str], look: Look | None = None
) -> Site:
    """A new site with a key of its own."""
    check_texts(look.texts if look else {})
    site = Site(
        assistant_id=assistant.id,
        name=check_name(name, "site's name"),
        public_key=f"site-{secrets.token_urlsafe(12)}",
        origins=[check_origin(origin) for origin in origins],
        look=(look or Look()).model_dump(),
    )
    session.add(site)
    session.flush()
    return site


def change(session: Session, site: Site, origins: list[str], look: Look) -> Site:
    """Other origins, another look; the key stays."""
    check_texts(look.texts)
    site = session.get_one(Site, site.id)
    site.origins = [check_origin(origin) for origin in origins]
    site.look = look.model_dump()
    return site


def check_look(given: dict[str, object]) -> Look:
    """A look from a form or a file, or Invalid with what is wrong in it."""
    try:
        return Look.model_validate(given)
    except ValidationError as error:
        problem = error.errors()[0]
        name = ".".join(str(part) for part in problem["loc"])
        raise Invalid(f"Found {name} {problem['input']!r}: {problem['msg']}.") from None


def check_texts(texts: dict[str, str]) -> None:
    """Invalid for a wording that the widget does not have, or one that would not fit."""
    for name, wording in texts.items():
        if name not in TEXTS:
            raise Invalid(
                f"Found the wording {name!r}; expected one of the widget's: {', '.join(sorted(TEXTS))}."
            )
        if not 1 <= len(wording.strip()) <= TEXT_MAX_CHARS:
            raise Invalid(
                f"The wording {name!r} has {len(wording.strip())} characters; expected 1 to "
                f"{TEXT_MAX_CHARS}. Leave it out for the widget's own."
            )


def read_texts(lines: list[str]) -> dict[str, str]:
    """Wordings from lines such as 'send: Post it', or Invalid with the line that is none."""
    texts = {}
    for line in lines:
        name, colon, wording = (part.strip() for part in line.partition(":"))
        if not (name and colon and wording):
            raise Invalid(
                f"Found the line {line!r}; expected 'name: wording', as in 'send: Post it'."
            )
        if name in texts:
            raise Invalid(f"Found two wordings for {name!r}; expected one.")
        texts[name] = wording
    check_texts(texts)
    return texts


def check_origin(origin: str) -> str:
    """An origin as browsers send it, or Invalid."""
    origin = origin.strip().rstrip("/").lower()
    parts = urlsplit(origin)
    if (
        parts.scheme not in ("http", "https")
        or not parts.netloc
        or origin != (f"{parts.scheme}://{parts.netloc}")
    ):
        raise Invalid(f"Found the origin {origin!r}; expected one like 'https://shop.example'.")
    return origin


def of_key(session: Session, public_key: str) -> Site:
    """The site with this key, or NotFound."""
    found = session.exec(select(Site).where(Site.public_key == public_key)).first()
    if found is None or found.revoked_at is not None:
        raise NotFound(f"There is no site with the key {public_key!r}, or it was revoked.")
    return found


def every(session: Session, assistant: Assistant) -> list[Site]:
    """An assistant's sites, newest first."""
    return list(
        session.exec(
            select(Site)
            .where(Site.assistant_id == assistant.id)
            .order_by(col(Site.created_at).desc(), col(Site.id).desc())
        )
    )


def get(session: Session, site_id: str) -> Site:
    """The site, or NotFound."""
    found = session.get(Site, site_id)
    if found is None:
        raise NotFound(f"There is no site {site_id!r}.")
    return found


def revoke(session: Session, site: Site) -> Site:
    """The widget stops working there at once, and so do its visitors' tokens."""
    site = session.get_one(Site, site.id)
    site.revoked_at = site.revoked_at or now()
    return site


def all_origins(session: Session) -> set[str]:
    """Every origin some site allows."""
    found = session.exec(select(Site).where(col(Site.revoked_at).is_(None)))
    return {origin for site in found for origin in site.origins}
