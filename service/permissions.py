"""Who may call what. Every route states its roles with `allow(...)`; a test walks them all.

Whoever calls over the API shows one token: an API key, or a visitor's token from the widget. The consoles
have a session cookie instead (service/console/session.py); both end as a `Caller`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Protocol

from fastapi import Depends, FastAPI, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param
from sqlmodel import Session

from feedback import api_keys, assistants, conversations, rechecks, staff
from feedback.audit import Actor
from feedback.desk_tables import Staff
from feedback.errors import Denied, Invalid, NotFound, Unauthenticated
from feedback.remembered import Remembered
from feedback.staff import Roles
from feedback.tables import Assistant, Conversation, Feedback, Message, Role
from service import visitors

EVERYONE = (Role.CUSTOMER, Role.AGENT, Role.OPERATOR, Role.ADMIN)
STAFF = (Role.AGENT, Role.OPERATOR, Role.ADMIN)
OPERATORS = (Role.OPERATOR, Role.ADMIN)
ADMINS = (Role.ADMIN,)

bearer = HTTPBearer(
    auto_error=False,
    description="An API key (`understudy feedback keys create`), or a visitor's token of the widget.",
)


@dataclass(frozen=True)
class Caller:
    """Somebody with a request: their name, their roles, and which of them this route lets through."""

    name: str
    roles: Roles
    allowed: tuple[Role, ...] = ()
    api_key_id: str | None = None
    customer_id: str | None = None
    site_id: str | None = None
    staff_id: str | None = None
    address: str | None = None

    def role_at(self, assistant_id: str) -> Role | None:
        """The role held for an assistant, if this route lets it through."""
        role = staff.role_at(self.roles, assistant_id)
        return role if role in self.allowed else None

    @property
    def highest(self) -> Role:
        """The highest role held for any assistant; the lowest there is without one."""
        return max(self.roles.values(), key=staff.rank, default=Role.CUSTOMER)

    @property
    def is_customer(self) -> bool:
        """Whether only their own conversations are their business."""
        return self.highest == Role.CUSTOMER

    def actor(self, assistant_id: str | None = None) -> Actor:
        """For the audit log: who, in which role, from where."""
        role = staff.role_at(self.roles, assistant_id) if assistant_id else None
        return Actor(self.name, str(role or self.highest), self.address)


class Allow:
    """A dependency that lets only these roles through and hands the route its caller."""

    def __init__(self, *roles: Role) -> None:
        self.roles = roles

    async def __call__(
        self,
        request: Request,
        credentials: HTTPAuthorizationCredentials | None = Depends(bearer),
    ) -> Caller:
        """The caller; Unauthenticated without a token, Denied for another role."""
        if credentials is None:
            raise Unauthenticated(
                "Found no API key; expected the header 'Authorization: Bearer …'."
            )
        token, state = credentials.credentials, request.app.state
        callers: Remembered[str, Caller] = state.callers
        caller = await callers.soon(state.database, token)
        address = request.client.host if request.client else None
        return self.let_through(replace(caller, allowed=self.roles, address=address))

    def let_through(self, caller: Caller) -> Caller:
        """The caller, or Denied when none of their roles is one of the route's."""
        if not any(role in self.roles for role in caller.roles.values()):
            held = " or ".join(sorted({str(role) for role in caller.roles.values()})) or "none"
            raise Denied(f"This caller has the role {held!r}; expected {' or '.join(self.roles)}.")
        return caller


def callers_of(app: FastAPI, seconds: float) -> Remembered[str, Caller]:
    """Who holds a token, remembered for a moment: asked with every request, seldom changed."""

    return Remembered(seconds, lambda session, token: _holder(session, app.state.secret, token))


def assistants_known(seconds: float) -> Remembered[None, list[Assistant]]:
    """All assistants, remembered for a moment."""
    return Remembered(seconds, lambda session, _: assistants.every(session))


def _holder(session: Session, secret: str, token: str) -> Caller:
    if token.startswith(visitors.PREFIX):
        return _visitor(session, secret, token)
    return _key(session, token)


def _visitor(session: Session, secret: str, token: str) -> Caller:
    visitor = visitors.identify(session, secret, token)
    return Caller(
        name=visitor.name,
        roles={visitor.assistant_id: Role.CUSTOMER},
        customer_id=visitor.customer_id,
        site_id=visitor.site_id,
    )


