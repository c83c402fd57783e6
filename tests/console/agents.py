"""Small verbs the agents' tests share: conversations that happened, forms that are sent."""

import re

import httpx

from feedback import audit
from feedback.database import reading
from tests.service.conftest import Shop
from tests.service.talk import ask, begin


def talked(shop: Shop, text: str = "Where is my parcel?", customer: str = "ann") -> tuple[str, str]:
    """A question that the bot answered; the ids of the conversation and of the answer."""
    with shop.client("customer") as client:
        conversation = begin(client, customer=customer)["id"]
        answer = ask(client, conversation, text).json()["answer"]["id"]
    return conversation, answer


def flagged(shop: Shop, answer: str, reason: str = "wrong_fact") -> None:
    """The customer says that an answer is wrong."""
    with shop.client("customer") as client:
        done = client.post(f"/v1/messages/{answer}/flags", json={"reason": reason})
        assert done.status_code == 201, done.text


def asks_for_a_person(shop: Shop, conversation: str) -> None:
    """The customer presses the button."""
    with shop.client("customer") as client:
        done = client.post(f"/v1/conversations/{conversation}/handover", json={})
        assert done.status_code == 201, done.text


def acts(shop: Shop) -> list[str]:
    """What the audit log holds, oldest first."""
    with reading(shop.database) as session:
        return [entry.act for entry in reversed(audit.every(session))]


def correct(client: httpx.Client, answer: str, text: str, **more: str) -> httpx.Response:
    """Send the form that corrects an answer."""
    fields = {"verdict": "corrected", "reason": "wrong_fact", "text": text, **more}
    return client.post(f"/console/shop/messages/{answer}/verdicts", data=fields)


def titles(page: str) -> list[str]:
    """The customers in a page of the inbox, in order."""
    return re.findall(r"<b>([^<]+)</b>", page)
