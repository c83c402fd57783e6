"""What the API says of people: visitors, websites with the widget, staff, the audit log."""

from datetime import datetime
from typing import Any, Self

from pydantic import Field

from feedback.desk_tables import AuditEntry, Site
from feedback.sites import Look
from feedback.tables import Role
from service.shapes import Shape


class NewVisitor(Shape):
    """Who comes to the site; without an id they are somebody new."""

    user_id: str | None = Field(None, min_length=1, max_length=200)
    user_hash: str | None = Field(
        None,
        max_length=128,
        description="HMAC-SHA256 of the id with the site's identity secret, hexadecimal.",
    )


class VisitorOut(Shape):
    """A visitor's token."""

    token: str
    customer: str


class WidgetOut(Shape):
    """What the widget needs to show itself."""

    assistant: str
    title: str
    greeting: str
    colour: str
    theme: str
    position: str
    language: str
    texts: dict[str, str]
    people_are_there: bool


class NewSite(Shape):
    """A website for the widget."""

    name: str = Field(min_length=1, max_length=200)
    assistant: str | None = None
    origins: list[str] = Field(min_length=1, description="Where the page comes from.")
    look: Look = Look()


class SiteChange(Shape):
    """What shall be different on a site; what is left out stays."""

    origins: list[str] | None = Field(None, min_length=1, description="Where the page comes from.")
    look: dict[str, Any] = Field(
        {}, description="Fields of Look; `texts` given here are all the site's own wordings."
    )


class SiteOut(Shape):
    """A website with the widget on it."""

    id: str
    name: str
    public_key: str
    origins: list[str]
    look: dict[str, Any]
    identity_secret: str | None = Field(description="For proving visitors; to admins only.")
    created_at: datetime
    revoked_at: datetime | None

    @classmethod
    def of(cls, site: Site, identity_secret: str | None = None) -> Self:
        """The public side of a site's row."""
        names = set(cls.model_fields) - {"identity_secret"}
        return cls(**{n: getattr(site, n) for n in names}, identity_secret=identity_secret)


class NewStaff(Shape):
    """A new member of staff with a first role."""

    email: str = Field(min_length=3, max_length=200)
    name: str = Field(min_length=1, max_length=200)
    role: Role
    assistant: str | None = Field(None, description="None: for every assistant.")


class NewRole(Shape):
    """A role for a person; null takes the role away."""

    role: Role | None
    assistant: str | None = Field(None, description="None: for every assistant.")


class StaffOut(Shape):
    """A member of staff."""

    id: str
    email: str
    name: str
    roles: dict[str, str] = Field(description="Role by assistant; '*' is every assistant.")
    disabled_at: datetime | None
    created_at: datetime
    password_link: str | None = Field(None, description="Shown once: where they choose a password.")


class AuditOut(Shape):
    """Something a member of staff did."""

    id: str
    created_at: datetime
    actor: str
    role: str
    act: str
    subject: str
    assistant_id: str | None
    detail: dict[str, Any]
    address: str | None

    @classmethod
    def of(cls, entry: AuditEntry) -> Self:
        """The public side of an audit entry."""
        return cls(**{name: getattr(entry, name) for name in cls.model_fields})
