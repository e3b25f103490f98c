"""Playbook: what was planned for a session, what was taken out, and how it meets the market."""

from __future__ import annotations

from datetime import date
from typing import Any

import streamlit as st

from dashboards import charts, data, formats, frames, price_charts, tables
from dashboards.frames import Colour
from dashboards.texts import t, word
from trading_core.wiring import board, records

Json = dict[str, Any]
_FATE_COLOURS: dict[str, Colour] = {
    "matched": "green",
    "behind": "blue",
    "near": "orange",
    "quiet": "gray",
}
_NOTE_KINDS = ("dropped", "repaired", "reviewed", "context")
_OF_HOLDINGS = ("unrealized_pnl_pct", "holding_days")
_SHOWN_AT_ONCE = 10
_FEWEST_BARS = 5


def _draw() -> None:
    market = frames.pick_market()
    sessions = data.read(records.read_sessions, market)
    if not sessions:
        st.info(t("frame.no_market", market=word("market", market)))
        return
    session = frames.pick_session(market, sessions)
    if session is None:
        return
    every = frames.SLOW_SECONDS if session == sessions[0] else None
    frames.part(lambda: _playbook(market, session), every=every)


def _playbook(market: str, session: date) -> None:
    book = data.read(board.playbook, market, session)
    if book is None:
        st.info(t("playbook.none", session=formats.day(session)))
        return
    _head(book, market)
    _rules(book, market)
    _stocks(book, market)
    _notes(book)


def _head(book: Json, market: str) -> None:
    with st.container(horizontal=True, gap="small"):
        st.badge(word("outlook", book["outlook"]), color="violet", icon=":material/explore:")
        st.badge(word("source", book["source"]), color="blue", icon=":material/edit_note:")
        if book["model"]:
            st.badge(book["model"], color="gray")
        if book["refreshed_for"]:
            st.badge(t(f"playbook.refreshed.{book['refreshed_for']}"), color="orange")
    fates = [scenario["fate"] for stock in book["stocks"] for scenario in stock["scenarios"]]
    figures = (
        ("playbook.stocks", formats.count(len(book["stocks"]))),
        ("playbook.scenarios", formats.count(len(fates))),
        ("playbook.matched", formats.count(sum(fate == "matched" for fate in fates))),
        ("playbook.tokens", formats.count(book["tokens"])),
        ("playbook.cost", f"${book['cost_usd']:,.4f}" if book["calls"] else formats.NO_DATA),
    )
    with st.container(horizontal=True):
        for key, value in figures:
            st.metric(t(key), value, border=True)
    made = t("playbook.made", at=formats.moment(book["generated_at"], market))
    if book["calls"]:
        made += " · " + t("playbook.calls", calls=book["calls"], failed=book["failed_calls"])
    if book["seen_at"]:
        made += " · " + t("playbook.seen", at=formats.moment(book["seen_at"], market))
    st.caption(made)
    if book["fallback_reason"]:
        st.warning(book["fallback_reason"], icon=":material/alt_route:")
    for older in book["earlier"]:
        at, source = formats.moment(older["at"], market), word("source", older["source"])
        st.caption(t("playbook.earlier", at=at, source=source))


def _rules(book: Json, market: str) -> None:
    st.subheader(t("playbook.rules"), anchor=False)
    if not book["rules"]:
        st.caption(t("playbook.no_rules"))
        return
    shown = [
        {
            "condition": f"{word('field', rule['field'])} {rule['op']} "
            f"{formats.value_of(rule['field'], rule['threshold'])}",
            "action": word("action", rule["action"]),
            "count": rule["count"],
            "last_at": formats.clock(rule["last_at"], market, seconds=True),
            "rationale": rule["rationale"],
        }
        for rule in book["rules"]
    ]
    tables.show(
        shown,
        {
            "condition": tables.text(t("playbook.condition")),
            "action": tables.text(t("playbook.action")),
            "count": tables.number(t("playbook.times")),
            "last_at": tables.text(t("playbook.last")),
            "rationale": tables.text(t("playbook.rationale"), width="large"),
        },
    )


