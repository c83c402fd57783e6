"""Erasures in the console: what would go, doing it, the certificate."""

import httpx

from feedback import erasing
from feedback.database import reading
from tests.console.trained import TAUGHT, shop_of, teach, train
from tests.feedback.erased import texts_with
from tests.service.conftest import Shop


def test_an_operator_sees_what_would_go_erases_and_keeps_the_certificate(
    olga: httpx.Client, shop: Shop
) -> None:
    teach(shop)
    trained = train(shop)
    assert "Nobody was erased yet" in olga.get("/console/shop/erasures").text
    page = olga.get(f"/console/shop/candidates/{trained.adapter.name}").text
    assert "/console/shop/erasures?customer=c-0" in page
    shown = olga.post("/console/shop/erasures/preview", data={"customer": "c-0"}).text
    assert "1 conversation" in shown and trained.adapter.name in shown
    with reading(shop.database) as session:
        assert texts_with(session, TAUGHT[0][0])
    form = {"customer": "c-0", "reason": "They asked."}
    done = olga.post("/console/shop/erasures", data=form)
    assert "They are out of the database." in done.text and "not looked through yet" in done.text
    assert erasing.finish_all(shop.database) == []
    page = olga.get(str(done.url).partition("?")[0]).text
    assert "nothing was found" in page and "What remains, and why" in page
    text = olga.get(f"{done.url.path}/certificate").text
    assert text.startswith("# Certificate of erasure") and trained.adapter.name in text
    assert "nothing left" in olga.get("/console/shop/erasures").text
    with reading(shop.database) as session:
        assert texts_with(session, TAUGHT[0][0]) == []
        assert shop_of(session).name == "shop"


def test_whom_nobody_knows_is_said_on_the_page(olga: httpx.Client) -> None:
    answer = olga.post("/console/shop/erasures/preview", data={"customer": "nobody-here"})
    assert answer.status_code == 404 and "knows no customer of this name" in answer.text
    answer = olga.post("/console/shop/erasures/preview", data={})
    assert answer.status_code == 422 and "either a customer or a conversation" in answer.text


def test_a_conversation_leads_operators_to_the_erasure_of_its_customer(
    olga: httpx.Client, mara: httpx.Client, shop: Shop
) -> None:
    teach(shop)
    inbox = olga.get("/console/shop/inbox").text
    path = inbox.split('href="/console/shop/conversations/')[1].split('"')[0].split("?")[0]
    assert "erasures?customer=c-" in olga.get(f"/console/shop/conversations/{path}").text
    assert "erasures?" not in mara.get(f"/console/shop/conversations/{path}").text
