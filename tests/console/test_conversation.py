"""One conversation over HTTP: the desk's acts and the words on answers."""

from collections.abc import Iterator

import httpx
import pytest

from feedback import assistants, conversations, corrections, staff
from feedback.database import reading, writing
from feedback.tables import FeedbackKind, MessageState, Role
from tests.console.agents import acts, asks_for_a_person, correct, flagged, talked
from tests.console.conftest import hire, signed_in
from tests.feedback.said import at_the_same_time
from tests.service.conftest import Shop
from tests.service.talk import ask, begin


@pytest.fixture
def nils(shop: Shop) -> Iterator[httpx.Client]:
    """A second agent of the shop."""
    with signed_in(shop, hire(shop.database, "nils", Role.AGENT)) as client:
        yield client


def place(conversation: str) -> str:
    return f"/console/shop/conversations/{conversation}"


def words(shop: Shop, answer: str) -> list[tuple[str, str]]:
    with reading(shop.database) as session:
        found = corrections.about_message(session, answer)
        return [(str(row.kind), str(row.state)) for row in found]


def test_the_page_says_who_said_what_and_how_sure_the_bot_was(
    shop: Shop, mara: httpx.Client
) -> None:
    conversation, answer = talked(shop)
    flagged(shop, answer)
    page = mara.get(place(conversation)).text
    assert "Where is my parcel?" in page
    assert "base model" in page
    assert "% sure" in page
    assert "wrong fact" in page
    assert "the customer" in page


def test_a_correction_makes_a_flag_and_a_correction_and_is_on_record(
    shop: Shop, mara: httpx.Client
) -> None:
    conversation, answer = talked(shop)
    page = correct(mara, answer, "It comes on Monday.", note="see the carrier")
    assert page.url.path == place(conversation)
    assert "Correction saved" in page.text
    assert words(shop, answer) == [("flag", "active"), ("correction", "active")]
    assert acts(shop)[-2:] == ["feedback.flag", "feedback.correction"]


def test_a_correction_without_a_reason_or_a_change_stores_nothing(
    shop: Shop, mara: httpx.Client
) -> None:
    _, answer = talked(shop)
    with reading(shop.database) as session:
        said = conversations.message(session, answer).text
    assert correct(mara, answer, "Other.", reason="").status_code == 422
    assert "changed nothing" in correct(mara, answer, said).text
    assert mara.post(f"/console/shop/messages/{answer}/verdicts").status_code == 422
    assert words(shop, answer) == []


def test_after_a_verdict_the_next_conversation_of_the_view_comes(
    shop: Shop, mara: httpx.Client
) -> None:
    older, _ = talked(shop, customer="older")
    _, answer = talked(shop, customer="newer")
    path = f"/console/shop/messages/{answer}/verdicts?view=not_reviewed"
    page = mara.post(path, data={"verdict": "approved"})
    assert page.url.path == place(older)
    assert page.url.params["view"] == "not_reviewed"
    assert "Approved" in page.text
    assert words(shop, answer) == [("approval", "active")]


def test_at_the_end_of_a_view_the_inbox_comes(shop: Shop, mara: httpx.Client) -> None:
    _, answer = talked(shop)
    path = f"/console/shop/messages/{answer}/verdicts?view=not_reviewed"
    page = mara.post(path, data={"verdict": "flagged", "reason": "tone"})
    assert page.url.path == "/console/shop/inbox"
    assert words(shop, answer) == [("flag", "active")]


def test_a_correction_is_undone_with_its_flag_and_the_conversation_is_flagged_again(
    shop: Shop, mara: httpx.Client
) -> None:
    _, answer = talked(shop)
    flagged(shop, answer)
    page = correct(mara, answer, "It comes on Monday.")
    undo = f"/console/shop/feedback/{page.url.params['given']}/withdrawal"
    assert undo in page.text
    assert mara.get("/console/shop/inbox?view=flagged").text.count("ann") == 0
    assert mara.post(undo).status_code == 200
    assert words(shop, answer)[1:] == [("flag", "withdrawn"), ("correction", "withdrawn")]
    assert "ann" in mara.get("/console/shop/inbox?view=flagged").text
    assert acts(shop)[-1] == "feedback.withdraw"


