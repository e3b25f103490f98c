"""The tables and views of schema version 1, as SQL.

Frozen: a change is a new function in ``migrations``, never an edit here.

Rows are appended. What the description calls ``trades``, ``decision_logs`` and ``playbooks`` are
views with those names and columns, because their changing columns (profit, outcome, status, match
count) follow from rows that are appended elsewhere. Exactly two tables have rows that change:
``halts`` (a person lifts one) and ``contexts`` (the newest value of a key), besides ``leases``.

Times are TIMESTAMPTZ, money and prices DECIMAL(38, 10) in the row's currency, ``session`` is the
trading date of the exchange. ``market`` is a market group code and ``exchange`` one of its
markets. ``id`` numbers the rows of a table in the order they were appended. Secondary indexes are
left out on purpose: min-max statistics per row group answer the same range filters, and DuckDB
turns an update of an indexed column into delete and insert.
"""

from __future__ import annotations

_MONEY = "DECIMAL(38, 10)"

TABLES: tuple[str, ...] = (
    """
    CREATE TABLE context_metadata (
        layer TEXT PRIMARY KEY,
        description TEXT NOT NULL,
        retention_days INTEGER,
        aggregation_source TEXT
    )""",
    """
    CREATE TABLE contexts (
        id BIGINT NOT NULL,
        layer TEXT NOT NULL,
        timeframe TEXT NOT NULL,
        key TEXT NOT NULL,
        value JSON NOT NULL,
        created_at TIMESTAMPTZ NOT NULL,
        updated_at TIMESTAMPTZ NOT NULL,
        PRIMARY KEY (layer, timeframe, key)
    )""",
    # The same text may be planned again after another one, so the time is part of the key.
    """
    CREATE TABLE playbook_versions (
        id BIGINT NOT NULL,
        playbook_id TEXT NOT NULL,
        market TEXT NOT NULL,
        session DATE NOT NULL,
        source TEXT NOT NULL,
        generated_at TIMESTAMPTZ NOT NULL,
        token_count BIGINT NOT NULL,
        scenario_count INTEGER NOT NULL,
        playbook_json JSON NOT NULL,
        PRIMARY KEY (playbook_id, generated_at)
    )""",
    """
    CREATE TABLE decisions (
        id BIGINT NOT NULL,
        decision_id TEXT PRIMARY KEY,
        decided_at TIMESTAMPTZ NOT NULL,
        market TEXT NOT NULL,
        session DATE NOT NULL,
        symbol TEXT NOT NULL,
        exchange TEXT NOT NULL,
        name TEXT NOT NULL,
        is_fund BOOLEAN NOT NULL,
        action TEXT NOT NULL,
        confidence INTEGER NOT NULL,
        rationale TEXT NOT NULL,
        scenario_id TEXT NOT NULL,
        playbook_id TEXT NOT NULL,
        context_snapshot JSON NOT NULL,
        input_data JSON NOT NULL
    )""",
    f"""
    CREATE TABLE decision_outcomes (
        decision_id TEXT NOT NULL,
        outcome_pnl {_MONEY} NOT NULL,
        outcome_accuracy DOUBLE,
        review_notes TEXT NOT NULL,
        reviewed_at TIMESTAMPTZ NOT NULL,
        PRIMARY KEY (decision_id, reviewed_at)
    )""",
    f"""
    CREATE TABLE order_intents (
        id BIGINT NOT NULL,
        intent_id TEXT PRIMARY KEY,
        decision_id TEXT NOT NULL,
        market TEXT NOT NULL,
        symbol TEXT NOT NULL,
        exchange TEXT NOT NULL,
        name TEXT NOT NULL,
        is_fund BOOLEAN NOT NULL,
        session DATE NOT NULL,
        side TEXT NOT NULL,
        quantity BIGINT NOT NULL,
        order_type TEXT NOT NULL,
        limit_price {_MONEY},
        decided_price {_MONEY} NOT NULL,
        currency TEXT NOT NULL,
        reason TEXT NOT NULL,
        created_at TIMESTAMPTZ NOT NULL
    )""",
    """
    CREATE TABLE order_events (
        intent_id TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        state TEXT NOT NULL,
        occurred_at TIMESTAMPTZ NOT NULL,
        order_no TEXT NOT NULL,
        branch_no TEXT NOT NULL,
        code TEXT NOT NULL,
        note TEXT NOT NULL,
        PRIMARY KEY (intent_id, sequence)
    )""",
    f"""
    CREATE TABLE fills (
        id BIGINT NOT NULL,
        fill_id TEXT PRIMARY KEY,
        intent_id TEXT NOT NULL,
        order_no TEXT NOT NULL,
        market TEXT NOT NULL,
        symbol TEXT NOT NULL,
        exchange TEXT NOT NULL,
        name TEXT NOT NULL,
        is_fund BOOLEAN NOT NULL,
        session DATE NOT NULL,
        side TEXT NOT NULL,
        quantity BIGINT NOT NULL,
        price {_MONEY} NOT NULL,
        amount {_MONEY} NOT NULL,
        fee {_MONEY} NOT NULL,
        tax {_MONEY} NOT NULL,
        currency TEXT NOT NULL,
        filled_at TIMESTAMPTZ NOT NULL
    )""",
    f"""
    CREATE TABLE adopted_lots (
        lot_id TEXT PRIMARY KEY,
        market TEXT NOT NULL,
        symbol TEXT NOT NULL,
        exchange TEXT NOT NULL,
        name TEXT NOT NULL,
        is_fund BOOLEAN NOT NULL,
        session DATE NOT NULL,
        quantity BIGINT NOT NULL,
        price {_MONEY} NOT NULL,
        currency TEXT NOT NULL,
        adopted_at TIMESTAMPTZ NOT NULL,
        note TEXT NOT NULL
    )""",
    # What a closing fill (or a negative adopted lot) realised, by rules.positions.
    f"""
    CREATE TABLE closed_trades (
        closing_id TEXT NOT NULL,
        origin TEXT NOT NULL,
        intent_id TEXT NOT NULL,
        market TEXT NOT NULL,
        symbol TEXT NOT NULL,
        exchange TEXT NOT NULL,
        name TEXT NOT NULL,
        is_fund BOOLEAN NOT NULL,
        session DATE NOT NULL,
        quantity BIGINT NOT NULL,
        proceeds {_MONEY} NOT NULL,
        cost {_MONEY} NOT NULL,
        entry_costs {_MONEY} NOT NULL,
        exit_costs {_MONEY} NOT NULL,
        currency TEXT NOT NULL,
        closed_at TIMESTAMPTZ NOT NULL,
        PRIMARY KEY (closing_id, origin)
    )""",
    # The two large tables. A primary key doubles the file (285 MB against 152 MB at two million
    # observations), so the writer keeps their rows unique itself.
    """
    CREATE TABLE observations (
        market TEXT NOT NULL,
        session DATE NOT NULL,
        observed_at TIMESTAMPTZ NOT NULL,
        symbol TEXT NOT NULL,
        fields JSON NOT NULL
    )""",
    """
    CREATE TABLE matches (
        market TEXT NOT NULL,
        session DATE NOT NULL,
        matched_at TIMESTAMPTZ NOT NULL,
        symbol TEXT NOT NULL,
        scenario_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        action TEXT NOT NULL,
        confidence INTEGER NOT NULL,
        field TEXT NOT NULL,
        op TEXT NOT NULL,
        threshold DOUBLE,
        value DOUBLE,
        distance DOUBLE
    )""",
    f"""
    CREATE TABLE equity (
        market TEXT NOT NULL,
        session DATE NOT NULL,
        observed_at TIMESTAMPTZ NOT NULL,
        currency TEXT NOT NULL,
        cash {_MONEY} NOT NULL,
        holdings_value {_MONEY} NOT NULL,
        equity {_MONEY} NOT NULL,
        PRIMARY KEY (market, session, observed_at, currency)
    )""",
    """
    CREATE TABLE halts (
        halt_id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        scope TEXT NOT NULL,
        reason TEXT NOT NULL,
        raised_at TIMESTAMPTZ NOT NULL,
        lifted_at TIMESTAMPTZ,
        lifted_by TEXT NOT NULL
    )""",
    f"""
    CREATE TABLE llm_calls (
        call_id TEXT PRIMARY KEY,
        called_at TIMESTAMPTZ NOT NULL,
        market TEXT NOT NULL,
        session DATE NOT NULL,
        model TEXT NOT NULL,
        purpose TEXT NOT NULL,
        outcome TEXT NOT NULL,
        input_tokens BIGINT NOT NULL,
        output_tokens BIGINT NOT NULL,
        cost_usd {_MONEY} NOT NULL,
        latency_ms BIGINT NOT NULL,
        prompt_hash TEXT NOT NULL,
        detail TEXT NOT NULL
    )""",
    """
    CREATE TABLE scorecards (
        market TEXT NOT NULL,
        session DATE NOT NULL,
        scored_at TIMESTAMPTZ NOT NULL,
        decisions INTEGER NOT NULL,
        buys INTEGER NOT NULL,
        sells INTEGER NOT NULL,
        holds INTEGER NOT NULL,
        orders INTEGER NOT NULL,
        filled_orders INTEGER NOT NULL,
        refused INTEGER NOT NULL,
        gross_pnl JSON NOT NULL,
        fees JSON NOT NULL,
        taxes JSON NOT NULL,
        net_pnl JSON NOT NULL,
        wins INTEGER NOT NULL,
        losses INTEGER NOT NULL,
        win_rate_pct DOUBLE,
        average_confidence DOUBLE,
        match_rate_pct DOUBLE,
        best JSON NOT NULL,
        worst JSON NOT NULL,
        lessons JSON NOT NULL,
        playbook_source TEXT NOT NULL,
        PRIMARY KEY (market, session, scored_at)
    )""",
    """
    CREATE TABLE proposals (
        proposal_id TEXT NOT NULL,
        status TEXT NOT NULL,
        changed_at TIMESTAMPTZ NOT NULL,
        market TEXT NOT NULL,
        title TEXT NOT NULL,
        content JSON NOT NULL,
        changed_by TEXT NOT NULL,
        PRIMARY KEY (proposal_id, status)
    )""",
    """
    CREATE TABLE backups (
        backup_id TEXT PRIMARY KEY,
        created_at TIMESTAMPTZ NOT NULL,
        path TEXT NOT NULL,
        bytes BIGINT NOT NULL,
        sha256 TEXT NOT NULL,
        rows BIGINT NOT NULL,
        verified BOOLEAN NOT NULL,
        note TEXT NOT NULL
    )""",
    """
    CREATE TABLE notifications (
        notification_id TEXT PRIMARY KEY,
        sent_at TIMESTAMPTZ NOT NULL,
        kind TEXT NOT NULL,
        level TEXT NOT NULL,
        text TEXT NOT NULL,
        delivered BOOLEAN NOT NULL
    )""",
    f"""
    CREATE TABLE protections (
        market TEXT NOT NULL,
        session DATE NOT NULL,
        symbol TEXT NOT NULL,
        stop_loss_pct DOUBLE NOT NULL,
        take_profit_pct DOUBLE,
        state TEXT NOT NULL,
        peak_price {_MONEY} NOT NULL,
        updated_at TIMESTAMPTZ NOT NULL,
        PRIMARY KEY (market, session, symbol, updated_at)
    )""",
    """
    CREATE TABLE leases (
        name TEXT PRIMARY KEY,
        owner TEXT NOT NULL,
        renewed_at TIMESTAMPTZ NOT NULL,
        expires_at TIMESTAMPTZ NOT NULL
    )""",
)

