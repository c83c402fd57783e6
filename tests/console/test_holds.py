"""Held authors where operators look: the page, the API and the command line; how an assistant learns."""

import json

import httpx
import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from feedback import assistants, holds
from feedback.commands import app
from feedback.database import reading, writing
from feedback.learning import learning_of
from feedback.tables import Assistant
from feedback.trust_tables import Hold
from tests.console.trained import shop_of
from tests.feedback.said import corrected
from tests.service.conftest import Shop

REASON = "100% of 20 new corrections add 'globex is cheaper'."


def held(shop: Shop) -> str:
    with writing(shop.database) as session:
        owner = shop_of(session)
        corrected(session, owner, "Where is it cheap?", "Globex is cheaper.", author="mallory")
        hold = Hold(assistant_id=owner.id, author="mallory", reason=REASON)
        session.add(hold)
        session.flush()
        return hold.id


def test_an_operator_sees_why_with_the_authors_words_and_decides_once(
    shop: Shop, olga: httpx.Client
) -> None:
    hold_id = held(shop)
    shown = olga.get("/console/shop/datasets/holds").text
    assert "globex is cheaper" in shown and "Globex is cheaper." in shown
    path = f"/console/shop/datasets/holds/{hold_id}"
    assert olga.post(path, data={"outcome": "maybe"}).status_code == 422
    done = olga.post(path, data={"outcome": "rejected"})
    assert "never teaches; it stays on record" in done.text
    assert olga.post(path, data={"outcome": "released"}).status_code == 409


def test_the_api_lists_and_decides(shop: Shop) -> None:
    hold_id = held(shop)
    with shop.client("operator") as operator:
        [listed] = operator.get("/v1/holds").json()
        assert (listed["author"], listed["outcome"]) == ("mallory", None)
        decided = operator.post(f"/v1/holds/{hold_id}", json={"outcome": "released"}).json()
        assert (decided["outcome"], decided["decided_by"]) == ("released", "operator")
        assert operator.post("/v1/holds/nothing", json={"outcome": "released"}).status_code == 404


def test_the_command_line_does_the_same(database_engine: Engine, assistant: Assistant) -> None:
    with writing(database_engine) as session:
        session.add(Hold(assistant_id=assistant.id, author="mallory", reason=REASON))
    run = CliRunner().invoke
    [listed] = json.loads(run(app, ["holds", "list", "--json"]).stdout)
    assert run(app, ["holds", "check"]).exit_code == 0
    assert run(app, ["holds", "release", listed["id"], "--by", "olga"]).exit_code == 0
    assert json.loads(run(app, ["holds", "list", "--json"]).stdout) == []
    with reading(database_engine) as session:
        [hold] = holds.every(session, assistant)
        assert (hold.outcome, hold.decided_by) == ("released", "olga")


def test_how_an_assistant_learns_is_set_in_the_console(shop: Shop, olga: httpx.Client) -> None:
    form = {
        "held_out_percent": "20",
        "rows_per_customer": "all",
        "author_weights": "nils: 0.5",
        "patterns": "ORDER_NUMBER: PP-[0-9]{6}",
        "held_out_most": "",
    }
    olga.post("/console/shop/settings/learning", data=form)
    with reading(shop.database) as session:
        learning = learning_of(shop_of(session))
    assert (learning.held_out_percent, learning.rows_per_customer) == (20, None)
    assert learning.author_weights == {"nils": 0.5}
    assert learning.patterns == {"ORDER_NUMBER": "PP-[0-9]{6}"}
    assert learning.held_out_most == 500
    shown = olga.get("/console/shop/settings").text
    assert "ORDER_NUMBER: PP-[0-9]{6}" in shown and "nils: 0.5" in shown
    for wrong in ({"patterns": "ORDER: ["}, {"patterns": "no colon"}, {"held_out_percent": "x"}):
        assert olga.post("/console/shop/settings/learning", data=wrong).status_code == 422


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("held_out_percent=200", "less than or equal to 100"),
        ("patterns={", "expected JSON"),
        ("unheard_of=1", "expected NAME=VALUE"),
        ('patterns={"X1": ".*"}', "matches no text at all"),
    ],
)
def test_a_wrong_rule_says_what_was_found(
    database_engine: Engine, assistant: Assistant, rule: str, sentence: str
) -> None:
    wrong = CliRunner().invoke(app, ["assistants", "set-learning", "shop", rule, "--by", "m"])
    assert wrong.exit_code != 0 and sentence in str(wrong.exception)


def test_the_command_line_sets_one_rule_and_leaves_the_others(
    database_engine: Engine, assistant: Assistant
) -> None:
    run = CliRunner().invoke
    for rule in ("held_out_percent=20", "rows_per_author=7"):
        assert run(app, ["assistants", "set-learning", "shop", rule, "--by", "m"]).exit_code == 0
    with reading(database_engine) as session:
        learning = learning_of(assistants.get(session, "shop"))
    assert (learning.held_out_percent, learning.rows_per_author) == (20, 7)
