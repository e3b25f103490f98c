"""Splits, and what the books know of won: the rate at every trade, profit in won by its source."""

from __future__ import annotations

from trading_core.adapters.duck.codecs import DATE, INTEGER, TEXT, TIME
from trading_core.adapters.duck.instrument_columns import (
    GROUP,
    INSTRUMENT,
    exchange_code,
    with_instrument,
)
from trading_core.adapters.duck.schema import MONEY
from trading_core.adapters.duck.tables import table
from trading_core.model.portfolio import Split

SPLITS = table(
    "splits",
    Split,
    {
        "split_id": TEXT,
        **INSTRUMENT,
        "session": DATE,
        "numerator": INTEGER,
        "denominator": INTEGER,
        "added": INTEGER,
        "split_at": (TIME, "at"),
    },
    "split_id",
    stored_only=GROUP,
    build=with_instrument(Split),
)

BOOK_TABLES: tuple[str, ...] = (
    f"ALTER TABLE fills ADD COLUMN krw_rate {MONEY}",
    f"ALTER TABLE adopted_lots ADD COLUMN krw_rate {MONEY}",
    f"ALTER TABLE equity ADD COLUMN krw_rate {MONEY}",
    f"ALTER TABLE closed_trades ADD COLUMN entry_krw {MONEY}",
    f"ALTER TABLE closed_trades ADD COLUMN exit_rate {MONEY}",
    f"ALTER TABLE closed_trades ADD COLUMN strategy_krw {MONEY}",
    f"ALTER TABLE closed_trades ADD COLUMN fx_krw {MONEY}",
    """
    CREATE TABLE splits (
        split_id TEXT PRIMARY KEY,
        market TEXT NOT NULL,
        symbol TEXT NOT NULL,
        exchange TEXT NOT NULL,
        name TEXT NOT NULL,
        is_fund BOOLEAN NOT NULL,
        session DATE NOT NULL,
        numerator BIGINT NOT NULL,
        denominator BIGINT NOT NULL,
        added BIGINT NOT NULL,
        split_at TIMESTAMPTZ NOT NULL
    )""",
    """
    CREATE OR REPLACE VIEW positions AS
    SELECT
        market, symbol, arg_max(exchange, moved_at) AS exchange, any_value(currency) AS currency,
        sum(bought)::BIGINT AS bought, sum(sold)::BIGINT AS sold, sum(adopted)::BIGINT AS adopted,
        (sum(bought) - sum(sold) + sum(adopted) + sum(split))::BIGINT AS quantity,
        sum(split)::BIGINT AS split
    FROM (
        SELECT
            market, symbol, exchange, currency, filled_at AS moved_at,
            CASE side WHEN 'BUY' THEN quantity ELSE 0 END AS bought,
            CASE side WHEN 'SELL' THEN quantity ELSE 0 END AS sold,
            0 AS adopted,
            0 AS split
        FROM fills
        UNION ALL
        SELECT market, symbol, exchange, currency, adopted_at, 0, 0, quantity, 0 FROM adopted_lots
        UNION ALL
        SELECT market, symbol, exchange, NULL, split_at, 0, 0, 0, added FROM splits
    )
    GROUP BY market, symbol""",
    f"""
    CREATE OR REPLACE VIEW trades AS
    SELECT
        f.id,
        f.filled_at AS "timestamp",
        f.symbol AS stock_code,
        f.side AS action,
        d.confidence,
        d.rationale,
        f.quantity,
        f.price,
        coalesce(c.pnl, 0)::DECIMAL(38, 10) AS pnl,
        f.market,
        {exchange_code("f.exchange")} AS exchange_code,
        coalesce(
            d.context_snapshot -> '$.selection_context', d.input_data -> '$.selection_context'
        ) AS selection_context,
        i.decision_id,
        f.session,
        f.amount,
        f.fee,
        f.tax,
        f.currency,
        coalesce(c.adopted_pnl, 0)::DECIMAL(38, 10) AS adopted_pnl,
        f.fill_id,
        f.intent_id,
        f.krw_rate,
        c.strategy_krw AS strategy_pnl_krw,
        c.fx_krw AS fx_pnl_krw,
        (c.strategy_krw + c.fx_krw)::DECIMAL(38, 10) AS pnl_krw
    FROM fills f
    LEFT JOIN order_intents i USING (intent_id)
    LEFT JOIN decisions d ON d.decision_id = i.decision_id
    LEFT JOIN (
        SELECT
            closing_id,
            sum(proceeds - cost - entry_costs - exit_costs) FILTER (origin = 'strategy') AS pnl,
            sum(proceeds - cost - entry_costs - exit_costs) FILTER (origin = 'adopted')
                AS adopted_pnl,
            any_value(strategy_krw) FILTER (origin = 'strategy') AS strategy_krw,
            any_value(fx_krw) FILTER (origin = 'strategy') AS fx_krw
        FROM closed_trades GROUP BY closing_id
    ) c ON c.closing_id = f.fill_id""",
)
"""Frozen, as all schema statements are: a change is a new migration."""
