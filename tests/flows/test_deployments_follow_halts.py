"""Deployments that halts make pointless are paused and restored, and nothing waits for it."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest

from tasks import deployments
from tasks.deployments import Followed, follow_halts
from tests.record_factories import AT
from trading_core.adapters.duck import DuckStore
from trading_core.model.journal import HaltKind
from trading_core.rules.trading_state import paused_deployments
from trading_core.steps import operate

LATER = AT + timedelta(hours=1)


@dataclass
class Api:
    """The requests that are used, over deployments in memory."""

    deployments: dict[str, SimpleNamespace] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    broken: str = ""
    stated: list[dict[str, Any]] = field(default_factory=list)

    def add(self, flow: str, market: str) -> None:
        made = SimpleNamespace(
            id=uuid4(),
            name=market,
            tags=["trading", flow, market],
            parameters={"market": market},
            paused=False,
        )
        self.deployments[f"{flow}/{market}"] = made

    def connect(self) -> Any:
        @asynccontextmanager
        async def client() -> Any:
            yield self

        return client()

    async def read_deployments(self) -> list[SimpleNamespace]:
        self._ask("read")
        return list(self.deployments.values())

    async def pause_deployment(self, deployment_id: UUID) -> None:
        self._ask("pause")
        self._find(deployment_id).paused = True

    async def resume_deployment(self, deployment_id: UUID) -> None:
        self._ask("resume")
        self._find(deployment_id).paused = False

    async def request(self, method: str, path: str, *, json: list[dict[str, Any]]) -> None:
        assert (method, path) == ("POST", "/events")
        self._ask("events")
        self.stated += json

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if what == self.broken:
            raise ConnectionError("down")

    def _find(self, deployment_id: UUID) -> SimpleNamespace:
        return next(d for d in self.deployments.values() if d.id == deployment_id)

    @property
    def paused(self) -> set[str]:
        return {name for name, item in self.deployments.items() if item.paused}


@pytest.fixture
def api() -> Api:
    made = Api()
    for market in ("KR", "US"):
        for flow in ("plan", "session", "tick", "review"):
            made.add(flow, market)
    return made


@pytest.fixture
def store() -> DuckStore:
    return DuckStore(":memory:")


async def follow(store: DuckStore, api: Api, at: Any = AT) -> Followed:
    return await follow_halts(store, at, api.connect)


def remembered(store: DuckStore) -> set[str]:
    with store.read() as reader:
        return {switch.name for switch in paused_deployments(reader.deployment_switches())}


@pytest.mark.parametrize(
    ("scope", "paused"),
    [
        ("KR", {"plan/KR"}),
        ("USD", {"plan/US"}),
        ("ALL", {"plan/KR", "plan/US"}),
        ("JP", set()),
    ],
)
async def test_a_halt_pauses_the_planning_it_concerns_and_resume_restores_it(
    store: DuckStore, api: Api, scope: str, paused: set[str]
) -> None:
    operate.halt(store, scope=scope, reason="x", at=AT)

    done = await follow(store, api)

    assert (set(done.paused), api.paused, remembered(store)) == (paused, paused, paused)
    assert await follow(store, api) == Followed()
    operate.resume(store, scope=scope, by="looked", at=LATER)
    assert set((await follow(store, api, LATER)).restored) == paused
    assert (api.paused, remembered(store)) == (set(), set())


async def test_what_a_person_paused_is_never_restored(store: DuckStore, api: Api) -> None:
    api.deployments["plan/KR"].paused = True
    operate.halt(store, scope="ALL", reason="x", at=AT)
    assert (await follow(store, api)).paused == ("plan/US",)
    operate.resume(store, scope="ALL", by="looked", at=LATER)
    await follow(store, api, LATER)
    assert api.paused == {"plan/KR"}


async def test_what_a_person_let_go_on_is_paused_by_a_new_halt_only(
    store: DuckStore, api: Api
) -> None:
    operate.halt(store, scope="KR", reason="x", at=AT)
    await follow(store, api)
    api.deployments["plan/KR"].paused = False
    assert await follow(store, api) == Followed()
    operate.halt(store, scope="KRW", reason="y", at=LATER)
    assert (await follow(store, api, LATER)).paused == ("plan/KR",)


async def test_it_stays_paused_until_the_last_halt_over_it_is_lifted(
    store: DuckStore, api: Api
) -> None:
    for scope in ("KR", "KRW"):
        operate.halt(store, scope=scope, reason="x", at=AT)
    await follow(store, api)
    operate.resume(store, scope="KR", by="looked", at=LATER)
    assert await follow(store, api, LATER) == Followed()
    operate.resume(store, scope="KRW", by="looked", at=LATER)
    assert (await follow(store, api, LATER)).restored == ("plan/KR",)


async def test_a_watchdogs_halt_pauses_nothing(store: DuckStore, api: Api) -> None:
    operate.halt(store, scope="KR", reason="x", at=AT, kind=HaltKind.WATCHDOG)
    assert await follow(store, api) == Followed()


@pytest.mark.parametrize("broken", ["read", "pause", "resume"])
async def test_with_the_api_down_nothing_else_is_affected_and_the_next_call_makes_up_for_it(
    store: DuckStore, api: Api, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    operate.halt(store, scope="KR", reason="x", at=AT)
    api.broken = broken
    if broken == "resume":
        await follow(store, api)
        operate.resume(store, scope="KR", by="looked", at=LATER)
    assert await follow(store, api, LATER) == Followed()
    assert "left as they are: ConnectionError" in caplog.text
    api.broken = ""
    operate.resume(store, scope="KR", by="looked", at=LATER)
    await follow(store, api, LATER + timedelta(hours=1))
    assert (api.paused, remembered(store)) == (set(), set())


async def test_an_api_that_does_not_answer_is_given_up(store: DuckStore) -> None:
    @asynccontextmanager
    async def silent() -> Any:
        await asyncio.Event().wait()
        yield None

    operate.halt(store, scope="KR", reason="x", at=AT)
    began = time.perf_counter()
    assert await follow_halts(store, AT, lambda: silent(), timeout_seconds=0.05) == Followed()
    assert time.perf_counter() - began < 2


async def test_without_a_configured_api_none_is_started(
    store: DuckStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        assert deployments.connect() is None


async def test_followed_waits_for_what_was_begun(
    store: DuckStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    async def slow(*_: Any) -> Followed:
        await asyncio.sleep(0)
        seen.append("done")
        return Followed()

    monkeypatch.setattr(deployments, "follow_halts", slow)
    deployments.follow_halts_soon(store, AT)
    assert seen == []
    await deployments.followed()
    assert seen == ["done"]


def test_what_was_paused_is_plain_json() -> None:
    from dataclasses import asdict

    assert json.dumps(asdict(Followed(("plan/KR",)))) == '{"paused": ["plan/KR"], "restored": []}'