# Exchange codes as the broker's order requests know them; the description's default is KRX.
_EXCHANGE_CODE = """
    CASE {exchange}
        WHEN 'KR' THEN 'KRX' WHEN 'US_NASDAQ' THEN 'NASD' WHEN 'US_NYSE' THEN 'NYSE'
        WHEN 'US_AMEX' THEN 'AMEX' WHEN 'JP' THEN 'TKSE' WHEN 'HK' THEN 'SEHK'
        WHEN 'CN_SHA' THEN 'SHAA' WHEN 'CN_SZA' THEN 'SZAA' WHEN 'VN_HNX' THEN 'HASE'
        WHEN 'VN_HSX' THEN 'VNSE'
    END"""

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
        {_EXCHANGE_CODE.format(exchange="f.exchange")} AS exchange_code,
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
        {_EXCHANGE_CODE.format(exchange="d.exchange")} AS exchange_code,
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

# layer, what it remembers, days it is kept (None: for good), what it is made from
CONTEXT_LAYERS: tuple[tuple[str, str, int | None, str], ...] = (
    ("L1", "Tick: prices and signals as they were seen", 7, "observations"),
    ("L2", "Intraday: summary of one session so far", 90, "L1"),
    ("L3", "Daily: one session at its end", 365, "L2"),
    ("L4", "Weekly: the sessions of one ISO week", 730, "L3"),
    ("L5", "Monthly: the sessions of one calendar month", 1095, "L3"),
    ("L6", "Daily review: scorecard and lessons of one session", 3650, "trades, decision_logs"),
    ("L7", "Evolution: what was learned for good", None, "L6"),
)
