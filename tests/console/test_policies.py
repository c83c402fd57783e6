"""Policies on pages: written down, rested on, retired and restored."""

import httpx

from feedback import assistants, corrections, freezing, policies, tickets
from feedback.database import reading, writing
from feedback.tables import FeedbackKind
from tests.console.agents import acts, talked
from tests.service.conftest import Shop

PAGE = "/console/shop/policies"
RULE = {"name": "returns-2026", "text": "Boots go back within 40 days, worn or not."}


def policy_id(page: str) -> str:
    return page.split("/policies/")[1].split("/")[0]


def test_a_correction_and_a_ticket_rest_on_a_policy_until_it_is_retired(
    shop: Shop, mara: httpx.Client, olga: httpx.Client
) -> None:
    conversation, answer = talked(shop)
    talk = f"/console/shop/conversations/{conversation}"
    assert 'name="policy"' not in mara.get(talk).text
    assert "may rest on it from now on" in olga.post(PAGE, data=RULE).text
    assert "<option>returns-2026</option>" in mara.get(talk).text
    given = {"verdict": "corrected", "reason": "wrong_fact", "text": "Within 40 days."}
    mara.post(f"/console/shop/messages/{answer}/verdicts", data=given | {"policy": "returns-2026"})
    olga.post(
        "/console/shop/tickets",
        data={"name": "t1", "question": "How long?", "reference": "40 days.",
              "policy": "returns-2026"},
    )  # fmt: skip
    page = olga.get(PAGE).text
    assert "1 word rests on it, and 1 ticket." in page
    page = olga.post(f"{PAGE}/{policy_id(page)}/retire").text
    assert "all in quarantine" in page and "by olga@example.com" in page
    assert "Rests on returns-2026, which was retired" in mara.get(talk).text
    assert "<option>returns-2026</option>" not in mara.get(talk).text
    assert "not asked, the policy was retired" in olga.get("/console/shop/tickets").text
    with writing(shop.database) as session:
        owner = assistants.get(session, "shop")
        assert freezing.freeze(session, owner)[0].counts["policy_retired"] == 1
        assert tickets.in_exam(session, owner) == []
    assert "In force again" in olga.post(f"{PAGE}/{policy_id(page)}/restore").text
    assert {"policy.create", "policy.retire", "policy.restore"} <= set(acts(shop))


def test_the_api_does_the_same(shop: Shop) -> None:
    _, answer = talked(shop)
    with shop.client("operator") as client:
        made = client.post("/v1/policies", json=RULE)
        assert made.status_code == 201, made.text
        path = f"/v1/policies/{made.json()['id']}"
        said = {"text": "Within 40 days.", "policy": RULE["name"]}
        word = client.post(f"/v1/messages/{answer}/corrections", json=said).json()
        assert word["policy_id"] == made.json()["id"]
        assert client.post(f"/v1/messages/{answer}/corrections", json=said | {
            "policy": "made up"}).status_code == 422  # fmt: skip
        retired = client.post(f"{path}/retirement").json()
        assert (retired["words"], retired["adapters"]) == (1, [])
        assert client.post(f"{path}/retirement").status_code == 409
        assert client.get(path).json()["retired_by"] == retired["retired_by"]
        assert client.post(f"{path}/restoration").json()["retired_at"] is None
        assert [each["name"] for each in client.get("/v1/policies").json()] == [RULE["name"]]


def test_a_colleagues_correction_is_adopted_with_the_policy_it_rests_on(
    shop: Shop, mara: httpx.Client, olga: httpx.Client
) -> None:
    _, answer = talked(shop)
    olga.post(PAGE, data=RULE)
    given = {"verdict": "corrected", "reason": "tone", "policy": "returns-2026"}
    mara.post(f"/console/shop/messages/{answer}/verdicts", data=given | {"text": "In 40 days."})
    with shop.client("agent") as client:
        client.post(f"/v1/messages/{answer}/corrections", json={"text": "We take nothing back."})
    page = olga.get("/console/shop/review").text
    review = page.split('id="review-')[1].split('"')[0]
    adopted = page.split('name="adopts" value="')[1].split('"')[0]
    sent = {"verdict": "corrected", "adopts": adopted}
    olga.post(f"/console/shop/reviews/{review}/verdicts", data=sent)
    with reading(shop.database) as session:
        owner = assistants.get(session, "shop")
        newest, *_ = corrections.every(session, owner, FeedbackKind.CORRECTION)
        assert newest[0].author == "olga@example.com"
        assert newest[0].policy_id == policies.get(session, owner, "returns-2026").id
