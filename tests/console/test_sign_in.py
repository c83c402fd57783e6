"""The consoles' doors over HTTP: sessions, forgery, lock-out, links, a real identity provider."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest
from argon2 import PasswordHasher
from pydantic import SecretStr
from sqlalchemy import Engine

from feedback import assistants, audit, sites, staff
from feedback.audit import Actor
from feedback.database import connect, reading, writing
from feedback.tables import Role
from service.app import create_app
from service.settings import ServiceSettings
from tests.console.conftest import PASSWORD, hire, signed_in
from tests.engine_process import free_port
from tests.service.conftest import Shop
from tests.stand_in_engine import serving


def client(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, timeout=30, trust_env=False, follow_redirects=True)


def test_a_page_without_a_session_leads_to_the_sign_in_and_back(shop: Shop) -> None:
    email = hire(shop.database, "mara", Role.AGENT)
    with client(shop.url) as browser:
        asked = browser.get("/console/shop/audit")
        assert "Sign in" in asked.text and 'value="/console/shop/audit"' in asked.text
        form = {"email": email, "password": PASSWORD, "next": "https://evil.example/"}
        landed = browser.post("/console/sign-in", data=form)
        assert landed.url.host == "127.0.0.1"


def test_the_cookie_is_for_the_consoles_only_and_out_of_reach_of_scripts(shop: Shop) -> None:
    email = hire(shop.database, "mara", Role.AGENT)
    with client(shop.url) as browser:
        browser.follow_redirects = False
        form = {"email": email, "password": PASSWORD}
        cookie = browser.post("/console/sign-in", data=form).headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Path=/console" in cookie


def test_every_wrong_attempt_gets_the_same_sentence_and_is_in_the_audit_log(shop: Shop) -> None:
    email = hire(shop.database, "mara", Role.AGENT)
    with client(shop.url) as browser:
        tried = [(email, "wrong"), ("nobody@example.com", "wrong")] + [(email, "wrong")] * 5
        told = [
            browser.post("/console/sign-in", data={"email": who, "password": password})
            for who, password in [*tried, (email, PASSWORD)]
        ]
    assert {page.status_code for page in told} == {401}
    sentences = {re.sub(r'value="[^"]*"', "", page.text) for page in told}
    assert len(sentences) == 1
    with reading(shop.database) as session:
        found = audit.every(session, act="session.refused")
    assert len(found) == 8 and "paused" in found[0].detail["reason"]


class Watching:
    """Hashes as before, but first writes something else: nobody may hold the writers' lock now."""

    def __init__(self, database: Engine) -> None:
        self._others = connect(str(database.url), busy_timeout_seconds=0.2)

    def verify(self, stored: str, password: str) -> bool:
        with writing(self._others) as session:
            audit.record(session, Actor("somebody else", "customer"), "test.write", "test")
        return PasswordHasher().verify(stored, password)

    def check_needs_rehash(self, stored: str) -> bool:
        return False


