"""Erasing over the API: the service takes a person out, the loop finishes, a running turn ends clearly."""

import threading

import httpx
import pytest

from feedback import adapters, erasing, freezing
from feedback.adapter_folder import PROBE
from feedback.database import reading, writing
from tests.console.trained import shop_of
from tests.feedback.erased import texts_with
from tests.feedback.said import built_adapter, corrected
from tests.service.conftest import Shop
from tests.service.talk import begin, events, eventually, stream
from tests.stand_in_engine import StandInEngine
from training import erasing as in_the_loop
from training.settings import training_settings

NAME = "wren-the-customer"


@pytest.fixture
def taught(shop: Shop) -> Shop:
    with writing(shop.database) as session:
        owner = shop_of(session)
        corrected(session, owner, "My plumbago is wet. What now?", "Dry the plumbago.", NAME)
        corrected(session, owner, "Do you mend rubber boots for people?", "We do.", "otis")
        built = built_adapter(shop.folder / "built")
        assert (built / PROBE).exists()
        adapters.publish(session, owner, built, list(freezing.freeze(session, owner)), {}, {})
    return shop


def test_a_preview_says_what_goes_then_it_goes_and_the_loop_finishes(
    taught: Shop, operator: httpx.Client
) -> None:
    whose = {"customer": NAME}
    shown = operator.post("/v1/erasures/preview", json=whose).json()
    assert shown["removed"]["conversation"] == 1 and len(shown["adapters"]) == 1
    done = operator.post("/v1/erasures", json={**whose, "reason": "They asked."})
    assert done.status_code == 201
    row = done.json()
    assert row["finished_at"] is None and "pending" not in row["certificate"]
    assert row["certificate"]["removed"] == {**shown["removed"], **row["certificate"]["removed"]}
    leaving = threading.Event()
    loop = threading.Thread(target=in_the_loop.run, args=(leaving, training_settings()))
    loop.start()
    path = f"/v1/erasures/{row['id']}"
    eventually(lambda: operator.get(path).json()["finished_at"], 20)
    leaving.set()
    loop.join()
    ended = operator.get(path).json()
    assert ended["cycle_id"] and ended["certificate"]["search"]["in_database"] == []
    assert [each["id"] for each in operator.get("/v1/erasures").json()] == [row["id"]]
    with reading(taught.database) as session:
        assert texts_with(session, "plumbago") == texts_with(session, NAME) == []
    assert operator.post("/v1/erasures/preview", json=whose).status_code == 404


def test_a_reason_that_names_the_person_is_refused_as_it_would_be_kept(
    taught: Shop, operator: httpx.Client
) -> None:
    new = {"customer": NAME, "reason": f"{NAME} wrote to us."}
    refused = operator.post("/v1/erasures", json=new)
    assert refused.status_code == 422 and NAME not in refused.text


def test_who_is_behind_an_answer_and_what_learned_from_somebody_is_told(
    taught: Shop, operator: httpx.Client
) -> None:
    found = operator.get(f"/v1/customers/{NAME}/lineage").json()
    [name] = found["adapters"]
    behind = operator.get(f"/v1/adapters/{name}/people").json()
    assert {each["name"] for each in behind["customers"]} == {NAME, "otis"}
    assert behind["authors"][0]["name"] == "mara" and behind["authors"][0]["role"] == "agent"


def test_a_customer_who_is_erased_while_the_bot_writes_is_told_so_and_nothing_comes_back(
    shop: Shop, customer: httpx.Client, operator: httpx.Client, engine: StandInEngine
) -> None:
    engine.pause_seconds = 0.1
    talk = begin(customer, customer=NAME)["id"]
    seen = []
    with stream(customer, talk, "Tell me a long story about plumbago, please.") as response:
        for name, data in events(response):
            seen.append((name, data))
            if len(seen) == 2:
                new = {"customer": NAME, "reason": "They asked."}
                assert operator.post("/v1/erasures", json=new).status_code == 201
                engine.pause_seconds = 0.0
    assert seen[-1][0] == "error" and "erased" in seen[-1][1]["message"]
    assert erasing.finish_all(shop.database) == []
    with reading(shop.database) as session:
        assert texts_with(session, "plumbago") == []
