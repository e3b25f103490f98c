"""What whoever watches over the runs needs: no broker, and the exchange's clock if it answers."""

from __future__ import annotations

from dataclasses import dataclass

from trading_core.clock import Clock
from trading_core.errors import TradingError
from trading_core.model.market import MarketGroup
from trading_core.policies import schedule_policy_of
from trading_core.ports import Notifier, Store
from trading_core.rules.schedules import SchedulePolicy
from trading_core.settings import Settings, load_settings
from trading_core.wiring.alerts import notifier_of
from trading_core.wiring.broker import Place, open_clock
from trading_core.wiring.reading import open_store
from trading_core.wiring.runtime import warm_calendars


@dataclass(frozen=True, slots=True)
class Oversight:
    """``clock`` is the exchange's; None when it cannot be told, with the reason in ``blind``."""

    groups: tuple[MarketGroup, ...]
    policy: SchedulePolicy
    store: Store
    notifier: Notifier
    clock: Clock | None
    blind: str = ""


async def open_oversight(settings: Settings | None = None) -> Oversight:
    """Read the settings and the exchange's clock. Raises ``ConfigError``."""
    settings = settings or load_settings()
    store = open_store(settings)
    warm_calendars(settings.ouroboros_home, settings.enabled_markets)
    clock: Clock | None = None
    blind = ""
    try:
        clock = await open_clock(Place.of(settings))
    except TradingError as error:
        blind = str(error)
    if clock is not None and not clock.runs:
        # Whoever plays a day on a stepped exchange starts its runs too.
        clock, blind = None, "the exchange's clock is a stepped one"
    return Oversight(
        groups=settings.enabled_markets,
        policy=schedule_policy_of(settings),
        store=store,
        notifier=notifier_of(settings),
        clock=clock,
        blind=blind,
    )
