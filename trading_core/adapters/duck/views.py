"""The views of the store, and what later schema versions changed, as SQL.

Released text is never edited; a change is a new migration.
"""

from __future__ import annotations

from trading_core.adapters.duck.instrument_columns import exchange_code
from trading_core.adapters.duck.schema import MONEY

VIEWS: tuple[str, ...] = (
    """
    CREATE VIEW order_states AS
    SELECT
        i.*,
        coalesce(e.state, 'intended') AS state,
        coalesce(e.events, 0) AS events,
        coalesce(e.order_no, '') AS order_no,
        coalesce(e.changed_at, i.created_at) AS changed_at,
        coalesce(f.filled_quantity, 0)::BIGINT AS filled_quantity,
        coalesce(f.filled_amount, 0)::DECIMAL(38, 10) AS filled_amount
    FROM order_intents i
    LEFT JOIN (
        SELECT
            intent_id,
            arg_max(state, sequence) AS state,
            count(*) AS events,
            arg_max(order_no, sequence) FILTER (order_no <> '') AS order_no,
            max(occurred_at) AS changed_at
        FROM order_events GROUP BY intent_id
    ) e USING (intent_id)
    LEFT JOIN (
        SELECT intent_id, sum(quantity) AS filled_quantity, sum(amount) AS filled_amount
        FROM fills GROUP BY intent_id
    ) f USING (intent_id)""",
    """
    CREATE VIEW positions AS
    SELECT
        market, symbol, arg_max(exchange, moved_at) AS exchange, any_value(currency) AS currency,
        sum(bought)::BIGINT AS bought, sum(sold)::BIGINT AS sold, sum(adopted)::BIGINT AS adopted,
        (sum(bought) - sum(sold) + sum(adopted))::BIGINT AS quantity
    FROM (
        SELECT
            market, symbol, exchange, currency, filled_at AS moved_at,
            CASE side WHEN 'BUY' THEN quantity ELSE 0 END AS bought,
            CASE side WHEN 'SELL' THEN quantity ELSE 0 END AS sold,
            0 AS adopted
        FROM fills
        UNION ALL
        SELECT market, symbol, exchange, currency, adopted_at, 0, 0, quantity FROM adopted_lots
    )
    GROUP BY market, symbol""",
    """
    CREATE VIEW daily_pnl AS
    SELECT
        *,
        last_equity - first_equity AS pnl,
        CASE WHEN first_equity > 0
            THEN (last_equity - first_equity)::DOUBLE / first_equity::DOUBLE * 100
        END AS pnl_pct
    FROM (
        SELECT
            market, session, currency,
            arg_min(equity, observed_at) AS first_equity,
            arg_max(equity, observed_at) AS last_equity,
            max(observed_at) AS observed_at
        FROM equity GROUP BY market, session, currency
    )""",
    f"""
    CREATE VIEW trades AS
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
        f.intent_id
    FROM fills f
    LEFT JOIN order_intents i USING (intent_id)
    LEFT JOIN decisions d ON d.decision_id = i.decision_id
    LEFT JOIN (
        SELECT
            closing_id,
            sum(proceeds - cost - entry_costs - exit_costs) FILTER (origin = 'strategy') AS pnl,
            sum(proceeds - cost - entry_costs - exit_costs) FILTER (origin = 'adopted')
                AS adopted_pnl
        FROM closed_trades GROUP BY closing_id
    ) c ON c.closing_id = f.fill_id""",
    f"""
    CREATE VIEW decision_logs AS
    SELECT
        d.decision_id,
        d.decided_at AS "timestamp",
        d.symbol AS stock_code,
        d.market,
        {exchange_code("d.exchange")} AS exchange_code,
        d.action,
        d.confidence,
        d.rationale,
        d.context_snapshot,
        d.input_data,
        o.outcome_pnl,
        o.outcome_accuracy,
        o.decision_id IS NOT NULL AS reviewed,
        o.review_notes,
        d.session,
        d.scenario_id,
        d.playbook_id
    FROM decisions d
    LEFT JOIN (
        SELECT * FROM decision_outcomes
        QUALIFY row_number() OVER (PARTITION BY decision_id ORDER BY reviewed_at DESC) = 1
    ) o USING (decision_id)""",
    """
    CREATE VIEW playbooks AS
    SELECT
        p.id,
        p.session AS "date",
        p.market,
        CASE
            WHEN p.replaced OR s.session IS NOT NULL THEN 'expired'
            WHEN o.session IS NOT NULL THEN 'active'
            ELSE 'generated'
        END AS status,
        p.playbook_json,
        p.generated_at,
        p.token_count,
        p.scenario_count,
        (
            SELECT count(*) FROM matches m
            WHERE m.market = p.market AND m.session = p.session AND m.kind IN ('first', 'global')
                AND m.matched_at >= p.generated_at
                AND (p.next_at IS NULL OR m.matched_at < p.next_at)
        ) AS match_count,
        p.playbook_id,
        p.source
    FROM (
        SELECT *, lead(generated_at) OVER newer AS next_at, next_at IS NOT NULL AS replaced
        FROM playbook_versions
        WINDOW newer AS (PARTITION BY market, session ORDER BY generated_at, id)
    ) p
    LEFT JOIN (SELECT DISTINCT market, session FROM scorecards) s USING (market, session)
    LEFT JOIN (SELECT DISTINCT market, session FROM observations) o USING (market, session)""",
)

