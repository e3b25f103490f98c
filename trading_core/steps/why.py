"""Why a symbol was or was not traded: the funnel from the scan to the fill, as it was stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from trading_core.errors import ConfigError
from trading_core.model.audit import ScreenedRow
from trading_core.model.decision import REALTIME
from trading_core.model.journal import Decision, MatchRow, ObservationRow
from trading_core.model.limits import Policy
from trading_core.model.market import MarketGroup
from trading_core.model.order import Fill, OrderRecord, OrderState
from trading_core.model.playbook import Action, LintNote, Playbook
from trading_core.ports import Store, StoreReader
from trading_core.rules.coverage import OF_HOLDINGS
from trading_core.rules.funnel import (
    ScenarioLook,
    missing_change,
    nearest,
    refusal_change,
    scenario_looks,
    standing_in_scan,
)
from trading_core.rules.markets import zone_of

_SHOWN = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the funnel. ``passed`` is None where the question did not arise."""

    name: str
    passed: bool | None
    text: str


@dataclass(frozen=True, slots=True)
class Funnel:
    """Everything known of one symbol at one tick of a session; times aware UTC.

    ``at`` is the tick that was looked at, None when the symbol was never observed. Decisions,
    orders and fills are those of the session up to then. ``conclusion`` is the smallest change
    that would have traded, or that it did.
    """

    market: str
    symbol: str
    session: date
    at: datetime | None
    stages: tuple[Stage, ...]
    values: Mapping[str, float | None]
    scenarios: tuple[ScenarioLook, ...]
    matches: tuple[MatchRow, ...]
    decisions: tuple[Decision, ...]
    orders: tuple[OrderRecord, ...]
    fills: tuple[Fill, ...]
    conclusion: str


@dataclass(frozen=True, slots=True)
class _Trail:
    """What the store holds of a symbol in a session, up to the moment asked for."""

    market: MarketGroup
    symbol: str
    session: date
    playbook: Playbook | None
    screened: Sequence[ScreenedRow]
    tick: ObservationRow | None
    ticks: int
    matches: tuple[MatchRow, ...]
    closest: MatchRow | None
    decisions: tuple[Decision, ...]
    orders: tuple[OrderRecord, ...]
    fills: tuple[Fill, ...]
    is_last: bool

    @property
    def at(self) -> datetime | None:
        return self.tick.at if self.tick else None

    @property
    def held(self) -> bool:
        return self.tick is not None and self.tick.values.get("unrealized_pnl_pct") is not None

    @property
    def planned(self) -> bool:
        return self.playbook is not None and self.symbol in self.playbook.symbols

    def clock(self, at: datetime) -> str:
        return f"{at.astimezone(ZoneInfo(zone_of(self.market))):%H:%M}"


def why(
    store: Store,
    *,
    group: MarketGroup,
    session: date,
    symbol: str,
    policy: Policy,
    at: datetime | None = None,
) -> Funnel:
    """The funnel of a symbol at its last tick, or at the last one before or at ``at``.

    Raises:
        ConfigError: nothing is known of the symbol in that session.
    """
    with store.read() as reader:
        trail = _read(reader, group, session, symbol, at)
    known = trail.planned or trail.ticks or trail.decisions or trail.orders
    if not known and not any(row.symbol == symbol for row in trail.screened):
        raise ConfigError(f"nothing is known of {symbol} in {group} on {session}")
    looks: tuple[ScenarioLook, ...] = ()
    if trail.playbook and trail.tick:
        looks = scenario_looks(trail.playbook, symbol, trail.tick.values)
    return Funnel(
        market=group.value,
        symbol=symbol,
        session=session,
        at=trail.at,
        stages=(
            _candidate(trail),
            _in_playbook(trail),
            _observed(trail),
            _matched(trail),
            _decided(trail),
            *_ordered(trail),
        ),
        values=trail.tick.values if trail.tick else {},
        scenarios=looks,
        matches=trail.matches,
        decisions=trail.decisions,
        orders=trail.orders,
        fills=trail.fills,
        conclusion=_conclusion(trail, looks, policy),
    )


