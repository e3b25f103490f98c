"""A backup takes the place of the state, and nothing is sent before the broker agrees."""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from pathlib import Path

import pytest

from tests.trading_fakes import KR, Floor, MakeFloor, busy, when
from tests.unit.twin.handmade_tape import minute
from trading_core.adapters.duck.store import DuckStore, count_rows
from trading_core.adapters.duck.store_place import DuckPlace
from trading_core.adapters.local_archive import LocalArchive
from trading_core.errors import BackupError, BrokerUnavailable, TradingHalted
from trading_core.model.journal import HaltKind, HaltLevel
from trading_core.model.order import OrderState, Side
from trading_core.rules.trading_state import ALL
from trading_core.steps import operate
from trading_core.steps.backup import back_up
from trading_core.steps.restore import (
    agree_with_broker,
    bring_back,
    choose,
    require_agreement,
)

PLANS = {
    "A": [when("price <= 10000")],
    "B": [when("price <= 9000")],
}
PRICES = {"A": busy(*[10_000] * 60), "B": busy(*[10_000] * 10, *[9_000] * 50)}


class Desk:
    """One account, its store on disk, and its backups."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.floor: Floor = MakeFloor(home)(PRICES, PLANS)
        self.path = home / "trades.db"
        self.floor.store = DuckStore(self.path)
        with self.floor.store.write() as tx:
            tx.append([self.floor.book])
        self.archive = LocalArchive(home / "backups", count_rows)
        self.place = DuckPlace(self.path, timeout_seconds=0.2)

    def back_up(self, n: float):
        return back_up(self.floor.store, self.archive, at=minute(n))

    def restore(self, n: float, **changes):
        scratch = self.home / "scratch"
        scratch.mkdir(exist_ok=True)
        return bring_back(
            self.place,
            self.archive,
            self.archive.manifests()[0],
            source="here",
            groups=[KR],
            scratch=scratch,
            safety_copy=self.home / "trades.db.before",
            at=minute(n),
            **changes,
        )

    async def agree(self, n: float):
        return await agree_with_broker(self.floor.broker, self.floor.store, at=minute(n))


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


def damage(path: str) -> None:
    content = bytearray(Path(path).read_bytes())
    content[7000] ^= 1
    Path(path).write_bytes(content)


async def traded(desk: Desk) -> None:
    """A is bought, the backup is made, B is bought, and the file of the store is lost."""
    await desk.floor.tick(minute(2))
    await desk.floor.tick(minute(4))
    desk.back_up(5)
    await desk.floor.tick(minute(12))
    await desk.floor.tick(minute(14))
    assert await desk.floor.holding("B") > 0
    desk.path.unlink()


async def test_orders_and_fills_since_the_backup_come_back_from_the_brokers_book(desk):
    await traded(desk)
    true = await desk.floor.holding("B")
    desk.restore(15)

    [agreed] = await desk.agree(16)

    assert (agreed.orders, agreed.fills, agreed.adopted, agreed.problem) == (1, 1, 0, "")
    order = desk.floor.order("B")
    assert (order.state, order.filled_quantity) == (OrderState.FILLED, true)
    assert order.intent.intent_id.startswith("recovered-KR-")
    # It is guarded as any position is.
    assert desk.floor.protections()["B"].stop_loss_pct < 0


async def test_doing_it_again_changes_nothing(desk):
    await traded(desk)
    desk.restore(15)
    await desk.agree(16)
    before = [record.intent.intent_id for record in desk.floor.orders()]

    assert await desk.agree(17) == ()
    assert [record.intent.intent_id for record in desk.floor.orders()] == before


async def test_nothing_trades_before_the_books_agree_and_entries_wait_for_a_person(desk):
    await traded(desk)
    desk.restore(15)
    kinds = {(h.kind, h.scope, h.level) for h in desk.floor.halts()}
    assert kinds == {
        (HaltKind.RESTORE, "KR", HaltLevel.HALTED),
        (HaltKind.OPERATOR, ALL, HaltLevel.REDUCING),
    }
    with pytest.raises(TradingHalted, match="has not been compared with the broker"):
        require_agreement(desk.floor.store)
    with pytest.raises(TradingHalted, match="ouroboros restore --reconcile"):
        operate.resume(desk.floor.store, scope=ALL, by="in a hurry", at=minute(15))
    assert len(desk.floor.halts()) == 2

    await desk.agree(16)

    require_agreement(desk.floor.store)
    assert [h.kind for h in desk.floor.halts()] == [HaltKind.OPERATOR]
    assert (await desk.floor.tick(minute(17))).sent == ()
    operate.resume(desk.floor.store, scope=ALL, by="looked at it", at=minute(18))
    assert desk.floor.halts() == []


async def test_a_broker_that_does_not_answer_leaves_the_halt(desk, monkeypatch):
    await traded(desk)
    desk.restore(15)

    async def down(*_):
        raise BrokerUnavailable("down")

    with monkeypatch.context() as patch:
        patch.setattr(desk.floor.broker, "orders", down)
        [agreed] = await desk.agree(16)
    assert "gave no answer: down" in agreed.problem
    assert HaltKind.RESTORE in {h.kind for h in desk.floor.halts()}

    [agreed] = await desk.agree(17)
    assert agreed.problem == ""


async def test_an_order_that_still_works_is_ours_again_and_is_cancelled_under_the_halt(desk):
    desk.back_up(1)
    number = desk.floor.by_hand(Side.BUY, 5, 8_000, "A")
    desk.restore(2)

    [agreed] = await desk.agree(3)
    assert (agreed.orders, agreed.fills) == (1, 0)
    await desk.floor.tick(minute(4))

    assert [int(row.order_no) for row in desk.floor.broker.cancelled] == [number]


async def test_an_order_whose_answer_was_lost_with_the_backup_is_not_taken_over_twice(desk):
    desk.floor.broker.script = ["lost reply"]
    await desk.floor.tick(minute(2))
    desk.back_up(2)
    desk.restore(3)

    [agreed] = await desk.agree(4)

    assert agreed.orders == 0
    [order] = [r for r in desk.floor.orders() if r.intent.instrument.symbol == "A"]
    assert order.state is OrderState.FILLED


async def test_what_was_there_is_kept_and_the_restored_state_is_the_backups(desk):
    await desk.floor.tick(minute(2))
    backup = desk.back_up(5)
    await desk.floor.tick(minute(12))
    now = desk.place.rows()

    done = desk.restore(15)

    assert (done.rows_before, done.backup.rows, done.lost) == (
        now,
        backup.rows,
        timedelta(minutes=10),
    )
    assert count_rows(desk.home / "trades.db.before") == now
    with desk.floor.store.read() as reader:
        [row] = reader.restores()
        assert row.safety_copy == str(desk.home / "trades.db.before")
        assert row.sha256 == backup.sha256
        assert len(reader.orders(KR)) == 1


async def test_a_dry_run_verifies_and_changes_nothing(desk):
    desk.back_up(1)
    before = desk.path.read_bytes()

    done = desk.restore(2, dry_run=True)

    assert (done.restore, done.halts) == (None, ())
    assert desk.path.read_bytes() == before
    assert not (desk.home / "trades.db.before").exists()


@pytest.mark.parametrize("dry_run", [False, True])
async def test_a_backup_that_is_damaged_is_refused_and_the_store_stays(desk, dry_run):
    record = desk.back_up(1)
    damage(record.path)
    before = desk.path.read_bytes()

    with pytest.raises(BackupError, match="is damaged"):
        desk.restore(2, dry_run=dry_run)
    assert desk.path.read_bytes() == before


async def test_a_store_that_is_damaged_is_put_aside(desk):
    desk.back_up(1)
    desk.path.write_bytes(b"not a database any more")

    done = desk.restore(2)

    assert done.rows_before is None
    assert (desk.home / "trades.db.before").read_bytes() == b"not a database any more"
    assert desk.floor.halts()


async def test_a_session_that_runs_forbids_it_and_one_that_died_does_not(desk):
    desk.back_up(1)
    me = f"{socket.gethostname()}:{os.getppid()}:2025-09-10 00.00 UTC:abc"
    with desk.floor.store.write() as tx:
        tx.acquire_lease("session-KR-2025-09-10", me, minute(1), timedelta(minutes=30))
    with pytest.raises(TradingHalted, match=f"is held by process {os.getppid()}"):
        desk.restore(2)

    gone = f"{socket.gethostname()}:999999999:2025-09-10 00.00 UTC:abc"
    with desk.floor.store.write() as tx:
        tx.release_lease("session-KR-2025-09-10", me)
        tx.acquire_lease("session-KR-2025-09-10", gone, minute(1), timedelta(minutes=30))
    desk.restore(2)


async def test_nobody_holds_a_session_of_a_restored_store(desk):
    with desk.floor.store.write() as tx:
        tx.acquire_lease("session-KR-x", "elsewhere:1:then:x", minute(0), timedelta(hours=9))
    desk.back_up(1)
    desk.path.unlink()

    desk.restore(2)

    with desk.floor.store.read() as reader:
        assert reader.lease_holder("session-KR-x", at=minute(2)) is None


def test_the_newest_backup_at_or_before_a_time_is_chosen(desk):
    first, second = desk.back_up(1), desk.back_up(5)
    backups = desk.archive.manifests()

    assert choose(backups, None).backup_id == second.backup_id
    assert choose(backups, minute(4)).backup_id == first.backup_id
    assert choose(backups, minute(5)).backup_id == second.backup_id
    with pytest.raises(BackupError, match=r"no backup from .* or before"):
        choose(backups, minute(0))
