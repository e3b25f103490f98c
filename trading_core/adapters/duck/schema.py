"""The tables of schema version 1, as SQL; the views are in ``views``.

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

MONEY = "DECIMAL(38, 10)"

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
        outcome_pnl {MONEY} NOT NULL,
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
        limit_price {MONEY},
        decided_price {MONEY} NOT NULL,
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
        price {MONEY} NOT NULL,
        amount {MONEY} NOT NULL,
        fee {MONEY} NOT NULL,
        tax {MONEY} NOT NULL,
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
        price {MONEY} NOT NULL,
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
        proceeds {MONEY} NOT NULL,
        cost {MONEY} NOT NULL,
        entry_costs {MONEY} NOT NULL,
        exit_costs {MONEY} NOT NULL,
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
        cash {MONEY} NOT NULL,
        holdings_value {MONEY} NOT NULL,
        equity {MONEY} NOT NULL,
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
        cost_usd {MONEY} NOT NULL,
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
        peak_price {MONEY} NOT NULL,
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
