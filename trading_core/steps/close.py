"""Closing positions by hand: the way out of some symbols or of all, as any exit is sent."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from trading_core.errors import TradingError
from trading_core.model.market import MarketGroup
from trading_core.model.order import OrderState, Side
from trading_core.rules.blackout import blackout_until, blackout_words
from trading_core.rules.trading_state import stops_everything
from trading_core.steps.cancel_entries import cancel_each, open_in_book, working_entries
from trading_core.steps.execute import Sent
from trading_core.steps.kill_steps import KillPorts, newest_session
from trading_core.steps.reconcile import Books, reconcile
from trading_core.steps.reduce import sell_held


@dataclass(frozen=True, slots=True)
class Closed:
    """What came of it: ``sent`` are the sales, ``working`` symbols whose sale was sent before,
    ``stuck`` says by symbol or market why something is not being sold."""

    sent: tuple[Sent, ...] = ()
    working: tuple[str, ...] = ()
    stuck: Mapping[str, str] = field(default_factory=dict)

    @property
    def accepted(self) -> tuple[Sent, ...]:
        return tuple(item for item in self.sent if item.state is OrderState.ACCEPTED)


async def close_positions(
    ports: KillPorts,
    *,
    groups: Collection[MarketGroup],
    symbols: Collection[str] | None,
    because: str,
) -> Closed:
    """Cancel the entries of these symbols and sell what is held of them; of all with None.

    Every sale passes the risk gate, the journal and the order lock, so a session that trades the
    same account at the same time sells nothing twice. A symbol whose sale works is left to it.

    Args:
        because: Who asked, recorded with each sale.
    """
    parts = [await _close_group(ports, group, symbols, because) for group in groups]
    return Closed(
        sent=tuple(item for part in parts for item in part.sent),
        working=tuple(symbol for part in parts for symbol in part.working),
        stuck={name: why for part in parts for name, why in part.stuck.items()},
    )


async def _close_group(
    ports: KillPorts, group: MarketGroup, symbols: Collection[str] | None, because: str
) -> Closed:
    now = ports.clock.now()
    if not newest_session(group, now).contains(now):
        return Closed(stuck={group.value: "the exchange is shut"})
    if blackout_until(ports.policy.blackouts, now) is not None:
        return Closed(stuck={group.value: blackout_words(ports.policy.blackouts, now)})
    try:
        await _cancel_entries(ports, group, symbols)
        books = await _books(ports, group)
        blocked = _blocked(books)
        if blocked:
            return Closed(stuck={group.value: blocked})
        working = {
            symbol
            for symbol, side in books.working
            if side is Side.SELL and (symbols is None or symbol in symbols)
        }
        sold = await sell_held(
            books,
            ports.broker,
            ports.market_data,
            ports.store,
            ports.lock,
            ports.policy,
            because=because,
            at=ports.clock.now(),
            only=symbols,
        )
    except TradingError as error:
        return Closed(stuck={group.value: str(error)})
    return Closed(sold.sent, tuple(sorted(working)), sold.stuck)


async def _cancel_entries(
    ports: KillPorts, group: MarketGroup, symbols: Collection[str] | None
) -> None:
    """What is to be sold is not to be bought meanwhile."""
    session = newest_session(group, ports.clock.now())
    with ports.store.read() as reader:
        entries = working_entries(reader.live_orders(group, session.date), symbols)
    if entries:
        found = await open_in_book(ports.broker, group, entries)
        await cancel_each(ports.broker, ports.store, ports.lock, found, clock=ports.clock)


async def _books(ports: KillPorts, group: MarketGroup) -> Books:
    now = ports.clock.now()
    session = newest_session(group, now)
    return await reconcile(ports.broker, ports.store, group=group, session=session.date, at=now)


def _blocked(books: Books) -> str:
    """Why nothing may be sold there now; empty when something may."""
    halt = stops_everything(books.halts)
    if halt is not None:
        return f"a halt forbids sales too ({halt.reason}); lift it first"
    if books.unknown:
        return "the fate of an order is unknown; nothing else is sent until it is known"
    return ""