def test_nobody_undoes_the_word_of_a_colleague(
    shop: Shop, mara: httpx.Client, nils: httpx.Client
) -> None:
    _, answer = talked(shop)
    given = correct(mara, answer, "It comes on Monday.").url.params["given"]
    assert nils.post(f"/console/shop/feedback/{given}/withdrawal").status_code == 404
    assert words(shop, answer)[-1] == ("correction", "active")


def test_every_act_needs_the_token_of_our_own_pages(shop: Shop, mara: httpx.Client) -> None:
    conversation, answer = talked(shop)
    mara.headers["X-CSRF-Token"] = "wrong"
    for path in (
        *(f"{place(conversation)}/{act}" for act in ("take", "release", "close")),
        *(f"{place(conversation)}/{act}" for act in ("drafts", "replies")),
        f"/console/shop/messages/{answer}/verdicts",
        "/console/shop/feedback/x/withdrawal",
        "/console/shop/feedback/x/rechecks",
        "/console/shop/review/fill",
        "/console/shop/reviews/x/verdicts",
        "/console/shop/reviews/x/assign",
    ):
        assert mara.post(path, data={"verdict": "approved"}).status_code == 403, path
    assert words(shop, answer) == []


def test_a_conversation_of_another_assistant_is_not_there(shop: Shop) -> None:
    with shop.client("bakery") as client:
        foreign = begin(client)["id"]
        answer = ask(client, foreign, "Bread?").json()["answer"]["id"]
    with signed_in(shop, hire(shop.database, "root", Role.ADMIN, None)) as root:
        assert root.get(f"/console/bakery/conversations/{foreign}").status_code == 200
        for path in ("", "/timeline", "/side"):
            assert root.get(f"{place(foreign)}{path}").status_code == 404
        for act in ("take", "release", "close", "drafts", "replies"):
            assert root.post(f"{place(foreign)}/{act}").status_code == 404
        assert correct(root, answer, "Rye.").status_code == 404
        with writing(shop.database) as session:
            row = corrections.give(
                session, answer, FeedbackKind.APPROVAL, "root@example.com", Role.ADMIN
            )
        assert root.post(f"/console/shop/feedback/{row.id}/withdrawal").status_code == 404