def _read(
    reader: StoreReader, group: MarketGroup, session: date, symbol: str, at: datetime | None
) -> _Trail:
    seen = reader.observations(group, session, symbol)
    before = [row for row in seen if at is None or row.at <= at]
    tick = before[-1] if before else None
    until = at if at is not None else datetime.max.replace(tzinfo=UTC)
    matches = reader.matches(group, session, symbol) if tick else ()
    rules = reader.matches(group, session, "") if tick else ()
    return _Trail(
        market=group,
        symbol=symbol,
        session=session,
        playbook=reader.playbook(group, session),
        screened=reader.screened(group, session),
        tick=tick,
        ticks=len(seen),
        matches=tuple(m for m in (*rules, *matches) if tick and m.at == tick.at),
        closest=min(
            (m for m in matches if m.kind == "near" and m.distance is not None and m.at <= until),
            key=lambda m: m.distance or 0.0,
            default=None,
        ),
        decisions=tuple(d for d in reader.decisions(group, session, symbol) if d.at <= until),
        orders=tuple(
            record
            for record in reader.orders(group, session)
            if record.intent.instrument.symbol == symbol and record.intent.created_at <= until
        ),
        fills=tuple(
            fill
            for fill in reader.fills(group, session)
            if fill.instrument.symbol == symbol and fill.filled_at <= until
        ),
        is_last=at is None,
    )


def _candidate(trail: _Trail) -> Stage:
    row = next((row for row in trail.screened if row.symbol == trail.symbol), None)
    chosen = [r.score for r in trail.screened if r.chosen and r.score is not None]
    text = standing_in_scan(
        row, scanned=len(trail.screened), last_score=min(chosen) if chosen else None
    )
    return Stage("candidate", row.chosen if row else None if not trail.screened else False, text)


def _in_playbook(trail: _Trail) -> Stage:
    playbook = trail.playbook
    if playbook is None:
        return Stage("playbook", False, "this session has no playbook")
    notes = [_note(note) for note in playbook.notes if note.symbol == trail.symbol]
    said = f"; lint {'; '.join(notes)}" if notes else ""
    where = f"the playbook of {trail.clock(playbook.generated_at)} by {playbook.source.value}"
    if not trail.planned:
        held = ": watched by the guard of its position alone" if trail.held else ""
        return Stage("playbook", False, f"not in {where}{held}{said}")
    count = next(len(s.scenarios) for s in playbook.stocks if s.symbol == trail.symbol)
    return Stage("playbook", True, f"{count} scenarios in {where}{said}")


def _note(note: LintNote) -> str:
    where = "" if note.scenario is None else f" scenario {note.scenario}"
    return f"{note.kind}{where}: {note.reason}"


def _observed(trail: _Trail) -> Stage:
    if trail.tick is None:
        when = "before that time" if trail.ticks else "in this session"
        return Stage("observation", False, f"no tick looked at it {when}")
    price = trail.tick.values.get("price")
    blank = sorted(name for name, value in trail.tick.values.items() if value is None)
    if not trail.held:
        blank = [name for name in blank if name not in OF_HOLDINGS]
    text = f"at {trail.clock(trail.tick.at)}, "
    text += "without a usable price" if price is None else f"price {price:,g}"
    text += f"; no data for {', '.join(blank)}" if blank and price is not None else ""
    return Stage("observation", price is not None, text)


def _matched(trail: _Trail) -> Stage:
    rule = next((m for m in trail.matches if m.kind == "global"), None)
    first = next((m for m in trail.matches if m.kind == "first"), None)
    text = "" if first is None else f"{first.scenario_id} asked to {first.action}"
    text = text or ("no scenario matched" if trail.planned and trail.tick else "nothing to match")
    near = trail.closest
    if first is None and near is not None and near.value is not None:
        text += (
            f"; the closest so far was {near.scenario_id} ({near.action}) at "
            f"{trail.clock(near.at)}: {near.field} {near.value:g}, needed {near.op} "
            f"{near.threshold:g}"
        )
    if rule is not None:
        text += f"; global rule {rule.action} was in force ({rule.field} {rule.op} "
        text += f"{rule.threshold:g}, it was {rule.value:g})"
    return Stage("match", first is not None if trail.tick else None, text)


