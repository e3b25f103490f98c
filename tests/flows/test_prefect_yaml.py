"""The table of contents: every deployment says what it is, when it comes and what it may meet."""

from __future__ import annotations

import importlib
import inspect
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.utilities.callables import parameter_schema

from trading_core.model.market import MarketGroup
from trading_core.rules.schedules import BookedFlow

ROOT = Path(__file__).parents[2]
CONTENT: dict[str, Any] = yaml.safe_load((ROOT / "prefect.yaml").read_text())
DEPLOYMENTS: list[dict[str, Any]] = CONTENT["deployments"]
MARKETS = [group.value for group in MarketGroup]
UNLIMITED = {"session", "kill"}
"""A run with a limit ends when the server is gone for minutes: it cannot renew it."""


def label(item: dict[str, Any]) -> str:
    return f"{flow_name(item)}/{item['name']}"


def flow_name(item: dict[str, Any]) -> str:
    return str(flow_of(item).name)


def flow_of(item: dict[str, Any]) -> Flow[Any, Any]:
    file, _, name = item["entrypoint"].partition(":")
    assert (ROOT / file).is_file(), file
    module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
    flow = getattr(module, name)
    assert isinstance(flow, Flow), item["entrypoint"]
    return flow


every = pytest.mark.parametrize("item", DEPLOYMENTS, ids=label)
of_markets = pytest.mark.parametrize(
    "item", [i for i in DEPLOYMENTS if "market" in i.get("parameters", {})], ids=label
)


@every
def test_every_entrypoint_is_a_flow_that_takes_these_parameters(item: dict[str, Any]) -> None:
    flow = flow_of(item)

    inspect.signature(flow.fn).bind(**item.get("parameters", {}))
    flow.validate_parameters(item.get("parameters", {}))


@every
def test_every_deployment_says_what_it_is_and_where_it_runs(item: dict[str, Any]) -> None:
    assert item["description"].endswith(".")
    assert flow_name(item).partition("-")[0] in item["tags"]
    assert item["work_pool"]["name"] == "local"
    beat = item["work_pool"]["job_variables"]["env"]["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"]
    assert 30 <= int(beat) <= 60


@every
def test_every_deployment_says_what_happens_when_two_runs_meet(item: dict[str, Any]) -> None:
    limit = item.get("concurrency_limit")

    if flow_name(item) in UNLIMITED:
        assert limit is None
    else:
        assert limit["limit"] == 1
        assert limit["collision_strategy"] in ("ENQUEUE", "CANCEL_NEW")
        assert limit["grace_period_seconds"] >= 60


@every
def test_every_deployment_has_a_schedule_or_says_who_starts_it(item: dict[str, Any]) -> None:
    schedules = item.get("schedules", [])

    for schedule in schedules:
        assert schedule["slug"]
        assert not schedule["slug"].startswith("calendar"), "that is how booked ones are named"
        if "cron" in schedule:
            CronSchedule(cron=schedule["cron"], timezone=schedule["timezone"])
            assert schedule["cron"].endswith("* * *"), "weekdays are a matter of the calendars"
        else:
            assert IntervalSchedule.model_validate({"interval": schedule["interval"]})
    said = item["description"]
    by_calendar = "ooked by the calendar" in said
    by_others = "Kill switch, by hand" in said or "Run by the automations" in said
    assert bool(schedules) + by_calendar + by_others == 1
    assert by_calendar <= (flow_name(item) in set(BookedFlow))


@of_markets
def test_the_form_of_a_market_offers_the_markets(item: dict[str, Any]) -> None:
    schema = parameter_schema(flow_of(item)).model_dump()["properties"]["market"]

    assert schema["enum"] == MARKETS
    assert schema["description"]
    assert item["name"] == item["parameters"]["market"] == item["tags"][-1]


def test_an_exchange_is_taken_for_its_market_and_nonsense_is_refused() -> None:
    from flows.kill import kill
    from flows.plan import plan

    assert plan.validate_parameters({"market": "us_nasdaq"}) == {"market": "US"}
    with pytest.raises(Exception, match="unknown market 'MARS'"):
        plan.validate_parameters({"market": "MARS"})
    assert kill.validate_parameters({"scope": " kr", "reason": "x"})["scope"] == "KR"
    for wrong in ({"scope": "MARS", "reason": "x"}, {"scope": "KR", "reason": ""}):
        with pytest.raises(Exception, match="invalid parameters"):
            kill.validate_parameters(wrong)


def test_no_two_deployments_of_a_flow_share_a_name() -> None:
    assert [name for name, count in Counter(map(label, DEPLOYMENTS)).items() if count > 1] == []


def test_every_market_has_its_whole_day() -> None:
    deployed = {label(item) for item in DEPLOYMENTS}

    for market in MARKETS:
        assert {f"{flow}/{market}" for flow in ("plan", "session", "tick", "review")} <= deployed
    assert {"backup/after-review", "backup/nightly", "memory/daily", "book/calendar"} <= deployed


def test_a_session_that_ends_badly_is_looked_at_at_once() -> None:
    [book] = [item for item in DEPLOYMENTS if label(item) == "book/calendar"]
    [trigger] = book["triggers"]

    assert set(trigger["expect"]) == {"prefect.flow-run.Crashed", "prefect.flow-run.Failed"}
    assert trigger["match_related"]["prefect.resource.name"] == "session"


def test_the_page_about_schedules_names_every_deployment() -> None:
    page = (ROOT / "docs" / "schedules.md").read_text()

    for item in DEPLOYMENTS:
        name = label(item)
        group = name if item.get("parameters", {}).get("market") in (None, "KR", "VN") else ""
        assert f"`{group}`" in page or not group, name
