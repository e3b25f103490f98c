"""Cursor paging of the ledger requests, and their success texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from trading_core.twin.wire.envelope import MESSAGE_WIDTH, Call, Reply, WireError

Row = TypeVar("Row")


def ledger_head(call: Call, *, rows: int, more: bool = False) -> dict[str, str]:
    """``rt_cd``, ``msg_cd`` and ``msg1`` of a successful ledger query."""
    if call.paper:
        code, text = "20310000", "모의투자 조회가 완료되었습니다."
        if not rows:
            code, text = "70070000", "모의투자 조회할 내역(자료)이 없습니다."
    elif more:
        code, text = "KIOK0500", "조회가 계속됩니다..(다음버튼을 Click 하십시오.)"
    elif not rows:
        code, text = "KIOK0560", "조회할 내용이 없습니다"
    elif call.continued:
        code, text = "KIOK0460", "조회 되었습니다. (마지막 자료)"
    else:
        code, text = "KIOK0510", "조회가 완료되었습니다"
    return {"rt_cd": "0", "msg_cd": code, "msg1": text.ljust(MESSAGE_WIDTH)}


def continuation(call: Call, *, more: bool) -> str:
    """The ``tr_cont`` header: F or M with more pages to come, D or E on the last."""
    if more:
        return "M" if call.continued else "F"
    return "E" if call.continued else "D"


def single(call: Call, **outputs: Any) -> Reply:
    """A ledger query of one record, which the real host answers with a code of its own."""
    head = ledger_head(call, rows=1)
    if not call.paper:
        head |= {"msg_cd": "KIOK0530", "msg1": "조회되었습니다".ljust(MESSAGE_WIDTH)}
    return Reply(head | outputs, tr_cont="D")


def listed(call: Call, **outputs: Any) -> Reply:
    """A ledger query whose rows all fit on one page; the header alone would page it."""
    return Reply(ledger_head(call, rows=1) | outputs, tr_cont=continuation(call, more=False))


def no_data(call: Call) -> WireError:
    """A ledger query about something the broker does not know."""
    head = ledger_head(call, rows=0)
    return WireError(head["msg_cd"], head["msg1"].strip(), rt_cd="7", status=200)


def paged(
    call: Call,
    rows: Sequence[Row],
    key: Callable[[Row], str],
    render: Callable[[Row], dict[str, str]],
    *,
    width: int,
    conditions: Sequence[str],
    output: str = "output1",
    newest_first: bool = False,
    padding: Sequence[Mapping[str, str]] = (),
    **others: Any,
) -> Reply:
    """One page of ``rows``, which must be sorted by ``key``.

    ``padding`` are blank rows behind those of the last page. The cursor names the last row sent,
    so a page is right even when rows came or went meanwhile. ``width`` is that of the cursor
    fields, 100 or 200, and part of their names.
    """
    after = call.text(f"CTX_AREA_NK{width}") if call.continued else ""
    if after:
        rows = [row for row in rows if (key(row) < after if newest_first else key(row) > after)]
    page = rows[: call.size]
    more = len(rows) > len(page)
    body: dict[str, Any] = ledger_head(call, rows=len(page), more=more)
    body[f"ctx_area_fk{width}"] = "^".join(conditions)[:width].ljust(width)
    body[f"ctx_area_nk{width}"] = (key(page[-1]) if more else "").ljust(width)
    body[output] = [render(row) for row in page]
    if not more:
        body[output] += padding
    return Reply(body | others, tr_cont=continuation(call, more=more))
