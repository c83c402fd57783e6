"""Visitors of a site with the widget: a signed token names the site and the customer, nothing else.

A site may prove who its visitor is: it sends their id with HMAC-SHA256(the site's identity secret, id),
made on its own server. Without proof a visitor is a new, random customer.
"""

import hashlib
import hmac
from dataclasses import dataclass

from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer
from sqlmodel import Session

from feedback import conversations, sites
from feedback.desk_tables import Site
from feedback.errors import NotFound, Unauthenticated
from feedback.ids import new_id
from feedback.tables import Assistant, Customer
from service.settings import service_settings

PREFIX = "usv."
ANONYMOUS = "visitor-"


@dataclass(frozen=True)
class Visitor:
    """Who holds a token."""

    name: str
    assistant_id: str
    customer_id: str
    site_id: str


def identity_secret(secret: str, site: Site) -> str:
    """What a site's server proves its visitors with; derived, so it is stored nowhere."""
    return hmac.new(secret.encode(), f"site {site.id}".encode(), hashlib.sha256).hexdigest()


def proof(identity: str, user_id: str) -> str:
    """What a site's server computes for one of its users."""
    return hmac.new(identity.encode(), user_id.encode(), hashlib.sha256).hexdigest()


def welcome(
    session: Session, secret: str, site: Site, user_id: str | None, user_hash: str | None
) -> tuple[Customer, str]:
    """A visitor's customer row and token. Unauthenticated when a given proof is wrong."""
    assistant = session.get_one(Assistant, site.assistant_id)
    if user_id is None:
        name = f"{ANONYMOUS}{new_id()}"
    else:
        expected = proof(identity_secret(secret, site), user_id)
        if not hmac.compare_digest(expected, user_hash or ""):
            raise Unauthenticated(
                "The visitor's proof is wrong; expected HMAC-SHA256 of the user's id with the "
                "site's identity secret, as hexadecimal."
            )
        if user_id.startswith(ANONYMOUS):
            raise Unauthenticated(f"A user's id must not begin with {ANONYMOUS!r}.")
        name = user_id
    customer = conversations.customer_named(session, assistant, name)
    return customer, PREFIX + _serializer(secret).dumps([site.id, customer.id])


def identify(session: Session, secret: str, token: str) -> Visitor:
    """Whose token this is, or Unauthenticated."""
    days = service_settings().visitor_token_days
    try:
        site_id, customer_id = _serializer(secret).loads(
            token.removeprefix(PREFIX), max_age=int(days * 86_400)
        )
        site = sites.get(session, site_id)
    except SignatureExpired:
        raise Unauthenticated(
            "This visitor's token is too old; begin a new conversation."
        ) from None
    except (BadSignature, NotFound, ValueError, TypeError):
        raise Unauthenticated("This visitor's token is not one of ours.") from None
    customer = session.get(Customer, customer_id)
    if site.revoked_at or customer is None or customer.assistant_id != site.assistant_id:
        raise Unauthenticated("This visitor's token no longer counts.")
    return Visitor(customer.external_id, site.assistant_id, customer.id, site.id)


def _serializer(secret: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(secret, salt="understudy visitor")