def _stocks(book: Json, market: str) -> None:
    st.subheader(t("playbook.plans"), anchor=False)
    if not book["stocks"]:
        st.caption(t("playbook.no_stocks"))
        return
    stocks = sorted(book["stocks"], key=_interest)
    if len(stocks) > 1:
        _overview(book)
    by_label = {_label(stock): stock for stock in stocks}
    picked = st.selectbox(
        t("playbook.pick"), list(by_label), key=f"playbook-stock-{market}", width=420
    )
    stock = by_label[str(picked)]
    frames.part(lambda: _price(book, stock, market))
    columns = st.columns(2, gap="medium")
    for number, scenario in enumerate(stock["scenarios"]):
        with columns[number % 2]:
            _scenario(scenario, market)


def _interest(stock: Json) -> tuple[int, float]:
    """What matched comes first, then what is closest."""
    best = min((_rank(scenario["fate"]) for scenario in stock["scenarios"]), default=2)
    close = max((_closeness(scenario) or 0.0 for scenario in stock["scenarios"]), default=0.0)
    return best, -close


def _label(stock: Json) -> str:
    best = [_rank(scenario["fate"]) for scenario in stock["scenarios"]]
    mark = {0: "●", 1: "◐", 2: "◌"}[min(best, default=2)]
    return f"{mark} {stock['symbol']} {stock['name']}".strip()


def _rank(fate: str) -> int:
    return {"matched": 0, "behind": 0, "near": 1, "quiet": 2}[fate]


def _overview(book: Json) -> None:
    """Every scenario in a row, the ones that came closest first."""
    rows = [
        {
            "symbol": stock["symbol"],
            "name": stock["name"],
            "action": word("action", scenario["action"]),
            "fate": word("fate", scenario["fate"]),
            "matched": scenario["matched"],
            "open": _open_condition(scenario),
            "closeness": _closeness(scenario),
            "confidence": scenario["confidence"],
            "allocation": scenario["allocation_pct"] or None,
            "stop": scenario["stop_loss_pct"],
            "target": scenario["take_profit_pct"],
            "rank": _rank(scenario["fate"]),
        }
        for stock in book["stocks"]
        for scenario in stock["scenarios"]
    ]
    rows.sort(key=lambda row: (row["rank"], -(row["closeness"] or 0.0)))
    tables.show(
        rows,
        {
            "symbol": tables.text(t("playbook.symbol"), pinned=True),
            "name": tables.text(t("playbook.name")),
            "action": tables.text(t("playbook.action")),
            "fate": tables.text(t("playbook.fate")),
            "matched": tables.number(t("playbook.times")),
            "closeness": st.column_config.ProgressColumn(
                t("playbook.closeness"),
                format="%.0f %%",
                min_value=0.0,
                max_value=100.0,
                help=t("playbook.closeness.help"),
            ),
            "open": tables.text(t("playbook.missing"), width="medium"),
            "confidence": tables.number(t("playbook.confidence")),
            "allocation": tables.percent(t("playbook.allocation"), 1),
            "stop": tables.percent(t("playbook.stop"), 1),
            "target": tables.percent(t("playbook.target"), 1),
        },
        height=36 * (min(len(rows), _SHOWN_AT_ONCE) + 1) if len(rows) > _SHOWN_AT_ONCE else None,
    )


def _closeness(scenario: Json) -> float | None:
    """100 when all its conditions held at the last look, less by what the worst was off."""
    if scenario["holds_now"]:
        return 100.0
    off = [condition["distance"] for condition in scenario["conditions"] if not condition["met"]]
    if not off or any(each is None for each in off):
        return None
    return max(0.0, 1.0 - float(max(off))) * 100


def _open_condition(scenario: Json) -> str:
    """The condition that is furthest off, with what was seen."""
    open_ones = [condition for condition in scenario["conditions"] if condition["met"] is False]
    if not open_ones:
        return ""
    worst = max(open_ones, key=lambda each: (each["distance"] is None, each["distance"] or 0.0))
    seen = formats.value_of(worst["field"], worst["value"])
    return f"{_condition(worst)} ({seen})"


def _condition(condition: Json) -> str:
    name, field = word("field", condition["field"]), condition["field"]
    return f"{name} {condition['op']} {formats.value_of(field, condition['threshold'])}"


