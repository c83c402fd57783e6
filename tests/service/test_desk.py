"""A person takes over, over the API: queue, silence, daily work as a training signal, visitors apart."""

import threading
import time
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy import Engine

from feedback import api_keys, assistants, audit, corrections, sites, staff
from feedback.database import reading, writing
from feedback.tables import Role
from service import visitors
from tests.service.conftest import Shop
from tests.service.talk import ask, begin, events, eventually, stream
from tests.stand_in_engine import StandInEngine

ORIGIN = "https://shop.example"


def personal(shop: Shop, name: str, role: Role = Role.AGENT) -> httpx.Client:
    """A client with a member of staff's own key."""
    with writing(shop.database) as session:
        owner = assistants.get(session, "shop")
        person, _ = staff.invite(session, f"{name}@example.com", name.title(), "test")
        staff.grant(session, person, role, owner, "test")
        _, secret = api_keys.create(session, "laptop", role, None, person)
    headers = {"Authorization": f"Bearer {secret}"}
    return httpx.Client(base_url=shop.url, headers=headers, timeout=30, trust_env=False)


@pytest.fixture
def mara(shop: Shop) -> Iterator[httpx.Client]:
    with personal(shop, "mara") as client:
        yield client


def configure(database: Engine, **desk: object) -> None:
    with writing(database) as session:
        owner = assistants.get(session, "shop")
        owner.desk = desk
        session.add(owner)


def handling(client: httpx.Client, talk: str) -> str:
    return str(client.get(f"/v1/conversations/{talk}").json()["handling"])


# Who has the word


def test_a_customer_who_asks_for_a_person_is_put_into_the_queue_and_the_bot_is_silent(
    shop: Shop, customer: httpx.Client, engine: StandInEngine
) -> None:
    talk = begin(customer)["id"]
    told = ask(customer, talk, "Can I talk to a person, please?").json()
    assert told["answer"] is None and told["conversation"]["handling"] == "waiting"
    assert ask(customer, talk, "Hello?").json()["answer"] is None
    assert engine.asked == []


def test_the_streamed_door_says_who_has_the_conversation(customer: httpx.Client) -> None:
    talk = begin(customer)["id"]
    with stream(customer, talk, "I want a REAL  person") as response:
        told = dict(events(response))
    assert told["question"]["answer_id"] is None
    assert told["conversation"]["people_ahead"] == 0


def test_a_rule_of_the_assistant_and_the_bots_own_words_hand_over_with_the_reason(
    shop: Shop, customer: httpx.Client, mara: httpx.Client, engine: StandInEngine
) -> None:
    rule = {"name": "Legal matters", "phrases": ["my lawyer"]}
    configure(shop.database, rules=[rule], bot_cannot=["you said: magic"])
    by_rule, by_bot = begin(customer)["id"], begin(customer)["id"]
    ask(customer, by_rule, "You will hear from my lawyer!")
    said = ask(customer, by_bot, "Magic").json()
    assert said["answer"]["text"].endswith("Magic")
    assert said["conversation"]["handling"] == "waiting"
    reasons = [mara.post(f"/v1/conversations/{talk}/take").json() for talk in (by_rule, by_bot)]
    assert [(one["reason"], one["detail"]) for one in reasons] == [
        ("rule", "Legal matters"),
        ("bot_cannot", "said “you said: magic”"),
    ]


def test_out_of_hours_the_customer_hears_when_to_expect_a_reply(
    shop: Shop, customer: httpx.Client
) -> None:
    configure(
        shop.database,
        hours={"monday": [{"opens": "00:00", "closes": "00:01"}]},
        reply_within_hours=8,
    )
    talk = begin(customer)["id"]
    about = customer.post(f"/v1/conversations/{talk}/handover", json={}).json()
    assert about["reply_within_hours"] == 8 and about["opens_at"] is not None


