"""What an endpoint is, and short ways to write one down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from trading_core.twin.wire.desk import Desk
from trading_core.twin.wire.envelope import Call, Reply, WireError

Handler = Callable[[Desk, Call], Reply]


class Family(StrEnum):
    """Quotes insist on their declared fields; ledger texts are padded; orders are posted."""

    QUOTE = "quote"
    LEDGER = "ledger"
    ORDER = "order"


@dataclass(frozen=True, slots=True)
class Transaction:
    """One TR id. ``hosts`` says which personality takes it; ``size`` is rows per page."""

    hosts: frozenset[str]
    variant: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path. ``required`` names the fields without which a request is not understood."""

    family: Family
    handler: Handler
    transactions: Mapping[str, Transaction]
    required: tuple[str, ...]
    overseas: bool = False

    @property
    def method(self) -> str:
        return "POST" if self.family is Family.ORDER else "GET"


REAL, PAPER = frozenset({"real"}), frozenset({"paper"})
BOTH = REAL | PAPER
_ACCOUNT = ("CANO", "ACNT_PRDT_CD")


def pairs(
    *tails: str, size: int = 0, paper_size: int = 0, variant: str = ""
) -> dict[str, Transaction]:
    """TRs whose paper id has ``V`` for its first letter."""
    found = {}
    for tail in tails:
        found[tail] = Transaction(REAL, variant, size)
        found[f"V{tail[1:]}"] = Transaction(PAPER, variant, paper_size or size)
    return found


def real_only(*tr_ids: str, size: int = 0, variant: str = "") -> dict[str, Transaction]:
    return dict.fromkeys(tr_ids, Transaction(REAL, variant, size))


def quote(tr_id: str, handler: Handler, *required: str, hosts: frozenset[str] = BOTH) -> Endpoint:
    return Endpoint(Family.QUOTE, handler, {tr_id: Transaction(hosts)}, required)


def ledger(handler: Handler, transactions: Mapping[str, Transaction], *required: str) -> Endpoint:
    return Endpoint(Family.LEDGER, handler, transactions, (*_ACCOUNT, *required))


def order(
    handler: Handler,
    transactions: Mapping[str, Transaction],
    *required: str,
    overseas: bool = False,
) -> Endpoint:
    return Endpoint(Family.ORDER, handler, transactions, (*_ACCOUNT, *required), overseas)


def unknown_service() -> WireError:
    """A TR id that the path does not know."""
    return WireError("OPSQ0002", "없는 서비스 코드 입니다", status=200)