_STATES = "['holding', 'break_even', 'trailing', 'exiting']"

GUARDS: tuple[str, ...] = (
    "ALTER TABLE protections RENAME TO protections_with_key",
    f"""
    CREATE TABLE protections (
        market TEXT NOT NULL,
        session DATE NOT NULL,
        symbol TEXT NOT NULL,
        stop_loss_pct DOUBLE NOT NULL,
        take_profit_pct DOUBLE,
        state TEXT NOT NULL,
        peak_price {MONEY} NOT NULL,
        updated_at TIMESTAMPTZ NOT NULL,
        opened_at TIMESTAMPTZ,
        stop_basis TEXT NOT NULL,
        armed TEXT NOT NULL,
        trail_atr {MONEY},
        approached_at TIMESTAMPTZ,
        blind_since TIMESTAMPTZ,
        blind_looks BIGINT NOT NULL
    )""",
    """
    INSERT INTO protections
    SELECT
        market, session, symbol, stop_loss_pct, take_profit_pct, state, peak_price, updated_at,
        NULL, 'set', 'holding', NULL, NULL, NULL, 0
    FROM protections_with_key ORDER BY updated_at""",
    "DROP TABLE protections_with_key",
    f"""
    CREATE VIEW guards AS
    SELECT * EXCLUDE (newness)
    FROM (
        SELECT
            * REPLACE (
                arg_max(state, list_position({_STATES}, state)) OVER of_position AS state,
                arg_max(armed, list_position({_STATES}, armed)) OVER of_position AS armed,
                max(peak_price) OVER of_position AS peak_price,
                min(trail_atr) OVER of_position AS trail_atr,
                coalesce(
                    max(stop_loss_pct) FILTER (stop_basis = 'set') OVER of_position, stop_loss_pct
                ) AS stop_loss_pct,
                CASE WHEN bool_or(stop_basis = 'set') OVER of_position
                    THEN 'set' ELSE stop_basis
                END AS stop_basis
            ),
            row_number() OVER (
                PARTITION BY market, symbol
                ORDER BY opened_at DESC NULLS LAST, updated_at DESC, rowid DESC
            ) AS newness
        FROM protections
        WINDOW of_position AS (PARTITION BY market, symbol, opened_at)
    )
    WHERE newness = 1""",
)

CHASES: tuple[str, ...] = ("ALTER TABLE order_intents ADD COLUMN chases TEXT DEFAULT ''",)
