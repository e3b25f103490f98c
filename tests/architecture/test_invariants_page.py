"""The page that lists the invariants says what the code checks."""

from __future__ import annotations

import re
from pathlib import Path

from trading_core.rules.invariants import INVARIANTS

PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"


def test_every_invariant_is_on_the_page_in_its_own_words() -> None:
    rows = re.findall(r"^\| (\w+) \| (.+) \| (yes )?\|$", PAGE.read_text(), re.MULTILINE)
    listed = {name: (says, bool(halts)) for name, says, halts in rows}

    for item in INVARIANTS:
        assert listed.get(item.kind.value) == (item.says, item.halts), item.kind
