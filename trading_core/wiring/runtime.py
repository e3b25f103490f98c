"""Settings in, a :class:`Runtime` out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from trading_core import policies
from trading_core.adapters.account_claim import account_locks
from trading_core.adapters.closed_hours import ClosedHoursBroker
from trading_core.adapters.history_cache import HistoryCache
from trading_core.adapters.session_cache import SessionCache
from trading_core.clock import Clock
from trading_core.errors import NotOffered
from trading_core.model.decision import RealtimePolicy
from trading_core.model.limits import Policy
from trading_core.model.market import MarketGroup
from trading_core.model.playbook import RefreshCause
from trading_core.policies import policy_of
from trading_core.ports import (
    Archive,
    Broker,
    History,
    LanguageModel,
    MarketData,
    MarketStream,
    Notifier,
    OrderLock,
    Planner,
    Store,
)
from trading_core.ports.sources import Sources
from trading_core.settings import Settings, load_settings
from trading_core.steps.gather import Universe
from trading_core.steps.report import TickReport
from trading_core.steps.watchdog import WatchPolicy
from trading_core.wiring.alerts import telling
from trading_core.wiring.broker import Place, connect, open_clock
from trading_core.wiring.confirmation import require_confirmation
from trading_core.wiring.mind import language_model_of, planner_of, sources_of
from trading_core.wiring.reading import make_home, open_store
from trading_core.wiring.safekeeping import Safekeeping, archive_of, safekeeping_of
from trading_core.wiring.shadows import shadows_of

if TYPE_CHECKING:
    from trading_core.steps.shadow_plan import ShadowPlanner


def no_stream() -> AbstractAsyncContextManager[MarketStream]:
    """Where nothing is streamed. Raises ``NotOffered``."""
    raise NotOffered("no prices are streamed here; poll the quotes")


@dataclass(frozen=True, slots=True)
class Runtime:
    """Everything a flow works with. ``home`` holds what is kept between runs.

    ``open_stream`` raises ``NotOffered``, at once or on entering, where nothing is streamed or
    another process holds the stream. Who calls it pays for loading it. ``claim`` is to be held by
    whoever sends orders; it raises ``TradingHalted`` while another store trades the account.
    ``desk`` is held by whoever of this process sends or cancels just now: the order lock is for
    other processes, and waiting for it would stop the event loop.
    """

    mode: Literal["paper", "live"]
    venue: Literal["twin", "paper", "live"]
    groups: tuple[MarketGroup, ...]
    home: Path
    interval: timedelta
    pre_market: timedelta
    policy: Policy
    universe: Universe
    clock: Clock
    store: Store
    broker: Broker
    market_data: MarketData
    planner: Planner | None
    notifier: Notifier
    lock: OrderLock
    history: History
    archive: Archive
    account_label: str = ""
    on_tick: Callable[[TickReport], None] = lambda report: None
    open_stream: Callable[[], AbstractAsyncContextManager[MarketStream]] = no_stream
    watch: WatchPolicy = field(default_factory=WatchPolicy)
    claim: Callable[[datetime], AbstractContextManager[None]] = lambda at: nullcontext()
    sources: Sources = field(default_factory=Sources)
    language_model: LanguageModel | None = None
    refreshes: frozenset[RefreshCause] = frozenset()
    realtime: RealtimePolicy = field(default_factory=RealtimePolicy)
    desk: asyncio.Lock = field(default_factory=asyncio.Lock)
    safe: Safekeeping | None = None
    shadows: tuple[ShadowPlanner, ...] = ()


_shared: ContextVar[Runtime | None] = ContextVar("shared_runtime", default=None)


@contextmanager
def shared(runtime: Runtime) -> Iterator[None]:
    """Let every :func:`open_runtime` inside answer with this runtime, as one process has one."""
    token = _shared.set(runtime)
    try:
        yield
    finally:
        _shared.reset(token)


def standing_runtime() -> Runtime | None:
    """The shared one; None outside of any."""
    return _shared.get()


@asynccontextmanager
async def open_runtime(
    settings: Settings | None = None, *, unconfirmed: bool = False, **overrides: Any
) -> AsyncIterator[Runtime]:
    """The runtime of this process, closed at the end of the block.

    Args:
        settings: Read from the environment and ``.env`` when left out.
        unconfirmed: Also when nobody confirmed that real money may be traded; for what buys
            nothing.
        overrides: Fields of :class:`Runtime` to use instead of what the settings say.

    Raises:
        ConfigError: a setting is not allowed, there is no broker to talk to, or real money would
            be traded that nobody confirmed.
    """
    standing = _shared.get()
    if standing is not None:
        yield replace(standing, **overrides) if overrides else standing
        return
    settings = settings or load_settings()
    if not unconfirmed:
        require_confirmation(settings)
    home = settings.ouroboros_home
    make_home(home)
    warm_calendars(home, settings.enabled_markets)
    async with AsyncExitStack() as stack:
        place = Place.of(settings)
        clock = overrides.pop("clock", None) or await open_clock(place)
        connection = await stack.enter_async_context(connect(settings, place, clock))
        store = open_store(settings)
        model = language_model_of(settings, overrides.get("store", store))
        policy = policy_of(settings)
        notifier: Notifier
        if "notifier" in overrides:
            notifier = overrides["notifier"]
        else:
            told_from = overrides.get("store", store)
            notifier = await stack.enter_async_context(telling(settings, told_from))
        lock, claim = account_locks(settings.lock_dir, place.key, place.label, settings.store_path)
        runtime = Runtime(
            mode=settings.mode,
            venue=place.venue,
            groups=settings.enabled_markets,
            home=home,
            interval=timedelta(seconds=settings.rescan_interval_seconds),
            pre_market=timedelta(minutes=settings.pre_market_minutes),
            policy=policy,
            universe=Universe(max_candidates=settings.planner_max_stocks),
            clock=clock,
            store=store,
            broker=ClosedHoursBroker(connection.broker, policy.blackouts, clock),
            market_data=connection.market_data,
            planner=planner_of(settings, model),
            language_model=model,
            refreshes=policies.refreshes_of(settings),
            realtime=policies.realtime_of(settings),
            notifier=notifier,
            lock=lock,
            claim=claim.hold,
            history=HistoryCache(home / "cache"),
            archive=archive_of(settings),
            safe=safekeeping_of(settings, store, notifier, clock),
            account_label=place.label,
            open_stream=connection.open_stream,
            watch=policies.watch_policy_of(settings),
            sources=await stack.enter_async_context(sources_of(settings, connection)),
            shadows=shadows_of(settings, overrides.get("store", store)),
        )
        runtime = replace(runtime, **overrides) if overrides else runtime
        with shared(runtime):
            yield runtime


def warm_calendars(home: Path, groups: Iterable[MarketGroup]) -> None:
    """Load the session tables of these groups, so that no calendar need be built."""
    SessionCache(home / "cache").warm(groups)
