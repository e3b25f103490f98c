"""Costs: fees and taxes of what was traded, and what language models were paid."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import streamlit as st

from dashboards import data, formats, frames, record_charts, tables
from dashboards.texts import t, word
from trading_core.wiring import records

Json = dict[str, Any]
_PERIODS = (7, 30, 90, 365)
_MONEY = ("bought", "sold", "fee", "tax")


def _draw() -> None:
    picked = st.segmented_control(
        t("costs.days"),
        list(_PERIODS),
        default=30,
        format_func=lambda days: t("costs.days.of", days=days),
        key="costs-days",
        required=True,
        label_visibility="collapsed",
    )
    days = int(picked or 30)
    frames.part(lambda: _all(days), every=frames.SLOW_SECONDS)


def _all(days: int) -> None:
    found = data.read(records.read_spending, days)
    _trading(found["trading"])
    _models(found["llm"])
    _calls(found["calls"])


def _trading(rows: list[Json]) -> None:
    st.subheader(t("costs.trading"), anchor=False, help=t("costs.trading.help"))
    if not rows:
        st.info(t("costs.trading.none"))
        return
    for currency in sorted({row["currency"] for row in rows}):
        ours = [row for row in rows if row["currency"] == currency]
        fee, tax = _sum(ours, "fee"), _sum(ours, "tax")
        turnover = _sum(ours, "bought") + _sum(ours, "sold")
        with st.container(horizontal=True):
            st.metric(f"{t('costs.fee')} · {currency}", formats.money(fee, currency), border=True)
            st.metric(f"{t('costs.tax')} · {currency}", formats.money(tax, currency), border=True)
            st.metric(t("costs.turnover"), formats.money(turnover, currency), border=True)
            st.metric(t("costs.bps"), _bps(fee + tax, turnover), border=True)
        amounts = [
            (row["session"].isoformat(), t(f"costs.{kind}"), float(row[kind]))
            for kind in ("fee", "tax")
            for row in ours
        ]
        st.altair_chart(
            record_charts.stacked(amounts, y=currency, by=t("costs.trading")), width="stretch"
        )
        _sessions(ours, currency)


def _sessions(rows: list[Json], currency: str) -> None:
    tables.show(
        [
            {name: row[name] for name in ("session", "fills", *_MONEY)}
            | {
                "market": word("market", row["market"]),
                "bps": _ratio(row["fee"] + row["tax"], row["bought"] + row["sold"]),
            }
            for row in rows
        ],
        {
            "session": st.column_config.DateColumn(t("costs.session"), format="YYYY-MM-DD"),
            "market": t("costs.market"),
            "fills": tables.number(t("costs.fills")),
            **{name: tables.money(t(f"costs.{name}"), currency) for name in _MONEY},
            "bps": tables.number(t("costs.bps"), 1),
        },
    )


def _sum(rows: list[Json], name: str) -> Decimal:
    return sum((row[name] for row in rows), Decimal(0))


def _ratio(cost: Decimal, turnover: Decimal) -> float | None:
    return float(cost / turnover * 10_000) if turnover else None


def _bps(cost: Decimal, turnover: Decimal) -> str:
    ratio = _ratio(cost, turnover)
    return formats.NO_DATA if ratio is None else f"{ratio:.1f}"


def _models(report: Json) -> None:
    help_text = t("costs.models.help", zone=report["zone"])
    st.subheader(t("costs.models"), anchor=False, help=help_text)
    if report["model"] and not report["price_known"]:
        st.warning(t("costs.unpriced", model=report["model"]))
    _limits(report["limits"])
    total = report["total"]
    if not report["rows"]:
        st.info(t("costs.models.none"))
        return
    with st.container(horizontal=True):
        st.metric(t("costs.spent"), f"${float(total['usd']):,.4f}", border=True)
        st.metric(t("costs.calls"), formats.count(total["calls"]), border=True)
        tokens = total["input_tokens"] + total["output_tokens"]
        st.metric(t("costs.tokens"), formats.count(tokens), border=True)
        for name in ("reused", "failed", "lost"):
            if total[name]:
                st.metric(t(f"costs.{name}"), formats.count(total[name]), border=True)
    amounts = [
        (row["day"], f"{row['model']} · {row['purpose']}", float(row["usd"]))
        for row in report["rows"]
    ]
    st.altair_chart(record_charts.stacked(amounts, y="USD", by=t("costs.purpose")), width="stretch")


def _limits(limits: Json) -> None:
    with st.container(horizontal=True):
        for name, row in limits.items():
            used, limit = Decimal(str(row["used"])), row["limit"]
            money = name.startswith("usd")
            shown = f"${used:,.4f}" if money else f"{used:,}"
            with st.container(border=True, width=220):
                st.caption(t(f"costs.{name}"))
                if limit is None:
                    st.markdown(t("costs.unlimited", used=shown).replace("$", "\\$"))
                    continue
                most = Decimal(str(limit))
                text = t("costs.of", used=shown, limit=f"${most:,}" if money else f"{most:,}")
                st.progress(min(float(used / most), 1.0), text=text.replace("$", "\\$"))


def _calls(calls: list[Json]) -> None:
    if not calls:
        return
    st.subheader(t("costs.newest"), anchor=False)
    st.dataframe(
        [
            {
                "at": formats.local(call["at"], call["market"]),
                "market": word("market", call["market"]),
                **{name: call[name] for name in ("purpose", "model", "outcome")},
                "input": call["input_tokens"],
                "cached": call["cached_tokens"],
                "output": call["output_tokens"],
                "thinking": call["thinking_tokens"],
                "usd": float(call["usd"]),
                "seconds": call["seconds"],
                "detail": call["detail"],
            }
            for call in calls
        ],
        hide_index=True,
        placeholder=formats.NO_DATA,
        width="stretch",
        column_config={
            "at": st.column_config.DatetimeColumn(t("costs.at"), format="YYYY-MM-DD HH:mm"),
            "market": t("costs.market"),
            "purpose": t("costs.purpose"),
            "model": t("costs.model"),
            "outcome": t("costs.outcome"),
            **{
                name: st.column_config.NumberColumn(t(f"costs.{name}"), format="localized")
                for name in ("input", "cached", "output", "thinking")
            },
            "usd": st.column_config.NumberColumn(t("costs.usd"), format="$%.4f"),
            "seconds": st.column_config.NumberColumn(t("costs.seconds"), format="%.1f"),
            "detail": t("costs.detail"),
        },
    )


frames.show("page.costs", _draw)