def test_two_agents_cannot_take_one_conversation(
    shop: Shop, customer: httpx.Client, mara: httpx.Client
) -> None:
    talk = begin(customer)["id"]
    with personal(shop, "nils") as nils:
        assert mara.post(f"/v1/conversations/{talk}/take").status_code == 201
        refused = nils.post(f"/v1/conversations/{talk}/take")
        assert refused.status_code == 409 and "Mara" in refused.json()["error"]["message"]
        assert nils.post(f"/v1/conversations/{talk}/close").status_code == 409
        assert (
            nils.post(f"/v1/conversations/{talk}/replies", json={"text": "Hi"}).status_code == 409
        )
    assert customer.get(f"/v1/conversations/{talk}").json()["person"] == "Mara"


def test_an_operator_takes_over_from_an_agent_and_an_agent_cannot(
    shop: Shop, customer: httpx.Client, mara: httpx.Client
) -> None:
    talk = begin(customer)["id"]
    mara.post(f"/v1/conversations/{talk}/take")
    with personal(shop, "nils") as nils, personal(shop, "olga", Role.OPERATOR) as olga:
        assert nils.post(f"/v1/conversations/{talk}/take-over").status_code == 403
        taken = olga.post(f"/v1/conversations/{talk}/take-over")
        assert taken.status_code == 201, taken.text
    assert customer.get(f"/v1/conversations/{talk}").json()["person"] == "Olga"
    assert mara.post(f"/v1/conversations/{talk}/replies", json={"text": "Hi"}).status_code == 409
    with reading(shop.database) as session:
        entry = audit.every(session, act="conversation.take_over")[0]
    assert (entry.actor, entry.detail) == ("olga@example.com", {"holder": "mara@example.com"})


def test_the_bot_falls_silent_in_the_middle_of_a_word_and_stays_silent_when_asked_again(
    shop: Shop, customer: httpx.Client, mara: httpx.Client, engine: StandInEngine
) -> None:
    engine.words, engine.pause_seconds = 200, 0.05
    talk = begin(customer)["id"]
    with stream(customer, talk, "A long story, please", "k1") as response:
        told = events(response)
        for _ in range(4):
            next(told)
        mara.post(f"/v1/conversations/{talk}/take")
        rest = list(told)
    assert rest[-1][0] == "error" and len(rest) < 60
    eventually(lambda: engine.aborted == 1)
    engine.pause_seconds = 0.0
    again = ask(customer, talk, "A long story, please", "k1").json()
    assert again["answer"] is None and again["conversation"]["handling"] == "person"
    said = mara.get(f"/v1/conversations/{talk}").json()["messages"]
    assert [m["state"] for m in said if m["speaker"] == "assistant"] == ["interrupted"]


def test_a_live_stream_ends_for_staff_who_are_shut_out_and_for_visitors_of_a_revoked_site(
    shop: Shop,
) -> None:
    with writing(shop.database) as session:
        site = sites.create(session, assistants.get(session, "shop"), "Web", [ORIGIN])
    with httpx.Client(base_url=shop.url, timeout=30, trust_env=False) as visitor:
        token = visitor.post(f"/v1/widget/{site.public_key}/visitors", json={}).json()["token"]
        visitor.headers["Authorization"] = f"Bearer {token}"
        talk = begin(visitor)["id"]
        path = f"/v1/conversations/{talk}/events"
        with personal(shop, "nils") as nils, nils.stream("GET", path) as response:
            told = events(response)
            assert next(told)[0] == "conversation"
            with writing(shop.database) as session:
                staff.disable(session, staff.get(session, "nils@example.com"))
            ask(visitor, talk, "Is he gone?")
            assert [data for _, data in told if "gone" in str(data)] == []
        with visitor.stream("GET", f"{path}?after=9") as response:
            told = events(response)
            assert next(told)[0] == "conversation"
            with writing(shop.database) as session:
                sites.revoke(session, sites.get(session, site.id))
            assert list(told) == []
        assert visitor.get(path).status_code == 401


