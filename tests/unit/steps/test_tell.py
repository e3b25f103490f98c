"""What people are told, and that they are told it once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.record_factories import make_fill
from tests.trading_fakes import POLICY, FakeNotifier, MakeFloor, busy, playbook, still, when
from tests.unit.twin.handmade_tape import minute
from trading_core.adapters.duck.store import DuckStore
from trading_core.model.journal import Notification
from trading_core.model.order import Refusal, RefusalCode, Side
from trading_core.steps.desk import Verdict
from trading_core.steps.report import TickReport
from trading_core.steps.tell import of_books, of_plan, of_playbook, tell, tell_again
from trading_core.steps.tick import TickPlan, decide

CHEAP = [when("price <= 10000")]


@pytest.fixture
def floor(tmp_path):
    return MakeFloor(tmp_path)


def note(name: str, text: str = "x") -> Notification:
    return Notification(name, minute(1), "kind", "info", text, delivered=False)


def stored(store):
    with store.read() as reader:
        rows = reader._rows("SELECT notification_id, delivered FROM notifications ORDER BY 1")
    return dict(rows)


async def test_a_note_is_told_once_and_written_down():
    store, notifier = DuckStore(":memory:"), FakeNotifier()
    await tell(notifier, store, [note("a"), note("b")])
    await tell(notifier, store, [note("a"), note("b"), note("c")])
    assert [n.notification_id for n in notifier.told] == ["a", "b", "c"]
    assert stored(store) == {"a": True, "b": True, "c": True}


async def test_two_notes_of_one_name_are_one():
    store, notifier = DuckStore(":memory:"), FakeNotifier()
    await tell(notifier, store, [note("a", "first"), note("a", "second")])
    assert [n.text for n in notifier.told] == ["second"]


async def test_what_could_not_be_delivered_is_written_down_as_such():
    store, notifier = DuckStore(":memory:"), FakeNotifier(takes=False)
    await tell(notifier, store, [note("a")])
    assert stored(store) == {"a": False}


async def test_nothing_to_say_does_not_touch_the_store():
    await tell(FakeNotifier(), None, [])


async def test_the_store_is_not_held_while_a_note_is_sent():
    store = DuckStore(":memory:")

    class Slow(FakeNotifier):
        async def send(self, notification):
            with store.write() as tx:
                tx.append([note("inside")])
            return await super().send(notification)

    await tell(Slow(), store, [note("a")])
    assert set(stored(store)) == {"a", "inside"}


async def test_a_trade_is_told_as_accepted_and_then_as_filled(floor):
    desk = floor({"A": busy(*[10_000] * 9)}, {"A": CHEAP})
    for n in (2, 3, 4):
        await desk.tick(minute(n))
    assert desk.notifier.kinds() == ["order_accepted", "order_filled"]
    assert desk.notifier.told[0].text == "accepted: BUY 99 A at 10020 (entry)"
    assert desk.notifier.told[1].text == "filled: BUY 99 A at 10,010 KRW"


@pytest.mark.parametrize(
    ("word", "kind", "level"),
    [
        ("reject", "order_rejected", "warning"),
        ("rate limit", "order_not_sent", "warning"),
        ("lost request", "order_unknown", "critical"),
    ],
)
async def test_an_order_that_did_not_get_through_is_told_for_what_it_is(floor, word, kind, level):
    desk = floor({"A": still(10_000, 9)}, {"A": CHEAP})
    desk.broker.script = [word]
    await desk.tick(minute(2))
    (told,) = desk.notifier.told
    assert (told.kind, told.level) == (kind, level)
    assert "accepted" not in told.text
    assert "filled" not in told.text


async def test_the_same_tick_again_tells_nothing_again(floor):
    desk = floor({"A": busy(*[10_000] * 9)}, {"A": CHEAP})
    await desk.tick(minute(2))
    await desk.tick(minute(3))
    before = len(desk.notifier.told)
    for _ in range(3):
        await desk.tick(minute(3))
    assert len(desk.notifier.told) == before


async def test_a_stop_that_is_near_is_told_once_a_day(floor):
    desk = floor({"A": busy(10_000, 10_000, *[9_740] * 9)}, {})
    desk.venue.advance_to(minute(1))
    desk.by_hand(Side.BUY, 10, 10_010)
    for n in range(2, 9):
        await desk.tick(minute(n))
    assert desk.notifier.kinds().count("stop_near") == 1


async def test_each_approach_to_a_stop_is_told_once_and_so_is_its_breach(floor):
    prices = [10_000, 10_000, 9_740, 9_750, 9_740, 10_000, 9_740, 9_740, *[9_650] * 9]
    desk = floor({"A": busy(*prices)}, {})
    desk.venue.advance_to(minute(1))
    desk.by_hand(Side.BUY, 10, 10_010)
    desk.broker.script = ["reject"] * 9
    kinds = []
    for n in range(2, 13):
        before = len(desk.notifier.told)
        await desk.tick(minute(n))
        kinds += [(n, t.kind) for t in desk.notifier.told[before:] if t.kind.startswith("stop")]
    assert kinds == [(3, "stop_near"), (7, "stop_near"), (9, "stop_breached")]
    texts = [t.text for t in desk.notifier.told if t.kind.startswith("stop")]
    assert texts[0] == "A: 9740 is close to the stop 9709.7"
    assert texts[2] == "A: 9650 (-3.60 %) is at or below the stop 9709.7"


async def test_a_position_without_a_price_is_a_critical_alert(floor):
    desk = floor({"A": busy(*[10_000] * 9)}, {})
    desk.venue.advance_to(minute(1))
    desk.by_hand(Side.BUY, 10, 10_010)
    await desk.tick(minute(2))
    desk.broker.quote_changes = {"A": {"halted": True}}
    for n in range(3, 9):
        await desk.tick(minute(n))
    (told,) = [t for t in desk.notifier.told if t.kind == "stop_blind"]
    assert (told.level, told.text) == (
        "critical",
        "A: no usable price since 00:03:00 UTC: nothing guards it",
    )


async def test_a_notifier_that_is_down_stops_no_order(floor):
    desk = floor({"A": busy(*[10_000] * 9)}, {"A": CHEAP})
    desk.notifier.takes = False
    await desk.tick(minute(2))
    await desk.tick(minute(3))
    assert await desk.holding() == 99


async def test_a_fill_is_told_at_a_price_a_person_can_read(floor):
    desk = floor({"A": still(10_000, 9)}, {"A": CHEAP})
    books = await desk.books(minute(2))
    odd = make_fill(quantity=3, amount=Decimal(30_010), price=Decimal(30_010) / 3)
    (told,) = of_books(replace(books, new_fills=(odd,)))
    assert "at 10,003.3333 KRW" in told.text


def test_a_playbook_is_told_with_its_source_and_size():
    book = playbook({"A": CHEAP, "B": [*CHEAP, *CHEAP]})
    told = of_playbook(book, minute(0))
    assert "by gemini: 2 stocks, 3 scenarios" in told.text
    assert told.notification_id == f"playbook-{book.playbook_id}"


async def test_the_line_of_a_tick_says_what_it_saw_and_did(floor):
    desk = floor({"A": busy(*[10_000] * 9), "B": still(10_000, 9)}, {"A": CHEAP, "B": CHEAP})
    desk.broker.quote_changes = {"B": {"halted": True}}
    tick = await desk.tick(minute(2))
    assert isinstance(tick.report, TickReport)
    assert tick.report.line() == "1 of 2 priced, 1 matched, 0 fills, 1 of 1 orders accepted"
    assert (await desk.tick(minute(3))).report.line().endswith("1 fills, 0 of 0 orders accepted")


async def test_a_fat_finger_is_told(floor):
    desk = floor({"A": still(10_000, 9)}, {"A": CHEAP})
    view = await desk.look(minute(2))
    (verdict,) = decide(view, POLICY).verdicts
    refusal = Refusal(verdict.gate.intent, RefusalCode.FAT_FINGER, "too much", minute(2))
    plan = TickPlan(minute(2), (Verdict(verdict.decision, verdict.intent, refusal),))
    (told,) = of_plan(plan, desk.group)
    assert (told.kind, told.text) == ("fat_finger", "refused BUY 99 A: too much")


async def test_what_was_not_delivered_is_sent_again_once_and_then_never():
    store, notifier = DuckStore(":memory:"), FakeNotifier(takes=False)
    assert not await tell(notifier, store, [note("a"), note("b")])
    assert not await tell_again(notifier, store, minute(2))
    assert [n.notification_id for n in notifier.told] == ["a", "b", "a"]
    notifier.takes = True
    assert await tell_again(notifier, store, minute(3))
    assert [n.notification_id for n in notifier.told[3:]] == ["a", "b"]
    assert await tell_again(notifier, store, minute(4))
    assert len(notifier.told) == 5
    assert stored(store) == {"a": False, "a+again": True, "b": False, "b+again": True}


async def test_what_could_not_be_told_a_day_ago_is_left_alone():
    store, notifier = DuckStore(":memory:"), FakeNotifier(takes=False)
    await tell(notifier, store, [note("a")])
    notifier.takes = True
    assert await tell_again(notifier, store, minute(1) + timedelta(days=1, seconds=1))
    assert len(notifier.told) == 1
