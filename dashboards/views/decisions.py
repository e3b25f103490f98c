"""Decisions: what was decided, what became of it, and everything one of them stood on."""

from __future__ import annotations

from datetime import date
from typing import Any

import streamlit as st

from dashboards import data, files, formats, frames, funnel, order_tables, tables
from dashboards.texts import t, word
from trading_core.model.audit import DecisionFilter, DecisionResult
from trading_core.wiring import records

Json = dict[str, Any]
SHOWN = 300
IN_A_FILE = 20_000
_ACTIONS = ("BUY", "SELL", "REDUCE", "HOLD")
_NUMBERS = ("outcome", "accuracy")


def _draw() -> None:
    market = frames.pick_market()
    wanted = _filters(market)
    rows = data.read(records.find_decisions, wanted)
    if not rows:
        st.info(t("decisions.none", market=word("market", market)))
        return
    picked = _table(rows, market)
    _files(wanted)
    if picked is None:
        st.caption(t("decisions.pick"))
        return
    frames.part(lambda: _one(picked, market))


def _filters(market: str) -> DecisionFilter:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        words = st.text_input(
            t("decisions.search"),
            placeholder=t("decisions.search.hint"),
            key="decisions-words",
            width=320,
        )
        action = st.selectbox(
            t("decisions.action"),
            ["", *_ACTIONS],
            format_func=lambda code: word("action", code) if code else t("decisions.any"),
            key="decisions-action",
            width=130,
        )
        result = st.selectbox(
            t("decisions.result"),
            ["", *DecisionResult],
            format_func=lambda code: word("decisions.result", code) if code else t("decisions.any"),
            key="decisions-result",
            width=130,
        )
        since = st.date_input(t("decisions.since"), value=None, key="decisions-since", width=150)
        until = st.date_input(t("decisions.until"), value=None, key="decisions-until", width=150)
    return DecisionFilter(
        market=market,
        words=words or "",
        action=action or "",
        result=DecisionResult(result) if result else None,
        since=since if isinstance(since, date) else None,
        until=until if isinstance(until, date) else None,
        limit=SHOWN,
    )


def _table(rows: list[Json], market: str) -> Json | None:
    currency = rows[0]["currency"]
    shown = [
        {
            "at": formats.local(row["at"], market),
            "symbol": row["symbol"],
            "name": row["name"],
            "action": word("action", row["action"]),
            "confidence": row["confidence"],
            "result": word("decisions.result", row["result"]),
            "outcome": None if row["outcome"] is None else float(row["outcome"]),
            "scenario": row["scenario"],
            "rationale": row["rationale"],
            "remark": row["remark"],
        }
        for row in rows
    ]
    event = st.dataframe(
        shown,
        hide_index=True,
        placeholder=formats.NO_DATA,
        width="stretch",
        height=420 if len(rows) > 10 else "auto",
        on_select="rerun",
        selection_mode="single-row",
        key=f"decisions-table-{market}",
        column_config={
            "at": st.column_config.DatetimeColumn(t("decisions.at"), format="YYYY-MM-DD HH:mm"),
            "symbol": t("decisions.symbol"),
            "name": t("decisions.name"),
            "action": t("decisions.action"),
            "confidence": st.column_config.ProgressColumn(
                t("decisions.confidence"), min_value=0, max_value=100, format="%d %%", color="blue"
            ),
            "result": t("decisions.result"),
            "outcome": tables.money(t("decisions.outcome", currency=currency), currency),
            "scenario": t("decisions.scenario"),
            "rationale": st.column_config.TextColumn(t("decisions.rationale"), width="large"),
            "remark": t("decisions.remark"),
        },
    )
    st.caption(t("decisions.shown", count=formats.count(len(rows))))
    if len(rows) == SHOWN:
        st.caption(t("decisions.more"))
    picked = event.selection.rows
    return rows[picked[0]] if picked and picked[0] < len(rows) else None


def _files(wanted: DecisionFilter) -> None:
    """Both files are made when somebody asks for one, not whenever the page is drawn."""
    name = f"decisions-{wanted.market}"
    at = data.as_of()

    def rows() -> list[Json]:
        return records.decisions_for_a_file(wanted, IN_A_FILE, as_of=at)

    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            t("decisions.csv"),
            lambda: files.csv(rows(), _NUMBERS),
            file_name=f"{name}.csv",
            mime=files.CSV,
            icon=":material/download:",
            on_click="ignore",
        )
        st.download_button(
            t("decisions.parquet"),
            lambda: files.parquet(rows(), _NUMBERS),
            file_name=f"{name}.parquet",
            mime=files.PARQUET,
            icon=":material/download:",
            on_click="ignore",
        )
        st.caption(t("decisions.file", count=formats.count(IN_A_FILE)))


def _one(row: Json, market: str) -> None:
    found = data.read(records.read_decision, row["id"])
    if found is None:
        st.info(t("decisions.gone"))
        return
    decision = found["decision"]
    st.header(
        t(
            "decisions.one",
            symbol=decision["symbol"],
            name=decision["name"],
            action=word("action", decision["action"]),
            confidence=decision["confidence"],
        ),
        anchor=False,
    )
    st.caption(f"{formats.moment(decision['at'], market)} · {decision['id']}")
    outcome, currency = decision["outcome"], decision["currency"]
    with st.container(horizontal=True):
        st.metric(
            t("decisions.outcome", currency=currency),
            formats.money(outcome, currency, signed=True),
            width="content",
        )
        st.metric(
            t("decisions.result"), word("decisions.result", decision["result"]), width="content"
        )
        st.metric(t("decisions.scenario"), decision["scenario"] or "—", width="content")
    if decision["rationale"]:
        st.text(decision["rationale"])
    if decision["remark"]:
        st.text(f"{t('decisions.remark')}: {decision['remark']} ({decision['reviewer'] or '—'})")
    st.subheader(t("decisions.funnel"), anchor=False)
    if found["funnel"]:
        funnel.draw(found["funnel"])
    for order in found["orders"]:
        order_tables.life(order, market)
    with st.expander(t("decisions.facts")):
        st.json({"input_data": found["facts"], "context_snapshot": found["snapshot"]})
    if found["prompt"]:
        with st.expander(t("decisions.prompt")):
            st.code(found["prompt"], language=None, wrap_lines=True, height=400)


frames.show("page.decisions", _draw)
