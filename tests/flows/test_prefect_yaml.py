"""The deployments: every one can be deployed, and comes at the right time of its exchange."""

from __future__ import annotations

import importlib
import inspect
from collections import Counter
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from prefect import Flow

from trading_core.model.market import MarketGroup
from trading_core.rules.calendar import session_on
from trading_core.rules.markets import zone_of
from trading_core.settings import load_settings

ROOT = Path(__file__).parents[2]
CONTENT: dict[str, Any] = yaml.safe_load((ROOT / "prefect.yaml").read_text())
DEPLOYMENTS: list[dict[str, Any]] = CONTENT["deployments"]
TRADING = [item for item in DEPLOYMENTS if "market" in item.get("parameters", {})]
YEAR = date(2026, 1, 1), date(2026, 12, 31)


def label(item: dict[str, Any]) -> str:
    return f"{item['entrypoint'].partition(':')[2]}/{item['name']}"


def flow_of(item: dict[str, Any]) -> Flow[Any, Any]:
    file, _, name = item["entrypoint"].partition(":")
    assert (ROOT / file).is_file(), file
    module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
    flow = getattr(module, name)
    assert isinstance(flow, Flow), item["entrypoint"]
    return flow


@pytest.mark.parametrize("item", DEPLOYMENTS, ids=label)
def test_every_entrypoint_is_a_flow_that_takes_these_parameters(item: dict[str, Any]) -> None:
    flow = flow_of(item)

    inspect.signature(flow.fn).bind(**item.get("parameters", {}))
    flow.validate_parameters(item.get("parameters", {}))


@pytest.mark.parametrize("item", DEPLOYMENTS, ids=label)
def test_every_deployment_says_what_it_is_and_where_it_runs(item: dict[str, Any]) -> None:
    assert item["description"].strip()
    assert item["tags"]
    assert item["work_pool"] == {"name": "local"}


def test_no_two_deployments_of_a_flow_share_a_name() -> None:
    assert [name for name, count in Counter(map(label, DEPLOYMENTS)).items() if count > 1] == []


def test_every_market_that_is_enabled_by_default_has_its_whole_day() -> None:
    deployed = {(label(item).partition("/")[0], item["parameters"]["market"]) for item in TRADING}

    for group in load_settings().enabled_markets:
        for flow in ("plan", "session", "tick", "review"):
            assert (flow, group.value) in deployed


def test_the_state_is_backed_up_on_a_schedule() -> None:
    [backup] = [item for item in DEPLOYMENTS if label(item).startswith("backup/")]

    assert backup["schedules"]


@pytest.mark.parametrize("item", TRADING, ids=label)
def test_a_schedule_is_in_the_time_of_its_exchange(item: dict[str, Any]) -> None:
    group = MarketGroup(item["parameters"]["market"])

    for schedule in item.get("schedules", []):
        assert schedule["timezone"] == zone_of(group)


@pytest.mark.parametrize("item", [i for i in TRADING if i.get("schedules")], ids=label)
def test_a_schedule_fits_every_session_of_a_year(item: dict[str, Any]) -> None:
    """Late opens and early closes included; the flow waits or skips, it never comes too late."""
    group = MarketGroup(item["parameters"]["market"])
    [schedule] = item["schedules"]
    flow = label(item).partition("/")[0]
    due = _weekday_time(schedule["cron"])
    zone = ZoneInfo(schedule["timezone"])
    lead = timedelta(minutes=load_settings().pre_market_minutes)
    sessions = [found for day in _days() if (found := session_on(group, day)) is not None]
    assert len(sessions) > 240
    usual = Counter(s.open_at.astimezone(zone).time() for s in sessions).most_common(1)[0][0]

    for session in sessions:
        assert session.date.weekday() < 5
        at = datetime.combine(session.date, due, zone)
        if flow == "plan":
            assert at + lead <= session.open_at
        elif flow == "session":
            assert timedelta() < session.open_at - at <= timedelta(hours=1, minutes=5)
        else:
            assert flow == "review"
            assert at >= session.close_at + timedelta(minutes=20)
    if flow == "plan":
        assert datetime.combine(YEAR[0], due) + lead == datetime.combine(YEAR[0], usual)


def _weekday_time(cron: str) -> time:
    minute, hour, *rest = cron.split()
    assert rest == ["*", "*", "1-5"], cron
    return time(int(hour), int(minute))


def _days() -> list[date]:
    return [YEAR[0] + timedelta(days=n) for n in range((YEAR[1] - YEAR[0]).days + 1)]
