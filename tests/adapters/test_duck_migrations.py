"""How a file becomes the store's, and what happens to files that are not."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from tests.record_factories import (
    SESSION,
    make_context,
    make_notification,
    make_playbook,
    one_of_each,
)
from trading_core.adapters.duck import DuckStore
from trading_core.adapters.duck.migrations import MIGRATIONS, migrate, schema_version
from trading_core.adapters.duck.rows import CLOSED_TRADES, RECORD_TABLES
from trading_core.errors import SchemaTooNew, StoreError
from trading_core.model.journal import ContextLayer, HaltLevel
from trading_core.model.portfolio import ExitState, Protection, StopBasis


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.duckdb"


def test_the_first_use_makes_the_folder_and_a_file_at_the_newest_version(tmp_path: Path) -> None:
    path = tmp_path / "a" / "new" / "home" / "state.duckdb"
    with DuckStore(path).read() as db:
        assert db.fills() == []
    with duckdb.connect(str(path), read_only=True) as connection:
        steps = connection.execute("SELECT * FROM schema_migrations ORDER BY version").fetchall()
    assert steps == [(n, step.__name__) for n, step in enumerate(MIGRATIONS, start=1)]


def test_every_column_of_a_record_has_a_column_in_its_table() -> None:
    connection = duckdb.connect(":memory:")
    migrate(connection)
    for table in (*RECORD_TABLES, CLOSED_TRADES):
        found = {row[0] for row in connection.execute(f"DESCRIBE {table.name}").fetchall()}
        wanted = {column.name for column in table.columns}
        assert found - {"id"} == wanted, table.name
        assert table.numbered == ("id" in found), table.name


@pytest.mark.parametrize("done", range(1, len(MIGRATIONS)))
@pytest.mark.parametrize("first_use", ["read", "write"])
def test_an_older_file_takes_the_missing_steps_and_keeps_its_rows(
    path: Path, done: int, first_use: str
) -> None:
    with duckdb.connect(str(path)) as connection:
        migrate(connection, MIGRATIONS[:done])
        connection.execute(
            "INSERT INTO halts (halt_id, kind, scope, reason, raised_at, lifted_by)"
            " VALUES ('h', 'operator', 'ALL', '', now(), '')"
        )
    store = DuckStore(path)
    with getattr(store, first_use)() as db:
        assert [(halt.halt_id, halt.level) for halt in db.open_halts()] == [
            ("h", HaltLevel.REDUCING)
        ]
    with store.write() as tx:
        tx.append(one_of_each())
    with duckdb.connect(str(path), read_only=True) as connection:
        assert schema_version(connection) == len(MIGRATIONS)


def test_a_guard_of_an_older_file_is_kept_with_the_stop_it_had(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        migrate(connection, MIGRATIONS[:3])
        for minute, state, peak in ((0, "holding", 100), (1, "holding", 104), (2, "exiting", 104)):
            connection.execute(
                "INSERT INTO protections VALUES"
                " ('KR', DATE '2026-01-02', 'A', -2.5, 6.0, ?, ?,"
                " TIMESTAMPTZ '2026-01-02 00:00:00+00' + ? * INTERVAL 1 MINUTE)",
                [state, peak, minute],
            )
    with DuckStore(path).read() as db:
        guard = db.protections("KR")["A"]
    assert guard == Protection(
        symbol="A",
        stop_loss_pct=-2.5,
        take_profit_pct=6.0,
        state=ExitState.EXITING,
        peak_price=Decimal(104),
        updated_at=datetime(2026, 1, 2, 0, 2, tzinfo=UTC),
    )
    assert (guard.stop_basis, guard.opened_at) == (StopBasis.SET, None)


def test_an_order_of_an_older_file_follows_none_and_its_state_can_be_read(path: Path) -> None:
    before = [step.__name__ for step in MIGRATIONS].index("chases_of_orders")
    with duckdb.connect(str(path)) as connection:
        migrate(connection, MIGRATIONS[:before])
        connection.execute(
            "INSERT INTO order_intents VALUES (1, 'i', 'd', 'KR', 'A', 'KR', '', false,"
            " DATE '2026-01-02', 'BUY', 10, 'limit', 100, 100, 'KRW', 'entry', now())"
        )
    with DuckStore(path).read() as db:
        order = db.order("i")
    assert order is not None
    assert (order.intent.quantity, order.intent.chases) == (10, "")
    with duckdb.connect(str(path), read_only=True) as connection:
        states = connection.execute("SELECT intent_id, state FROM order_states").fetchall()
    assert states == [("i", "intended")]


def test_memory_of_an_older_file_keeps_what_cannot_be_computed_again(path: Path) -> None:
    before = [step.__name__ for step in MIGRATIONS].index("layers_of_memory")
    with duckdb.connect(str(path)) as connection:
        migrate(connection, MIGRATIONS[:before])
        for number, layer in enumerate(ContextLayer):
            connection.execute(
                "INSERT INTO contexts VALUES ($1, $2, '2026-01-02', 'x_KR', '1', $3, $3)",
                [number, str(layer), datetime(2026, 1, 2, tzinfo=UTC)],
            )
    store = DuckStore(path)
    entry = make_context(layer=ContextLayer.L6, timeframe="2026-01-02", key="x_KR", value=2)
    for _ in range(2):
        with store.write() as tx:
            tx.append([entry])
    with store.read() as db:
        kept = {layer: [e.value for e in db.context_history(layer)] for layer in ContextLayer}
    assert {layer.value: values for layer, values in kept.items() if values} == {
        "L1": [1],
        "L6": [2],
        "L7": [1],
    }


def test_trades_of_an_older_file_have_no_won_rate_and_none_is_made_up(path: Path) -> None:
    before = [step.__name__ for step in MIGRATIONS].index("won_of_trades")
    with duckdb.connect(str(path)) as connection:
        migrate(connection, MIGRATIONS[:before])
        connection.execute(
            "INSERT INTO fills VALUES (1, 'f', 'i', '1', 'US', 'A', 'US_NASDAQ', '', false,"
            " DATE '2026-01-02', 'BUY', 10, 100, 1000, 1, 0, 'USD', now())"
        )
        connection.execute(
            "INSERT INTO equity VALUES ('US', DATE '2026-01-02', now(), 'USD', 1, 0, 1)"
        )
    with DuckStore(path).read() as db:
        [fill] = db.fills("US")
        [point] = db.equity_curve("US", date(2026, 1, 2))
        assert (fill.krw_rate, point.krw_rate, db.splits("US")) == (None, None, [])
    with duckdb.connect(str(path), read_only=True) as connection:
        [row] = connection.execute("SELECT pnl, krw_rate, pnl_krw FROM trades").fetchall()
        held = connection.execute("SELECT quantity FROM positions").fetchall()
    assert (row, held) == ((0, None, None), [(10,)])


def test_migrating_twice_changes_nothing(path: Path) -> None:
    for _ in range(2):
        with DuckStore(path).write() as tx:
            tx.append(one_of_each())
    with DuckStore(path).read() as db:
        assert db.playbook("KR", SESSION) == make_playbook()


def test_a_step_that_fails_leaves_nothing_of_itself() -> None:
    def broken(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("CREATE TABLE half (a INTEGER)")
        connection.execute("SELECT no_such_column")

    connection = duckdb.connect(":memory:")
    migrate(connection)
    with pytest.raises(duckdb.Error):
        migrate(connection, (*MIGRATIONS, broken))
    assert schema_version(connection) == len(MIGRATIONS)
    assert (
        connection.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'half'").fetchall()
        == []
    )


@pytest.mark.parametrize("use", ["read", "write"])
def test_a_file_of_a_newer_version_is_refused_and_not_touched(path: Path, use: str) -> None:
    with DuckStore(path).write():
        pass
    with duckdb.connect(str(path)) as connection:
        connection.execute("INSERT INTO schema_migrations VALUES (99, 'from_the_future')")
    before = path.read_bytes()
    with pytest.raises(SchemaTooNew, match=r"state\.duckdb .* version 99.*update the program"):
        getattr(DuckStore(path), use)().__enter__()
    assert path.read_bytes() == before


@pytest.mark.parametrize("use", ["read", "write"])
def test_a_database_of_another_program_is_refused_and_not_touched(path: Path, use: str) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE their_own (a INTEGER)")
    with pytest.raises(StoreError, match="tables of another program"):
        getattr(DuckStore(path), use)().__enter__()
    with duckdb.connect(str(path)) as connection:
        assert connection.execute("SHOW TABLES").fetchall() == [("their_own",)]


@pytest.mark.parametrize("use", ["read", "write"])
@pytest.mark.parametrize("content", [b"", b"abc", b"SQLite format 3\0" + b"\0" * 9000, b"x" * 9000])
def test_a_file_that_is_no_database_is_one_clear_line(path: Path, content: bytes, use: str) -> None:
    path.write_bytes(content)
    with pytest.raises(StoreError, match="restore a backup") as caught:
        getattr(DuckStore(path), use)().__enter__()
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == content


@pytest.mark.parametrize("use", ["read", "write"])
def test_a_damaged_file_is_one_clear_line(path: Path, use: str) -> None:
    with DuckStore(path).write() as tx:
        tx.append(one_of_each())
    content = bytearray(path.read_bytes())
    content[12_288:] = os.urandom(len(content) - 12_288)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="restore a backup") as caught:
        getattr(DuckStore(path), use)().__enter__()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("use", ["read", "write"])
def test_a_folder_in_its_place_is_one_clear_line(path: Path, use: str) -> None:
    path.mkdir()
    with pytest.raises(StoreError, match="name a file, not a folder"):
        getattr(DuckStore(path), use)().__enter__()


def test_a_file_in_the_place_of_its_folder_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(StoreError, match="cannot make the folder"):
        DuckStore(tmp_path / "home" / "state.duckdb").write().__enter__()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open every file")
def test_a_folder_without_permission_is_one_clear_line(path: Path) -> None:
    path.parent.chmod(0o500)
    try:
        with pytest.raises(StoreError, match="permission"):
            DuckStore(path).write().__enter__()
    finally:
        path.parent.chmod(0o700)


def test_a_failed_start_leaves_no_lock_behind(path: Path) -> None:
    path.write_bytes(b"junk")
    store = DuckStore(path, timeout_seconds=2.0)
    for _ in range(2):
        with pytest.raises(StoreError, match="restore a backup"):
            store.write().__enter__()
    path.unlink()
    with store.write() as tx:
        tx.append([make_notification()])


def test_a_file_that_was_begun_by_a_killed_process_is_begun_again(path: Path) -> None:
    path.with_name(path.name + ".new").write_bytes(b"half a file")
    with DuckStore(path).write() as tx:
        tx.append([make_notification()])
    assert not path.with_name(path.name + ".new").exists()


_FILL_THE_DISK = """
import resource, signal, sys
from pathlib import Path
from tests.record_factories import make_notification
from trading_core.adapters.duck import DuckStore
from trading_core.errors import StoreError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    with DuckStore(Path(sys.argv[1])).write() as tx:
        tx.append(make_notification(notification_id=str(n), text=f"{n * 7919}" * 4000)
                  for n in range(400))
except StoreError as error:
    print(error)
    sys.exit(3)
"""


def test_a_full_disk_is_one_clear_line_and_nothing_is_half_written(path: Path) -> None:
    store = DuckStore(path)
    with store.write() as tx:
        tx.append([make_notification()])
    limit = path.stat().st_size + 300_000
    done = subprocess.run(
        [sys.executable, "-c", _FILL_THE_DISK, str(path), str(limit)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 3, done.stderr
    assert "free some disk space" in done.stdout
    assert done.stdout.count("\n") == 1
    with store.read() as db:
        assert db._connection.execute("SELECT count(*) FROM notifications").fetchall() == [(1,)]


def test_a_tick_imports_neither_pandas_nor_pyarrow_nor_pytz() -> None:
    code = (
        "import sys; from tests.record_factories import one_of_each;"
        "from trading_core.adapters.duck import DuckStore; s = DuckStore(':memory:')\n"
        "with s.write() as tx: tx.append(one_of_each()); tx.orders(); tx.fills()\n"
        "print([m for m in ('pandas', 'pyarrow', 'polars', 'pytz', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.strip() == "[]"
