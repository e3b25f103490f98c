"""The mutants: each takes one safety rule out of the code, and names the tests that must notice.

They are data, in the ``.toml`` files beside this module. ``old`` occurs exactly once in ``file``
and is replaced by ``new``; ``tests`` are names that pytest takes.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
BOOKS = ("exactly_once", "limits", "positions", "operation")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One rule, taken out; every one of ``tests`` has to fail for it."""

    id: str
    rule: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def applied(self, text: str) -> str:
        """The text of ``file`` without the rule.

        Raises:
            ValueError: ``old`` is not in it exactly once.
        """
        found = text.count(self.old)
        if found != 1:
            raise ValueError(f"{self.id}: its text is {found} times in {self.file}, not once")
        return text.replace(self.old, self.new)

    def place(self, root: Path = ROOT) -> str:
        """The file and the innermost function or class that is changed."""
        text = (root / self.file).read_text()
        line = text[: text.index(self.old) + len(self.old)].count("\n") + 1
        return " ".join([f"`{self.file}`", *(f"`{name}`" for name in _around(text, line)[-1:])])


def _around(text: str, line: int) -> list[str]:
    """The names of the definitions around a line, the outermost first."""
    return [
        node.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and node.lineno <= line <= (node.end_lineno or line)
    ]


def all_mutants() -> tuple[Mutant, ...]:
    """Every mutant, in the order of the files."""
    here = Path(__file__).parent
    books = [tomllib.loads((here / f"{name}.toml").read_text()) for name in BOOKS]
    return tuple(
        Mutant(**{**entry, "tests": tuple(entry["tests"])})
        for book in books
        for entry in book["mutant"]
    )


def table(mutants: Sequence[Mutant], root: Path = ROOT) -> str:
    """The mutants as the Markdown table of ``docs/decisions/0008-mutants.md``."""
    rows = ["| rule | mutated place | test that goes red |", "|---|---|---|"]
    for mutant in mutants:
        names = ", ".join(f"`{name.rpartition('::')[2]}`" for name in mutant.tests)
        rows.append(f"| {mutant.rule} (`{mutant.id}`) | {mutant.place(root)} | {names} |")
    return "\n".join(rows) + "\n"
