"""Scorecard: the review of a session, what it teaches, and whether confidence came true."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import streamlit as st

from dashboards import charts, data, formats, frames, tables
from dashboards.texts import t, word
from trading_core.wiring import board, records

Json = dict[str, Any]


def _draw() -> None:
    market = frames.pick_market()
    sessions = data.read(records.read_sessions, market)
    if not sessions:
        st.info(t("frame.no_market", market=word("market", market)))
        return
    session = frames.pick_session(market, sessions)
    if session is not None:
        frames.part(lambda: _card(market, session))


def _card(market: str, session: date) -> None:
    card = data.read(board.scorecard, market, session)
    if card is None:
        st.info(t("scorecard.none", session=formats.day(session), market=market))
        return
    _head(card, market)
    frames.part(lambda: _lessons(card))
    wide, narrow = st.columns(2, gap="medium")
    details = card["details"]
    with wide:
        frames.part(lambda: _calibration(details.get("calibration") or {}))
    with narrow:
        frames.part(lambda: _coverage(details.get("coverage") or {}))
    frames.part(lambda: _trades(card))
    frames.part(lambda: _execution(details))
    frames.part(lambda: _movers(details.get("movers")))
    frames.part(lambda: _shadows(card["shadows"]))
    frames.part(lambda: _earlier(card))


def _head(card: Json, market: str) -> None:
    code = card["currency"]
    with st.container(horizontal=True):
        for currency, net in card["net_pnl"].items():
            text = formats.money(net, currency, signed=True)
            st.metric(t("scorecard.net"), text, border=True)
        costs = sum((*card["fees"].values(), *card["taxes"].values()), Decimal(0))
        figures = (
            ("scorecard.costs", formats.money(costs, code) if card["fees"] else formats.NO_DATA),
            ("scorecard.win_rate", formats.pct(card["win_rate_pct"], 1, signed=False)),
            ("scorecard.match_rate", formats.pct(card["match_rate_pct"], 2, signed=False)),
            ("scorecard.decisions", formats.count(card["decisions"])),
            ("scorecard.orders", f"{card['filled_orders']} / {card['orders']}"),
            ("scorecard.refused", formats.count(card["refused"])),
        )
        for key, value in figures:
            st.metric(t(key), value, border=True)
    line = t(
        "scorecard.made",
        at=formats.moment(card["at"], market),
        source=word("source", card["playbook_source"]),
        wins=card["wins"],
        losses=card["losses"],
    )
    late = card["details"].get("reviewed_late_on")
    st.caption(f"{line} · {t('scorecard.late', day=late)}" if late else line)


def _lessons(card: Json) -> None:
    st.subheader(t("scorecard.lessons"), anchor=False)
    if not card["lessons"] and not card["by_model"]:
        st.caption(t("scorecard.no_lessons"))
        return
    lines = [f"- {_plain(lesson)}" for lesson in card["lessons"]]
    lines += [
        f"- {_plain(said['quote'])}  \n  :gray[{_plain(said['model'])}]"
        for said in card["by_model"]
    ]
    st.markdown("\n".join(lines))
    if card["no_model_because"]:
        st.caption(t("scorecard.no_model", reason=card["no_model_because"]))


def _plain(text: object) -> str:
    """Prose of the store, with nothing in it taken for markup."""
    shown = str(text)
    for sign in "\\`*_{}[]<>#$~|":
        shown = shown.replace(sign, f"\\{sign}")
    return shown


def _calibration(found: Json) -> None:
    st.subheader(t("scorecard.calibration"), anchor=False, help=t("scorecard.calibration.help"))
    if not found.get("samples"):
        st.caption(t("scorecard.no_calibration"))
        return
    charts.draw(charts.calibration, found["bins"], name=t("scorecard.calibration"))
    brier, base = found.get("brier"), found.get("base_brier")
    if brier is not None and base is not None:
        key = "scorecard.brier.better" if brier < base else "scorecard.brier.worse"
        hit = formats.pct(found["hit_rate_pct"], 1, signed=False)
        text = t(key, brier=brier, base=base, samples=found["samples"], hit=hit)
        st.caption(text)


def _coverage(found: Json) -> None:
    st.subheader(t("scorecard.coverage"), anchor=False, help=t("scorecard.coverage.help"))
    fates = found.get("fates") or {}
    if not fates:
        st.caption(t("scorecard.no_coverage"))
        return
    rows = [(word("coverage", fate), count) for fate, count in fates.items()]
    charts.draw(charts.share, rows, t("scorecard.scenarios"), name=t("scorecard.coverage"))
    if found["nearest"]:
        tables.show(
            [
                {
                    "scenario": near["scenario_id"],
                    "action": word("action", near["action"]),
                    "condition": f"{word('field', near['field'])} {near['op']} "
                    f"{formats.value_of(near['field'], near['threshold'])}",
                    "value": formats.value_of(near["field"], near["value"]),
                    "distance": near["distance"] * 100,
                }
                for near in found["nearest"]
            ],
            {
                "scenario": tables.text(t("scorecard.nearest")),
                "action": tables.text(t("scorecard.action")),
                "condition": tables.text(t("scorecard.condition")),
                "value": tables.text(t("scorecard.value")),
                "distance": tables.percent(t("scorecard.distance")),
            },
        )


def _trades(card: Json) -> None:
    rows = [*card["best"], *reversed(card["worst"])]
    st.subheader(t("scorecard.trades"), anchor=False)
    if not rows:
        st.caption(t("scorecard.no_trades"))
        return
    tables.show(
        [{**row, "net": float(row["net"])} for row in rows],
        {
            "symbol": tables.text(t("scorecard.symbol")),
            "quantity": tables.number(t("scorecard.quantity")),
            "net": tables.money(t("scorecard.net"), card["currency"]),
        },
    )


def _execution(details: Json) -> None:
    """What fills cost against their decisions, and how stops behaved."""
    slippage, stops = details.get("slippage") or {}, details.get("stops") or {}
    st.subheader(t("scorecard.execution"), anchor=False)
    if not slippage and not stops.get("exits"):
        st.caption(t("scorecard.no_execution"))
        return
    if slippage:
        tables.show(
            [{**row, "side": word("action", side)} for side, row in slippage.items()],
            {
                "side": tables.text(t("scorecard.side")),
                "orders": tables.number(t("scorecard.orders_filled")),
                "cost_bps": tables.number(t("scorecard.slippage"), 1),
                "worst_bps": tables.number(t("scorecard.worst"), 1),
                "worst_symbol": tables.text(t("scorecard.symbol")),
                "accepted_after_s": tables.number(t("scorecard.accepted_after"), 2),
                "filled_after_s": tables.number(t("scorecard.filled_after"), 2),
            },
        )
    if stops.get("exits"):
        exits = ", ".join(f"{word('reason', r)} {n}" for r, n in stops["exits"].items())
        st.markdown(t("scorecard.exits", exits=exits))
    if stops.get("worst_overshoot_pct") is not None:
        pct = formats.pct(stops["worst_overshoot_pct"], signed=False)
        st.caption(t("scorecard.overshoot", pct=pct, symbol=stops["worst_symbol"]))


def _movers(movers: list[Json] | None) -> None:
    st.subheader(t("scorecard.movers"), anchor=False, help=t("scorecard.movers.help"))
    if movers is None:
        st.caption(t("scorecard.movers.unknown"))
    elif not movers:
        st.caption(t("scorecard.movers.none"))
    else:
        tables.show(
            movers,
            {
                "symbol": tables.text(t("scorecard.symbol")),
                "change_pct": tables.percent(t("scorecard.change")),
                "why": tables.text(t("scorecard.why"), width="large"),
            },
        )


def _shadows(found: Json | None) -> None:
    """What other planners would have made of the session, with money of their own."""
    if not found or len(found["planners"]) < 2:
        return
    code = found["currency"]
    st.subheader(t("scorecard.shadows"), anchor=False, help=t("scorecard.shadows.help"))
    rows = [
        {
            "planner": t("scorecard.real") if name == "real" else name,
            **score,
            **{key: _number(score.get(key)) for key in ("net", "costs", "cost_usd", "equity")},
        }
        for name, score in found["planners"].items()
    ]
    tables.show(
        rows,
        {
            "planner": tables.text(t("scorecard.planner")),
            "net": tables.money(t("scorecard.net"), code),
            "costs": tables.money(t("scorecard.costs"), code),
            "trades": tables.number(t("scorecard.orders_filled")),
            "won": tables.number(t("scorecard.won")),
            "lost": tables.number(t("scorecard.lost")),
            "match_rate_pct": tables.percent(t("scorecard.match_rate")),
            "cost_usd": tables.number(t("scorecard.model_cost"), 4),
            "problem": tables.text(t("scorecard.problem"), width="medium"),
        },
    )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _earlier(card: Json) -> None:
    rows = [row for row in card["earlier"] if row["net"] is not None]
    if len(rows) < 2:
        return
    st.subheader(t("scorecard.earlier", count=len(rows)), anchor=False)
    nets = [(row["session"].isoformat(), row["net"]) for row in rows]
    charts.draw(charts.net_bars, nets, card["currency"], angle=-40)


frames.show("page.scorecard", _draw)
