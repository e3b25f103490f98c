"""Memory: the seven layers, what they hold now, one value over time, and a search."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from dashboards import data, formats, frames, record_charts
from dashboards.texts import t, word
from trading_core.wiring import records

Json = dict[str, Any]
_NEWEST = 200


def _draw() -> None:
    words = st.text_input(
        t("memory.search"), placeholder=t("memory.search.hint"), key="memory-words"
    )
    if words and words.strip():
        found = data.read(records.search_memory, words.strip())
        if found:
            st.caption(t("memory.found", count=formats.count(len(found))))
            _table(found)
        else:
            st.info(t("memory.not_found"))
        st.divider()
    layers = data.read(records.read_layers)
    names = {row["layer"]: row for row in layers}
    picked = st.segmented_control(
        t("memory.layer"),
        list(names),
        default="L3",
        format_func=lambda layer: f"{layer} {word('layer', layer)}",
        key="memory-layer",
        required=True,
    )
    layer = str(picked or "L3")
    _about(names[layer])
    frames.part(lambda: _layer(layer))


def _about(row: Json) -> None:
    days = row["retention_days"]
    kept = t("memory.kept_for_good") if days is None else t("memory.kept", days=days)
    made = t("memory.made_from", tables=row["made_from"])
    st.caption(f"{row['description']} ({kept}; {made})")
    if row["entries"]:
        count = formats.count(row["entries"])
        st.caption(t("memory.count", count=count, newest=row["newest"]))


def _layer(layer: str) -> None:
    rows = data.read(records.read_layer, layer)
    if not rows:
        st.info(t("memory.empty"))
        return
    st.subheader(t("memory.newest"), anchor=False)
    newest: dict[str, Json] = {}
    for row in rows:
        newest.setdefault(row["key"], row)
    _table(list(newest.values())[:_NEWEST])
    st.subheader(t("memory.history"), anchor=False)
    key = st.selectbox(t("memory.key"), sorted(newest), key=f"memory-key-{layer}")
    history = [row for row in rows if row["key"] == key]
    series = records.memory_numbers(history)
    moving = [name for name, points in series.items() if len(points) > 1]
    if moving:
        name = st.selectbox(t("memory.numbers"), moving, key=f"memory-number-{layer}-{key}")
        st.altair_chart(record_charts.over_time(series[str(name)], str(name)), width="stretch")
    elif series:
        st.caption(t("memory.one_value"))
    else:
        st.caption(t("memory.no_numbers"))
    with st.expander(t("memory.all"), expanded=not moving):
        for row in history[:20]:
            st.caption(f"{row['timeframe']} · {formats.moment(row['written_at'], '')}")
            st.json(row["value"], expanded=1)


def _table(rows: list[Json]) -> None:
    st.dataframe(
        [
            {
                "layer": row["layer"],
                "timeframe": row["timeframe"],
                "key": row["key"],
                "value": json.dumps(row["value"], ensure_ascii=False),
                "written": row["written_at"].replace(tzinfo=None),
            }
            for row in rows
        ],
        hide_index=True,
        placeholder=formats.NO_DATA,
        width="stretch",
        column_config={
            "layer": t("memory.layer"),
            "timeframe": t("memory.timeframe"),
            "key": t("memory.key"),
            "value": st.column_config.TextColumn(t("memory.value"), width="large"),
            "written": st.column_config.DatetimeColumn(
                t("memory.written"), format="YYYY-MM-DD HH:mm"
            ),
        },
    )


frames.show("page.memory", _draw)
