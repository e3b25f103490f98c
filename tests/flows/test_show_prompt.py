"""``ouroboros plan MARKET --show-prompt``."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from flows import prompt_cli
from flows.console import Json

Run = Callable[..., tuple[int, str, str]]

ANSWER: Json = {
    "market": "KR",
    "session": "2026-11-20",
    "tokens": 1234,
    "budget": 6000,
    "sections": [{"title": "News", "tokens": 77, "lines": 4, "cut": 2}],
    "condition": "strategic: a losing week",
    "memory": ["L4 2026-W46 week_KR_KRW: 0.60 = 0.90 x 0.84 x 0.80"],
    "would_ask": False,
    "prompt": "# Session (KR)\n<data news>\n[bold]not markup[/]\n</data>\n",
}


@pytest.fixture(autouse=True)
def _answer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def read(market: str) -> Json:
        assert market == "KR"
        return ANSWER

    monkeypatch.setattr(prompt_cli, "read_prompt", read)


def test_the_prompt_is_shown_as_it_is_with_tokens_and_reasons(run_cli: Run) -> None:
    code, out, _ = run_cli("plan", "KR", "--show-prompt")
    assert code == 0
    assert "[bold]not markup[/]" in out
    for shown in ("1234 of 6000", "77", "a losing week", "week_KR_KRW: 0.60", "no model would be"):
        assert shown in out


def test_machines_get_the_same_as_json(run_cli: Run) -> None:
    code, out, _ = run_cli("plan", "KR", "--show-prompt", "--json")
    assert (code, json.loads(out)) == (0, ANSWER)
