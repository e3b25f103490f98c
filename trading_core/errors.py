"""Every error the library raises on purpose.

    TradingError
    ├── ConfigError                a setting is missing or not allowed            (exit code 2)
    ├── DataError                  an input file or price is not usable           (exit code 2)
    ├── UnknownMarket              a market code that is in no table              (exit code 2)
    ├── NotASession                the exchange is shut on that date              (exit code 2)
    ├── CurrencyMismatch           amounts of two currencies met in one sum
    ├── BrokerError
    │   ├── BrokerUnavailable*     no usable answer to a read; nothing was changed
    │   ├── RateLimited*           the broker asked for fewer calls a second
    │   ├── TokenExpired*          the access token died; a new one is needed
    │   ├── NotOffered             the broker offers no such request in this mode
    │   ├── OrdersClosed           the broker takes no orders at this time; nothing was sent
    │   ├── OrderRejected          the broker said no to an order, modify or cancel
    │   └── OrderOutcomeUnknown    an order was sent and no one knows what became of it
    ├── PlannerError
    │   ├── PlannerTimeout         no reply within the time limit
    │   ├── PlannerUnavailable     quota, network or server failure
    │   ├── BudgetExhausted        the ledger of model calls has no room for another
    │   └── ReplyInvalid           a reply that is not a playbook
    ├── SourceError                a source of news, readings or events gave no usable answer
    ├── StoreError
    │   ├── StoreBusy*             another process held the store for too long
    │   ├── SchemaTooNew           the file was written by a newer version
    │   └── IllegalTransition      an order event that the order life does not allow
    ├── BackupError                a backup could not be made, sent, read or brought back
    └── TradingHalted              a stored halt forbids what was asked

    CircuitBreakerTripped          a SystemExit: no ``except Exception`` can swallow it

``*`` marks the retryable ones; ``retryable`` is an attribute of the class. An order that was
sent is never retried by anyone, so ``OrderOutcomeUnknown`` is not retryable.
"""

from __future__ import annotations

from typing import Any, ClassVar


class TradingError(Exception):
    """Base of the tree; ``str(error)`` is one line a person can act on."""

    retryable: ClassVar[bool] = False
    exit_code: ClassVar[int] = 1


class ConfigError(TradingError):
    """A setting is missing or not allowed."""

    exit_code = 2


class DataError(TradingError):
    """An input file, or a price in it, is not usable."""

    exit_code = 2


class UnknownMarket(TradingError):
    """A market code that is in no table."""

    exit_code = 2


class NotASession(TradingError):
    """The exchange is shut on the date asked for."""

    exit_code = 2


class CurrencyMismatch(TradingError, TypeError):
    """Amounts of two currencies met in one sum or comparison."""


class BrokerError(TradingError):
    """The broker could not or would not do it.

    Args:
        message: One line for a person.
        code: The broker's own message code, empty when there was none.
    """

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(f"{message} [{code}]" if code else message)
        self.code = code


class BrokerUnavailable(BrokerError):
    """No usable answer to a read; nothing was changed."""

    retryable = True


class RateLimited(BrokerError):
    """The broker asked for fewer calls a second; the request was not taken."""

    retryable = True


class TokenExpired(BrokerError):
    """The access token died; the request was not taken."""

    retryable = True


class NotOffered(BrokerError):
    """The broker offers no such request in this mode, market or session phase."""


class OrdersClosed(BrokerError):
    """The broker takes no orders at this time, so the request was not sent."""


class OrderRejected(BrokerError):
    """The broker said no: nothing is working at the exchange because of this request."""


class OrderOutcomeUnknown(BrokerError):
    """An order was sent and no one knows what became of it. Ask the broker; never send again."""


class PlannerError(TradingError):
    """The planner gave no playbook.

    Args:
        message: One line for a person.
        calls: The model calls that were made all the same (``LlmCall`` rows), to be recorded.
        unbilled: Whether it is certain that nothing has to be paid for.
    """

    def __init__(
        self, message: str, calls: tuple[Any, ...] = (), *, unbilled: bool = False
    ) -> None:
        super().__init__(message)
        self.calls = calls
        self.unbilled = unbilled


class PlannerTimeout(PlannerError):
    """No reply within the time limit."""


class PlannerUnavailable(PlannerError):
    """Quota, network or server failure."""


class BudgetExhausted(PlannerError):
    """One more call would pass a limit on model calls; none was made."""


class ReplyInvalid(PlannerError):
    """A reply that is not a playbook, even after the one repair attempt."""


class SourceError(TradingError):
    """A source of news, market readings or economic events gave no usable answer."""


class StoreError(TradingError):
    """The state store could not do it."""


class StoreBusy(StoreError):
    """Another process held the store for longer than the waiting time."""

    retryable = True


class SchemaTooNew(StoreError):
    """The file was written by a newer version of this program."""


class IllegalTransition(StoreError):
    """An order event that the order life does not allow; trading halts on it."""


class BackupError(TradingError):
    """A backup could not be made, sent, read or brought back."""


class TradingHalted(TradingError):
    """A stored halt forbids what was asked."""


class CircuitBreakerTripped(SystemExit):
    """The day's loss passed the limit; the halt is already stored when this is raised.

    Args:
        message: One line for a person.
        sent: What of the same plan went out before (``Sent`` values), for people to be told.
    """

    def __init__(self, message: str, sent: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.sent = sent
