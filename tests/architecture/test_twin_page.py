"""What docs/twin.md says of the code is there: tests, clients and options."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "twin.md").read_text()
NAMED = sorted(set(re.findall(r"`(test_\w+)`", PAGE)))


def defined() -> set[str]:
    found: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        found.update(re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE))
    return found


def test_the_page_names_a_test_for_each_quirk() -> None:
    quirks = PAGE.partition("## Quirks")[2].partition("## Not covered")[0]
    rows = [row for row in quirks.splitlines() if row.startswith("| ") and "---" not in row][1:]
    assert len(rows) > 40
    without = [row for row in rows if not re.search(r"`test_\w+` \|$", row)]
    assert not without


def test_every_test_the_page_names_exists() -> None:
    missing = set(NAMED) - defined()
    assert not missing, f"docs/twin.md names tests that are not there: {sorted(missing)}"


def test_every_client_of_the_page_has_its_script() -> None:
    rows = re.findall(r"^\| ([\w-]+) (\d[\d.]+) \|", PAGE, re.MULTILINE)
    tested = (ROOT / "tests/third_party/test_third_party_clients.py").read_text()
    assert len(rows) == 7
    for name, version in rows:
        script = ROOT / "tests/third_party/clients" / f"with_{name.replace('-', '_')}.py"
        assert script.exists(), script
        assert f'Client("{name}", "{version}"' in tested


@pytest.mark.parametrize("option", sorted(set(re.findall(r"--[a-z][a-z-]+", PAGE))))
def test_every_option_on_the_page_is_one_of_the_command(option: str) -> None:
    written = [(ROOT / "flows" / name).read_text() for name in ("twin_cli.py", "options.py")]
    assert any(f'"{option}"' in text for text in written)
