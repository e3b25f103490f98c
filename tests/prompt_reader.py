"""Reads the facts of a prompt back out of its text, knowing nothing of how it was made."""

from __future__ import annotations

import json
from dataclasses import dataclass, field


@dataclass
class ReadBack:
    """Rows of each table by its title's first word, quoted lines by fence, and plain lines.

    ``outside`` is the text that stands between no data marks.
    """

    tables: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    lines: dict[str, list[str]] = field(default_factory=dict)
    plain: dict[str, list[str]] = field(default_factory=dict)
    outside: str = ""


def read_back(prompt: str) -> ReadBack:
    found, title, fence, outside = ReadBack(), "", "", []
    bodies: dict[str, list[str]] = {}
    for line in prompt.split("\n"):
        if line.startswith("<data "):
            assert not fence, "a fence within a fence"
            fence = line[6:-1]
            bodies[fence] = []
        elif line == "</data>":
            assert fence, "a fence ends that never began"
            fence = ""
        elif fence:
            bodies[fence].append(line)
        else:
            outside.append(line)
            if line.startswith("# "):
                title = line[2:].partition(",")[0].partition(" (")[0]
                found.plain[title] = []
            elif title and line:
                found.plain[title].append(line)
    assert not fence, "a fence never ends"
    for name, rows in bodies.items():
        if name in ("candidates", "holdings"):
            found.tables[name] = _table(rows)
        else:
            found.lines[name] = [json.loads(row) for row in rows]
    if past := found.plain.get("Past sessions"):
        found.tables["scorecards"] = _table(past)
    found.outside = "\n".join(outside)
    return found


def _table(rows: list[str]) -> list[dict[str, str]]:
    columns = rows[0].split(",")
    parsed = []
    for row in rows[1:]:
        cells = row.split(",", len(columns) - 1)
        assert len(cells) == len(columns), row
        values = dict(zip(columns, cells, strict=True))
        if values.get("name", "-") != "-":
            values["name"] = json.loads(values["name"])
        parsed.append(values)
    return parsed
