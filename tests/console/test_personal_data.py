"""Personal data in the console and over the API: what was found, never the values, and a text on trial."""

import httpx
from sqlmodel import func, select

from feedback.database import reading, writing
from feedback.redact_ahead import redact_ahead
from feedback.trust_tables import Redaction
from tests.console.trained import shop_of
from tests.feedback.said import corrected
from tests.service.conftest import Shop

SAID = "I am Jane Whitfield, order PP-123456, jane@example.com."


def prepare(shop: Shop) -> None:
    with writing(shop.database) as session:
        owner = shop_of(session)
        owner.learning = {"patterns": {"ORDER_NUMBER": "PP-[0-9]{6}"}}
        session.add(owner)
        corrected(session, owner, SAID, "Thank you, it is on its way.")
    list(redact_ahead(owner, shop.database))


def test_operators_see_what_was_found_and_never_a_value(olga: httpx.Client, shop: Shop) -> None:
    assert "Nothing was looked through yet." in olga.get("/console/shop/personal-data").text
    prepare(shop)
    shown = olga.get("/console/shop/personal-data").text
    for expected in ("PERSON", "ORDER_NUMBER", "EMAIL_ADDRESS", "PP-[0-9]{6}"):
        assert expected in shown
    assert "I am &lt;PERSON&gt;, order &lt;ORDER_NUMBER&gt;, &lt;EMAIL_ADDRESS&gt;." in shown
    assert not any(value in shown for value in ("Whitfield", "PP-123456", "jane@"))


def test_a_text_on_trial_is_shown_with_placeholders_and_kept_nowhere(
    olga: httpx.Client, shop: Shop
) -> None:
    shown = olga.post("/console/shop/personal-data", data={"text": SAID}).text
    assert "I am &lt;PERSON&gt;, order PP-123456, &lt;EMAIL_ADDRESS&gt;." in shown
    assert "Whitfield" not in shown
    assert olga.post("/console/shop/personal-data", data={"text": " "}).status_code == 422
    with reading(shop.database) as session:
        assert session.exec(select(func.count()).select_from(Redaction)).one() == 0


def test_agents_do_not_see_it(mara: httpx.Client) -> None:
    assert mara.get("/console/shop/personal-data").status_code == 403
    assert mara.post("/console/shop/personal-data", data={"text": SAID}).status_code == 403


def test_the_api_says_the_same(shop: Shop) -> None:
    prepare(shop)
    with shop.client("operator") as operator:
        tried = operator.post("/v1/redactions/try", json={"text": SAID})
        told = operator.get("/v1/redactions")
    assert tried.json() == {
        "text": "I am <PERSON>, order <ORDER_NUMBER>, <EMAIL_ADDRESS>.",
        "found": {"PERSON": 1, "ORDER_NUMBER": 1, "EMAIL_ADDRESS": 1},
    }
    found = {each["type"]: each["count"] for each in told.json()["found"]}
    assert found == {"PERSON": 1, "ORDER_NUMBER": 1, "EMAIL_ADDRESS": 1}
    assert told.json()["looked_through"] == told.json()["texts"] == 3
    assert told.json()["is_whole"]
    assert "Whitfield" not in told.text
