"""``/orders``, ``/why``, ``/chart``: what became of what was wanted."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from zoneinfo import ZoneInfo

from trading_core.errors import ConfigError
from trading_core.model.chat import Answer, Button, Mark, PriceChart
from trading_core.model.market import MarketGroup
from trading_core.model.order import OrderState, Side
from trading_core.model.playbook import Playbook
from trading_core.ports import StoreReader
from trading_core.rules.markets import currency_of, zone_of
from trading_core.steps import why as funnel
from trading_core.steps.commands.office import Call, Day, choose, held_of, known_symbols, read_day
from trading_core.steps.commands.wording import (
    bold,
    count,
    esc,
    moment,
    money,
    order_line,
    pct,
    price,
    short_day,
)

_PASSED = {True: "✅", False: "❌", None: "▫️"}


def orders(call: Call) -> Answer:
    """The orders of each market's newest session, newest first; what was refused is counted."""
    lines: list[str] = []
    with call.office.store.read() as reader:
        for group in call.office.groups:
            day = read_day(reader, group)
            if day is not None:
                lines += [*_orders_of(day), ""]
    return Answer("<b>Orders</b>", lines or ["No order was ever wanted."], again="orders")


def _orders_of(day: Day) -> list[str]:
    refused = [r for r in day.orders if r.state is OrderState.REFUSED]
    rest = [r for r in day.orders if r.state is not OrderState.REFUSED]
    rest.sort(key=lambda r: (r.state.is_working, r.intent.created_at), reverse=True)
    lines = [f"{bold(day.group)} {short_day(day.date)}: {count(len(rest), 'order')}"]
    lines += [order_line(record, day.group) for record in rest]
    if refused:
        codes = Counter(r.events[-1].code.replace("_", " ") for r in refused)
        named = ", ".join(f"{esc(code)} {number}" for code, number in codes.most_common(5))
        lines.append(f"refused by our limits: {len(refused)} ({named})")
    return lines


def why(call: Call) -> Answer:
    """The funnel of one symbol, and the smallest change that would have traded."""
    symbol = call.asked.argument.upper()
    if not symbol:
        return _which(call, "why", "Why which one?")
    looks = (_funnel(call, group, symbol) for group in call.office.groups)
    found = next((look for look in looks if look is not None), None)
    if found is None:
        raise ConfigError(f"nothing is known of {symbol}: it was not scanned, planned or observed")
    when = "" if found.at is None else f" {moment(found.at, MarketGroup(found.market))}"
    lines = [f"{_PASSED[s.passed]} {esc(s.name)}: {esc(s.text, 400)}" for s in found.stages]
    lines += ["", bold(found.conclusion)]
    row = [Button("📈 Chart", f"chart {symbol}")]
    title = f"<b>Why {esc(symbol)}</b> · {esc(found.market)} {short_day(found.session)}{when}"
    return Answer(title, lines, [row], again=f"why {symbol}")


def _funnel(call: Call, group: MarketGroup, symbol: str) -> funnel.Funnel | None:
    """The funnel of the newest session; None where the symbol is not known."""
    office = call.office
    with office.store.read() as reader:
        day = reader.newest_session(group)
    if day is None:
        return None
    try:
        return funnel.why(
            office.store, group=group, session=day, symbol=symbol, policy=office.policy
        )
    except ConfigError:
        return None


def _which(call: Call, command: str, title: str) -> Answer:
    with call.office.store.read() as reader:
        known = known_symbols(reader, call.office.groups)
    if not known:
        return Answer(title, [f"Nothing is held or planned; type /{command} SYMBOL."])
    return choose(f"<b>{esc(title)}</b>", command, known)


def chart(call: Call) -> Answer:
    """A symbol's newest session as a picture."""
    symbol = call.asked.argument.upper()
    if not symbol:
        return _which(call, "chart", "Chart of which one?")
    for group in call.office.groups:
        with call.office.store.read() as reader:
            found = _picture(reader, group, symbol)
        if found is not None:
            row = [Button("Why", f"why {symbol}")]
            lines = _legend(found)
            return Answer(
                f"<b>{esc(found.title)}</b>", lines, [row], again=f"chart {symbol}", picture=found
            )
    raise ConfigError(f"no price of {symbol} was observed in the newest session of any market")


def _picture(reader: StoreReader, group: MarketGroup, symbol: str) -> PriceChart | None:
    day = read_day(reader, group)
    if day is None:
        return None
    seen = reader.observations(group, day.date, symbol)
    prices = [(row.at, row.values.get("price")) for row in seen]
    known = [(at, float(value)) for at, value in prices if value is not None and value > 0]
    if not known:
        return None
    held = next((h for h in held_of(reader, group) if h.position.instrument.symbol == symbol), None)
    fills = [fill for fill in day.fills if fill.instrument.symbol == symbol]
    return PriceChart(
        title=f"{symbol} · {group} {short_day(day.date)}",
        currency=currency_of(group),
        zone=zone_of(group),
        prices=known,
        marks=[Mark(f.filled_at, f.price, f.side is Side.BUY, f.quantity) for f in fills],
        stop=held.stop if held else None,
        target=held.target if held else None,
        average=held.position.average_price if held else None,
        thresholds=_thresholds(day.playbook, symbol),
    )


def _thresholds(playbook: Playbook | None, symbol: str) -> list[tuple[str, float]]:
    """The prices at which scenarios look; other fields are no prices."""
    plans = [plan for plan in (playbook.stocks if playbook else ()) if plan.symbol == symbol]
    return [
        (f"{scenario.action} {condition.op} {condition.value:,g}", condition.value)
        for plan in plans
        for scenario in plan.scenarios
        for condition in scenario.conditions
        if condition.field == "price"
    ]


def _legend(found: PriceChart) -> list[str]:
    first, last = found.prices[0][1], found.prices[-1][1]
    change = pct((last - first) / first * 100) if first else ""
    lines = [f"{price(Decimal(str(last)))} {found.currency}, {change} since {_first(found)}"]
    for mark in found.marks[-6:]:
        side = "▲ bought" if mark.is_buy else "▼ sold"
        lines.append(f"{side} {mark.quantity:,} at {price(mark.price)}")
    if found.stop is not None:
        target = "" if found.target is None else f", target {price(found.target)}"
        average = money(found.average, found.currency)
        lines.append(f"stop {price(found.stop)}{target}, bought at {average} on average")
    return lines


def _first(found: PriceChart) -> str:
    return f"{found.prices[0][0].astimezone(ZoneInfo(found.zone)):%H:%M}"
