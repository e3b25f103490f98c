"""How a session went."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.order_books import make_record
from tests.record_factories import (
    APPLE,
    AT,
    MINUTE,
    SAMSUNG,
    SESSION,
    make_decision,
    make_equity,
    make_event,
    make_fill,
    make_intent,
)
from trading_core.model.journal import DecisionOutcome, Scorecard
from trading_core.model.market import Currency, Instrument, Market, MarketGroup
from trading_core.model.order import IntentReason, OrderRecord, OrderState, Side
from trading_core.model.portfolio import PositionOrigin
from trading_core.rules.positions import ClosedTrade
from trading_core.rules.scorecard import Pnl, outcomes, score, session_pnl, traded_pnl

HYNIX = Instrument("000660", Market.KR)
S = OrderState
CLOSED_AT = AT + 30 * MINUTE
REVIEWED_AT = AT + timedelta(hours=6)


def make_trade(net: str, **changes: Any) -> ClosedTrade:
    """A closed trade that made ``net`` after entry costs of 10 and exit costs of 20."""
    values: dict[str, Any] = {
        "closing_id": "fill-9",
        "intent_id": "exit-1",
        "origin": PositionOrigin.STRATEGY,
        "instrument": SAMSUNG,
        "session": SESSION,
        "quantity": 10,
        "proceeds": D(700_030) + D(net),
        "cost": D(700_000),
        "entry_costs": D(10),
        "exit_costs": D(20),
        "currency": Currency.KRW,
        "closed_at": CLOSED_AT,
    }
    return ClosedTrade(**(values | changes))


def make_order(
    intent_id: str,
    decision_id: str,
    side: Side,
    state: OrderState = S.FILLED,
    filled: int = 10,
    **changes: Any,
) -> OrderRecord:
    intent = make_intent(intent_id=intent_id, decision_id=decision_id, side=side, **changes)
    return OrderRecord(intent, state, (make_event(intent_id=intent_id),), filled, D(filled))


ENTRY = make_order("entry-1", "decided-to-buy", Side.BUY)
EXIT = make_order(
    "exit-1",
    "decided-to-sell",
    Side.SELL,
    reason=IntentReason.TAKE_PROFIT,
    created_at=CLOSED_AT - MINUTE,
)


def scored(**changes: Any) -> Scorecard:
    values: dict[str, Any] = {
        "group": MarketGroup.KR,
        "session": SESSION,
        "at": REVIEWED_AT,
        "decisions": [],
        "orders": [],
        "closed": [],
        "pnl": {},
        "match_rate_pct": None,
        "source": "rules",
    }
    return score(**(values | changes))


# --- profit ---------------------------------------------------------------------------------


def test_the_change_of_equity_is_gross_less_costs() -> None:
    curve = [
        make_equity(at=AT + n * MINUTE, equity=D(equity))
        for n, equity in enumerate([10_000_000, 9_000_000, 10_050_000])
    ]
    fills = [
        make_fill(fee=D(100), tax=D(0)),
        make_fill(fill_id="f2", side=Side.SELL, fee=D(101), tax=D(1500)),
    ]
    pnl = session_pnl(curve, fills)
    assert pnl == {Currency.KRW: Pnl(gross=D(51_701), fees=D(201), taxes=D(1500))}
    assert pnl[Currency.KRW].net == 50_000


def test_each_currency_has_its_own_result() -> None:
    dollars = {"currency": Currency.USD, "market": "US"}
    curve = [
        make_equity(equity=D(10_000_000)),
        make_equity(equity=D("5000.10"), **dollars),
        make_equity(equity=D(9_999_000), at=AT + MINUTE),
        make_equity(equity=D("5010.20"), at=AT + MINUTE, **dollars),
    ]
    fills = [
        make_fill(fee=D(500), tax=D(0)),
        make_fill(
            fill_id="f2", instrument=APPLE, currency=Currency.USD, fee=D("0.40"), tax=D("0.01")
        ),
    ]
    pnl = session_pnl(curve, fills)
    assert pnl[Currency.KRW] == Pnl(D(-500), D(500), D(0))
    assert pnl[Currency.USD] == Pnl(D("10.51"), D("0.40"), D("0.01"))
    assert session_pnl([], fills) == {}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["005930", "000660"]),
            st.sampled_from(Side),
            st.integers(1, 50),
            st.decimals(1, 10**5, places=0),
            st.decimals(0, 500, places=0),
            st.decimals(0, 500, places=0),
        ),
        max_size=20,
    ),
    st.dictionaries(st.sampled_from(["005930", "000660"]), st.integers(0, 100)),
    st.decimals(1, 10**5, places=0),
    st.decimals(1, 10**5, places=0),
)
def test_the_account_and_our_fills_tell_the_same_profit(
    trades: list[tuple[str, Side, int, D, D, D]], held: dict[str, int], before: D, now: D
) -> None:
    cash, shares = D(10**9), dict(held)
    started = make_equity(equity=cash + sum(shares.values()) * before)
    at_start = {symbol: quantity * before for symbol, quantity in shares.items()}
    fills = []
    for number, (symbol, side, quantity, price, fee, tax) in enumerate(trades):
        fill = make_fill(
            fill_id=str(number), side=side, quantity=quantity, price=price, fee=fee, tax=tax
        )
        fills.append(fill)
        sign = 1 if side is Side.SELL else -1
        cash += sign * fill.amount - fee - tax
        shares[symbol] = shares.get(symbol, 0) - sign * quantity
    value = {symbol: quantity * now for symbol, quantity in shares.items()}
    ended = make_equity(equity=cash + sum(value.values()), at=AT + MINUTE)
    pnl = session_pnl([started, ended], fills)[Currency.KRW]
    assert pnl.gross == traded_pnl(fills, held_at_start=at_start, held_now=value)
    assert pnl.net == ended.equity - started.equity


# --- outcomes -------------------------------------------------------------------------------


@pytest.mark.parametrize(("net", "accuracy"), [("5000", 1.0), ("0", 0.0), ("-1", 0.0)])
def test_a_closed_trade_is_the_outcome_of_its_exit_and_of_its_entry(
    net: str, accuracy: float
) -> None:
    found = outcomes([make_trade(net)], [ENTRY, EXIT], REVIEWED_AT)
    assert found == [
        DecisionOutcome("decided-to-buy", D(net), accuracy, REVIEWED_AT),
        DecisionOutcome("decided-to-sell", D(net), accuracy, REVIEWED_AT),
    ]


def test_a_position_sold_in_parts_is_one_outcome_of_its_entry() -> None:
    second = make_order("exit-2", "sold-the-rest", Side.SELL)
    trades = [make_trade("3000"), make_trade("-4000", intent_id="exit-2", closing_id="fill-10")]
    found = {o.decision_id: o for o in outcomes(trades, [ENTRY, EXIT, second], REVIEWED_AT)}
    assert found["decided-to-buy"].outcome_pnl == -1000
    assert found["decided-to-buy"].outcome_accuracy == 0
    assert found["decided-to-sell"].outcome_pnl == 3000
    assert found["sold-the-rest"].outcome_pnl == -4000


def test_a_later_entry_of_the_same_symbol_does_not_answer_for_an_earlier_trade() -> None:
    older = make_order("entry-0", "long-ago", Side.BUY, created_at=AT - timedelta(days=9))
    later = make_order("entry-2", "tomorrow", Side.BUY, created_at=AT + timedelta(days=1))
    found = outcomes([make_trade("1")], [older, ENTRY, EXIT, later], REVIEWED_AT)
    assert [o.decision_id for o in found] == ["decided-to-buy", "decided-to-sell"]


def test_an_entry_that_never_filled_or_another_symbols_does_not_answer() -> None:
    unfilled = make_order("entry-2", "never", Side.BUY, S.CANCELLED, 0, created_at=AT + MINUTE)
    other = make_order("entry-3", "other", Side.BUY, instrument=HYNIX, created_at=AT + MINUTE)
    found = outcomes([make_trade("1")], [ENTRY, unfilled, other, EXIT], REVIEWED_AT)
    assert [o.decision_id for o in found] == ["decided-to-buy", "decided-to-sell"]


def test_shares_sold_by_hand_are_an_outcome_of_their_entry_alone() -> None:
    by_hand = make_trade("-7", intent_id="")
    assert [o.decision_id for o in outcomes([by_hand], [ENTRY, EXIT], REVIEWED_AT)] == [
        "decided-to-buy"
    ]


def test_no_entry_of_ours_answers_for_adopted_shares() -> None:
    adopted = make_trade("-90000", origin=PositionOrigin.ADOPTED)
    found = outcomes([make_trade("500"), adopted], [ENTRY, EXIT], REVIEWED_AT)
    assert {o.decision_id: o.outcome_pnl for o in found} == {
        "decided-to-buy": D(500),
        "decided-to-sell": D(-89_500),
    }


def test_a_day_without_closed_trades_has_no_outcomes() -> None:
    assert outcomes([], [ENTRY], REVIEWED_AT) == []


# --- the scorecard --------------------------------------------------------------------------


def test_the_win_rate_is_wins_over_wins_and_losses_after_costs() -> None:
    trades = [make_trade("1"), make_trade("9000"), make_trade("-1"), make_trade("0")]
    held = [make_decision(decision_id=str(n), action="HOLD") for n in range(50)]
    card = scored(closed=trades, decisions=held)
    assert (card.wins, card.losses) == (2, 1)
    assert card.win_rate_pct == pytest.approx(200 / 3)
    assert card.holds == 50


def test_a_gain_that_costs_eat_up_is_a_loss() -> None:
    trade = make_trade("-5")
    assert trade.gross == 25
    assert scored(closed=[trade]).losses == 1


@pytest.mark.parametrize("trades", [[], [make_trade("0")]])
def test_without_a_win_or_a_loss_there_is_no_win_rate(trades: list[ClosedTrade]) -> None:
    assert scored(closed=trades).win_rate_pct is None


def test_adopted_shares_are_not_the_strategys_wins_or_losses() -> None:
    adopted = make_trade("-90000", origin=PositionOrigin.ADOPTED)
    card = scored(closed=[make_trade("5"), adopted])
    assert (card.wins, card.losses, card.win_rate_pct) == (1, 0, 100.0)
    assert card.worst == []


def test_decisions_and_orders_are_counted_by_what_became_of_them() -> None:
    decisions = [
        make_decision(decision_id="1", action="BUY", confidence=80),
        make_decision(decision_id="2", action="BUY", confidence=91),
        make_decision(decision_id="3", action="SELL", confidence=100),
        make_decision(decision_id="4", action="HOLD", confidence=10),
    ]
    orders = [
        ENTRY,
        EXIT,
        make_order("p", "p", Side.BUY, S.CANCELLED, 3),
        make_order("c", "c", Side.BUY, S.CANCELLED, 0),
        make_order("r", "r", Side.BUY, S.REFUSED, 0),
    ]
    card = scored(decisions=decisions, orders=orders, match_rate_pct=12.5, source="gemini")
    assert (card.decisions, card.buys, card.sells, card.holds) == (4, 2, 1, 1)
    assert (card.orders, card.filled_orders, card.refused) == (4, 3, 1)
    assert card.average_confidence == 85.5
    assert (card.match_rate_pct, card.playbook_source) == (12.5, "gemini")
    assert (card.market, card.session, card.at) == ("KR", SESSION, REVIEWED_AT)
    assert "1 entry never filled" in card.lessons


def test_money_is_shown_per_currency() -> None:
    card = scored(pnl={Currency.KRW: Pnl(D(100), D(3), D(20)), Currency.USD: Pnl(D(5), D(1), D(0))})
    assert card.gross_pnl == {"KRW": D(100), "USD": D(5)}
    assert card.fees == {"KRW": D(3), "USD": D(1)}
    assert card.taxes == {"KRW": D(20), "USD": D(0)}
    assert card.net_pnl == {"KRW": D(77), "USD": D(4)}


def test_the_best_and_the_worst_three_are_named_and_no_loss_is_called_best() -> None:
    trades = [make_trade(str(net)) for net in (50, -10, 400, -30, 7, 90, -20, -40)]
    card = scored(closed=trades)
    assert [item["net"] for item in card.best] == ["400", "90", "50"]
    assert [item["net"] for item in card.worst] == ["-40", "-30", "-20"]
    one_loss = scored(closed=[make_trade("-3")])
    assert one_loss.best == []


def test_lessons_are_drawn_from_the_sessions_numbers_and_are_at_most_three() -> None:
    stops = [
        make_order(f"s{n}", f"s{n}", Side.SELL, reason=IntentReason.HARD_STOP) for n in range(2)
    ]
    idle = make_order("i", "i", Side.BUY, S.EXPIRED, 0)
    card = scored(orders=[*stops, idle], closed=[make_trade("-5"), make_trade("-5")])
    assert card.lessons == [
        "2 stops against 0 targets: entries were early or stops too tight",
        "2 of 2 closed trades lost after costs",
        "costs were 120 % of what the trades moved",
    ]
    assert scored().lessons == []


def test_an_order_still_working_is_not_called_unfilled() -> None:
    assert scored(orders=[make_record(S.ACCEPTED)]).lessons == []
