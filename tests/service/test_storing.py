"""With the rule on, nothing personal is stored nor shown to the model; without it, words stay as they are."""

import json

import httpx
import pytest
from sqlmodel import select

from feedback import assistants, imports
from feedback.database import reading, writing
from feedback.import_entries import ImportKind
from feedback.tables import Conversation, Feedback, Message
from tests.service.conftest import Shop
from tests.service.talk import ask, begin

ASKED = "I am reachable under jane.whitfield@example.com, and my order is PP-204417. Where is it?"
SECRETS = ("jane.whitfield@example.com", "PP-204417")


@pytest.fixture
def careful(shop: Shop) -> Shop:
    with writing(shop.database) as session:
        rules = {"redact_before_storage": True, "patterns": {"ORDER_NUMBER": "PP-[0-9]{6}"}}
        assistants.change(session, assistants.get(session, "shop"), learning=rules)
    return shop


def stored(shop: Shop) -> str:
    with reading(shop.database) as session:
        texts = [
            *session.exec(select(Message.text)),
            *session.exec(select(Conversation.last_text)),
            *session.exec(select(Feedback.text)),
            *session.exec(select(Feedback.note)),
        ]
    return "\n".join(text for text in texts if text)


def test_what_a_customer_writes_is_stored_and_shown_to_the_model_without_personal_data(
    careful: Shop, customer: httpx.Client
) -> None:
    talk = begin(customer)["id"]
    first = ask(customer, talk, ASKED, key="once").json()
    assert ask(customer, talk, ASKED, key="once").json()["answer"]["id"] == first["answer"]["id"]
    seen = stored(careful) + first["answer"]["text"]  # the stand-in engine says what it was asked
    assert not any(secret in seen for secret in SECRETS)
    assert "<EMAIL_ADDRESS>" in seen and "<ORDER_NUMBER>" in seen


def test_staffs_words_and_imports_are_stored_so_too(careful: Shop, customer: httpx.Client) -> None:
    answer = ask(customer, begin(customer)["id"], "Where is it?").json()["answer"]["id"]
    with careful.client("agent") as agent:
        text = {"text": f"Hello, {ASKED}", "note": f"She said: {ASKED}"}
        assert agent.post(f"/v1/messages/{answer}/corrections", json=text).status_code == 201
    path = careful.folder / "rows.jsonl"
    path.write_text(json.dumps({"question": ASKED, "answer": "No.", "correction": ASKED}))
    with writing(careful.database) as session:
        owner = assistants.get(session, "shop")
        imports.import_file(session, owner, ImportKind.CORRECTIONS, path)
    assert not any(secret in stored(careful) for secret in SECRETS)


def test_a_client_that_sends_its_whole_history_goes_on_in_its_conversation(
    careful: Shop, customer: httpx.Client
) -> None:
    said = [{"role": "user", "content": ASKED}]
    first = customer.post("/v1/chat/completions", json={"model": "shop", "messages": said})
    said += [first.json()["choices"][0]["message"], {"role": "user", "content": "And now?"}]
    second = customer.post("/v1/chat/completions", json={"model": "shop", "messages": said})
    ids = {each.headers["X-Conversation-Id"] for each in (first, second)}
    assert len(ids) == 1
    assert not any(secret in stored(careful) for secret in SECRETS)


def test_without_the_rule_words_are_stored_as_they_are(shop: Shop, customer: httpx.Client) -> None:
    ask(customer, begin(customer)["id"], ASKED)
    assert all(secret in stored(shop) for secret in SECRETS)