def test_the_customer_sees_the_agents_words_live_and_the_bot_again_afterwards(
    customer: httpx.Client, mara: httpx.Client
) -> None:
    talk = begin(customer)["id"]
    ask(customer, talk, "Hello")
    seen: list[tuple[str, object]] = []

    def follow() -> None:
        path = f"/v1/conversations/{talk}/events?after=1"
        with customer.stream("GET", path) as response:
            for name, data in events(response):
                seen.append((name, data))
                if name == "message":
                    return

    watching = threading.Thread(target=follow)
    watching.start()
    mara.post(f"/v1/conversations/{talk}/take")
    eventually(lambda: any(n == "conversation" and d["person"] == "Mara" for n, d in seen))  # type: ignore[index]
    mara.post(f"/v1/conversations/{talk}/replies", json={"text": "It is Mara."})
    watching.join(10)
    assert seen[-1][1]["text"] == "It is Mara." and seen[-1][1]["author"] == "Mara"  # type: ignore[index]
    mara.post(f"/v1/conversations/{talk}/release")
    assert ask(customer, talk, "And now?").json()["answer"]["text"]


def test_a_closed_conversation_opens_again_with_the_customers_next_message(
    customer: httpx.Client, mara: httpx.Client
) -> None:
    talk = begin(customer)["id"]
    mara.post(f"/v1/conversations/{talk}/take")
    assert mara.post(f"/v1/conversations/{talk}/close").json()["handling"] == "closed"
    assert ask(customer, talk, "One more thing").json()["answer"]["text"]
    assert handling(customer, talk) == "bot"


def test_a_customer_closes_their_own_conversation_and_leaves_the_queue(
    customer: httpx.Client, mara: httpx.Client
) -> None:
    talk = begin(customer)["id"]
    customer.post(f"/v1/conversations/{talk}/handover", json={})
    waiting = {"view": "waiting"}
    assert [row["id"] for row in mara.get("/v1/conversations", params=waiting).json()] == [talk]
    closed = customer.post(f"/v1/conversations/{talk}/close")
    assert (closed.status_code, closed.json()["handling"]) == (201, "closed")
    assert mara.get("/v1/conversations", params=waiting).json() == []
    assert customer.post(f"/v1/conversations/{talk}/close").status_code == 201
    assert ask(customer, talk, "One more thing").json()["answer"]["text"]
    assert handling(customer, talk) == "bot"


# Daily work teaches


def taught(shop: Shop, message: str) -> list[tuple[str, str | None, str]]:
    with reading(shop.database) as session:
        found = corrections.about_message(session, message)
        return [(str(row.kind), row.text, row.author) for row in found]


def test_an_edited_draft_is_a_correction_an_untouched_one_an_approval(
    shop: Shop, customer: httpx.Client, mara: httpx.Client
) -> None:
    talk = begin(customer)["id"]
    customer.post(f"/v1/conversations/{talk}/handover", json={})
    question = ask(customer, talk, "When do you open?").json()["question"]["id"]
    mara.post(f"/v1/conversations/{talk}/take")
    draft = mara.post(f"/v1/conversations/{talk}/drafts").json()
    assert draft["state"] == "draft" and draft["reply_to_id"] == question
    path = f"/v1/conversations/{talk}/replies"
    body = {"text": "At ten.", "draft_id": draft["id"]}
    sent = mara.post(path, json=body, headers={"Idempotency-Key": "r1"}).json()
    twice = mara.post(path, json=body, headers={"Idempotency-Key": "r1"}).json()
    assert sent["message"]["id"] == twice["message"]["id"]
    assert taught(shop, draft["id"]) == [("correction", "At ten.", "mara@example.com")]
    other = mara.post(f"/v1/conversations/{talk}/drafts").json()
    mara.post(path, json={"text": other["text"], "draft_id": other["id"]})
    assert [kind for kind, _, _ in taught(shop, other["id"])] == ["approval"]


