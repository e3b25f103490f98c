"""Operations: signs of life, runs, halts, backups, messages, logs, settings."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import streamlit as st

from dashboards import data, formats, frames, prefect_api
from dashboards.prefect_api import Deployment, PrefectView, Run
from dashboards.texts import t, word
from trading_core.wiring import records

Json = dict[str, Any]
_LOG_LINES = 300
_CHECKED_EVERY = timedelta(hours=25)
_HEALTH = {
    "HEALTHY": (":material/check_circle:", st.success),
    "DEGRADED": (":material/warning:", st.warning),
    "UNHEALTHY": (":material/error:", st.error),
}


def _draw() -> None:
    if data.as_of() is not None:
        st.caption(t("operations.present"))
    frames.part(_store_side, every=frames.SLOW_SECONDS)
    st.subheader(t("operations.runs"), anchor=False)
    frames.part(_runs, every=frames.SLOW_SECONDS)
    st.subheader(t("operations.logs"), anchor=False)
    frames.part(_logs)
    st.subheader(t("operations.settings"), anchor=False, help=t("operations.settings.help"))
    frames.part(_settings)


def _store_side() -> None:
    found = data.read(records.read_operations)
    market = data.frame()["markets"][0]
    for halt in found["halts"]:
        if halt["lift_with"]:
            text = t(
                "operations.standing",
                scope=halt["scope"],
                reason=halt["reason"],
                command=halt["lift_with"],
            )
            st.error(text, icon=":material/front_hand:")
    if found["paused"]:
        st.warning(t("operations.paused_by_halt", names=", ".join(found["paused"])))
    st.subheader(t("operations.health"), anchor=False)
    _signs(found["signs"], market)
    _backups(found, market)
    _halts(found["halts"], market)
    _messages(found, market)


def _signs(signs: list[Json], market: str) -> None:
    now = data.now()
    st.dataframe(
        [
            {
                "part": word("part", sign["part"]),
                "of": sign["of"],
                "at": t("operations.never")
                if sign["at"] is None
                else formats.moment(sign["at"], market),
                "ago": formats.ago(sign["at"], now),
                "problem": sign["problem"],
            }
            for sign in signs
        ],
        hide_index=True,
        placeholder=formats.NO_DATA,
        width="stretch",
        column_config={
            "part": t("operations.part"),
            "of": t("operations.of"),
            "at": t("operations.at"),
            "ago": t("operations.ago"),
            "problem": st.column_config.TextColumn(t("operations.problem"), width="large"),
        },
    )


def _backups(found: Json, market: str) -> None:
    st.subheader(t("operations.backups"), anchor=False)
    checks, backups = found["checks"], found["backups"]
    if checks:
        newest = checks[0]
        health = newest["health"]
        if data.now() - newest["at"] > _CHECKED_EVERY and health == "HEALTHY":
            health = "DEGRADED"
        icon, box = _HEALTH.get(health, (":material/help:", st.info))
        when = t("operations.backup.checked", ago=formats.ago(newest["at"], data.now()))
        reasons = "; ".join(reason["text"] for reason in newest["reasons"])
        box(f"**{newest['health']}** ({when}) {reasons}".strip(), icon=icon)
    elif backups:
        st.caption(t("operations.backup.unchecked"))
    if not backups:
        st.info(t("operations.backups.none"))
        return
    st.dataframe(
        [
            {
                "at": formats.moment(backup["at"], market),
                "size": backup["bytes"],
                "rows": backup["rows"],
                "verified": backup["verified"],
                "path": backup["path"],
                "note": backup["note"],
            }
            for backup in backups
        ],
        hide_index=True,
        placeholder=formats.NO_DATA,
        width="stretch",
        height=250 if len(backups) > 6 else "auto",
        column_config={
            "at": t("operations.backup.newest"),
            "size": st.column_config.NumberColumn(t("operations.size"), format="bytes"),
            "rows": st.column_config.NumberColumn(t("operations.rows"), format="localized"),
            "verified": st.column_config.CheckboxColumn(t("operations.verified")),
            "path": t("operations.path"),
            "note": t("operations.note"),
        },
    )
    for name in ("uploads", "restores"):
        if found[name]:
            with st.expander(t(f"operations.{name}")):
                st.dataframe([_shown(row, market) for row in found[name]], hide_index=True)


def _shown(row: Json, market: str) -> Json:
    return {
        name: formats.moment(value, market) if hasattr(value, "tzinfo") else str(value)
        for name, value in row.items()
    }


def _halts(halts: list[Json], market: str) -> None:
    st.subheader(t("operations.halts"), anchor=False)
    if not halts:
        st.caption(t("operations.halts.none"))
        return
    st.dataframe(
        [
            {
                "raised": formats.moment(halt["raised_at"], market),
                "kind": word("halt", halt["kind"]),
                "scope": halt["scope"],
                "reason": halt["reason"],
                "lifted": t("operations.stands")
                if halt["lifted_at"] is None
                else formats.moment(halt["lifted_at"], market),
                "by": halt["lifted_by"],
            }
            for halt in halts
        ],
        hide_index=True,
        placeholder=formats.NO_DATA,
        width="stretch",
        column_config={
            "raised": t("operations.raised"),
            "kind": t("operations.kind"),
            "scope": t("operations.scope"),
            "reason": st.column_config.TextColumn(t("operations.reason"), width="large"),
            "lifted": t("operations.lifted"),
            "by": t("operations.by"),
        },
    )


def _messages(found: Json, market: str) -> None:
    st.subheader(t("operations.messages"), anchor=False)
    if not found["messages"]:
        st.caption(t("operations.messages.none"))
    else:
        st.dataframe(
            [
                {
                    "at": formats.moment(note["at"], market),
                    "level": word("severity", note["level"]),
                    "text": note["text"],
                    "sent": ", ".join(
                        f"{send['channel']}: {word('outcome', send['outcome'])}"
                        for send in note["sends"]
                    )
                    or t("operations.sent" if note["delivered"] else "operations.waiting"),
                }
                for note in found["messages"]
            ],
            hide_index=True,
            placeholder=formats.NO_DATA,
            width="stretch",
            height=250 if len(found["messages"]) > 6 else "auto",
            column_config={
                "at": t("operations.at"),
                "level": t("operations.level"),
                "text": st.column_config.TextColumn(t("operations.text"), width="large"),
                "sent": t("operations.sent"),
            },
        )
    if found["commands"]:
        st.subheader(t("operations.commands"), anchor=False)
        st.dataframe(
            [
                {
                    "at": formats.moment(row["at"], market),
                    "actor": row["actor"],
                    "command": f"{row['name']} {row['argument']}".strip(),
                    "state": word("command", row["state"]),
                    "note": row["detail"],
                }
                for row in reversed(found["commands"])
            ],
            hide_index=True,
            placeholder=formats.NO_DATA,
            width="stretch",
            column_config={
                "at": t("operations.at"),
                "actor": t("operations.actor"),
                "command": t("operations.command"),
                "state": t("operations.state"),
                "note": t("operations.note"),
            },
        )


def _runs() -> None:
    url, auth = data.ask(records.prefect_address)
    found: PrefectView = data.ask(prefect_api.read_prefect, url, auth)
    if found.problem:
        st.info(found.problem, icon=":material/cloud_off:")
        return
    st.link_button(t("operations.open_prefect"), found.ui, icon=":material/open_in_new:")
    if not found.deployments:
        st.caption(t("operations.runs.none"))
        return
    wrong = [d.name for d in found.deployments if d.last and d.last.went_wrong]
    if wrong:
        st.warning(t("operations.wrong", names=", ".join(wrong)))
    market = data.frame()["markets"][0]
    st.dataframe(
        [_deployment(deployment, market) for deployment in found.deployments],
        hide_index=True,
        placeholder=formats.NO_DATA,
        width="stretch",
        column_config={
            "deployment": t("operations.deployment"),
            "paused": st.column_config.CheckboxColumn(t("operations.paused")),
            "running": t("operations.running"),
            "last": t("operations.last"),
            "last_at": t("operations.last_at"),
            "took": st.column_config.NumberColumn(t("operations.took"), format="%.1f s"),
            "next": t("operations.next"),
            "run": st.column_config.LinkColumn(
                t("operations.last"), display_text=":material/open_in_new:"
            ),
            "open": st.column_config.LinkColumn(
                t("operations.deployment"), display_text=":material/open_in_new:"
            ),
        },
    )


def _deployment(deployment: Deployment, market: str) -> Json:
    last = deployment.last
    return {
        "deployment": deployment.name,
        "paused": deployment.is_paused,
        "running": _at(deployment.running, market),
        "next": _at(deployment.next, market),
        "last": last.state if last else formats.NO_DATA,
        "last_at": _at(last, market),
        "took": last.seconds if last else None,
        "run": last.link if last else None,
        "open": deployment.link,
    }


def _at(run: Run | None, market: str) -> str:
    return formats.NO_DATA if run is None else formats.moment(run.at, market)


def _logs() -> None:
    names = data.ask(records.read_log_names)
    if not names:
        st.caption(t("operations.logs.none"))
        return
    name = st.selectbox(t("operations.log"), names, key="operations-log", width=300)
    lines = data.ask(records.read_log, str(name), _LOG_LINES)
    if not lines:
        st.caption(t("operations.log.empty"))
        return
    st.code("\n".join(lines), language=None, wrap_lines=True, height=320)


def _settings() -> None:
    rows = data.ask(records.read_settings)
    only = st.toggle(t("operations.only_changed"), value=True, key="operations-changed")
    st.dataframe(
        [
            {
                "name": row["name"],
                "value": row["value"] or formats.NO_DATA,
                "default": row["is_default"],
            }
            for row in rows
            if not (only and row["is_default"])
        ],
        hide_index=True,
        placeholder=formats.NO_DATA,
        width="stretch",
        column_config={
            "name": t("operations.setting"),
            "value": st.column_config.TextColumn(t("operations.value"), width="large"),
            "default": st.column_config.CheckboxColumn(t("operations.default")),
        },
    )


frames.show("page.operations", _draw)