def _decided(trail: _Trail) -> Stage:
    if not trail.decisions:
        return Stage("decision", None, "none: nothing asked for one")
    newest = trail.decisions[-1]
    when = trail.clock(newest.at)
    text = f"{newest.action} at {when}, confidence {newest.confidence}: {newest.rationale}"
    return Stage("decision", newest.action != Action.HOLD.value, text)


def _ordered(trail: _Trail) -> tuple[Stage, ...]:
    if not trail.orders:
        return (Stage("gate", None, "no order was wanted"),)
    newest = trail.orders[-1]
    refused = newest.state is OrderState.REFUSED
    gate = "passed"
    if refused:
        gate = f"refused as {newest.events[-1].code.replace('_', ' ')}: {newest.events[-1].note}"
    stages = [Stage("gate", not refused, f"{_wanted(newest)} at {_when(trail, newest)}: {gate}")]
    sent = [record for record in trail.orders if record.state is not OrderState.REFUSED]
    for record in sent:
        life = " -> ".join(event.state.value.replace("_", " ") for event in record.events)
        stages.append(Stage("order", record.filled_quantity > 0, f"{_wanted(record)}: {life}"))
    for fill in trail.fills:
        when = trail.clock(fill.filled_at)
        text = f"{fill.side} {fill.quantity} at {_price(fill.price)} {fill.currency}, {when}"
        stages.append(Stage("fill", True, text))
    return tuple(stages)


def _when(trail: _Trail, record: OrderRecord) -> str:
    return trail.clock(record.intent.created_at)


def _wanted(record: OrderRecord) -> str:
    intent = record.intent
    price = "the market's price" if intent.limit_price is None else _price(intent.limit_price)
    reason = intent.reason.value.replace("_", " ")
    return f"{intent.side} {intent.quantity} at {price} ({reason})"


def _conclusion(trail: _Trail, looks: Sequence[ScenarioLook], policy: Policy) -> str:
    """One sentence: that it traded, or the smallest change that would have made it."""
    filled = [record for record in trail.orders if record.filled_quantity]
    story = _story(trail)
    if trail.is_last and filled:
        return f"It traded: {_traded(trail, filled)}."
    if story is not None:
        return f"{story}."
    if trail.playbook is None:
        return "A playbook: without one nothing is bought."
    if not trail.planned:
        if trail.held:
            return "It is held and not planned: only the guard of the position sells it."
        return f"A place in the playbook: {_candidate(trail).text}."
    if trail.tick is None or trail.tick.values.get("price") is None:
        return "A usable price: without one nothing is decided."
    near = nearest(looks, held=trail.held)
    if near is None:
        wanted = "sell it" if trail.held else "buy it"
        return f"A scenario that asks to {wanted}: the playbook has none that did not match."
    threshold = policy.risk.confidence_threshold
    return f"{missing_change(near, confidence_threshold=threshold)}."


def _story(trail: _Trail) -> str | None:
    """What became of the newest decision; None when it is not about the tick that was asked for."""
    if not trail.decisions:
        return None
    decision = trail.decisions[-1]
    matched = any(m.kind == "first" for m in trail.matches)
    if not (trail.is_last or matched or decision.at == trail.at):
        return None
    record = next(
        (r for r in reversed(trail.orders) if r.intent.decision_id == decision.decision_id), None
    )
    when = trail.clock(decision.at)
    if record is None:
        if decision.scenario_id == REALTIME:
            return f"The model was asked at {when} and nothing is done: {decision.rationale}"
        return f"{decision.scenario_id} matched at {when} and was held back: {decision.rationale}"
    if record.filled_quantity:
        return f"It traded: {_traded(trail, [record])}"
    last = record.events[-1]
    if record.state is OrderState.REFUSED:
        return f"{_wanted(record)} at {when}: {refusal_change(last.code, last.note)}"
    note = f" ({last.note})" if last.note else ""
    state = record.state.value.replace("_", " ")
    return f"{_wanted(record)} at {when} went out and bought or sold nothing: it is {state}{note}"


def _traded(trail: _Trail, filled: Sequence[OrderRecord]) -> str:
    return "; ".join(
        f"{record.intent.side} {record.filled_quantity} at "
        f"{_price(record.filled_amount / record.filled_quantity)}, decided {_when(trail, record)}"
        for record in filled
    )


def _price(price: Decimal) -> str:
    return f"{price.quantize(_SHOWN).normalize():,f}"
