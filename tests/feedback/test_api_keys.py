"""API keys: shown once, stored as a hash, dead at once when revoked."""

import pytest
from sqlmodel import Session, text

from feedback import api_keys
from feedback.errors import NotFound, Unauthenticated
from feedback.tables import Assistant, Role


def test_a_secret_is_nowhere_in_the_database(assistant: Assistant, session: Session) -> None:
    key, secret = api_keys.create(session, "website", Role.CUSTOMER, assistant)
    stored = session.connection().execute(text("SELECT * FROM api_key")).mappings().one()
    assert all(secret not in str(value) for value in stored.values())
    assert stored["sha256"] == api_keys.sha256(secret)
    assert secret.endswith(key.hint.lstrip("…"))
    assert len(secret) > 40


def test_a_secret_names_its_key_until_it_is_revoked(assistant: Assistant, session: Session) -> None:
    key, secret = api_keys.create(session, "website", Role.AGENT)
    assert api_keys.identify(session, secret).id == key.id
    revoked = api_keys.revoke(session, key.id)
    moment = revoked.revoked_at
    assert api_keys.revoke(session, key.id).revoked_at == moment
    for token in (secret, "us-agent-guess", ""):
        with pytest.raises(Unauthenticated, match="unknown or revoked"):
            api_keys.identify(session, token)
    assert [found.id for found in api_keys.every(session)] == [key.id]
    with pytest.raises(NotFound, match="keys list"):
        api_keys.revoke(session, "nowhere")


def test_no_two_keys_are_alike(assistant: Assistant, session: Session) -> None:
    secrets = {api_keys.create(session, "x", Role.OPERATOR)[1] for _ in range(50)}
    assert len(secrets) == 50
