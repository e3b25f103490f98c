"""The one place that names adapters: settings in, a :class:`Runtime` out.

Adapters are imported where they are made, so a run loads only what it uses.
"""

from __future__ import annotations

import json
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
from trading_core.adapters.local_archive import LocalArchive
from trading_core.adapters.notifiers import LogNotifier, Notifiers
from trading_core.adapters.session_cache import SessionCache
from trading_core.clock import Clock, SystemClock
from trading_core.errors import ConfigError, NotOffered
from trading_core.model.decision import RealtimePolicy
from trading_core.model.limits import Policy
from trading_core.model.market import MarketGroup
from trading_core.model.playbook import RefreshCause
from trading_core.policies import budget_of as budget_of
from trading_core.policies import policy_of as policy_of
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
from trading_core.settings import Settings, load_settings
from trading_core.source_ports import Sources
from trading_core.steps.ask import AccountedModel
from trading_core.steps.gather import Universe
from trading_core.steps.model_planner import ModelPlanner
from trading_core.steps.report import TickReport
from trading_core.steps.watchdog import WatchPolicy

if TYPE_CHECKING:
    from trading_core.adapters.duck.store import DuckStore

REAL_URL = "https://openapi.koreainvestment.com:9443"
PAPER_URL = "https://openapivts.koreainvestment.com:29443"
TWIN_ACCOUNT = "50000000-01"
TWIN_LINK = "twin.json"


def no_stream() -> AbstractAsyncContextManager[MarketStream]:
    """Where nothing is streamed. Raises ``NotOffered``."""
    raise NotOffered("no prices are streamed here; poll the quotes")


@dataclass(frozen=True, slots=True)
class Runtime:
    """Everything a flow works with. ``home`` holds what is kept between runs.

    ``open_stream`` raises ``NotOffered``, at once or on entering, where nothing is streamed or
    another process holds the stream. Who calls it pays for loading it. ``claim`` is to be held by
    whoever sends orders; it raises ``TradingHalted`` while another store trades the account.
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


_shared: ContextVar[Runtime | None] = ContextVar("shared_runtime", default=None)


@contextmanager
def shared(runtime: Runtime) -> Iterator[None]:
    """Let every :func:`open_runtime` inside answer with this runtime, as one process has one."""
    token = _shared.set(runtime)
    try:
        yield
    finally:
        _shared.reset(token)


@asynccontextmanager
async def open_runtime(
    settings: Settings | None = None, **overrides: Any
) -> AsyncIterator[Runtime]:
    """The runtime of this process, closed at the end of the block.

    Args:
        settings: Read from the environment and ``.env`` when left out.
        overrides: Fields of :class:`Runtime` to use instead of what the settings say.

    Raises:
        ConfigError: a setting is not allowed, or there is no broker to talk to.
    """
    standing = _shared.get()
    if standing is not None:
        yield replace(standing, **overrides) if overrides else standing
        return
    settings = settings or load_settings()
    home = settings.ouroboros_home
    _make_home(home)
    warm_calendars(home, settings.enabled_markets)
    async with AsyncExitStack() as stack:
        place = _Place.of(settings)
        clock = overrides.pop("clock", None) or await _clock(place)
        connection = await stack.enter_async_context(_connect(settings, place, clock))
        store = open_store(settings)
        model = _language_model(settings, overrides.get("store", store))
        policy = policy_of(settings)
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
            planner=_planner(settings, model),
            language_model=model,
            refreshes=policies.refreshes_of(settings),
            realtime=policies.realtime_of(settings),
            notifier=_notifier(settings),
            lock=lock,
            claim=claim.hold,
            history=HistoryCache(home / "cache"),
            archive=LocalArchive(settings.backup_path, count_rows),
            account_label=place.label,
            open_stream=connection.open_stream,
            watch=policies.watch_policy_of(settings),
            sources=await stack.enter_async_context(_sources(settings, connection)),
        )
        runtime = replace(runtime, **overrides) if overrides else runtime
        with shared(runtime):
            yield runtime


def warm_calendars(home: Path, groups: Iterable[MarketGroup]) -> None:
    """Load the session tables of these groups, so that no calendar need be built."""
    SessionCache(home / "cache").warm(groups)


def configure(**overrides: Any) -> Settings:
    """The settings of this process with some of them set by hand. Raises ``ConfigError``."""
    return load_settings(**overrides)


def home_folder() -> Path:
    """``OUROBOROS_HOME``, made when missing."""
    home = load_settings().ouroboros_home
    _make_home(home)
    return home


def open_store(settings: Settings | None = None) -> DuckStore:
    """The store alone, for reading: no broker, no clock."""
    from trading_core.adapters.duck.store import DuckStore

    settings = settings or load_settings()
    _make_home(settings.ouroboros_home)
    return DuckStore(settings.store_path)


def read_status() -> dict[str, Any]:
    """The state and newest session of every enabled market and all standing halts, as JSON."""
    from trading_core.steps.summary import overview

    settings = load_settings()
    answer = overview(open_store(settings), settings.enabled_markets)
    return {"mode": settings.mode, "store": str(settings.store_path), **answer}


def read_costs(days: int) -> dict[str, Any]:
    """The ledger of the model calls of the last days, and what is left, as JSON."""
    from trading_core.steps.costs import cost_report

    settings, at = load_settings(), SystemClock().now()
    store, model = open_store(settings), _provider(settings)
    budget, prices = budget_of(settings), policies.prices_of(settings)
    return cost_report(store, budget, at=at, days=days, model=model, prices=prices)


def count_rows(path: Path) -> int:
    """Open a copy of the store read-only and count every row in it."""
    from trading_core.adapters.duck.store import count_rows as count

    return count(path)


@dataclass(frozen=True, slots=True)
class _Place:
    """Which broker, under which name and address."""

    venue: Literal["twin", "paper", "live"]
    url: str
    app_key: str = field(repr=False)
    app_secret: str = field(repr=False)
    account_no: str = field(repr=False)

    @classmethod
    def of(cls, settings: Settings) -> _Place:
        if not settings.has_kis_keys:
            url = str(settings.twin_url or _linked_twin(settings.ouroboros_home))
            return cls("twin", url.rstrip("/"), "twin-app-key", "twin-app-secret", TWIN_ACCOUNT)
        assert settings.kis_app_key and settings.kis_app_secret and settings.kis_account_no
        live = settings.mode == "live"
        return cls(
            "live" if live else "paper",
            REAL_URL if live else PAPER_URL,
            settings.kis_app_key.get_secret_value(),
            settings.kis_app_secret.get_secret_value(),
            settings.kis_account_no.get_secret_value(),
        )

    @property
    def key(self) -> str:
        """Says which account it is; every twin has its own."""
        return f"{self.venue}|{self.url if self.venue == 'twin' else ''}|{self.account_no}"

    @property
    def label(self) -> str:
        return f"{self.venue} account ****{self.account_no[-5:]}"


def _linked_twin(home: Path) -> str:
    """The address that a running ``ouroboros twin serve`` left in the home."""
    try:
        return str(json.loads((home / TWIN_LINK).read_text())["url"])
    except (OSError, ValueError, KeyError):
        raise ConfigError(
            "no broker: set KIS_APP_KEY, KIS_APP_SECRET and KIS_ACCOUNT_NO, or start the twin "
            "with: ouroboros twin serve (or watch a whole day with: ouroboros demo)"
        ) from None


def _make_home(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"OUROBOROS_HOME={home}: cannot be used: {error.strerror}") from None


async def _clock(place: _Place) -> Clock:
    if place.venue != "twin":
        return SystemClock()
    from trading_core.adapters.twin_clock import TwinClock

    clock = TwinClock(place.url)
    await clock.synchronize()
    return clock


def _connect(settings: Settings, place: _Place, clock: Clock) -> Any:
    from trading_core.adapters.kis.connection import open_kis
    from trading_core.adapters.kis.tr_table import Endpoint, Query

    on = settings.overseas_ranking_enabled
    rankings = {
        Query.FLUCTUATION: Endpoint(
            settings.overseas_ranking_fluct_path,
            settings.overseas_ranking_fluct_tr_id if on else "",
            "",
        ),
        Query.VOLUME_RANK: Endpoint(
            settings.overseas_ranking_volume_path,
            settings.overseas_ranking_volume_tr_id if on else "",
            "",
        ),
    }
    return open_kis(
        base_url=place.url,
        app_key=place.app_key,
        app_secret=place.app_secret,
        account_no=place.account_no,
        # The twin offers everything the real host does, so the whole day can be seen on it.
        personality="paper" if place.venue == "paper" else "real",
        home=settings.ouroboros_home,
        clock=clock,
        rate_limit_rps=None if place.venue == "twin" else settings.rate_limit_rps,
        verify_tls=place.venue != "paper",
        hashkey=settings.kis_hashkey and place.venue != "twin",
        route=settings.kis_route,
        hts_id=_hts_id(settings, place),
        endpoints=rankings,
    )


def _hts_id(settings: Settings, place: _Place) -> str:
    if place.venue == "twin":
        # The twin tells the owner of an account by its number.
        return place.account_no.replace("-", "")
    return settings.kis_hts_id.get_secret_value() if settings.kis_hts_id else ""


def _language_model(settings: Settings, store: Store) -> LanguageModel | None:
    """The provider's model behind the ledger; None where nothing says which one."""
    model = _provider(settings)
    if model is None:
        return None
    return AccountedModel(
        model,
        store,
        # Quotas and bills run on real time, whatever time the market plays in.
        SystemClock(),
        budget=budget_of(settings),
        prices=policies.prices_of(settings),
    )


