"""The pages and where they stand in the navigation.

A page is a file in ``views/`` and one line here. Its address is the file's name.
"""

from __future__ import annotations

from collections.abc import Mapping

SECTIONS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "trading": (
        ("today", ":material/today:"),
        ("playbook", ":material/menu_book:"),
    ),
    "results": (
        ("performance", ":material/monitoring:"),
        ("scorecard", ":material/fact_check:"),
    ),
    "records": (
        ("decisions", ":material/gavel:"),
        ("why", ":material/help_center:"),
        ("orders", ":material/receipt_long:"),
        ("memory", ":material/neurology:"),
    ),
    "system": (
        ("costs", ":material/payments:"),
        ("operations", ":material/settings_heart:"),
    ),
}
"""Section -> pages as (name, icon). Titles are the texts ``section.<name>`` and ``page.<name>``."""