def test_an_answer_from_scratch_is_a_demonstration_once_per_question(
    shop: Shop, customer: httpx.Client, mara: httpx.Client
) -> None:
    talk = begin(customer)["id"]
    customer.post(f"/v1/conversations/{talk}/handover", json={})
    question = ask(customer, talk, "When do you open?").json()["question"]["id"]
    mara.post(f"/v1/conversations/{talk}/take")
    for text in ("At ten.", "On Sundays at noon."):
        mara.post(f"/v1/conversations/{talk}/replies", json={"text": text})
    told = ["At ten.", "At ten.\n\nOn Sundays at noon."]  # the second in place of the first
    assert taught(shop, question) == [("demonstration", text, "mara@example.com") for text in told]
    with reading(shop.database) as session:
        states = [str(word.state) for word in corrections.about_message(session, question)]
    assert states == ["superseded", "active"]


def test_no_customer_ever_sees_a_draft(customer: httpx.Client, mara: httpx.Client) -> None:
    talk = begin(customer)["id"]
    ask(customer, talk, "When do you open?")
    draft = mara.post(f"/v1/conversations/{talk}/drafts").json()
    shown = customer.get(f"/v1/conversations/{talk}").json()["messages"]
    assert draft["id"] not in [message["id"] for message in shown]
    path = f"/v1/conversations/{talk}/messages/{draft['id']}"
    assert customer.get(path).status_code == 404
    assert mara.get(path).status_code == 200
    assert draft["text"] not in customer.get(f"/v1/conversations/{talk}/transcript").text[200:]


def test_a_key_that_belongs_to_nobody_takes_nothing_over(
    customer: httpx.Client, agent: httpx.Client
) -> None:
    talk = begin(customer)["id"]
    refused = agent.post(f"/v1/conversations/{talk}/take")
    assert refused.status_code == 403 and "--staff" in refused.json()["error"]["message"]


def test_every_act_of_staff_is_in_the_audit_log(
    shop: Shop, customer: httpx.Client, mara: httpx.Client
) -> None:
    talk = begin(customer)["id"]
    answer = ask(customer, talk, "Hello").json()["answer"]["id"]
    mara.post(f"/v1/messages/{answer}/corrections", json={"text": "Good day."})
    for act in ("take", "drafts", "release", "take", "close"):
        assert mara.post(f"/v1/conversations/{talk}/{act}").status_code == 201
    mara.post("/v1/reviews")
    with reading(shop.database) as session:
        entries = audit.every(session, actor="mara@example.com")
    assert {entry.act for entry in entries} == {
        "feedback.correction",
        "conversation.take",
        "conversation.draft",
        "conversation.hand_back",
        "conversation.close",
        "review.fill",
    }
    assert {entry.address for entry in entries} == {"127.0.0.1"}


# Visitors


@pytest.fixture
def site(shop: Shop) -> str:
    with writing(shop.database) as session:
        owner = assistants.get(session, "shop")
        return sites.create(session, owner, "Web", [ORIGIN]).public_key


def visitor(shop: Shop, site: str, **who: str) -> httpx.Client:
    path = f"{shop.url}/v1/widget/{site}/visitors"
    made = httpx.post(path, json=who, headers={"Origin": ORIGIN}, trust_env=False)
    assert made.status_code == 201, made.text
    headers = {"Authorization": f"Bearer {made.json()['token']}"}
    return httpx.Client(base_url=shop.url, headers=headers, timeout=30, trust_env=False)