def _provider(settings: Settings) -> LanguageModel | None:
    if settings.planner_provider == "openai":
        from trading_core.adapters.openai_compatible import OpenAiCompatibleModel

        return OpenAiCompatibleModel(
            base_url=str(settings.openai_base_url),
            model=settings.openai_model or "",
            api_key=settings.openai_api_key.get_secret_value() if settings.openai_api_key else None,
        )
    if settings.gemini_api_key is None:
        return None
    from trading_core.adapters.gemini import GeminiModel

    return GeminiModel(
        api_key=settings.gemini_api_key.get_secret_value(),
        model=settings.gemini_model,
        base_url=str(settings.gemini_base_url) if settings.gemini_base_url else None,
    )


def _planner(settings: Settings, model: LanguageModel | None) -> Planner | None:
    if model is None:
        return None
    seconds, tokens = settings.planner_timeout_seconds, settings.llm_max_output_tokens
    return ModelPlanner(model, timeout_seconds=seconds, max_output_tokens=tokens)


def _sources(settings: Settings, connection: Any) -> AbstractAsyncContextManager[Sources]:
    config = policies.source_config_of(settings)
    if config.is_empty:
        return nullcontext(Sources())
    from trading_core.adapters.sources.assembly import open_sources

    return open_sources(config, settings.ouroboros_home, SystemClock(), connection.transport)


def _notifier(settings: Settings) -> Notifier:
    token, chat = settings.telegram_bot_token, settings.telegram_chat_id
    if not settings.telegram_enabled or token is None or chat is None:
        return LogNotifier()
    from trading_core.adapters.notifiers import TelegramNotifier

    return Notifiers(
        [LogNotifier(), TelegramNotifier(token.get_secret_value(), chat.get_secret_value())]
    )