def _price(book: Json, stock: Json, market: str) -> None:
    found = data.read(board.price_path, market, book["session"], stock["symbol"])
    if found is None:
        st.caption(t("playbook.not_seen", symbol=stock["symbol"]))
        return
    code = book["currency"]
    with st.container(horizontal=True):
        change = formats.delta(stock["change_pct"])
        colour = charts.delta_colour(stock["change_pct"])
        last = formats.price(stock["price"], code)
        st.metric(t("playbook.price"), last, change, delta_color=colour, width=180)
        for name in ("stop", "target"):
            if found[name] is not None:
                st.metric(t(f"chart.{name}"), formats.price(found[name], code), width=140)
        st.metric(t("playbook.fills"), formats.count(len(found["fills"])), width=100)
    bars = data.read(board.daily_bars, market, book["session"], stock["symbol"])
    if len(bars) < _FEWEST_BARS:
        _session_chart(found, market)
        return
    session, days = st.tabs([t("playbook.session"), t("playbook.days")])
    with session:
        _session_chart(found, market)
    with days:
        charts.draw(price_charts.day_bars, bars, code, name=t("playbook.days"))


def _session_chart(found: Json, market: str) -> None:
    charts.draw(price_charts.price_path, found, market, name=t("playbook.chart"))
    st.caption(t("playbook.chart.help"))


def _scenario(scenario: Json, market: str) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            number = scenario["scenario_id"].rpartition("#")[2]
            st.markdown(f"**#{number} {word('action', scenario['action'])}**")
            fate = scenario["fate"]
            label = word("fate", fate)
            if scenario["matched"]:
                label += f" ×{scenario['matched']}"
            st.badge(label, color=_FATE_COLOURS[fate])
            st.badge(t("playbook.sure", confidence=scenario["confidence"]), color="blue")
        st.markdown("  \n".join(_condition_line(each) for each in scenario["conditions"]))
        parts = []
        if scenario["allocation_pct"]:
            share = formats.pct(scenario["allocation_pct"], 1, signed=False)
            parts.append(t("playbook.of_cash", share=share))
        if scenario["stop_loss_pct"] is not None:
            stop = formats.pct(scenario["stop_loss_pct"], 1)
            parts.append(t("playbook.stop_at", pct=stop))
        if scenario["take_profit_pct"] is not None:
            target = formats.pct(scenario["take_profit_pct"], 1)
            parts.append(t("playbook.target_at", pct=target))
        if scenario["matched_at"] is not None:
            at = formats.clock(scenario["matched_at"], market, seconds=True)
            parts.append(t("playbook.matched_at", at=at))
        if parts:
            st.caption(" · ".join(parts))
        if scenario["rationale"]:
            st.caption(_escaped(scenario["rationale"]))


def _condition_line(condition: Json) -> str:
    """The condition, whether it holds, and by how much it does not."""
    met, value, field = condition["met"], condition["value"], condition["field"]
    wanted = _condition(condition).replace("<", "\\<").replace(">", "\\>")
    if met is None:
        return f":gray[○] {wanted}"
    if value is None:
        reason = "playbook.not_held" if field in _OF_HOLDINGS else "playbook.no_value"
        return f":gray[○] {wanted} :gray[· {t(reason)}]"
    line = t("playbook.now", value=formats.value_of(field, value))
    if not met:
        gap = formats.value_of(field, abs(condition["threshold"] - value))
        line += f", {t('playbook.off', gap=gap)}"
    return f"{':green[✓]' if met else ':orange[✗]'} {wanted} :gray[· {line}]"


def _escaped(text: str) -> str:
    """A dollar sign would begin a formula, a tilde strike something out."""
    return text.replace("$", "\\$").replace("~", "\\~")


def _notes(book: Json) -> None:
    notes = book["notes"]
    changed = [note for note in notes if note["kind"] != "context"]
    st.subheader(t("playbook.notes", count=len(changed)), anchor=False)
    if not changed:
        st.caption(t("playbook.no_notes"))
    for kind in _NOTE_KINDS:
        theirs = [note for note in notes if note["kind"] == kind]
        if not theirs:
            continue
        title = f"{t(f'playbook.notes.{kind}')} ({len(theirs)})"
        with st.expander(title, expanded=kind != "context" and len(theirs) <= 10):
            tables.show(
                [
                    {
                        "symbol": note["symbol"] or "",
                        "scenario": "" if note["scenario"] is None else f"#{note['scenario']}",
                        "reason": note["reason"],
                    }
                    for note in theirs
                ],
                {
                    "symbol": tables.text(t("playbook.symbol"), width="small"),
                    "scenario": tables.text(t("playbook.scenario"), width="small"),
                    "reason": tables.text(t("playbook.reason"), width="large"),
                },
            )


frames.show("page.playbook", _draw)