def _key(session: Session, token: str) -> Caller:
    key = api_keys.identify(session, token)
    person = api_keys.owner(session, key)
    if person is not None:
        roles = api_keys.roles_of_owner(session, key, person)
        name = person.email
    else:
        roles, name = {key.assistant_id: Role(key.role)}, key.name
    return Caller(name=name, roles=roles, api_key_id=key.id, staff_id=person.id if person else None)


def again(request: Request, session: Session, caller: Caller) -> Caller:
    """The caller of a long request as they are by now; Unauthenticated or Denied once shut out."""
    _, token = get_authorization_scheme_param(request.headers.get("authorization"))
    now = _holder(session, request.app.state.secret, token)
    return Allow(*caller.allowed).let_through(
        replace(now, allowed=caller.allowed, address=caller.address)
    )


def allow(*roles: Role) -> Callable[..., Awaitable[Caller]]:
    """`Depends(allow(Role.AGENT))` on a route."""
    return Allow(*roles)


def person_of(session: Session, caller: Caller) -> Staff:
    """The member of staff who calls; Denied for a key that belongs to nobody."""
    if caller.staff_id is None:
        raise Denied(
            "This is a person's act, and this API key belongs to nobody. Make a personal one: "
            "`understudy feedback keys create --role agent --staff mara@example.com`."
        )
    return session.get_one(Staff, caller.staff_id)


def assistant_for(session: Session, caller: Caller, name: str | None) -> Assistant:
    """The assistant a caller means: the named one, or the only one they have to do with."""
    return assistant_among(assistants.every(session), caller, name)


def assistant_among(found: list[Assistant], caller: Caller, name: str | None) -> Assistant:
    """The same among all assistants there are."""
    theirs = [each for each in found if caller.role_at(each.id)]
    if name is None and len(theirs) == 1:
        return theirs[0]
    names = ", ".join(repr(each.name) for each in theirs) or "none"
    if name is None and None in caller.roles:
        raise Invalid(f"Name an assistant; there are {len(theirs)}: {names}.")
    meant = next((each for each in theirs if each.name == name), None)
    if meant is None:
        # Not Denied: a caller must not learn which other assistants exist.
        what = f"There is no assistant named {name!r}" if name else "Name an assistant"
        raise NotFound(f"{what}. Known: {names}.")
    return meant


def conversation_for(session: Session, caller: Caller, conversation_id: str) -> Conversation:
    """A conversation this caller may see. Customers see only what they began."""
    conversation = conversations.get(session, conversation_id)
    check_may_see(caller, conversation)
    return conversation


class Owned(Protocol):
    """What of a conversation says whose it is: its row, or only these columns."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def assistant_id(self) -> str: ...  # noqa: D102
    @property
    def customer_id(self) -> str | None: ...  # noqa: D102
    @property
    def api_key_id(self) -> str | None: ...  # noqa: D102


def check_may_see(caller: Caller, conversation: Owned) -> None:
    """NotFound where this caller may not even know of the conversation."""
    role = caller.role_at(conversation.assistant_id)
    if role is None or (role == Role.CUSTOMER and not _is_theirs(caller, conversation)):
        raise NotFound(f"There is no conversation {conversation.id!r}.")


def _is_theirs(caller: Caller, conversation: Owned) -> bool:
    if caller.customer_id is not None:
        return conversation.customer_id == caller.customer_id
    return caller.api_key_id is not None and conversation.api_key_id == caller.api_key_id


def message_for(session: Session, caller: Caller, message_id: str) -> Message:
    """A message in a conversation this caller may see; a customer never sees a draft."""
    message = conversations.message(session, message_id)
    try:
        conversation = conversation_for(session, caller, message.conversation_id)
    except NotFound:
        raise NotFound(f"There is no message {message_id!r}.") from None
    is_customer = caller.role_at(conversation.assistant_id) == Role.CUSTOMER
    if is_customer and not conversations.told([message]):
        raise NotFound(f"There is no message {message_id!r}.")
    return message


def feedback_for(session: Session, caller: Caller, feedback_id: str) -> Feedback:
    """A word on a message in a conversation this caller may see."""
    row = rechecks.get(session, feedback_id)
    try:
        message_for(session, caller, row.message_id)
    except NotFound:
        raise NotFound(f"There is no feedback {feedback_id!r}.") from None
    return row
