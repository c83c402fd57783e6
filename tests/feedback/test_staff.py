"""People who sign in: passwords, pauses, links, roles per assistant, identity providers, sessions."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Engine
from sqlmodel import Session

from feedback import api_keys, staff, staff_sessions
from feedback.database import writing
from feedback.desk_tables import Staff
from feedback.errors import Conflict, Invalid, NotFound, Unauthenticated
from feedback.tables import Assistant, Role, now

PASSWORD = "nine quiet herons"


def hired(session: Session, email: str = "mara@example.com") -> Staff:
    _, secret = staff.invite(session, email, "Mara", "test")
    return staff.choose_password(session, secret, PASSWORD)


def tried(session: Session, email: str, password: str) -> staff.SignIn:
    """Sign in as the form does; there no transaction is open while the hash is computed."""
    proof = staff.prove(staff.hash_of(session, email), password)
    return staff.sign_in(session, email, proof)


def test_only_the_right_password_signs_in_and_it_is_kept_as_argon2id(session: Session) -> None:
    person = hired(session)
    assert person.password_hash and person.password_hash.startswith("$argon2id$v=19$m=65536,t=3,")
    assert PASSWORD not in person.password_hash
    assert tried(session, "MARA@example.com ", PASSWORD).person == person
    assert tried(session, person.email, PASSWORD + " ").person is None
    assert tried(session, "nobody@example.com", PASSWORD).person is None


def test_too_many_wrong_passwords_pause_the_account_even_for_the_right_one(
    session: Session,
) -> None:
    person = hired(session)
    found = [tried(session, person.email, "wrong").found for _ in range(5)]
    assert found == ["wrong password"] * 4 + ["wrong password, paused"]
    assert tried(session, person.email, PASSWORD).person is None
    person.locked_until = now() - timedelta(seconds=1)
    assert tried(session, person.email, PASSWORD).person == person


def test_a_link_works_once_and_a_newer_one_ends_it(session: Session) -> None:
    person, first = staff.invite(session, "mara@example.com", "Mara", "test")
    second = staff.make_reset(session, person, "test")
    with pytest.raises(NotFound, match="used already"):
        staff.choose_password(session, first, PASSWORD)
    staff.choose_password(session, second, PASSWORD)
    with pytest.raises(NotFound, match="used already"):
        staff.of_reset(session, second)


@pytest.mark.parametrize(
    ("password", "why"),
    [("short", "at least 12"), ("i am mara and nobody else", "own name"), ("x" * 1001, "1000")],
)
def test_a_weak_password_is_refused_with_the_reason(
    session: Session, password: str, why: str
) -> None:
    _, secret = staff.invite(session, "mara@example.com", "Mara", "test")
    with pytest.raises(Invalid, match=why):
        staff.choose_password(session, secret, password)


@pytest.mark.parametrize("email", ["mara", "mara@", "@example.com", "ma ra@example.com", ""])
def test_what_cannot_be_an_address_is_refused(session: Session, email: str) -> None:
    with pytest.raises(Invalid):
        staff.invite(session, email, "Mara", "test")


def test_one_address_is_one_person(session: Session) -> None:
    hired(session)
    with pytest.raises(Conflict):
        staff.invite(session, "Mara@Example.com", "Mara again", "test")


def test_roles_hold_per_assistant_and_the_highest_counts(
    make_assistant: Callable[..., Assistant], database_engine: Engine
) -> None:
    shop, bakery = make_assistant("shop"), make_assistant("bakery")
    with writing(database_engine) as session:
        person = hired(session)
        staff.grant(session, person, Role.AGENT, None, "test")
        staff.grant(session, person, Role.ADMIN, shop, "test")
        roles = staff.roles_of(session, person)
        assert staff.role_at(roles, shop.id) == Role.ADMIN
        assert staff.role_at(roles, bakery.id) == Role.AGENT
        staff.take_role(session, person, None)
        assert staff.role_at(staff.roles_of(session, person), bakery.id) is None
        with pytest.raises(Invalid):
            staff.grant(session, person, Role.CUSTOMER, shop, "test")


def test_a_person_who_is_shut_out_is_out_everywhere_at_once(
    assistant: Assistant, session: Session
) -> None:
    person = hired(session)
    _, cookie = staff_sessions.begin(session, person)
    staff.grant(session, person, Role.AGENT, assistant, "test")
    _, token = api_keys.create(session, "laptop", Role.AGENT, None, person)
    staff.disable(session, person)
    with pytest.raises(Unauthenticated):
        staff_sessions.identify(session, cookie)
    with pytest.raises(Unauthenticated):
        api_keys.owner(session, api_keys.identify(session, token))
    assert tried(session, person.email, PASSWORD).person is None
    staff.disable(session, person, disabled=False)
    assert tried(session, person.email, PASSWORD).person == person


def test_a_personal_key_never_exceeds_its_owner_or_its_own_role(
    assistant: Assistant, session: Session
) -> None:
    person = hired(session)
    staff.grant(session, person, Role.AGENT, assistant, "test")
    high, _ = api_keys.create(session, "high", Role.ADMIN, None, person)
    assert api_keys.roles_of_owner(session, high, person) == {assistant.id: Role.AGENT}
    staff.grant(session, person, Role.ADMIN, assistant, "test")
    low, _ = api_keys.create(session, "low", Role.AGENT, assistant, person)
    assert api_keys.roles_of_owner(session, low, person) == {assistant.id: Role.AGENT}
    with pytest.raises(Invalid):
        api_keys.create(session, "odd", Role.CUSTOMER, assistant, person)


def test_a_session_ends_by_age_by_silence_and_by_signing_out(session: Session) -> None:
    person = hired(session)
    row, cookie = staff_sessions.begin(session, person)
    assert staff_sessions.identify(session, cookie)[1] == person
    assert cookie not in row.sha256
    row.seen_at = now() - timedelta(hours=3)
    with pytest.raises(Unauthenticated, match="ended"):
        staff_sessions.identify(session, cookie)
    row.seen_at, row.expires_at = now(), now() - timedelta(seconds=1)
    with pytest.raises(Unauthenticated, match="ended"):
        staff_sessions.identify(session, cookie)
    row.expires_at = now() + timedelta(hours=1)
    staff_sessions.end(session, row)
    with pytest.raises(Unauthenticated, match="ended"):
        staff_sessions.identify(session, cookie)


def test_choosing_a_new_password_ends_every_session(session: Session) -> None:
    person = hired(session)
    _, cookie = staff_sessions.begin(session, person)
    staff.choose_password(session, staff.make_reset(session, person, "test"), "another quiet heron")
    with pytest.raises(Unauthenticated):
        staff_sessions.identify(session, cookie)


def test_a_provider_is_believed_for_its_subject_and_first_by_a_verified_address(
    session: Session,
) -> None:
    person = hired(session)
    issuer = "https://id.example"
    assert staff.by_openid(session, issuer, "s1", "") is None
    assert staff.by_openid(session, issuer, "s1", "mara@example.com") == person
    assert staff.by_openid(session, issuer, "s1", "") == person
    # Somebody else at the provider now has her address: they are not her.
    assert staff.by_openid(session, issuer, "s2", "mara@example.com") is None
    assert staff.by_openid(session, "https://other.example", "s1", "") is None


def test_a_proof_counts_only_for_the_password_it_was_made_for(session: Session) -> None:
    person = hired(session)
    proof = staff.prove(staff.hash_of(session, person.email), PASSWORD)
    staff.choose_password(session, staff.make_reset(session, person, "test"), "another quiet heron")
    assert staff.sign_in(session, person.email, proof).found == "wrong password"


def test_a_hash_of_a_lower_cost_is_renewed_at_the_next_sign_in(session: Session) -> None:
    person = hired(session)
    person.password_hash = PasswordHasher(time_cost=1, memory_cost=64).hash(PASSWORD)
    session.flush()
    assert tried(session, person.email, PASSWORD).person == person
    assert person.password_hash.startswith("$argon2id$v=19$m=65536,t=3,")
    assert tried(session, person.email, PASSWORD).person == person
