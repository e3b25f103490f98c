"""One order's whole life against an exchange that loses answers, lags, fills and cancels.

The model knows the truth: whether the exchange has the order and how much of it was filled. Our
side knows only what it was answered and what the book shows. However the two interleave, every
event must be legal, no share may be counted that was not traded, and in the end both must agree.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from tests.order_books import grow, make_row, with_events
from tests.record_factories import AT, make_event, make_intent
from trading_core.model.order import BrokerOrder, Fill, OrderRecord, OrderState, Side
from trading_core.rules.costs import trade_costs
from trading_core.rules.order_life import GRACE, event, known_numbers_note, settle

S = OrderState
OURS, BEFORE, ANOTHERS = "300", "100", "200"
CLAIMED = frozenset({ANOTHERS})
PRICES = st.sampled_from([Decimal(70_500), Decimal(70_400), Decimal(70_333)])


class OrderLife(RuleBasedStateMachine):
    """``truth`` is the exchange's own row of our order, None while it has none."""

    def __init__(self) -> None:
        super().__init__()
        self.at = self.shown_from = AT
        self.truth: BrokerOrder | None = None
        self.shown: BrokerOrder | None = None
        self.looked_at: BrokerOrder | None = None
        self.fills: list[Fill] = []
        self.over = False

    @initialize(
        side=st.sampled_from(Side),
        sending=st.sampled_from(["is answered", "is answered", "loses its answer", "crashes"]),
        outcome=st.sampled_from(["arrives", "arrives", "arrives", "gets lost"]),
        lag=st.integers(0, 59),
    )
    def send(self, side: Side, sending: str, outcome: str, lag: int) -> None:
        """One POST. The book shows what arrived after ``lag`` seconds, within the grace time."""
        intent = make_intent(side=side, quantity=10)
        first = make_event(intent_id=intent.intent_id)
        self.record = OrderRecord(intent, S.INTENDED, (first,))
        # Orders of the same shape that are not ours: one was there before, one is another's.
        self.others = [make_row(intent, order_no=number) for number in (BEFORE, ANOTHERS)]
        self._append(S.SENDING, note=known_numbers_note([BEFORE]))
        if outcome == "arrives":
            self.truth = self.shown = make_row(intent, order_no=OURS)
            self.shown_from = AT + timedelta(seconds=lag)
        if sending == "loses its answer":
            self._append(S.UNKNOWN)
        elif sending == "is answered" and self.truth:
            self._append(S.ACCEPTED, order_no=OURS)
        elif sending == "is answered":
            self._append(S.REJECTED, code="40310000")

    # --- what our side does -----------------------------------------------------------------

    def _append(self, state: OrderState, **fields: str) -> None:
        self.record = with_events(self.record, event(self.record, state, self.at, **fields))

    @precondition(lambda self: self.record.state in (S.ACCEPTED, S.PARTIALLY_FILLED))
    @rule(arrives=st.booleans(), refused=st.booleans())
    def cancel(self, arrives: bool, refused: bool) -> None:
        self._append(S.CANCEL_REQUESTED)
        if refused:
            self._append(S.PARTIALLY_FILLED if self.record.filled_quantity else S.ACCEPTED)
        elif arrives and self.truth is not None and self.truth.remaining_quantity:
            self._take_out("cancelled", self.truth.remaining_quantity)

    @precondition(lambda self: not self.record.state.is_final)
    @rule()
    def look(self) -> None:
        self._settle(self.truth if self.at >= self.shown_from else None)

    @precondition(lambda self: len(self.record.events) > 3 and not self.record.state.is_final)
    @rule()
    def look_at_a_book_that_lags(self) -> None:
        self._settle(self.shown)

    def _settle(self, row: BrokerOrder | None) -> None:
        book = [*self.others, *([row] if row else [])]
        settled = settle(self.record, book, claimed=CLAIMED, at=self.at, session_over=self.over)
        assert not settled.ambiguous
        self.looked_at = row
        self.record = grow(self.record, settled)
        if settled.fill:
            self.fills.append(settled.fill)

    # --- what the world does ----------------------------------------------------------------

    def _take_out(self, name: str, quantity: int) -> None:
        assert self.truth is not None
        field = f"{name}_quantity"
        self.truth = replace(
            self.truth,
            **{
                field: getattr(self.truth, field) + quantity,
                "remaining_quantity": self.truth.remaining_quantity - quantity,
            },
        )

    @precondition(lambda self: self.truth and self.truth.remaining_quantity and not self.over)
    @rule(most=st.integers(1, 10), price=PRICES)
    def fill(self, most: int, price: Decimal) -> None:
        assert self.truth is not None
        quantity = min(most, self.truth.remaining_quantity)
        self._take_out("filled", quantity)
        amount = self.truth.filled_amount + quantity * price
        self.truth = replace(self.truth, filled_amount=amount)

    @precondition(lambda self: self.truth and self.truth.remaining_quantity and not self.over)
    @rule()
    def reject_late(self) -> None:
        assert self.truth is not None
        self._take_out("rejected", self.truth.remaining_quantity)

    @precondition(lambda self: self.truth and not self.record.state.is_final)
    @rule()
    def the_lagging_book_catches_up(self) -> None:
        self.shown = self.truth

    @rule(seconds=st.integers(1, 90))
    def time_passes(self, seconds: int) -> None:
        self.at += timedelta(seconds=seconds)

    @precondition(lambda self: self.at >= self.shown_from and not self.over)
    @rule(now=st.sampled_from([False, False, False, True]))
    def the_session_ends(self, now: bool) -> None:
        self.over = now

    # --- what must always hold --------------------------------------------------------------

    @invariant()
    def it_was_sent_once(self) -> None:
        assert [item.state for item in self.record.events].count(S.SENDING) == 1

    @invariant()
    def no_share_is_counted_that_was_not_traded(self) -> None:
        traded = self.truth.filled_quantity if self.truth else 0
        assert self.record.filled_quantity == sum(item.quantity for item in self.fills) <= traded

    @invariant()
    def the_exchanges_order_is_never_called_unsent_nor_taken_for_anothers(self) -> None:
        assert self.record.order_no in ("", OURS)
        if self.truth is not None:
            assert self.record.state not in (S.NOT_SENT, S.REFUSED)

    @invariant()
    def a_working_order_is_not_called_done(self) -> None:
        if self.truth and self.truth.remaining_quantity and not self.over:
            assert not self.record.state.is_final

    def teardown(self) -> None:
        if not hasattr(self, "record"):
            return
        self.over = True
        self.at += GRACE
        for _ in range(3):
            if not self.record.state.is_final:
                self._settle(self.truth)
            self.at += GRACE
        assert self.record.state.is_final
        if self.truth is None:
            assert self.record.state in (S.NOT_SENT, S.REJECTED)
            assert self.fills == []
            return
        if self.looked_at == self.truth:
            self._agrees_with(self.truth)

    def _agrees_with(self, truth: BrokerOrder) -> None:
        intent = self.record.intent
        assert self.record.filled_quantity == truth.filled_quantity
        assert self.record.filled_amount == truth.filled_amount
        assert (self.record.state is S.FILLED) is (truth.filled_quantity == truth.quantity)
        whole = trade_costs(
            intent.instrument.market,
            intent.side,
            truth.filled_amount,
            intent.session,
            quantity=truth.filled_quantity,
        )
        assert sum(item.fee for item in self.fills) == whole.fee
        assert sum(item.tax for item in self.fills) == whole.tax


OrderLife.TestCase.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
TestOrderLife = OrderLife.TestCase