def test_of_two_agents_who_take_a_conversation_at_once_one_is_told_who_has_it(
    shop: Shop, mara: httpx.Client, nils: httpx.Client
) -> None:
    conversation, _ = talked(shop)
    asks_for_a_person(shop, conversation)
    answers: list[httpx.Response] = []
    part = {"HX-Request": "true"}
    at_the_same_time(
        *(
            lambda client=client: answers.append(
                client.post(f"{place(conversation)}/take", headers=part)
            )
            for client in (mara, nils)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert "has taken this conversation already" in refused.text
    assert 'role="alert"' in refused.text


def test_a_conversation_is_taken_answered_and_handed_back(shop: Shop, mara: httpx.Client) -> None:
    conversation, _ = talked(shop)
    asks_for_a_person(shop, conversation)
    assert "composer" not in mara.get(place(conversation)).text
    page = mara.post(f"{place(conversation)}/take")
    assert 'id="composer"' in page.text
    sent = {"text": "I am looking into it.", "key": "once"}
    page = mara.post(f"{place(conversation)}/replies", data=sent)
    assert "kept as an example" in page.text
    again = mara.post(f"{place(conversation)}/replies", data=sent).text
    assert again.count('class="text" >I am looking into it.') == 1
    page = mara.post(f"{place(conversation)}/release")
    assert "Mara took over" in page.text
    assert "composer" not in page.text
    mara.post(f"{place(conversation)}/close")
    assert "closed" in mara.get(f"{place(conversation)}/side").text
    assert acts(shop)[-5:] == [
        "conversation.take",
        "conversation.reply",
        "conversation.reply",
        "conversation.hand_back",
        "conversation.close",
    ]


def test_a_draft_comes_into_the_composer_and_its_edit_corrects_the_bot(
    shop: Shop, mara: httpx.Client
) -> None:
    conversation, _ = talked(shop)
    mara.post(f"{place(conversation)}/take")
    part = mara.post(f"{place(conversation)}/drafts", headers={"HX-Request": "true"}).text
    assert '<form id="composer"' in part
    assert "<html" not in part
    draft = part.split('name="draft_id" value="')[1].split('"')[0]
    sent = {"text": "It comes on Monday.", "draft_id": draft, "key": "k"}
    page = mara.post(f"{place(conversation)}/replies", data=sent)
    assert "Correction saved" in page.text
    assert words(shop, draft) == [("correction", "active")]


def test_without_htmx_a_draft_comes_with_the_whole_page(shop: Shop, mara: httpx.Client) -> None:
    conversation, _ = talked(shop)
    mara.post(f"{place(conversation)}/take")
    page = mara.post(f"{place(conversation)}/drafts")
    assert page.url.params["draft"]
    assert "from the bot" in page.text
    other, _ = talked(shop, customer="bob")
    assert mara.get(f"{place(other)}?draft={page.url.params['draft']}").status_code == 404


def test_who_has_not_taken_a_conversation_cannot_write_in_it(
    shop: Shop, mara: httpx.Client
) -> None:
    conversation, _ = talked(shop)
    refused = mara.post(f"{place(conversation)}/replies", data={"text": "Hello"})
    assert refused.status_code == 409
    assert "Take this conversation first" in refused.text


def test_only_operators_are_led_to_the_adapters_page(
    shop: Shop, mara: httpx.Client, olga: httpx.Client
) -> None:
    adapter = shop.publish("a")
    with writing(shop.database) as session:
        owner = assistants.get(session, "shop")
        made = conversations.begin(session, owner, adapter)
        prompt = assistants.prompt_in_force(session, owner)
        _, row = conversations.ask(session, made, "Where?", prompt, adapter, "embedded", {})
        conversations.finish(session, row.id, MessageState.COMPLETE, text="Here.")
    conversation = made.id
    link = f'href="/console/shop/candidates/{adapter.name}"'
    assert link in olga.get(place(conversation)).text
    page = mara.get(place(conversation)).text
    assert link not in page
    assert adapter.name in page


def test_an_operator_takes_over_from_a_colleague_and_the_page_tells_it_once(
    shop: Shop, mara: httpx.Client, nils: httpx.Client, olga: httpx.Client
) -> None:
    conversation, _ = talked(shop)
    asks_for_a_person(shop, conversation)
    mara.post(f"{place(conversation)}/take")
    assert nils.post(f"{place(conversation)}/take").status_code == 409
    assert "/take-over" not in nils.get(place(conversation)).text
    assert nils.post(f"{place(conversation)}/take-over").status_code == 403
    assert f'action="{place(conversation)}/take-over' in olga.get(place(conversation)).text
    page = olga.post(f"{place(conversation)}/take-over").text
    assert "Olga took over from Mara" in page
    assert page.count("Customer asked") == 1 and "Olga took over<" not in page
    assert "Your answer" in page and "Your answer" not in mara.get(place(conversation)).text
    assert acts(shop)[-1] == "conversation.take_over"


def test_the_page_tells_that_a_customer_waits_again_when_an_agent_is_shut_out(
    shop: Shop, mara: httpx.Client, ada: httpx.Client
) -> None:
    conversation, _ = talked(shop)
    asks_for_a_person(shop, conversation)
    mara.post(f"{place(conversation)}/take")
    with reading(shop.database) as session:
        ident = staff.get(session, "mara@example.com").id
    ada.post(f"/console/shop/people/{ident}/disable", data={"disabled": "true"})
    page = ada.get(place(conversation)).text
    assert "Mara may not answer here any more; the customer waits again" in page
    assert page.count("Customer asked") == 1 and "for a person." in page
