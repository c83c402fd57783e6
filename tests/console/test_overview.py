"""The overview: live, gathered, waiting, running, and how customers fare; the charts behind it."""

import re
from datetime import UTC, datetime

import httpx
from sqlalchemy import Engine

from feedback import adapters, cycles, processes
from feedback.database import reading, writing
from feedback.settings import FeedbackSettings
from service.console import charts
from service.console.charts import Bar, Line, Mark, Span
from service.settings import ServiceSettings
from tests.console.trained import add_tickets, month_of_talks, shop_of, teach, train
from tests.service.conftest import Shop


def test_a_fresh_assistant_says_that_the_base_model_is_live(olga: httpx.Client) -> None:
    shown = olga.get("/console/shop/overview").text
    assert "the base model" in shown
    assert "On request" in shown
    assert "answers<" in shown
    assert "No conversations in these days." in shown


def test_what_waits_for_a_decision_stands_on_top(olga: httpx.Client, shop: Shop) -> None:
    teach(shop)
    add_tickets(shop)
    trained = train(shop)
    shown = olga.get("/console/shop/overview").text
    assert shown.index("passed its exam") < shown.index("Live now")
    assert f"/console/shop/candidates/{trained.adapter.name}" in shown


def test_promotion_by_any_door_ends_the_waiting(olga: httpx.Client, shop: Shop) -> None:
    trained = train(shop)
    with writing(shop.database) as session:
        adapters.promote(session, shop_of(session), trained.adapter, "olga", "better")
    assert "Waits for your decision" not in olga.get("/console/shop/overview").text
    with reading(shop.database) as session:
        assert cycles.get(session, trained.cycle.id).state == "promoted"


def test_rates_are_drawn_and_told_per_adapter(olga: httpx.Client, shop: Shop) -> None:
    trained = train(shop)
    month_of_talks(shop, [None, trained.adapter])
    with writing(shop.database) as session:
        adapters.promote(session, shop_of(session), trained.adapter, "olga", "better")
    shown = olga.get("/console/shop/overview").text
    assert shown.count('<svg class="chart"') == 3
    rows = re.findall(
        r'<th scope="row" class="mono small">([^<]+)</th><td class="num">(\d+) %', shown
    )
    assert {name for name, _ in rows} == {"base model", trained.adapter.name}
    assert "Approved by" in shown
    assert f"{trained.adapter.name} went live" in shown


def test_what_was_said_since_live_learned_is_counted(olga: httpx.Client, shop: Shop) -> None:
    teach(shop)
    assert "<b>6</b>" in olga.get("/console/shop/overview").text
    trained = train(shop)
    with writing(shop.database) as session:
        adapters.promote(session, shop_of(session), trained.adapter, "olga", "better")
    assert "<b>6</b>" not in olga.get("/console/shop/overview").text


def test_the_overview_is_not_for_agents(mara: httpx.Client) -> None:
    assert mara.get("/console/shop/overview").status_code == 403


def test_a_service_reports_its_settings_without_its_secrets(
    shop: Shop, settings: ServiceSettings
) -> None:
    with reading(shop.database) as session:
        [report] = processes.every(session)
    assert report.process == "service"
    assert report.settings["service"]["engine_api_key"] == {
        "value": "set", "source": "set by the program",
    }  # fmt: skip
    assert settings.engine_api_key.get_secret_value() not in str(report.settings)
    assert report.settings["feedback"]["var_dir"]["source"] == "FEEDBACK_VAR_DIR"


def test_passwords_in_urls_and_arguments_are_not_told() -> None:
    url = "postgresql://shop:hunter2@db/shop?sslpassword=hunter3"
    told = FeedbackSettings(database_url=url).told()["database_url"]["value"]
    assert told == "postgresql://shop:(set)@db/shop?sslpassword=(set)"
    extra = ServiceSettings(engine_extra_args=["--api-key", "hunter2", "--seed=4"]).told()
    assert "hunter2" not in extra["engine_extra_args"]["value"]
    assert "--seed=4" in extra["engine_extra_args"]["value"]


def test_lines_stay_inside_their_drawing() -> None:
    drawn = charts.lines(
        "rate", "Rate", "Told.", [Line("a <b>", [(0, 0.0), (10, 1.0)])], ("then", "now"),
        marks=[Mark(5, "promoted")], top=1.0, as_percent=True,
    )  # fmt: skip
    assert "a &lt;b&gt;" in drawn
    points = re.findall(r'points="([^"]+)"', drawn)[0]
    assert points == "42.0,146.0 320.0,14.0"
    assert "100 %" in drawn


def test_a_line_breaks_where_days_are_missing() -> None:
    points = [(0.0, 1.0), (1.0, 1.0), (5.0, 1.0)]
    drawn = charts.lines("x", "X", "Told.", [Line("a", points)], ("a", "b"), gap=2.0)
    assert drawn.count("<polyline") == 2


def test_a_line_without_points_is_no_error() -> None:
    assert "<svg" in charts.lines("x", "X", "Nothing.", [], ("then", "now"))


def test_a_whisker_says_whether_zero_lies_within() -> None:
    assert "whisker good" in charts.whisker("gain", "chrF", 5.0, 2.0, 8.0)
    assert "whisker unsure" in charts.whisker("gain", "chrF", 1.0, -2.0, 4.0)
    assert "whisker bad" in charts.whisker("gain", "chrF", -5.0, -8.0, -2.0)


def test_bars_grow_from_zero_to_either_side() -> None:
    drawn = charts.bars("topics", "Topics", [Bar("up", 4.0), Bar("down", -4.0, "2 tickets")])
    up, down = re.findall(r'<rect class="[^"]+" x="([\d.]+)" y="\d+" width="([\d.]+)"', drawn)
    assert float(down[0]) + float(down[1]) == float(up[0])
    assert "up +4.0; down -4.0" in drawn


def test_a_timeline_has_one_row_for_each_name() -> None:
    day = [datetime(2026, 11, number, tzinfo=UTC) for number in range(1, 5)]
    drawn = charts.timeline(
        "live", "Live",
        [Span("a", day[0], day[1]), Span("b", day[1], day[2]), Span("a", day[2], day[3], True)],
    )  # fmt: skip
    assert drawn.count('class="axis"') == 2
    assert "a from 2026-11-03 00:00 to now" in drawn


def test_a_process_that_fell_silent_is_seen_as_such(store: Engine) -> None:
    with processes.Reporting(store, "loop", {"feedback": FeedbackSettings()}):
        pass
    with reading(store) as session:
        [report] = processes.every(session)
    assert processes.is_running(report)
    report.seen_at -= 4 * processes.SILENT_AFTER
    assert not processes.is_running(report)
