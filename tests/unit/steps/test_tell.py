"""What people are told, and that they are told it once."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.record_factories import make_equity, make_fill
from tests.trading_fakes import KR, POLICY, FakeNotifier, MakeFloor, busy, playbook, still, when
from tests.unit.twin.handmade_tape import SESSION, minute
from trading_core.adapters.duck.store import DuckStore
from trading_core.errors import StoreBusy
from trading_core.model.journal import HaltKind, Notification
from trading_core.model.order import Refusal, RefusalCode, Side
from trading_core.rules.calendar import require_session
from trading_core.steps import operate
from trading_core.steps.desk import Verdict
from trading_core.steps.report import TickReport
from trading_core.steps.tell import (
    of_books,
    of_close,
    of_plan,
    of_playbook,
    of_session,
    tell,
    try_to_tell,
)
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
    assert desk.notifier.told[0].text.splitlines()[0] == "accepted: BUY 99 A at 10020 (entry)"
    assert desk.notifier.told[1].text.splitlines()[0] == "filled: BUY 99 A at 10,010 KRW"


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


async def test_what_is_told_waits_for_the_channels_of_the_notifier():
    store, notifier = DuckStore(":memory:"), FakeNotifier(channels=("telegram", "ntfy-1"))
    await tell(notifier, store, [note("a")])
    with store.read() as reader:
        assert [n.notification_id for n in reader.unsent("telegram")] == ["a"]
        assert [n.notification_id for n in reader.unsent("ntfy-1")] == ["a"]


async def test_a_store_that_fails_is_no_failure_of_who_tells(monkeypatch, caplog):
    store, notifier = DuckStore(":memory:"), FakeNotifier()

    def busy():
        raise StoreBusy("held by another process")

    with monkeypatch.context() as patch:
        patch.setattr(store, "write", busy)
        assert not await try_to_tell(notifier, store, [note("a")])
    assert "people were not told yet" in caplog.text
    assert await try_to_tell(notifier, store, [note("a")])
    assert stored(store) == {"a": True}


async def test_what_a_run_that_died_did_not_tell_follows_from_what_it_stored(floor):
    desk = floor({"A": busy(*[10_000] * 9), "B": busy(*[10_000] * 9)}, {"A": CHEAP, "B": CHEAP})
    await desk.tick(minute(2))
    desk.broker.script = ["lost request"]
    for n in (3, 4):
        await desk.tick(minute(n))
    operate.halt(desk.store, scope="KR", reason="by hand", at=minute(4))
    reason = "two candidates"
    operate.halt(desk.store, scope="KR", reason=reason, at=minute(4), kind=HaltKind.INVARIANT)
    told = {n.notification_id: n for n in desk.notifier.told}
    with desk.store.read() as reader:
        again = {n.notification_id: n for n in of_session(reader, desk.group, SESSION, minute(5))}
    assert {n.kind for n in again.values()} == {"order_accepted", "order_filled", "halt"}
    missed = [n for name, n in again.items() if name not in told]
    assert [n.text for n in missed] == [
        "trading halted (KR): two candidates. Lift it with: ouroboros resume"
    ]
    for name in set(again) & set(told):
        assert (again[name].kind, again[name].text) == (told[name].kind, told[name].text)


async def test_the_second_line_says_how_sure_the_decision_was_and_why(floor):
    sure = [when("price <= 10000", confidence=87, rationale="oversold & <cheap>")]
    desk = floor({"A": busy(*[10_000] * 9)}, {"A": sure})
    for n in (2, 3, 4):
        await desk.tick(minute(n))
    lines = [told.text.splitlines()[1] for told in desk.notifier.told]
    assert lines == ["confidence 87: oversold & <cheap>"] * 2


async def test_an_order_that_waits_too_long_is_told_once_and_so_is_the_end_of_its_chase(floor):
    desk = floor({"A": still(10_000, 12)}, {"A": CHEAP})
    for n in range(2, 12):
        await desk.tick(minute(n))
    kinds = desk.notifier.kinds()
    assert (kinds.count("unfilled"), kinds.count("given_up")) == (1, 1)
    first = next(told for told in desk.notifier.told if told.kind == "unfilled")
    assert first.text.startswith("not filled in time: BUY 99 A at 10020, 0 filled")


def test_the_end_of_a_session_says_what_it_did_with_the_money():
    session = require_session(KR, SESSION)
    curve = [make_equity(equity=Decimal(50_000_000)), make_equity(equity=Decimal(49_364_635))]
    told = of_close(session, session.close_at, ticks=78, failed=1, curve=curve)
    assert told.text == (
        f"KR {SESSION} closed: 78 ticks, 1 failed; equity 50,000,000 -> 49,364,635 KRW"
    )
    assert of_close(session, minute(9), ticks=0, failed=0, curve=[]).text.endswith("0 failed")
