"""Sums over the fills of many sessions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from trading_core.adapters.duck.codecs import tidy
from trading_core.adapters.duck.queries import Queries
from trading_core.model.ledger import SlippageRow, TradingCost
from trading_core.model.market import Currency

_SESSIONS = """
    SELECT session FROM playbook_versions WHERE market = $market
    UNION SELECT session FROM equity WHERE market = $market
    UNION SELECT session FROM order_intents WHERE market = $market
    ORDER BY session DESC"""

_COSTS = """
    SELECT
        market, session, currency, count(*),
        coalesce(sum(amount) FILTER (side = 'BUY'), 0)::DECIMAL(38, 10),
        coalesce(sum(amount) FILTER (side = 'SELL'), 0)::DECIMAL(38, 10),
        sum(fee)::DECIMAL(38, 10), sum(tax)::DECIMAL(38, 10)
    FROM fills
    WHERE session >= $since AND ($market IS NULL OR market = $market)
    GROUP BY market, session, currency ORDER BY session DESC, market, currency"""

# An order's fills are added up first: it is decided once, at one price.
_SLIPPAGE = """
    SELECT
        i.market, i.session, i.side, i.reason, i.currency, count(*),
        sum(f.amount)::DECIMAL(38, 10),
        sum(
            CASE i.side WHEN 'BUY' THEN 1 ELSE -1 END
            * (f.amount - (f.quantity * i.decided_price)::DECIMAL(38, 10))
        )::DECIMAL(38, 10)
    FROM order_intents i
    JOIN (
        SELECT intent_id, sum(quantity)::BIGINT AS quantity, sum(amount)::DECIMAL(38, 10) AS amount
        FROM fills WHERE session >= $since GROUP BY intent_id
    ) f USING (intent_id)
    WHERE i.session >= $since AND ($market IS NULL OR i.market = $market)
    GROUP BY i.market, i.session, i.side, i.reason, i.currency
    ORDER BY i.session DESC, i.market, i.side, i.reason"""


class LedgerQueries(Queries):
    """The queries of the ``LedgerReader`` port over one open connection."""

    def traded_sessions(self, market: str) -> Sequence[date]:
        found = self._rows(_SESSIONS, {"market": market})
        return [day for (day,) in found]

    def trading_costs(self, market: str | None = None, *, since: date) -> Sequence[TradingCost]:
        found = self._rows(_COSTS, {"market": market, "since": since})
        return [
            TradingCost(group, day, Currency(currency), count, *map(tidy, money))
            for group, day, currency, count, *money in found
        ]

    def slippage(self, market: str | None = None, *, since: date) -> Sequence[SlippageRow]:
        found = self._rows(_SLIPPAGE, {"market": market, "since": since})
        return [
            SlippageRow(group, day, side, reason, Currency(currency), count, *map(tidy, money))
            for group, day, side, reason, currency, count, *money in found
        ]
