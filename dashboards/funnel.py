"""The funnel of one symbol at one moment, from the scan to the fill, wherever a page shows it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboards import formats, order_tables
from dashboards.texts import t, word

Json = dict[str, Any]

_MARKS = {
    True: ":green[:material/check_circle:]",
    False: ":red[:material/cancel:]",
    None: ":gray[:material/remove:]",
}


def draw(found: Json) -> None:
    """What let it through, what stopped it, and the smallest change that would have traded."""
    market = found["market"]
    traded = any(order["filled"] for order in found["orders"])
    conclusion = _plain(found["conclusion"])
    if traded:
        st.success(conclusion, icon=":material/check_circle:")
    else:
        st.info(f"**{t('why.smallest')}** — {conclusion}", icon=":material/lightbulb:")
    with st.container(border=True):
        for stage in found["stages"]:
            mark = _MARKS[stage["passed"]]
            st.markdown(f"{mark} **{word('stage', stage['name'])}** · {_plain(stage['text'])}")
    _scenarios(found)
    if found["orders"]:
        st.subheader(t("why.orders"), anchor=False)
        order_tables.orders(found["orders"], market, key=None)
    if found["values"]:
        with st.expander(t("why.values")):
            _values(found["values"])


def _scenarios(found: Json) -> None:
    st.subheader(t("why.scenarios"), anchor=False)
    if not found["scenarios"]:
        st.caption(t("why.no_scenarios"))
        return
    rows = [
        {
            "scenario": look["scenario"],
            "action": word("action", look["action"]),
            "confidence": look["confidence"],
            "met": bool(condition["met"]),
            "condition": word("field", condition["field"]),
            "needed": f"{condition['op']} {formats.value_of('price', condition['threshold'])}",
            "value": formats.value_of(condition["field"], condition["value"]),
            "off": None if condition["distance"] is None else condition["distance"] * 100,
        }
        for look in found["scenarios"]
        for condition in look["conditions"]
    ]
    st.dataframe(
        rows,
        hide_index=True,
        placeholder=formats.NO_DATA,
        width="stretch",
        column_config={
            "scenario": t("why.scenario"),
            "action": t("why.action"),
            "confidence": st.column_config.NumberColumn(t("why.confidence"), format="%d %%"),
            "condition": t("why.condition"),
            "needed": t("why.needed"),
            "value": st.column_config.TextColumn(t("why.value"), alignment="right"),
            "met": st.column_config.CheckboxColumn(t("why.met")),
            "off": st.column_config.NumberColumn(t("why.off"), format="%.2f"),
        },
    )


def _values(values: Json) -> None:
    rows = [
        {"field": word("field", name), "value": formats.value_of(name, value)}
        for name, value in values.items()
    ]
    st.dataframe(
        rows,
        hide_index=True,
        placeholder=formats.NO_DATA,
        column_config={
            "field": t("why.field"),
            "value": st.column_config.TextColumn(t("why.value"), alignment="right"),
        },
    )


def _plain(text: str) -> str:
    """Text of the store as text: no character of it is formatting."""
    return "".join(f"\\{mark}" if mark in "\\`*_{}[]<>()#+!|~$:" else mark for mark in text)