def test_an_admin_changes_a_site_over_the_api(shop: Shop) -> None:
    with shop.client("admin") as admin:
        body = {"name": "Web", "origins": [ORIGIN], "look": {"texts": {"send": "Go"}}}
        made = admin.post("/v1/sites", json=body).json()
        path = f"/v1/sites/{made['id']}"
        changed = admin.patch(path, json={"look": {"language": "de"}}).json()
        assert changed["look"] == {**made["look"], "language": "de"}
        assert (changed["origins"], changed["public_key"]) == ([ORIGIN], made["public_key"])
        changed = admin.patch(path, json={"look": {"texts": {"you": "Guest"}}}).json()
        assert changed["look"]["texts"] == {"you": "Guest"}
        for look in ({"texts": {"sned": "Go"}}, {"size": 3}, {"texts": 3}):
            assert admin.patch(path, json={"look": look}).status_code == 422
    with shop.client("bakery operator") as other:
        assert other.patch(path, json={}).status_code == 403
    with reading(shop.database) as session:
        assert len(audit.every(session, act="site.change")) == 2


def test_a_visitor_reaches_their_own_conversations_and_no_others(shop: Shop, site: str) -> None:
    with visitor(shop, site) as one, visitor(shop, site) as other:
        talk = begin(one)["id"]
        message = ask(one, talk, "Hello").json()["answer"]["id"]
        for path in ("", "/events", "/transcript", f"/messages/{message}"):
            assert other.get(f"/v1/conversations/{talk}{path}").status_code == 404
        for path in ("messages", "handover", "satisfaction"):
            body = {"messages": {"text": "x"}, "satisfaction": {"value": 5}}.get(path, {})
            assert other.post(f"/v1/conversations/{talk}/{path}", json=body).status_code == 404
        assert other.post(f"/v1/messages/{message}/ratings", json={"value": 1}).status_code == 404
        assert [row["id"] for row in one.get("/v1/conversations").json()] == [talk]
        assert other.get("/v1/conversations").json() == []


def test_a_visitor_cannot_speak_for_another_customer(shop: Shop, site: str) -> None:
    with visitor(shop, site) as one:
        assert begin(one, customer="ada")["customer"].startswith("visitor-")
        body = {"model": "shop", "user": "ada", "messages": [{"role": "user", "content": "Hi"}]}
        assert one.post("/v1/chat/completions", json=body).status_code == 403


