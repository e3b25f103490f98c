"""The scanner: universe, exclusions, score, order."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_core.model.limits import ScanLimits
from trading_core.model.market import Instrument, Market, MarketGroup
from trading_core.model.price import DailyBar, Quote, RankRow, Signal
from trading_core.rules.indicators import BarPanel
from trading_core.rules.observation import IndicatorState
from trading_core.rules.scanner import (
    ScanResult,
    dynamic_universe,
    scan,
    scan_closed,
    score,
    signal,
)

AT = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
LIMITS = ScanLimits(top_n=3)
NAN = float("nan")


def stock(symbol: str, market: Market = Market.KR) -> Instrument:
    return Instrument(symbol, market)


def ranks(*symbols: str, market: Market = Market.KR) -> list[RankRow]:
    return [
        RankRow(stock(symbol, market), rank, Decimal(100), 1.0, 10)
        for rank, symbol in enumerate(symbols, start=1)
    ]


def quote(symbol: str, last: str, *, low: str | None = None, high: str | None = None) -> Quote:
    """A quote with a previous close and an open of 100."""
    price = Decimal(last)
    return Quote(
        stock(symbol),
        price,
        open=Decimal(100),
        high=Decimal(high) if high else max(price, Decimal(100)),
        low=Decimal(low) if low else min(price, Decimal(100)),
        previous_close=Decimal(100),
        volume=1000,
        at=AT,
    )


def history(*symbols: str, bars: int = 40) -> BarPanel:
    """Closes that swing and end at 100, so that 100 is the previous close of every symbol."""
    swing = 100 + np.sin(np.arange(bars))[::-1] * 2
    close = np.tile(swing - swing[-1] + 100, (len(symbols), 1))
    return BarPanel(symbols, close, close + 1, close - 1, close, np.full(close.shape, 2000.0))


def scan_quotes(
    quotes: list[Quote],
    *,
    group: MarketGroup = MarketGroup.KR,
    volume: list[RankRow] | None = None,
    fluctuation: list[RankRow] | None = None,
    limits: ScanLimits = LIMITS,
    minimum_price: str = "0",
    fallback: tuple[Instrument, ...] = (),
    allow_domestic_fallback: bool = False,
    at: datetime | None = None,
) -> ScanResult:
    symbols = [q.instrument.symbol for q in quotes]
    return scan(
        group,
        fluctuation=ranks(*symbols) if fluctuation is None else fluctuation,
        volume=volume or [],
        quotes={q.instrument.symbol: q for q in quotes},
        state=IndicatorState.from_panel(history(*sorted(set(symbols)))),
        limits=limits,
        minimum_price=Decimal(minimum_price),
        elapsed_fraction=0.5,
        fallback=fallback,
        allow_domestic_fallback=allow_domestic_fallback,
        at=at,
    )


def names(result: ScanResult) -> list[str]:
    return [candidate.instrument.symbol for candidate in result.candidates]


# --- score and order ---------------------------------------------------------------------------


def test_the_wildest_come_first_and_only_the_top_n() -> None:
    result = scan_quotes(
        [quote("A", "102"), quote("B", "107"), quote("C", "104"), quote("D", "95")]
    )
    assert names(result) == ["B", "D", "C"]
    assert result.excluded == ()
    assert result.universe_source == "ranking"


def test_the_intraday_range_counts_as_much_as_the_days_change() -> None:
    result = scan_quotes([quote("A", "103"), quote("B", "100", low="98", high="104")])
    assert names(result) == ["B", "A"]
    assert result.candidates[0].range_pct == pytest.approx(6.0)


def test_the_volume_ranking_adds_points_but_no_instruments() -> None:
    quotes = [quote("A", "104"), quote("B", "104")]
    result = scan_quotes(quotes, volume=ranks("Z", "B"))
    assert names(result) == ["B", "A"]
    assert result.candidates[0].score == pytest.approx(85 * 0.4 + 15 * 0.98)
    assert result.candidates[0].volume_rank == 2
    assert result.candidates[1].score == pytest.approx(85 * 0.4)
    assert result.candidates[1].volume_rank is None


def test_without_a_volume_ranking_volatility_carries_all_points() -> None:
    assert scan_quotes([quote("A", "104")]).candidates[0].score == pytest.approx(40)


def test_equal_points_are_ordered_by_volatility_and_then_by_symbol() -> None:
    quotes = [quote("C", "115"), quote("B", "120"), quote("A", "115")]
    result = scan_quotes(quotes)
    assert [c.score for c in result.candidates] == [100.0, 100.0, 100.0]
    assert names(result) == ["B", "A", "C"]


@given(st.floats(0, 1e6), st.none() | st.integers(1, 1000), st.booleans())
def test_a_score_is_between_0_and_100(volatility: float, rank: int | None, ranked: bool) -> None:
    assert 0 <= score(volatility, rank, ranked=ranked) <= 100


@given(st.floats(0, 100), st.floats(0, 100), st.none() | st.integers(1, 100), st.booleans())
def test_more_volatility_never_scores_less(
    one: float, other: float, rank: int | None, ranked: bool
) -> None:
    low, high = sorted((one, other))
    assert score(low, rank, ranked=ranked) <= score(high, rank, ranked=ranked)


@given(st.lists(st.integers(-30, 30), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_shuffled_rows_give_the_same_result(moves: list[int], shuffler: random.Random) -> None:
    quotes = [quote(f"S{i:02}", str(100 + move)) for i, move in enumerate(moves)]
    fluctuation = ranks(*(q.instrument.symbol for q in quotes))
    volume = fluctuation[::2]
    expected = scan_quotes(quotes, fluctuation=fluctuation, volume=volume)
    mixed, mixed_volume, mixed_quotes = fluctuation[:], volume[:], quotes[:]
    for rows in (mixed, mixed_volume, mixed_quotes):
        shuffler.shuffle(rows)
    result = scan_quotes(mixed_quotes, fluctuation=mixed, volume=mixed_volume)
    assert result == expected


def test_a_symbol_ranked_twice_is_one_candidate_with_its_better_rank() -> None:
    twice = [*ranks("A"), *ranks("B", "A")]
    result = scan_quotes([quote("A", "104"), quote("B", "103")], fluctuation=twice, volume=twice)
    assert names(result) == ["A", "B"]
    assert result.candidates[0].volume_rank == 1


# --- candidates --------------------------------------------------------------------------------


def test_a_candidate_carries_the_real_indicators() -> None:
    candidate = scan_quotes([quote("A", "104")]).candidates[0]
    assert candidate.price == Decimal(104)
    assert candidate.change_pct == pytest.approx(4.0)
    assert candidate.volume_ratio == pytest.approx(1000 / (2000 * 0.5))
    assert 50 < candidate.rsi < 100
    assert 0 < candidate.atr_pct < 10
    context = candidate.selection_context()
    assert context["rsi"] == pytest.approx(candidate.rsi, abs=1e-6)
    assert context["signal"] == candidate.signal.value


def test_a_symbol_without_history_is_a_candidate_without_indicators() -> None:
    result = scan(
        MarketGroup.KR,
        fluctuation=ranks("A"),
        volume=[],
        quotes={"A": quote("A", "104")},
        state=IndicatorState.from_panel(history()),
        limits=LIMITS,
        minimum_price=Decimal(0),
        elapsed_fraction=0.5,
    )
    candidate = result.candidates[0]
    assert candidate.change_pct == pytest.approx(4.0)
    assert np.isnan([candidate.rsi, candidate.volume_ratio, candidate.atr_pct]).all()
    assert candidate.selection_context()["rsi"] is None


@pytest.mark.parametrize(
    ("change_pct", "rsi", "expected"),
    [
        (0.0, NAN, Signal.MOMENTUM),
        (-0.1, NAN, Signal.OVERSOLD),
        (2.0, 50.0, Signal.MOMENTUM),
        (-2.0, 50.0, Signal.OVERSOLD),
        (2.0, 30.0, Signal.OVERSOLD),
        (-2.0, 70.0, Signal.MOMENTUM),
    ],
)
def test_the_signal_is_rsi_at_its_extremes_and_direction_between(
    change_pct: float, rsi: float, expected: Signal
) -> None:
    assert signal(change_pct, rsi, LIMITS) is expected


# --- exclusions --------------------------------------------------------------------------------


def test_every_exclusion_has_its_reason() -> None:
    good = quote("A", "104")
    halted = Quote(
        stock("B"),
        *(Decimal(104), Decimal(100), Decimal(104), Decimal(100), Decimal(100)),
        volume=10,
        at=AT,
        halted=True,
    )
    old = Quote(
        stock("E"),
        *(Decimal(104), Decimal(100), Decimal(104), Decimal(100), Decimal(100)),
        volume=10,
        at=AT - timedelta(hours=1),
    )
    newly_listed = Quote(
        stock("F"),
        *(Decimal(104), Decimal(100), Decimal(104), Decimal(100), Decimal(0)),
        volume=10,
        at=AT,
    )
    quotes = [
        good,
        halted,
        quote("C", "0"),
        quote("D", "100.5"),
        old,
        newly_listed,
        quote("G", "60"),
    ]
    fluctuation = ranks("G", "F", "E", "D", "C", "B", "A", "NEVER")
    result = scan_quotes(quotes, fluctuation=fluctuation, minimum_price="61", at=AT)
    assert names(result) == ["A"]
    assert result.excluded == (
        ("B", "halted"),
        ("C", "no_price"),
        ("D", "low_volatility"),
        ("E", "stale"),
        ("F", "no_day_move"),
        ("G", "below_minimum_price"),
        ("NEVER", "no_quote"),
    )


def test_the_bounds_themselves_qualify() -> None:
    limits = ScanLimits(min_volatility_pct=25.0)
    assert names(scan_quotes([quote("A", "125")], limits=limits, minimum_price="125")) == ["A"]


def test_a_stock_that_has_not_traded_today_is_no_candidate() -> None:
    still = Quote(
        stock("A"), Decimal(100), *(Decimal(0),) * 3, previous_close=Decimal(100), volume=0, at=AT
    )
    assert scan_quotes([still]).excluded == (("A", "no_day_move"),)


# --- fallback ----------------------------------------------------------------------------------


def test_an_empty_ranking_falls_back_overseas() -> None:
    result = scan_quotes(
        [quote("A", "104")], group=MarketGroup.US, fluctuation=[], fallback=(stock("A"),)
    )
    assert names(result) == ["A"]
    assert result.universe_source == "fallback"


def test_a_ranking_whose_rows_were_all_excluded_does_not_fall_back() -> None:
    result = scan_quotes(
        [quote("A", "104"), quote("B", "100")],
        group=MarketGroup.US,
        fluctuation=ranks("B"),
        fallback=(stock("A"),),
    )
    assert result.candidates == ()
    assert result.excluded == (("B", "low_volatility"),)
    assert result.universe_source == "ranking"


def test_the_domestic_market_falls_back_only_when_told_to() -> None:
    quotes = [quote("A", "104")]
    plain = scan_quotes(quotes, fluctuation=[], fallback=(stock("A"),))
    assert plain.candidates == ()
    assert plain.universe_source == "ranking"
    allowed = scan_quotes(
        quotes, fluctuation=[], fallback=(stock("A"),), allow_domestic_fallback=True
    )
    assert names(allowed) == ["A"]
    assert allowed.universe_source == "fallback"


def test_the_dynamic_universe_keeps_order_and_has_no_doubles() -> None:
    a, b, c = stock("A", Market.US_NASDAQ), stock("B", Market.US_NYSE), stock("C", Market.US_AMEX)
    named = Instrument("A", Market.US_NASDAQ, "Alpha")
    assert dynamic_universe([b, a], [named, c], [b]) == (b, a, c)
    assert dynamic_universe([], [], []) == ()


# --- the last closed session -------------------------------------------------------------------


def closed_panel(**lasts: float) -> BarPanel:
    """Forty sessions that end at 100, and one more with the given close."""
    first = date(2026, 1, 1)
    bars: dict[str, list[DailyBar]] = {}
    before = history("X").close[0]
    for symbol, last in lasts.items():
        series = [
            DailyBar(
                first + timedelta(days=day),
                *(Decimal(str(round(p, 4))) for p in (c, c + 1, c - 1, c)),
                2000,
            )
            for day, c in enumerate(before)
        ]
        opened = Decimal(100)
        close = Decimal(str(last))
        ends = (opened, max(opened, close), min(opened, close), close)
        series.append(DailyBar(first + timedelta(days=len(before)), *ends, 1000))
        bars[symbol] = series
    return BarPanel.from_bars(bars, 60)


def test_before_the_open_the_last_session_stands_in_for_today() -> None:
    panel = closed_panel(A=104, B=107, C=100.2)
    result = scan_closed(
        MarketGroup.KR,
        fluctuation=ranks("A", "B", "C", "D"),
        volume=ranks("A"),
        panel=panel,
        limits=LIMITS,
        minimum_price=Decimal(1),
    )
    live = scan(
        MarketGroup.KR,
        fluctuation=ranks("A", "B", "C", "D"),
        volume=ranks("A"),
        quotes={s: quote(s, p) for s, p in (("A", "104"), ("B", "107"), ("C", "100.2"))},
        state=IndicatorState.from_panel(panel.without_last()),
        limits=LIMITS,
        minimum_price=Decimal(1),
        elapsed_fraction=1.0,
    )
    assert result.candidates == live.candidates
    assert names(result) == ["B", "A"]
    assert result.excluded == (("C", "low_volatility"), ("D", "no_price"))


def test_a_stock_halted_in_the_last_session_is_not_planned() -> None:
    panel = closed_panel(A=104, B=107)
    for values in (panel.open, panel.high, panel.low, panel.close, panel.volume):
        values[1, -1] = np.nan
    result = scan_closed(
        MarketGroup.US,
        fluctuation=[],
        volume=[],
        panel=panel,
        limits=LIMITS,
        minimum_price=Decimal(1),
        fallback=(stock("A"), stock("B")),
    )
    assert names(result) == ["A"]
    assert result.excluded == (("B", "no_price"),)
    assert result.universe_source == "fallback"


def test_an_empty_market_scans_to_nothing() -> None:
    assert scan_quotes([]) == ScanResult((), (), "ranking")
    nothing = BarPanel((), *(np.empty((0, 0)),) * 5)
    result = scan_closed(
        MarketGroup.KR,
        fluctuation=ranks("A"),
        volume=[],
        panel=nothing,
        limits=LIMITS,
        minimum_price=Decimal(0),
    )
    assert result.excluded == (("A", "no_price"),)


# --- what is written down -----------------------------------------------------------------------


def test_a_scan_is_written_down_whole_with_place_score_and_what_was_lacking() -> None:
    calm, wild = quote("CALM", "100.1", low="100"), [quote(s, p) for s, p in
                                                     zip("ABCD", ("102", "107", "104", "95"),
                                                         strict=True)]  # fmt: skip
    result = scan_quotes([*wild, calm, quote("CHEAP", "103")], minimum_price="94")
    cheap = scan_quotes([quote("CHEAP", "103")], minimum_price="200")
    rows = result.rows(MarketGroup.KR, AT.date(), AT)
    assert [(row.symbol, row.chosen, row.place) for row in rows[:4]] == [
        ("B", True, 1),
        ("D", True, 2),
        ("C", True, 3),
        ("CHEAP", False, 4),
    ]
    assert rows[0].score == result.candidates[0].score
    out = {row.symbol: row for row in rows if row.reason}
    assert out["CALM"].reason == "low_volatility"
    assert out["CALM"].selection["value"] < out["CALM"].selection["bound"]
    [row] = cheap.rows(MarketGroup.KR, AT.date(), AT)
    assert (row.reason, row.selection) == ("below_minimum_price", {"value": 103.0, "bound": 200.0})