@pytest.mark.parametrize("who", ["mara@example.com", "nobody@example.com"])
def test_while_a_password_is_checked_others_may_write(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    hire(shop.database, "mara", Role.AGENT)
    monkeypatch.setattr(staff, "HASHER", Watching(shop.database))
    with client(shop.url) as browser:
        for password in (PASSWORD, "wrong"):
            form = {"email": who, "password": password}
            answer = browser.post("/console/sign-in", data=form, follow_redirects=False)
            assert answer.status_code in (303, 401)
    with reading(shop.database) as session:
        assert len(audit.every(session, act="test.write")) == 2


def test_one_client_has_so_many_wrong_passwords_a_minute_whomever_it_names(
    store: Engine, settings: ServiceSettings, shop: Shop
) -> None:
    email = hire(shop.database, "mara", Role.AGENT)
    few = settings.model_copy(update={"sign_in_failures_per_minute": 2})
    with serving(create_app(few, store)) as url, client(url) as browser:

        def status(who: str, password: str) -> int:
            form = {"email": who, "password": password}
            return browser.post("/console/sign-in", data=form, follow_redirects=False).status_code

        assert [status(email, PASSWORD) for _ in range(3)] == [303] * 3
        assert [status(f"{n}@example.com", "wrong") for n in range(3)] == [401, 401, 429]
        refused = browser.post("/console/sign-in", data={"email": email, "password": PASSWORD})
    assert refused.status_code == 429 and 1 <= int(refused.headers["retry-after"]) <= 60
    assert "SERVICE_SIGN_IN_FAILURES_PER_MINUTE" in refused.text
    with reading(shop.database) as session:
        assert len(audit.every(session, act="session.refused")) == 2


def test_a_form_without_our_token_changes_nothing(shop: Shop, ada: httpx.Client) -> None:
    form = {"email": "eve@example.com", "name": "Eve", "role": "admin", "scope": "*"}
    for headers in ({"X-CSRF-Token": "0" * 64}, {"X-CSRF-Token": ""}):
        refused = ada.post("/console/shop/people", data=form, headers=headers)
        assert refused.status_code == 403
    with reading(shop.database) as session:
        assert staff.find(session, "eve@example.com") is None


def test_a_sign_in_form_sent_by_another_site_is_refused(shop: Shop) -> None:
    form = {"email": hire(shop.database, "mara", Role.AGENT), "password": PASSWORD}
    with client(shop.url) as browser:
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            assert browser.post("/console/sign-in", data=form, headers=headers).status_code == 403


def test_an_invited_person_chooses_a_password_and_is_in(shop: Shop, ada: httpx.Client) -> None:
    form = {"email": "nils@example.com", "name": "Nils", "role": "agent", "scope": "shop"}
    page = ada.post("/console/shop/people", data=form)
    link = re.search(r'id="link">([^<]+)<', page.text)
    assert link
    with client(shop.url) as browser:
        assert "Nils" in browser.get(link[1]).text
        differs = browser.post(link[1], data={"password": PASSWORD, "again": "x"})
        assert differs.status_code == 422 and "not the same" in differs.text
        inside = browser.post(link[1], data={"password": PASSWORD, "again": PASSWORD})
        assert inside.url.path == "/console/shop/inbox"
        assert browser.get(link[1]).status_code == 404


def test_signing_out_ends_the_session_on_the_server_too(shop: Shop, mara: httpx.Client) -> None:
    cookie = mara.cookies["understudy_session"]
    mara.post("/console/sign-out")
    with client(shop.url) as again:
        again.cookies.set("understudy_session", cookie, path="/console")
        assert "Sign in" in again.get("/console").text


def test_pages_carry_a_strict_policy_and_no_inline_script(shop: Shop, ada: httpx.Client) -> None:
    page = ada.get("/console/shop/people")
    policy = page.headers["content-security-policy"]
    assert "script-src 'self'" in policy and "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<script(?![^>]*\ssrc=)", page.text)
    assert not re.search(r"\son\w+=|\sstyle=", page.text)


@pytest.fixture
def provider() -> Iterator[str]:
    """A real OpenID Connect provider in a process of its own."""
    port = free_port()
    claims = '{"sub": "p-17", "email": "mara@example.com", "email_verified": true}'
    other = '{"sub": "p-18", "email": "ada@example.com", "email_verified": false}'
    words = ["--port", str(port), "--user-claims", claims, "--user-claims", other]
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", *words])
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                httpx.get(f"{url}/.well-known/openid-configuration", trust_env=False)
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def with_provider(
    store: Engine, settings: ServiceSettings, shop: Shop, provider: str
) -> Iterator[Shop]:
    told = {
        "openid_issuer": provider,
        "openid_client_id": "understudy",
        "openid_client_secret": SecretStr("s3cret"),
        "openid_name": "Example ID",
    }
    with serving(create_app(settings.model_copy(update=told), store)) as url:
        yield Shop(store, url, shop.keys, shop.folder)


def through_the_provider(shop: Shop, subject: str) -> httpx.Response:
    with client(shop.url) as browser:
        assert "Example ID" in browser.get("/console/sign-in").text
        asked = browser.get("/console/openid")
        return browser.post(asked.url, data={"sub": subject})


