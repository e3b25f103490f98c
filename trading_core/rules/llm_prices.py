"""What language models cost, by date; for budgets, so rather too much than too little."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """What a model costs from ``since`` on, in USD per million tokens, standard tier.

    Thinking tokens are billed as output. ``long_*`` is charged when the prompt is longer than
    ``long_from`` tokens; None where there is no such step.
    """

    model: str
    since: date
    input_usd: Decimal
    output_usd: Decimal
    long_input_usd: Decimal | None = None
    long_output_usd: Decimal | None = None
    long_from: int = 200_000


def _price(
    model: str,
    since: str,
    input_usd: str,
    output_usd: str,
    *long_usd: str,
    long_from: int = 200_000,
) -> TokenPrice:
    long_input, long_output = (Decimal(usd) for usd in long_usd) if long_usd else (None, None)
    return TokenPrice(
        model=model,
        since=date.fromisoformat(since),
        input_usd=Decimal(input_usd),
        output_usd=Decimal(output_usd),
        long_input_usd=long_input,
        long_output_usd=long_output,
        long_from=long_from,
    )


GEMINI_PRICES: tuple[TokenPrice, ...] = (
    _price("gemini-2.5-flash", "2025-06-17", "0.30", "2.50"),
    _price("gemini-2.5-flash-lite", "2025-07-22", "0.10", "0.40"),
    _price("gemini-2.5-pro", "2025-06-17", "1.25", "10.00", "2.50", "15.00"),
    _price("gemini-3.1-pro-preview", "2026-10-07", "2.00", "12.00", "4.00", "18.00"),
    _price("gemini-3.5-flash", "2026-10-07", "1.50", "9.00"),
    _price("gemini-3.5-flash-lite", "2026-10-07", "0.30", "2.50"),
    _price("gemini-3.8-flash", "2026-10-07", "0.75", "3.75"),
    _price("gemini-3.8-flash", "2027-01-01", "1.50", "7.50"),
)
"""ai.google.dev/gemini-api/docs/pricing, as it stood on 2026-10-07. Text prices; the discount for
cached input is left out, so a cost is an upper bound."""

OPENAI_PRICES: tuple[TokenPrice, ...] = (
    _price("gpt-4.1", "2025-04-14", "2.00", "8.00"),
    _price("gpt-4.1-mini", "2025-04-14", "0.40", "1.60"),
    _price("gpt-4.1-nano", "2025-04-14", "0.10", "0.40"),
    _price("gpt-5", "2025-08-07", "1.25", "10.00"),
    _price("gpt-5-mini", "2025-08-07", "0.25", "2.00"),
    _price("gpt-5-nano", "2025-08-07", "0.05", "0.40"),
    _price("gpt-5.4", "2026-03-05", "2.50", "15.00", "5.00", "22.50", long_from=272_000),
    _price("gpt-5.4-mini", "2026-03-17", "0.75", "4.50"),
    _price("gpt-5.4-nano", "2026-03-17", "0.20", "1.25"),
    _price("gpt-5.5", "2026-06-01", "5.00", "30.00", "10.00", "45.00", long_from=272_000),
)
"""The list of openai.com/api/pricing as price overviews of March to June 2026 quote it; cached
input at the full price."""


def flat_price(model: str, *, input_usd: Decimal, output_usd: Decimal) -> TokenPrice:
    """One price for all times: a model of one's own is 0, or what its power costs."""
    return TokenPrice(model, date.min, input_usd, output_usd)


def call_cost(
    prices: Sequence[TokenPrice], model: str, on: date, *, input_tokens: int, output_tokens: int
) -> Decimal | None:
    """The price of a call in USD; None for a model that the table does not list.

    ``output_tokens`` include thinking. A day before the model's first row uses that row.
    """
    rows = sorted((p for p in prices if p.model == model), key=lambda p: p.since)
    if not rows:
        return None
    price = next((p for p in reversed(rows) if p.since <= on), rows[0])
    is_long = input_tokens > price.long_from
    per_input = price.input_usd
    per_output = price.output_usd
    if is_long:
        per_input = per_input if price.long_input_usd is None else price.long_input_usd
        per_output = per_output if price.long_output_usd is None else price.long_output_usd
    return (input_tokens * per_input + output_tokens * per_output) / _MILLION
