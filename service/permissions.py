"""Who may call what. Every route states its roles with `allow(...)`; a test walks them all."""

from collections.abc import Awaitable, Callable

from anyio import to_thread
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlmodel import Session

from feedback import api_keys, assistants, conversations
from feedback.database import reading
from feedback.errors import Denied, NotFound, Unauthenticated
from feedback.tables import ApiKey, Assistant, Conversation, Message, Role

EVERYONE = (Role.CUSTOMER, Role.AGENT, Role.OPERATOR)
STAFF = (Role.AGENT, Role.OPERATOR)

bearer = HTTPBearer(auto_error=False, description="An API key: `understudy feedback keys create`.")


class Allow:
    """A dependency that lets only these roles through and hands the route the caller's key."""

    def __init__(self, *roles: Role) -> None:
        self.roles = roles

    async def __call__(
        self,
        request: Request,
        credentials: HTTPAuthorizationCredentials | None = Depends(bearer),
    ) -> ApiKey:
        """The caller's key; Unauthenticated without one, Denied for another role."""
        if credentials is None:
            raise Unauthenticated(
                "Found no API key; expected the header 'Authorization: Bearer …'."
            )
        token = credentials.credentials

        def look_up() -> ApiKey:
            with reading(request.app.state.database) as session:
                return api_keys.identify(session, token)

        key = await to_thread.run_sync(look_up)
        if key.role not in self.roles:
            raise Denied(
                f"This API key has the role {key.role!s}; expected {' or '.join(self.roles)}."
            )
        return key


def allow(*roles: Role) -> Callable[..., Awaitable[ApiKey]]:
    """`Depends(allow(Role.AGENT))` on a route."""
    return Allow(*roles)


def assistant_for(session: Session, key: ApiKey, name: str | None) -> Assistant:
    """The assistant a caller means: the one its key is for, or the named one."""
    own = session.get(Assistant, key.assistant_id) if key.assistant_id else None
    if own is None:
        return assistants.only(session, name)
    if name is not None and name != own.name:
        # Not Denied: a key must not tell which other assistants exist.
        raise NotFound(f"There is no assistant named {name!r}. Known: {own.name!r}.")
    return own


def conversation_for(session: Session, key: ApiKey, conversation_id: str) -> Conversation:
    """A conversation this caller may see. A customer's key sees only what it began."""
    conversation = conversations.get(session, conversation_id)
    foreign = key.assistant_id not in (None, conversation.assistant_id)
    others = key.role == Role.CUSTOMER and conversation.api_key_id != key.id
    if foreign or others:
        raise NotFound(f"There is no conversation {conversation_id!r}.")
    return conversation


def message_for(session: Session, key: ApiKey, message_id: str) -> Message:
    """A message in a conversation this caller may see."""
    message = conversations.message(session, message_id)
    try:
        conversation_for(session, key, message.conversation_id)
    except NotFound:
        raise NotFound(f"There is no message {message_id!r}.") from None
    return message
