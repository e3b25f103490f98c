"""Each setting is documented, and each documented setting does something."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from trading_core.settings import Settings

ROOT = Path(__file__).parents[2]

# Settings whose component is not built yet. Exact: take a line out when it is.
NOT_READ_YET: set[str] = set()


def attributes_of(tree: ast.AST, owner: str) -> set[str]:
    """Every ``x`` of ``owner.x`` that is read."""
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == owner
    }


def read_settings() -> set[str]:
    """Fields read as ``settings.x``, directly or through a property of the settings."""
    files = [
        *(ROOT / "trading_core" / "wiring").rglob("*.py"),
        ROOT / "trading_core" / "policies.py",
        *(ROOT / "flows").rglob("*.py"),
        *(ROOT / "dashboards").rglob("*.py"),
    ]
    read = set().union(*(attributes_of(ast.parse(f.read_text()), "settings") for f in files))
    for name in ("loading.py", "serving.py"):
        source = ast.parse((ROOT / "trading_core" / "settings" / name).read_text())
        for node in ast.walk(source):
            if isinstance(node, ast.FunctionDef) and node.name in read:
                read |= attributes_of(node, "self")
    return read & set(Settings.model_fields)


def documented() -> list[str]:
    text = (ROOT / ".env.example").read_text()
    return re.findall(r"^#?([A-Z][A-Z0-9_]*)=", text, flags=re.MULTILINE)


def test_the_example_names_every_setting_once_and_nothing_else() -> None:
    names = documented()

    assert len(names) == len(set(names))
    assert set(names) == {field.upper() for field in Settings.model_fields}


def test_every_setting_is_read_by_the_wiring_but_those_listed() -> None:
    assert set(Settings.model_fields) - read_settings() == NOT_READ_YET


def test_a_setting_that_can_cost_money_is_read() -> None:
    assert {"max_loss_pct", "max_order_pct", "confidence_threshold", "mode"} <= read_settings()


def test_the_readme_says_where_settings_are_explained() -> None:
    assert ".env.example" in (ROOT / "README.md").read_text()
