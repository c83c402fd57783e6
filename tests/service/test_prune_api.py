"""Disk space over the API: the plan, the removal, and what it means for promotions and drafts."""

import os
from pathlib import Path

import httpx
import pytest

from feedback import adapters, assistants, conversations
from feedback.database import reading, writing
from feedback.tables import Adapter
from tests.feedback.said import long_ago
from tests.service.conftest import Shop
from tests.service.talk import eventually
from tests.stand_in_engine import weights_in

PATH = "/v1/adapters/prune"


@pytest.fixture
def made(shop: Shop) -> tuple[Adapter, Adapter]:
    """Long ago: one adapter that never went live, and one that is."""
    refused, live = shop.publish("refused"), shop.publish("live")
    with writing(shop.database) as session:
        adapters.promote(session, assistants.get(session, "shop"), live, "mara", "Better.")
        long_ago(session)
    return refused, live


def test_the_plan_is_shown_to_staff_and_carried_out_by_operators(
    shop: Shop, agent: httpx.Client, operator: httpx.Client, made: tuple[Adapter, Adapter]
) -> None:
    refused, live = made
    plan = agent.get(PATH).json()
    assert [each["name"] for each in plan["remove"]] == [refused.name]
    assert plan["remove"][0]["why_it_is_safe"].startswith("It never went live")
    [stays] = plan["keep"]
    assert (stays["name"], stays["why_it_stays"]) == (live.name, ["is live"])
    assert agent.post(PATH, json={}).status_code == 403
    assert operator.post(PATH, json={"names": [live.name]}).json()["removed"] == []
    done = operator.post(PATH, json={"names": [refused.name]}).json()
    assert done["removed"] == plan["remove"]
    assert done["removed_bytes"] == plan["remove_bytes"] > 0
    assert done["left_to_the_loop"] == []
    assert not adapters.folder_of(refused).exists()
    row = agent.get(f"/v1/adapters/{refused.name}").json()
    assert row["files_removed_at"] is not None
    assert agent.get(f"/v1/adapters/{live.name}").json()["files_removed_at"] is None


def test_what_has_no_files_cannot_be_promoted(
    operator: httpx.Client, made: tuple[Adapter, Adapter]
) -> None:
    operator.post(PATH, json={})
    answer = operator.post("/v1/promotions", json={"adapter": made[0].name, "reason": "x"})
    assert answer.status_code == 409
    assert "run a cycle" in answer.json()["error"]["message"]


def test_another_assistants_files_are_out_of_reach(
    shop: Shop, made: tuple[Adapter, Adapter]
) -> None:
    with shop.client("bakery operator") as client:
        assert client.get(PATH).json()["remove"] == []
        assert client.post(PATH, json={"names": [made[0].name]}).json()["removed"] == []
        assert client.get(PATH, params={"assistant": "shop"}).status_code == 404
        assert client.post(PATH, json={"assistant": "shop"}).status_code == 404
    assert adapters.folder_of(made[0]).is_dir()


def test_a_service_that_may_only_read_decides_and_leaves_the_deleting_to_the_loop(
    operator: httpx.Client, made: tuple[Adapter, Adapter], monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(_source: Path, _target: Path) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "rename", read_only)
    done = operator.post(PATH, json={}).json()
    assert done["left_to_the_loop"] == [made[0].name]
    assert adapters.folder_of(made[0]).is_dir()
    assert operator.get(f"/v1/adapters/{made[0].name}").json()["files_removed_at"] is not None


def test_a_draft_in_a_voice_without_files_is_made_by_what_is_live(
    shop: Shop, operator: httpx.Client, agent: httpx.Client, made: tuple[Adapter, Adapter]
) -> None:
    refused, live = made
    with writing(shop.database) as session:
        owner = assistants.get(session, "shop")
        talk = conversations.begin(session, owner, refused, "wren")
        conversations.write(session, talk, "Are you open on Sundays?")
        session.get_one(Adapter, refused.id).files_removed_at = talk.created_at
    draft = eventually(lambda: agent.post(f"/v1/conversations/{talk.id}/drafts")).json()
    assert draft["text"].startswith(f"[{weights_in(adapters.folder_of(live))}]")
    with reading(shop.database) as session:
        assert conversations.message(session, draft["id"]).adapter_id == live.id
