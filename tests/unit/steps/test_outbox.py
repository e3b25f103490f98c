"""The sender: once a second, critical first, nothing critical lost, nothing told twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from trading_core.adapters.duck.store import DuckStore
from trading_core.clock import FixedClock
from trading_core.errors import ConfigError, StoreBusy
from trading_core.model.journal import Notification
from trading_core.model.notice import (
    Answer,
    Message,
    NotifyLevel,
    NotTaken,
    QuietHours,
    Taken,
    TryLater,
)
from trading_core.steps import notify_levels
from trading_core.steps.outbox import Sender, SenderPolicy

AT = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NAME = "telegram"


class FakeChannel:
    """Takes everything, but for what ``script`` answers first. ``log`` is (time, message)."""

    def __init__(self, clock: FixedClock, name: str = NAME, *, has_silence: bool = True) -> None:
        self.name, self.has_silence, self.clock = name, has_silence, clock
        self.script: list[Answer] = []
        self.log: list[tuple[datetime, Message]] = []
        self.is_open = True

    async def deliver(self, message: Message) -> Answer:
        self.log.append((self.clock.now(), message))
        return self.script.pop(0) if self.script else Taken()

    async def aclose(self) -> None:
        self.is_open = False

    @property
    def texts(self) -> list[str]:
        return [message.body for _, message in self.log]

    @property
    def seconds(self) -> list[float]:
        """When each attempt was made, from the first one."""
        return [(at - self.log[0][0]).total_seconds() for at, _ in self.log]


class FakeLock:
    def __init__(self, *, free: bool = True) -> None:
        self.free = free

    @contextmanager
    def attempt(self) -> Iterator[bool]:
        yield self.free


class House:
    """A store in memory, a clock that waiting moves, one channel and its sender."""

    def __init__(self, policy: SenderPolicy | None = None, **channel: bool) -> None:
        self.clock = FixedClock(AT)
        self.store = DuckStore(":memory:")
        self.channel = FakeChannel(self.clock, **channel)
        self.lock = FakeLock()
        self.policy = policy
        self.sender = self.again()

    def again(self) -> Sender:
        """A sender that knows nothing, as after a restart."""
        self.sender = Sender(self.store, [self.channel], self.clock, self.lock, self.policy)
        return self.sender

    def tell(self, *notes: Notification) -> None:
        with self.store.write() as tx:
            tx.append(notes)

    async def flush(self, within: timedelta = 10 * MINUTE) -> None:
        await self.sender.flush(within)

    def ends(self) -> dict[str, str]:
        with self.store.read() as db:
            names = [note.notification_id for note in db.notifications(1000)]
            return {row.notification_id: row.outcome.value for row in db.sends(names)}

    def waiting(self) -> list[str]:
        with self.store.read() as db:
            return [note.notification_id for note in db.unsent(self.channel.name)]


def note(n: int = 0, kind: str = "order_filled", level: str = "info") -> Notification:
    at = AT + timedelta(milliseconds=n)
    return Notification(f"{kind}-{n}", at, kind, level, f"{kind} {n}", channels=(NAME,))


def critical(n: int = 0) -> Notification:
    return note(n, "stop_blind", "critical")


@pytest.fixture
def house() -> House:
    return House()


async def test_what_waits_goes_out_once(house: House) -> None:
    house.tell(note())
    await house.flush()
    house.again()
    await house.flush()
    assert house.channel.texts == ["order_filled 0"]
    assert house.ends() == {"order_filled-0": "sent"}
    assert not house.channel.is_open


async def test_what_names_another_channel_or_none_is_not_sent(house: House) -> None:
    other = Notification("1", AT, "halt", "critical", "x", channels=("ntfy-1",))
    house.tell(other, Notification("2", AT, "halt", "critical", "x"))
    await house.flush()
    assert house.channel.log == []


async def test_five_hundred_alerts_are_a_few_messages_at_one_a_second(house: House) -> None:
    kinds = ("order_filled", "order_accepted", "stop_near", "reconciliation", "playbook")
    house.tell(*(note(n, kinds[n % len(kinds)], "warning") for n in range(490)))
    house.tell(*(critical(n) for n in range(10)))
    await house.flush()
    assert house.waiting() == []
    assert len(house.channel.log) == 1 + len(kinds)
    assert house.channel.seconds == [0, 1, 2, 3, 4, 5]
    assert all(f"stop_blind {n}" in house.channel.texts[0] for n in range(10))
    counts = house.ends()
    assert len(counts) == 500
    assert [counts[f"stop_blind-{n}"] for n in range(10)] == ["sent"] * 10
    assert sorted(counts.values()).count("counted") == 5 * (98 - 10)


async def test_the_pace_is_a_setting() -> None:
    house = House(SenderPolicy(every=timedelta(seconds=3)))
    house.tell(note(0), note(1, "halt"), note(2, "review"))
    await house.flush()
    assert house.channel.seconds == [0, 3, 6]


async def test_a_channel_that_asks_for_time_gets_it_and_nothing_is_lost(house: House) -> None:
    house.channel.script = [TryLater("too many", after_seconds=37), TryLater("", after_seconds=5)]
    house.tell(critical())
    await _until_sent(house)
    assert house.channel.seconds == [0, 37, 42]
    assert house.ends() == {"stop_blind-0": "sent"}


async def test_a_channel_that_is_down_is_tried_ever_more_rarely(house: House) -> None:
    house.channel.script = [TryLater("down")] * 11
    house.tell(note())
    await _until_sent(house)
    steps = [b - a for a, b in zip(house.channel.seconds, house.channel.seconds[1:], strict=False)]
    assert steps == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    with house.store.read() as db:
        (row,) = db.sends(["order_filled-0"])
    assert row.attempts == 12


async def test_a_lost_answer_is_asked_again_only_for_what_is_critical(house: House) -> None:
    lost = TryLater("no answer", maybe_taken=True)
    house.channel.script = [lost, Taken(), lost]
    house.tell(critical(), note())
    await _until_sent(house)
    assert house.channel.texts == ["stop_blind 0", "stop_blind 0", "order_filled 0"]
    assert house.ends() == {"stop_blind-0": "sent", "order_filled-0": "unsure"}


async def test_one_message_that_is_refused_takes_none_of_its_burst_with_it(house: House) -> None:
    house.channel.script = [NotTaken("bad"), Taken(), NotTaken("bad")]
    house.tell(note(0), note(1), note(2))
    await house.flush()
    assert house.channel.texts[1:] == ["order_filled 0", "order_filled 1", "order_filled 2"]
    assert list(house.ends().values()) == ["sent", "refused", "sent"]


async def test_something_critical_that_is_refused_is_offered_again_before_it_is_given_up(
    house: House,
) -> None:
    house.channel.script = [NotTaken("bad")] * 5
    house.tell(critical(), note())
    await _until_sent(house)
    assert house.channel.texts == ["stop_blind 0"] * 5 + ["order_filled 0"]
    assert house.ends() == {"stop_blind-0": "refused", "order_filled-0": "sent"}


async def test_a_level_that_is_set_meanwhile_holds_from_the_next_message_on(house: House) -> None:
    house.tell(note(0), note(1, "playbook"), critical())
    notify_levels.set_level(house.store, "order_filled", "off", at=AT, by="a test")
    notify_levels.set_level(house.store, "stop_blind", "off", at=AT, by="a test")
    await house.flush()
    assert house.channel.texts == ["stop_blind 0", "playbook 1"]
    assert house.ends()["order_filled-0"] == "off"
    assert [message.silent for _, message in house.channel.log] == [False, True]


async def test_quiet_hours_take_the_sound_away_but_not_from_what_is_critical() -> None:
    hours = QuietHours.parse("11:00-13:00", "Asia/Seoul")
    house = House(SenderPolicy(quiet=hours))
    house.tell(note(), critical())
    await house.flush()
    assert [message.silent for _, message in house.channel.log] == [False, True]


async def test_a_channel_without_silence_waits_for_the_end_of_quiet_hours() -> None:
    hours = QuietHours.parse("11:00-12:30", "Asia/Seoul")
    house = House(SenderPolicy(quiet=hours, zone=ZoneInfo("Asia/Seoul")), has_silence=False)
    house.tell(*(note(n) for n in range(3)), critical())
    await house.flush()
    assert house.channel.texts == ["stop_blind 0"]
    assert len(house.waiting()) == 3
    house.clock.advance(31 * MINUTE)
    house.again()
    await house.flush()
    assert house.channel.texts[1].count("order_filled") == 3
    assert house.waiting() == []


async def test_a_store_that_is_busy_after_a_message_went_out_does_not_repeat_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.tell(critical(0), note(1))
    write, failures = house.store.write, [3]

    @contextmanager
    def busy():
        if failures[0]:
            failures[0] -= 1
            raise StoreBusy("held by another process")
        with write() as tx:
            yield tx

    monkeypatch.setattr(house.store, "write", busy)
    await _until_sent(house)
    assert house.channel.texts == ["stop_blind 0", "order_filled 1"]
    assert set(house.ends().values()) == {"sent"}


async def test_while_another_process_sends_this_one_does_not(house: House) -> None:
    house.tell(critical())
    house.lock.free = False
    await house.flush()
    assert house.channel.log == []
    house.lock.free = True
    await house.flush()
    assert house.channel.texts == ["stop_blind 0"]


async def test_an_end_that_is_asked_for_does_not_wait_for_a_channel_that_is_down(
    house: House,
) -> None:
    house.channel.script = [TryLater("down")]
    house.tell(critical())
    await house.flush(timedelta(seconds=10))
    assert house.clock.now() - AT < timedelta(seconds=2)
    assert house.waiting() == ["stop_blind-0"]


async def test_an_end_has_its_time_even_when_much_is_left(house: House) -> None:
    kinds = [f"kind {n}" for n in range(60)]
    house.tell(*(note(0, kind) for kind in kinds))
    await house.flush(timedelta(seconds=10))
    assert len(house.channel.log) == 11
    assert len(house.waiting()) == 49


async def test_one_channel_that_is_down_holds_up_no_other() -> None:
    house = House()
    other = FakeChannel(house.clock, "ntfy-1")
    house.channel.script = [TryLater("down")] * 50
    both = Notification("n", AT, "halt", "critical", "halted", channels=(NAME, "ntfy-1"))
    house.tell(both)
    await Sender(house.store, [house.channel, other], house.clock, house.lock).flush(MINUTE)
    assert other.texts == ["halted"]
    assert house.waiting() == ["n"]


async def test_a_message_whose_picture_fails_goes_without(house: House) -> None:
    def draw(store, name):
        if name == "bad":
            raise RuntimeError("no")
        return name.encode()

    for n, picture in enumerate(("bad", "good")):
        house.tell(Notification(f"{n}", AT, "review", "info", "x", False, (NAME,), picture))
    await Sender(house.store, [house.channel], house.clock, house.lock, draw=draw).flush(MINUTE)
    assert [message.picture for _, message in house.channel.log] == [None, b"good"]


def test_levels_are_read_with_their_defaults_and_set_one_by_one_or_all() -> None:
    store = DuckStore(":memory:")
    with store.read() as db:
        before = {item.kind.value: item for item in notify_levels.levels(db)}
    assert (before["order_accepted"].level, before["order_accepted"].is_set) == ("silent", False)
    (set_,) = notify_levels.set_level(store, "Order-Accepted", "ON", at=AT, by="a test")
    assert (set_.kind, set_.level, set_.is_set) == ("order_accepted", "on", True)
    every = notify_levels.set_level(store, "all", "silent", at=AT + MINUTE, by="a test")
    assert {item.level for item in every} == {NotifyLevel.SILENT}
    assert len(every) == len(before)
    with store.read() as db:
        rows = db._rows("SELECT DISTINCT set_by FROM notification_levels")
    assert rows == [("a test",)]


@pytest.mark.parametrize(("kind", "level"), [("bell", "on"), ("halt", "loud"), ("", "on")])
def test_a_kind_or_level_that_is_none_is_refused_with_those_there_are(
    kind: str, level: str
) -> None:
    store = DuckStore(":memory:")
    with pytest.raises(ConfigError, match=r"there are: .*(all, order_accepted|on, silent, off)"):
        notify_levels.set_level(store, kind, level, at=AT, by="a test")
    with store.read() as db:
        assert db.notification_levels() == {}


async def _until_sent(house: House) -> None:
    """Run until nothing waits, however long the channel makes it wait."""
    for _ in range(30):
        await house.flush()
        if not house.waiting():
            return
        line = house.sender._lines[0]
        house.clock.advance(max(timedelta(0), line.free_at - house.clock.now()))
    raise AssertionError("it never ends")