def test_a_forged_an_old_or_a_revoked_token_is_worth_nothing(
    shop: Shop, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with visitor(shop, site) as one:
        good = one.headers["Authorization"]
        for forged in (
            good[:-2] + "xx",
            good.replace("usv.", "usv.x"),
            "Bearer usv.",
            "Bearer us-",
        ):
            assert (
                one.get("/v1/conversations", headers={"Authorization": forged}).status_code == 401
            )
        assert one.get("/v1/conversations").status_code == 200
        with writing(shop.database) as session:
            sites.revoke(session, sites.of_key(session, site))
        assert one.get("/v1/conversations").status_code == 401


def test_a_site_vouches_for_its_users_and_only_with_the_right_proof(shop: Shop, site: str) -> None:
    secret = (shop.folder / "var" / "secrets" / "service_secret_key").read_text().strip()
    with reading(shop.database) as session:
        identity = visitors.identity_secret(secret, sites.of_key(session, site))
    proof = visitors.proof(identity, "ada")
    with visitor(shop, site, user_id="ada", user_hash=proof) as phone:
        talk = begin(phone)["id"]
    with visitor(shop, site, user_id="ada", user_hash=proof) as laptop:
        assert [row["id"] for row in laptop.get("/v1/conversations").json()] == [talk]
    path = f"{shop.url}/v1/widget/{site}/visitors"
    for wrong in ({"user_id": "eve", "user_hash": proof}, {"user_id": "ada"}):
        assert httpx.post(path, json=wrong, trust_env=False).status_code == 401


def test_only_origins_that_a_site_names_are_let_in(shop: Shop, site: str) -> None:
    path = f"{shop.url}/v1/widget/{site}"
    good, bad = {"Origin": ORIGIN}, {"Origin": "https://evil.example"}
    answer = httpx.get(path, headers=good, trust_env=False)
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-credentials" not in answer.headers
    refused = httpx.get(path, headers=bad, trust_env=False)
    assert refused.status_code == 403 and "access-control-allow-origin" not in refused.headers
    asks = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    flight = httpx.options(f"{shop.url}/v1/conversations", headers=good | asks, trust_env=False)
    assert (
        flight.status_code == 204
        and "Authorization" in flight.headers["access-control-allow-headers"]
    )
    assert httpx.options(path, headers=bad | asks, trust_env=False).status_code == 403


def test_the_customer_says_how_it_was_and_takes_the_transcript_home(
    shop: Shop, site: str, agent: httpx.Client
) -> None:
    with visitor(shop, site) as one:
        talk = begin(one)["id"]
        ask(one, talk, "Hello there")
        rated = one.post(f"/v1/conversations/{talk}/satisfaction", json={"value": 4})
        assert rated.json()["satisfaction"] == 4
        assert (
            one.post(f"/v1/conversations/{talk}/satisfaction", json={"value": 6}).status_code == 422
        )
        kept = one.get(f"/v1/conversations/{talk}/transcript")
        assert "attachment" in kept.headers["content-disposition"] and "Hello there" in kept.text
    assert (
        agent.post(f"/v1/conversations/{talk}/satisfaction", json={"value": 1}).status_code == 403
    )


@pytest.mark.parametrize(
    ("look", "query", "you"),
    [
        ("auto", "", "You"),
        ("de", "", "Sie"),
        ("de", "?language=ar", "أنت"),
        ("auto", "?language=es", "Tú"),
    ],
)
def test_the_transcript_is_in_the_customers_language_and_the_desks_time(
    shop: Shop, site: str, look: str, query: str, you: str
) -> None:
    configure(shop.database, timezone="Asia/Tokyo")
    with writing(shop.database) as session:
        found = sites.of_key(session, site)
        found.look = {**found.look, "language": look}
    with visitor(shop, site) as one:
        begun = begin(one)
        ask(one, begun["id"], "Hello there")
        kept = one.get(f"/v1/conversations/{begun['id']}/transcript{query}").text
        refused = one.get(f"/v1/conversations/{begun['id']}/transcript?language=xx")
    local = datetime.fromisoformat(begun["created_at"]).astimezone(ZoneInfo("Asia/Tokyo"))
    assert f"{local:%Y-%m-%d %H:%M} JST" in kept.splitlines()[0]
    assert kept.splitlines()[2].startswith(f"{you} ({local:%H:}")
    assert refused.status_code == 422


def test_the_review_queue_works_over_the_api(
    shop: Shop, customer: httpx.Client, mara: httpx.Client, engine: StandInEngine
) -> None:
    engine.confidence = -3.0
    configure(shop.database, second_review_percent=0)
    talk = begin(customer)["id"]
    answer = ask(customer, talk, "Do you sell kites?").json()["answer"]
    assert mara.post("/v1/reviews").json()["uncertain"] == 1
    item = mara.post("/v1/reviews/next").json()
    assert item["answer"]["id"] == answer["id"] and item["source"] == "uncertain"
    verdict = {"verdict": "corrected", "text": "Yes, red ones."}
    assert mara.post(f"/v1/reviews/{item['id']}/verdicts", json=verdict).json()["state"] == "done"
    assert mara.post("/v1/reviews/next").json() is None
    [learned] = mara.get("/v1/learned").json()
    assert learned["question"] == "Do you sell kites?" and learned["adapters"] == []
    started = time.monotonic()
    asked = mara.post(f"/v1/feedback/{learned['feedback']['id']}/rechecks")
    assert asked.status_code == 201 and time.monotonic() - started < 5
    assert mara.get("/v1/conversations", params={"q": "kites"}).json()[0]["id"] == talk
    assert mara.get("/v1/conversations", params={"view": "unsure"}).json() == []
