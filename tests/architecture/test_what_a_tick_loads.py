"""A tick starts in a fraction of a second because it loads only what it uses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = (
    "streamlit",
    "telegram",
    "pandas",
    "exchange_calendars",
    "google.genai",
    "s3fs",
    "polars",
    "matplotlib",
    "prefect",
)


def loaded_by(*modules: str) -> set[str]:
    """``sys.modules`` of a fresh process that imported these."""
    code = f"import json, sys, {', '.join(modules)}; print(json.dumps(list(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    "modules",
    [
        ("trading_core.wiring",),
        (
            "trading_core.wiring",
            "trading_core.steps.tick",
            "trading_core.steps.execute",
            "trading_core.steps.reconcile",
            "trading_core.steps.observe",
            "trading_core.adapters.kis.connection",
            "trading_core.adapters.duck.store",
            "trading_core.adapters.twin_clock",
        ),
        ("flows.cli",),
    ],
    ids=["the wiring", "a tick", "the command line"],
)
def test_what_is_heavy_is_loaded_by_those_who_use_it_only(modules: tuple[str, ...]) -> None:
    loaded = loaded_by(*modules)

    assert set(modules) <= loaded
    assert [name for name in HEAVY if name in loaded] == []


def test_the_check_would_see_a_heavy_import() -> None:
    assert "polars" in loaded_by("trading_core.twin.tape", "polars")