def test_a_member_of_staff_signs_in_through_a_real_provider(with_provider: Shop) -> None:
    hire(with_provider.database, "mara", Role.AGENT)
    assert through_the_provider(with_provider, "p-17").url.path == "/console/shop/inbox"
    assert through_the_provider(with_provider, "p-17").url.path == "/console/shop/inbox"


def test_a_stranger_or_an_unverified_address_stays_out(with_provider: Shop) -> None:
    hire(with_provider.database, "ada", Role.ADMIN, None)
    refused = through_the_provider(with_provider, "p-18")
    assert refused.status_code == 403 and "not a member of staff" in refused.text


def test_a_word_from_the_provider_that_was_not_asked_for_is_refused(with_provider: Shop) -> None:
    with client(with_provider.url) as browser:
        answer = browser.get("/console/openid/return?code=abc&state=forged")
        assert answer.status_code == 403


def test_an_operator_makes_links_for_agents_but_not_for_admins(
    shop: Shop, olga: httpx.Client
) -> None:
    agent = hire(shop.database, "nils", Role.AGENT)
    admin = hire(shop.database, "root", Role.ADMIN, None)
    with writing(shop.database) as session:
        ids = [staff.get(session, email).id for email in (agent, admin)]
    assert olga.post(f"/console/shop/people/{ids[0]}/password-link").status_code == 200
    assert olga.post(f"/console/shop/people/{ids[1]}/password-link").status_code == 403


def test_an_admin_changes_roles_and_shuts_people_out(shop: Shop, ada: httpx.Client) -> None:
    email = hire(shop.database, "nils", Role.AGENT)
    with signed_in(shop, email) as nils:
        with writing(shop.database) as session:
            ident = staff.get(session, email).id
        assert nils.get("/console/shop/people").status_code == 403
        ada.post(f"/console/shop/people/{ident}/role", data={"role": "operator", "scope": "shop"})
        assert nils.get("/console/shop/people").status_code == 200
        ada.post(f"/console/shop/people/{ident}/disable", data={"disabled": "true"})
        assert "Sign in" in nils.get("/console/shop/people").text


def test_an_admin_makes_changes_and_revokes_a_site(shop: Shop, ada: httpx.Client) -> None:
    made = ada.post("/console/shop/sites", data={"name": "Web", "origins": "https://shop.example"})
    key = re.search(r"data-site=&#34;([\w-]+)&#34;|data-site=\"([\w-]+)\"", made.text)
    assert key, made.text
    bad = ada.post("/console/shop/sites", data={"name": "Web", "origins": "shop.example"})
    assert bad.status_code == 422 and "https://shop.example" in bad.text
    with writing(shop.database) as session:
        entries = audit.every(session, act="site.create")
    assert len(entries) == 1


def test_an_admin_gives_a_site_its_own_wordings_and_changes_them(
    shop: Shop, ada: httpx.Client
) -> None:
    form = {"name": "Web", "origins": "https://shop.example", "texts": "persn: Talk to Mara"}
    bad = ada.post("/console/shop/sites", data=form)
    assert bad.status_code == 422 and "Found the wording &#39;persn&#39;" in bad.text
    ada.post("/console/shop/sites", data={**form, "texts": "person: Talk to Mara\r\nsend: Go\r\n"})
    with reading(shop.database) as session:
        [site] = sites.every(session, assistants.get(session, "shop"))
    assert site.look["texts"] == {"person": "Talk to Mara", "send": "Go"}
    shown = ada.get("/console/shop/sites").text
    assert "person: Talk to Mara\nsend: Go" in shown
    assert "Names: ahead, best, busy" in shown
    del form["texts"]  # a form without the field leaves them alone; an empty field takes them away
    path = f"/console/shop/sites/{site.id}"
    for sent, kept in ((form, site.look["texts"]), ({**form, "texts": ""}, {})):
        assert ada.post(path, data=sent).status_code == 200
        with reading(shop.database) as session:
            assert sites.get(session, site.id).look["texts"] == kept


def test_the_audit_page_filters_and_exports(shop: Shop, ada: httpx.Client) -> None:
    page = ada.get("/console/shop/audit?act=session.sign_in")
    assert "ada@example.com" in page.text
    assert ada.get("/console/shop/audit/export").text.startswith("created_at,actor")
