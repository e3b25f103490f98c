"""A slice of a real trading day on the twin, and a search of everything it wrote."""

import gzip
import logging
from datetime import date, timedelta
from decimal import Decimal

from tests.trading_fakes import playbook, when
from trading_core import wiring
from trading_core.model.market import Currency, MarketGroup
from trading_core.rules.calendar import require_session
from trading_core.steps import backup, execute, review
from trading_core.steps.observe import observe
from trading_core.steps.opening import open_day
from trading_core.steps.reconcile import reconcile
from trading_core.steps.tell import of_pass, tell
from trading_core.steps.tick import decide
from trading_core.twin.exchange import SimulatedExchange
from trading_core.twin.faults import FaultAction, FaultPlan, FaultRule
from trading_core.twin.server import serve
from trading_core.twin.synthetic import synthetic_tape
from trading_core.twin.venue import AccountSpec

KR = MarketGroup.KR
SESSION = date(2026, 11, 20)
APP_KEY, APP_SECRET = "PSq8ZkEy0123456789abcdefghijklmnopqr", "Qz7+/sEcReT" * 16
ACCOUNT = "73519264-01"


class VenueClock:
    def __init__(self, venue):
        self._venue = venue

    def now(self):
        return self._venue.now

    async def sleep_until(self, at):
        self._venue.advance_to(at)


async def tick(runtime, day, at):
    books = await reconcile(
        runtime.broker, runtime.store, group=KR, session=SESSION, at=at, session_over=False
    )
    view = await observe(runtime.market_data, books=books, day=day, at=at)
    plan = decide(view, runtime.policy)
    execute.journal(runtime.store, plan)
    await execute.cancel_all(runtime.broker, runtime.store, runtime.lock, books, plan)
    sent = await execute.send_all(runtime.broker, runtime.store, runtime.lock, books, plan)
    await tell(runtime.notifier, runtime.store, of_pass(books, plan, sent))
    return sent


def contents(home):
    """The bytes of every file below, unpacked where packed; the token's own file left out."""
    for path in sorted(home.rglob("*")):
        if path.is_file() and not path.name.startswith("token-"):
            data = path.read_bytes()
            yield path, gzip.decompress(data) if path.suffix == ".gz" else data


async def test_nothing_secret_is_written_on_a_day_of_trading(tmp_path, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    tape = synthetic_tape(KR, SESSION, symbols=8, seed=3)
    account = AccountSpec(ACCOUNT, {Currency.KRW: Decimal(100_000_000)})
    venue = SimulatedExchange(tape, [account], at=tape.hours.open_at + timedelta(minutes=30))
    faults = FaultPlan()
    twin = await serve(venue, faults=faults)
    monkeypatch.setattr(wiring.broker, "REAL_URL", twin.base_url)
    settings = wiring.configure(
        kis_app_key=APP_KEY, kis_app_secret=APP_SECRET, kis_account_no=ACCOUNT, mode="live",
        ouroboros_home=tmp_path, enabled_markets=(KR,), rate_limit_rps=20.0,
    )  # fmt: skip
    wiring.confirm_live(settings, venue.now)
    wanted = {
        item.symbol: [when("price > 0", stop_loss_pct=-3.0)] for item in venue.instruments()[:3]
    }
    secrets = {APP_KEY, APP_SECRET, ACCOUNT, ACCOUNT[:8], ACCOUNT.replace("-", "")}
    async with wiring.open_runtime(settings, clock=VenueClock(venue)) as runtime:
        keys = runtime.broker._inner._desk._transport
        secrets |= {await keys.approval_key(), await keys.tokens.get()}
        session = require_session(KR, SESSION)
        book = playbook(wanted, session=SESSION)
        day = await open_day(
            runtime.market_data, runtime.history, group=KR, session=session, playbook=book
        )
        sent = [*await tick(runtime, day, venue.now)]
        # Refused, garbled and lost answers write the most.
        for action in ("reject", "garbage", "drop_after", "http_500"):
            faults.install([FaultRule(FaultAction(action), every=3)], replace=True)
            venue.advance_to(venue.now + timedelta(minutes=5))
            try:
                sent += await tick(runtime, day, venue.now)
            except Exception:
                logging.getLogger(__name__).exception("the tick failed")
        faults.install([], replace=True)
        venue.advance_to(session.close_at + timedelta(minutes=20))
        await review.settle_day(
            runtime.broker, runtime.store, group=KR, session=session, at=venue.now
        )
        review.score_day(runtime.store, group=KR, session=session, at=venue.now)
        backup.back_up(runtime.store, runtime.archive, at=venue.now)
        secrets.add(await keys.tokens.get())
        shown = [repr(runtime), repr(settings)]
    await twin.stop()
    assert any(item.order_no for item in sent)
    assert "httpcore" in caplog.text
    assert "httpx" in caplog.text
    written = dict(contents(tmp_path))
    assert any(path.name == "trades.db" for path in written)
    texts = [caplog.text.encode(), *(text.encode() for text in shown), *written.values()]
    names = "".join(str(path) for path in tmp_path.rglob("*")).encode()
    found = [
        secret[:6] for secret in secrets for text in [*texts, names] if secret.encode() in text
    ]
    assert found == []


async def test_the_search_would_find_a_secret(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "log.gz").write_bytes(gzip.compress(APP_KEY.encode()))
    (tmp_path / "token-1.json").write_text(APP_SECRET)
    assert [data for _, data in contents(tmp_path)] == [APP_KEY.encode()]


async def test_the_token_s_file_is_its_owner_s_alone(tmp_path):
    tape = synthetic_tape(KR, SESSION, symbols=8, seed=3)
    venue = SimulatedExchange(tape, [AccountSpec(ACCOUNT, {Currency.KRW: Decimal(1)})])
    twin = await serve(venue)
    settings = wiring.configure(twin_url=twin.base_url, ouroboros_home=tmp_path)
    async with wiring.open_runtime(settings, clock=VenueClock(venue)) as runtime:
        await runtime.market_data.quote(venue.instruments()[0])
    await twin.stop()
    [path] = (tmp_path / "kis").glob("token-*.json")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
