"""Today: where each market stands, the money against its limit, what is held, works and is due."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import streamlit as st

from dashboards import charts, data, formats, frames, prefect_api, tables
from dashboards.frames import Colour
from dashboards.prefect_api import PrefectView
from dashboards.texts import t, word
from trading_core.wiring import board, records

Json = dict[str, Any]
_TRADING_COLOURS: dict[str, Colour] = {"active": "green", "reducing": "orange", "halted": "red"}
_TICK_DUE = timedelta(minutes=15)
_RECENT = timedelta(hours=24)
_BACKUP_DUE = timedelta(hours=36)
_OPEN = ("continuous", "opening_auction", "closing_auction")


def _draw() -> None:
    market = frames.pick_market()
    frames.part(lambda: _session(market), every=frames.REFRESH_SECONDS)
    frames.part(_health, every=frames.SLOW_SECONDS)
    frames.part(lambda: _runs(market), every=frames.SLOW_SECONDS)


def _session(market: str) -> None:
    now = data.now()
    hours = board.hours(now)[market]
    found = data.read_fresh(board.today, market)
    _state(market, hours, found)
    if found is None:
        st.info(t("frame.nothing", market=market), icon=":material/hourglass_empty:")
        return
    for halt in found["halts"]:
        _halt(halt, market)
    if found["session"] != hours["today"]:
        st.caption(t("today.newest", session=formats.day(found["session"])))
    for money in found["money"]:
        _money(money)
    _tables_and_chart(found, market)


def _state(market: str, hours: Json, found: Json | None) -> None:
    """One line of badges: phase, what comes next, whether trading is allowed."""
    phase = hours["phase"]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(
            word("phase", phase),
            color="green" if phase in _OPEN else "gray",
            icon=":material/schedule:",
        )
        if hours["turns_at"] is not None:
            span = formats.duration(hours["turns_at"] - data.now())
            at = formats.moment(hours["turns_at"], market)
            st.badge(t(f"today.turns.{hours['turns']}", span=span, at=at), color="blue")
        if found is not None:
            st.badge(
                word("trading", found["trading"]),
                color=_TRADING_COLOURS[found["trading"]],
                icon=":material/verified_user:",
            )
            if found["seen_at"] is not None:
                last = formats.ago(found["seen_at"], data.now())
                st.badge(t("today.ticks", count=found["ticks"], ago=last), color="gray")


def _halt(halt: Json, market: str) -> None:
    text = t(
        "today.halt",
        kind=word("halt", halt["kind"]),
        scope=halt["scope"],
        reason=halt["reason"],
        at=formats.moment(halt["raised_at"], market),
        command=halt["lift_with"],
    )
    st.error(text, icon=":material/front_hand:")


def _money(money: Json) -> None:
    code = money["currency"]
    room = None if money["pct"] is None else money["pct"] - money["floor_pct"]
    figures = (
        ("today.net", formats.money(money["net"], code, signed=True), formats.delta(money["pct"])),
        ("today.equity", formats.money(money["now"], code), None),
        ("today.cash", formats.money(money["cash"], code), None),
        ("today.costs", formats.money(money["costs"], code), None),
        ("today.room", formats.pct(room, signed=False), None),
    )
    with st.container(horizontal=True):
        for key, value, delta in figures:
            st.metric(
                t(key),
                value,
                delta,
                delta_color=charts.delta_colour(money["pct"]),
                border=True,
                help=t("today.room.help") if key == "today.room" else None,
            )
    if money["pct"] is not None:
        charts.draw(charts.breaker, money, name=t("today.gauge"))
    if money["accepted_pct"] is not None:
        st.caption(t("today.accepted", pct=formats.pct(money["accepted_pct"])))


def _tables_and_chart(found: Json, market: str) -> None:
    wide, narrow = st.columns([2, 1], gap="medium")
    with wide:
        st.subheader(t("today.curve"), anchor=False)
        seen = [money for money in found["money"] if len(money["curve"]) > 1]
        for money in seen:
            charts.draw(charts.equity, money, market, name=t("today.curve"))
        if not seen:
            st.caption(t("today.no_curve"))
    with narrow:
        _playbook(found["playbook"], found, market)
    _positions(found)
    _working(found, market)
    _decisions(found, market)


def _playbook(book: Json, found: Json, market: str) -> None:
    st.subheader(t("page.playbook"), anchor=False)
    if book["source"] is None:
        st.info(t("today.no_playbook", market=market))
        return
    with st.container(horizontal=True, gap="small"):
        st.badge(word("source", book["source"]), icon=":material/edit_note:", color="blue")
        st.badge(word("outlook", book["outlook"]), color="violet")
        st.badge(t(f"today.book.{_age(book)}"), color="gray")
    counts = t(
        "today.book.counts",
        stocks=book["stocks"],
        scenarios=book["scenarios"],
        removed=book["removed"],
    )
    st.markdown(counts)
    st.caption(t("today.book.made", at=formats.moment(book["generated_at"], market)))
    if book["fallback_reason"]:
        st.warning(book["fallback_reason"], icon=":material/alt_route:")
    if found["realtime"]:
        real = found["realtime"]
        by = t(f"today.by.{real['decided_by']}")
        st.caption(t("today.realtime", cycles=real["cycles"], by=by, reason=real["reason"]))
    if found["differences"]:
        st.warning(t("today.differences", count=found["differences"]))
    orders = found["orders"]
    st.markdown(
        t(
            "today.orders",
            accepted=orders["accepted"],
            filled=orders["filled"],
            refused=orders["refused"],
            unknown=orders["unknown"],
        )
    )


def _age(book: Json) -> str:
    if book["is_reviewed"]:
        return "reviewed"
    return "active" if book["is_active"] else "waiting"


def _positions(found: Json) -> None:
    rows = found["positions"]
    st.subheader(t("today.positions", count=len(rows)), anchor=False)
    if not rows:
        st.caption(t("today.no_positions"))
        return
    code = found["currency"]
    shown = [
        row
        | {
            "instrument": f"{row['symbol']} {row['name']}".strip(),
            "guard": word("guard", row["guard"]),
            "origin": word("origin", row["origin"]),
        }
        for row in rows
    ]
    tables.show(
        shown,
        {
            "instrument": tables.text(t("today.instrument"), pinned=True),
            "quantity": tables.number(t("today.quantity")),
            "average_price": tables.money(t("today.average"), code),
            "last_price": tables.money(t("today.last"), code),
            "unrealized": tables.money(t("today.unrealized"), code),
            "unrealized_pct": tables.percent("%"),
            "stop": tables.money(t("today.stop"), code),
            "to_stop_pct": tables.bar(
                t("today.to_stop"),
                [row["to_stop_pct"] for row in rows],
                most=5.0,
                help=t("today.to_stop.help"),
            ),
            "target": tables.money(t("today.target"), code),
            "guard": tables.text(t("today.guard")),
            "origin": tables.text(t("today.origin")),
        },
    )


def _working(found: Json, market: str) -> None:
    rows = found["working"]
    st.subheader(t("today.working", count=len(rows)), anchor=False)
    if not rows:
        st.caption(t("today.no_working"))
        return
    shown = [
        {
            "at": formats.clock(row["at"], market, seconds=True),
            "instrument": f"{row['symbol']} {row['name']}".strip(),
            "side": word("action", row["side"]),
            "quantity": row["quantity"],
            "filled": row["filled"],
            "limit_price": row["limit_price"],
            "state": word("state", row["state"]),
            "reason": word("reason", row["reason"]),
        }
        for row in rows
    ]
    tables.show(
        shown,
        {
            "at": tables.text(t("today.time")),
            "instrument": tables.text(t("today.instrument")),
            "side": tables.text(t("today.side")),
            "quantity": tables.number(t("today.quantity")),
            "filled": tables.number(t("today.filled")),
            "limit_price": tables.money(t("today.limit"), found["currency"]),
            "state": tables.text(t("today.order_state")),
            "reason": tables.text(t("today.reason")),
        },
    )


def _decisions(found: Json, market: str) -> None:
    st.subheader(t("today.decisions"), anchor=False)
    if not found["decisions"]:
        st.caption(t("today.no_decisions"))
        return
    shown = [
        {
            "at": formats.clock(row["at"], market, seconds=True),
            "instrument": f"{row['symbol']} {row['name']}".strip(),
            "action": word("action", row["action"]),
            "confidence": row["confidence"],
            "rationale": row["rationale"],
        }
        for row in found["decisions"]
    ]
    tables.show(
        shown,
        {
            "at": tables.text(t("today.time")),
            "instrument": tables.text(t("today.instrument")),
            "action": tables.text(t("today.action")),
            "confidence": tables.number(t("today.confidence")),
            "rationale": tables.text(t("today.rationale"), width="large"),
        },
    )


# --- The system ----------------------------------------------------------------------------------


def _health() -> None:
    st.subheader(t("today.health"), anchor=False, help=t("today.health.help"))
    found = data.read(records.read_operations)
    hours = board.hours(data.now())
    backup = next(iter(found["backups"]), None)
    signs = [
        *found["signs"],
        {
            "part": "backup",
            "of": "",
            "at": backup["at"] if backup else None,
            "problem": "" if backup is None or backup["verified"] else t("today.unverified"),
        },
    ]
    with st.container(horizontal=True, gap="small"):
        for sign in signs:
            _sign(sign, hours)
    if found["paused"]:
        st.warning(t("today.paused", names=", ".join(found["paused"])))


def _sign(sign: Json, hours: Json) -> None:
    """Green is a sign of life that is recent enough, gray an old one where none is due."""
    part = t("today.backup") if sign["part"] == "backup" else word("part", sign["part"])
    name = f"{part} {sign['of']}".strip()
    due = _due_within(sign, hours)
    if sign["at"] is None:
        st.badge(t("today.sign.never", part=name), color="orange" if due else "gray")
        return
    age = data.now() - sign["at"]
    colour: Colour = "green"
    icon = ":material/check:"
    if sign["problem"]:
        colour, icon = "red", ":material/error:"
    elif due is not None and age > due:
        colour, icon = "orange", ":material/warning:"
    elif age > _RECENT:
        colour, icon = "gray", ":material/history:"
    text = t("today.sign", part=name, ago=formats.ago(sign["at"], data.now()))
    st.badge(text, color=colour, icon=icon, help=sign["problem"] or None)


def _due_within(sign: Json, hours: Json) -> timedelta | None:
    """How old a sign may be now; None where none is due."""
    if sign["part"] == "backup":
        return _BACKUP_DUE
    market = hours.get(sign["of"])
    if market is None or market["turns"] != "close" or market["phase"] == "lunch":
        return None
    return {"ticks": _TICK_DUE, "plan": _RECENT}.get(sign["part"])


def _runs(market: str) -> None:
    if data.as_of() is not None:
        return
    st.subheader(t("today.runs"), anchor=False)
    url, auth = data.ask(records.prefect_address)
    found: PrefectView = data.ask(prefect_api.read_prefect, url, auth)
    if found.problem:
        st.caption(t("today.no_prefect", ui=found.ui))
        return
    due = [each for each in found.deployments if each.next or each.running]
    due.sort(key=lambda each: str((each.running or each.next).at))  # type: ignore[union-attr]
    if not due:
        st.caption(t("today.no_runs", ui=found.ui))
        return
    now = data.now()
    shown = []
    for each in due:
        run = each.running or each.next
        assert run is not None
        shown.append(
            {
                "deployment": each.name,
                "state": t("today.run.now") if each.running else t("today.run.due"),
                "at": formats.moment(run.at, market),
                "when": formats.ago(run.at, now),
                "link": run.link,
            }
        )
    tables.show(
        shown,
        {
            "deployment": tables.text(t("today.run")),
            "state": tables.text(t("today.run.state")),
            "at": tables.text(t("today.time")),
            "when": tables.text(t("today.run.when")),
            "link": st.column_config.LinkColumn("Prefect", display_text=t("today.run.open")),
        },
    )


frames.show("page.today", _draw)
