"""The pages of replays and votes: asked for, looked through, voted on without knowing whose is whose."""

import re
import threading

import httpx
import pytest

from feedback import adapters, api_keys, decisions, exams, replays, staff, votes
from feedback.assistants import Gate
from feedback.database import reading, writing
from feedback.exam_tables import Choice, ReplayTurn
from feedback.tables import Role
from service.settings import service_settings
from tests.console.agents import acts, talked
from tests.console.conftest import hire
from tests.console.replayed import SAID, names_of, replayed, voted
from tests.console.trained import shop_of
from tests.service.conftest import Shop
from training import replaying

OURS, THEIRS, TIE = Choice.CANDIDATE, Choice.LIVE, Choice.TIE


def test_an_operator_asks_for_a_replay_and_the_loop_does_it(
    olga: httpx.Client, shop: Shop, engine: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    talked(shop, "Do you mend zips?")
    assert "There is no candidate" in olga.get("/console/shop/replays").text
    adapter = shop.publish("a")
    shown = olga.get("/console/shop/replays").text
    assert adapter.name in shown and "Start the replay" in shown
    form = {"adapter": adapter.name, "days": "7", "turns": "10"}
    page = olga.post("/console/shop/replays", data=form)
    assert "The replay is asked for" in page.text and "Waiting for a loop" in page.text
    again = olga.post("/console/shop/replays", data=form)
    assert again.status_code == 409 and "wait until it has ended" in again.text
    assert olga.post("/console/shop/replays", data=form | {"days": "x"}).status_code == 422
    monkeypatch.setattr(replaying, "database", lambda: shop.database)
    monkeypatch.setattr(replaying, "reading", lambda: reading(shop.database))
    monkeypatch.setattr(replaying, "writing", lambda: writing(shop.database))
    monkeypatch.setenv("SERVICE_ENGINE_URL", engine.url)  # type: ignore[attr-defined]
    monkeypatch.setenv("SERVICE_ENGINE_API_KEY", engine.api_key)  # type: ignore[attr-defined]
    service_settings.cache_clear()
    assert replaying.do_requested("loop", threading.Event()) is not None
    assert replaying.do_requested("loop") is None
    service_settings.cache_clear()
    assert "Do you mend zips?" not in olga.get(page.url.path).text  # she may vote first
    ended = olga.post(f"{page.url.path}/sides").text
    assert "1 answer, least alike first" in ended and "Do you mend zips?" in ended
    assert "You said: Do you mend zips?" in ended
    assert "replay.request" in acts(shop)


def test_differences_come_least_alike_first_and_are_filtered(
    olga: httpx.Client, shop: Shop
) -> None:
    replay = replayed(shop)
    path = f"/console/shop/replays/{replay.id}"
    page = olga.post(f"{path}/sides").text
    questions = re.findall(r'<p class="question">([^<]+)</p>', page)
    assert questions[0].startswith("I lost the receipt") and len(questions) == len(SAID) - 1
    assert "<ins>" in page and "<del>" in page and "17 %" in page
    assert len(re.findall('class="question"', olga.get(path, params={"same": "true"}).text)) == len(
        SAID
    )
    of_topic = olga.get(path, params={"topic": "Returns"}).text
    assert len(re.findall('class="question"', of_topic)) == 2
    assert "Who are you?" in olga.get(path, params={"topic": "no topic"}).text
    exported = olga.get(f"{path}/export")
    assert "attachment" in exported.headers["content-disposition"]
    assert [each["likeness"] for each in exported.json()] == sorted(each[4] for each in SAID)


@pytest.mark.parametrize("door", ["page", "export", "api"])
def test_an_operator_who_reads_the_sides_first_cannot_vote_on_them(
    olga: httpx.Client, shop: Shop, door: str
) -> None:
    replay = replayed(shop)
    path = f"/console/shop/replays/{replay.id}"
    page = olga.get(path).text
    assert "Vote on 5 pairs" in page and "Candidate, now" not in page
    action = re.findall(r'action="(/console/shop/vote/\w+)"', olga.get("/console/shop/vote").text)[
        0
    ]
    if door == "page":
        assert "Candidate, now" in olga.post(f"{path}/sides").text
    elif door == "export":
        assert olga.get(f"{path}/export").status_code == 200
    else:
        with writing(shop.database) as session:
            owner = staff.get(session, "olga@example.com")
            key = api_keys.create(session, "laptop", Role.OPERATOR, None, owner)[1]
        told = httpx.get(
            f"{shop.url}/v1/replays/{replay.id}/turns",
            headers={"Authorization": f"Bearer {key}"},
            trust_env=False,
        )
        assert told.status_code == 200
    refused = olga.post(action, data={"choice": "first"})
    assert refused.status_code == 409 and "would not be blind" in refused.text
    assert "Nothing to vote on" in olga.get("/console/shop/vote").text
    page = olga.get(path).text
    assert "olga@example.com read whose the answers are" in page and "Vote on" not in page
    assert acts(shop).count("replay.open") == 1


def sides_of(page: str) -> list[str]:
    """What the two answers of a vote page say, without their marks."""
    return [
        re.sub("<[^>]+>", "", text)
        for text in re.findall(
            r'<div class="text">(.*?)</div>\s*<button class="primary"', page, re.S
        )
    ]


def test_an_agent_votes_blind_until_every_pair_is_seen_and_only_then_learns_the_sides(
    mara: httpx.Client, shop: Shop
) -> None:
    replay = replayed(shop)
    name = names_of(shop, replay)
    seen = []
    for number in range(1, len(SAID)):
        page = mara.get("/console/shop/vote").text
        assert f"Pair {number} of {len(SAID) - 1}" in page
        assert name not in page and "andidate" not in page.split("<main", 1)[1].split("</main>")[0]
        assert sides_of(page) not in seen and len(sides_of(page)) == 2
        seen.append(sides_of(page))
        [action] = re.findall(r'action="(/console/shop/vote/\w+)"', page)
        choice = ("first", "second", "tie", "skip", "first")[number - 1]
        answer = mara.post(action, data={"choice": choice})
        assert answer.url.path == "/console/shop/vote"
    assert "You have seen every pair" in answer.text and name in answer.text
    assert "you passed on 1" in answer.text
    again = mara.post(action, data={"choice": "first"})
    assert again.status_code == 409
    assert mara.post(action, data={"choice": "left"}).status_code == 422
    assert acts(shop).count("replay.vote") == len(SAID) - 1
    shop_has = [line[2] for line in SAID]
    assert {text in shop_has for pair in seen for text in pair} == {True, False}


def test_two_pages_differ_only_in_what_is_said_whoever_stands_first(
    mara: httpx.Client, shop: Shop
) -> None:
    """A pair, and the same texts in the same places with the sides changed: the pages are the same."""
    replay = replayed(shop)
    one = mara.get("/console/shop/vote").text
    with writing(shop.database) as session:
        pair = votes.next_pair(session, replays.get(session, replay.id), "mara@example.com")
        assert pair is not None
        turn = session.get_one(ReplayTurn, pair.turn_id)
        turn.candidate_first = not turn.candidate_first
        turn.candidate_text, turn.live_text = turn.live_text, turn.candidate_text
        session.add(turn)
    assert mara.get("/console/shop/vote").text == one


def test_what_customers_and_bots_wrote_is_text_on_every_page(
    mara: httpx.Client, olga: httpx.Client, shop: Shop
) -> None:
    replay = replayed(shop)
    with writing(shop.database) as session:
        for turn in replays.turns_of(session, replay):
            turn.row.candidate_text = f"{turn.row.candidate_text} <script>alert(1)</script>"
            session.add(turn.row)
    for page in (
        mara.get("/console/shop/vote").text,
        olga.post(f"/console/shop/replays/{replay.id}/sides").text,
    ):
        assert "<script>alert" not in page and "&lt;script&gt;alert" in page


def test_operators_see_votes_by_side_and_by_agent_with_interval_and_agreement(
    olga: httpx.Client, shop: Shop
) -> None:
    replay = replayed(shop)
    assert "Nobody has voted yet" in olga.get(f"/console/shop/replays/{replay.id}").text
    voted(shop, replay, "mara@example.com", OURS, OURS, THEIRS, TIE, None)
    voted(shop, replay, "nils@example.com", OURS, TIE, THEIRS)
    page = olga.get(f"/console/shop/replays/{replay.id}").text
    assert "The candidate wins 56%" in page.replace("\xa0", " ")
    assert "Of 3 seen by two or more, all voters agree on 2" in page
    assert re.search(r"nils@example.com</th>(<td class=\"num\">1</td>){3}", page)
    listed = olga.get("/console/shop/replays").text
    assert "56 %" in listed and f"/console/shop/replays/{replay.id}" in listed


def test_the_api_has_the_same(shop: Shop) -> None:
    replay = replayed(shop)
    with shop.client("operator") as client:
        listed = client.get("/v1/replays").json()
        assert [one["id"] for one in listed] == [replay.id]
        turns = client.get(f"/v1/replays/{replay.id}/turns").json()
        assert len(turns) == len(SAID) and turns[-1]["likeness"] == 100.0
        refused = client.get(f"/v1/replays/{replay.id}/pairs/next")
        assert refused.status_code == 403 and "personal" in refused.text
        base = client.post("/v1/replays", json={"adapter": "base"})
        assert base.status_code == 422 and "expected an adapter's name" in base.text
        asked = client.post("/v1/replays", json={"days": 3})
        assert asked.status_code == 201 and asked.json()["state"] == "requested"
        assert client.post("/v1/replays", json={"turns": 100_000}).status_code == 422
    voted(shop, replay, "mara@example.com", OURS, OURS)
    with shop.client("operator") as client:
        figures = client.get(f"/v1/replays/{replay.id}").json()
        assert figures["tally"]["sides"]["candidate"] == 2 and figures["same"] == 1


def test_a_personal_key_votes_over_the_api_and_hears_the_sides_at_the_end(shop: Shop) -> None:
    replay = replayed(shop)
    email = hire(shop.database, "mara", Role.AGENT)
    with writing(shop.database) as session:
        key = api_keys.create(session, "laptop", Role.AGENT, None, staff.get(session, email))[1]
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=shop.url, headers=headers, trust_env=False, timeout=30) as client:
        while pair := client.get(f"/v1/replays/{replay.id}/pairs/next").json():
            assert set(pair) == {"id", "context", "first", "second", "left", "pairs"}
            path = f"/v1/replay-turns/{pair['id']}/votes"
            told = client.post(path, json={"choice": "first"})
            assert told.status_code == 201
            assert (told.json()["mine"] is None) == (pair["left"] > 1)
        assert client.post(path, json={"choice": "first"}).status_code == 409
        assert client.get(f"/v1/replays/{replay.id}").status_code == 403


def test_an_operator_lets_the_votes_decide_and_agents_cannot(
    olga: httpx.Client, mara: httpx.Client, shop: Shop
) -> None:
    replay = replayed(shop)
    path = f"/console/shop/replays/{replay.id}"
    voted(shop, replay, "mara@example.com", OURS, OURS)
    assert "Let the votes decide" in olga.get(path).text
    alone = olga.post(f"{path}/decision")
    assert alone.status_code == 404 and "have sat no exam together" in alone.text
    with writing(shop.database) as session:
        owner = shop_of(session)
        candidate = adapters.by_id(session, replay.adapter_id)
        ours, theirs = exams.open_runs(session, owner, [candidate, None], None)
        for run in (ours, theirs):
            exams.finish(session, run)
        decisions.record(
            session, owner, ours, theirs, Gate(), promote=False, reasons=["Too few."], metric="chrf",
            tickets=0,
        )  # fmt: skip
    decided = olga.post(f"{path}/decision")
    assert "The votes do not let it go live" in decided.text
    assert mara.post(f"{path}/decision").status_code == 403
    assert "replay.decide" in acts(shop)
