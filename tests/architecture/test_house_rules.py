"""Rules of the house that no linter knows: names, sizes, who makes what, who asks the time."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from trading_core import errors

ROOT = Path(__file__).parents[2]
ROOMS = ("flows", "tasks", "trading_core", "dashboards")
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
FORBIDDEN_NAMES = {"util", "utils", "helper", "helpers", "common", "core", "misc", "shared"}
MAX_FILE_LINES = 400
# An anchored call, and the words that ask for the present moment.
ASKS_THE_TIME = re.compile(
    r"\b(?:datetime|date|dt)\.(?:now|utcnow|today)\("
    r"|\btime\.(?:time|time_ns|localtime|gmtime|ctime|strftime)\("
    r"|\bTimestamp\.(?:now|utcnow|today)\("
    r"|\bfrom time import .*\b(?:time|time_ns)\b"
)

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def functions(room: str) -> Iterator[tuple[str, Function]]:
    for path in FILES:
        if path.relative_to(ROOT).parts[0] == room:
            for node in ast.walk(tree_of(path)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield f"{name_of(path)}:{node.name}", node


def length(node: Function) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def test_the_rules_look_at_the_whole_house() -> None:
    assert len(FILES) > 100
    assert {path.relative_to(ROOT).parts[0] for path in FILES} == set(ROOMS)


def test_no_file_is_longer_than_can_be_kept_in_mind() -> None:
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in FILES}

    assert {name: lines for name, lines in lengths.items() if lines > MAX_FILE_LINES} == {}


@pytest.mark.parametrize(("room", "most"), [("flows", 60), ("tasks", 35)])
def test_flows_and_tasks_are_short(room: str, most: int) -> None:
    found = dict(functions(room))

    assert found
    assert {name: length(node) for name, node in found.items() if length(node) > most} == {}


def test_every_module_says_what_it_is_for() -> None:
    # An empty __init__.py only marks a folder.
    silent = [
        name_of(path)
        for path in FILES
        if path.read_text().strip() and not ast.get_docstring(tree_of(path))
    ]

    assert silent == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    words = {
        name_of(path): set(re.split(r"[_.]", part))
        for path in FILES
        for part in (path.stem, path.parent.name)
        if part != "trading_core"
    }

    assert {name: found & FORBIDDEN_NAMES for name, found in words.items()} == {
        name: set() for name in words
    }


def test_only_the_risk_gate_approves_orders() -> None:
    makers = {
        name_of(path)
        for path in FILES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and _last_word(node.func) == "ApprovedOrder"
    }

    assert makers == {"trading_core/rules/risk.py"}


def test_nothing_copies_an_approved_order_into_another_one() -> None:
    """``replace(order, intent=...)`` on an approved order would walk around the gate."""
    for path in FILES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Call) and _last_word(node.func) == "replace":
                named = {keyword.arg for keyword in node.keywords}
                assert "intent" not in named, name_of(path)


def _last_word(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def test_only_the_clock_asks_for_the_time() -> None:
    asking = {name_of(path) for path in FILES if ASKS_THE_TIME.search(path.read_text())}

    assert asking == {"trading_core/clock.py"}


def test_the_system_clock_is_made_where_a_process_begins_and_nowhere_else() -> None:
    makers = {
        name_of(path)
        for path in FILES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and _last_word(node.func) == "SystemClock"
    }

    library = {name for name in makers if name.startswith("trading_core/")}
    assert all(name.startswith("trading_core/wiring/") for name in library)
    assert not any(name.startswith(("tasks/", "dashboards/")) for name in makers)


def test_nothing_is_printed_by_the_library() -> None:
    printing = {
        name_of(path)
        for path in FILES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("print", "breakpoint")
    }

    assert printing == set()


def test_no_exception_is_dropped_without_a_word() -> None:
    """``except: pass`` and ``except BaseException`` would swallow the breaker."""
    silent = {
        f"{name_of(path)}:{node.lineno}"
        for path in FILES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or _last_word(node.type) == "BaseException")
        and not any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
    }

    assert silent == set()


def test_the_tree_of_errors_names_every_error_under_its_parent() -> None:
    drawn: dict[str, tuple[str | None, bool]] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"    ([│├└─ ]*)(\w+)(\*?)(?:\s|$)", line):
            lead, name, star = match.groups()
            if name not in vars(errors):
                continue
            depth = len(lead) // 4
            path[depth:] = [name]
            drawn[name] = (path[depth - 1] if depth else None, bool(star))

    classes = {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and kind.__module__ == errors.__name__
    }
    assert set(drawn) == set(classes)
    for name, kind in classes.items():
        parent, retryable = drawn[name]
        real = kind.__bases__[0].__name__ if parent else None
        assert parent == real, name
        assert getattr(kind, "retryable", False) is retryable, name


def test_what_ends_with_two_is_marked_so_in_the_tree_of_errors() -> None:
    marked = set(re.findall(r"─ (\w+) .*\(exit code 2\)", errors.__doc__ or ""))
    real = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and getattr(kind, "exit_code", None) == 2
    }

    assert marked == real


def test_an_order_of_unknown_outcome_is_never_retried() -> None:
    assert errors.OrderOutcomeUnknown.retryable is False
    assert errors.OrderRejected.retryable is False


def test_the_tripped_breaker_is_no_exception_that_code_catches_by_habit() -> None:
    assert issubclass(errors.CircuitBreakerTripped, SystemExit)
    assert not issubclass(errors.CircuitBreakerTripped, Exception)
