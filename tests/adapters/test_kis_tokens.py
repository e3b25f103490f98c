"""The shared access token: its file, its life and the minute between two issues."""

import asyncio
import json
import stat
from datetime import UTC, datetime, timedelta

import pytest

from tests.kis_stand_in import NOW, CountingClock
from trading_core.adapters.kis.redaction import Redactor
from trading_core.adapters.kis.tokens import IssuedToken, TokenCache
from trading_core.errors import BrokerUnavailable, RateLimited, TokenExpired

MIDNIGHT_IN_SEOUL = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


class Issuer:
    def __init__(self, lifetime=timedelta(days=1)):
        self.lifetime = lifetime
        self.count = 0
        self.errors = []

    async def __call__(self):
        await asyncio.sleep(0)
        if self.errors:
            raise self.errors.pop(0)
        self.count += 1
        return IssuedToken(f"token-{self.count}", self.lifetime)


@pytest.fixture
def clock():
    return CountingClock(NOW)


def cache(folder, issuer, clock, key="app|host"):
    return TokenCache(folder, key=key, issue=issuer, clock=clock, redactor=Redactor())


async def test_one_token_serves_until_it_is_due(tmp_path, clock):
    issuer = Issuer()
    tokens = cache(tmp_path, issuer, clock)
    assert [await tokens.get() for _ in range(3)] == ["token-1"] * 3
    assert issuer.count == 1


async def test_another_process_finds_the_token_on_disk(tmp_path, clock):
    issuer = Issuer()
    await cache(tmp_path, issuer, clock).get()
    assert await cache(tmp_path, issuer, clock).get() == "token-1"
    assert issuer.count == 1


async def test_many_at_once_ask_the_broker_once(tmp_path, clock):
    issuer = Issuer()
    caches = [cache(tmp_path, issuer, clock) for _ in range(8)]
    got = await asyncio.gather(*(c.get() for c in caches for _ in range(3)))
    assert set(got) == {"token-1"}
    assert issuer.count == 1


async def test_only_its_owner_may_read_the_file(tmp_path, clock):
    await cache(tmp_path, Issuer(), clock).get()
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in tmp_path.iterdir()}
    assert len(modes) == 2
    assert set(modes.values()) == {0o600}


async def test_file_names_do_not_show_the_key(tmp_path, clock):
    await cache(tmp_path, Issuer(), clock, key="PSsecretkey|https://host").get()
    assert not [p for p in tmp_path.iterdir() if "PSsecretkey" in p.name]


async def test_another_app_or_host_has_another_token(tmp_path, clock):
    issuer = Issuer()
    first = await cache(tmp_path, issuer, clock, key="app|real").get()
    second = await cache(tmp_path, issuer, clock, key="app|paper").get()
    assert (first, second) == ("token-1", "token-2")


async def test_a_token_dies_at_midnight_in_seoul_whatever_its_lifetime(tmp_path, clock):
    tokens = cache(tmp_path, Issuer(), clock)
    await tokens.get()
    clock.advance(MIDNIGHT_IN_SEOUL - NOW - timedelta(seconds=1))
    assert await tokens.get() == "token-1"
    clock.advance(timedelta(seconds=1))
    assert await tokens.get() == "token-2"


async def test_a_short_token_is_renewed_ahead_of_its_end(tmp_path, clock):
    tokens = cache(tmp_path, Issuer(timedelta(hours=1)), clock)
    await tokens.get()
    clock.advance(timedelta(minutes=53))
    assert await tokens.get() == "token-1"
    clock.advance(timedelta(minutes=1))
    assert await tokens.get() == "token-2"


async def test_the_old_token_serves_while_renewing_ahead_fails(tmp_path, clock):
    issuer = Issuer(timedelta(hours=1))
    tokens = cache(tmp_path, issuer, clock)
    await tokens.get()
    clock.advance(timedelta(minutes=55))
    issuer.errors = [BrokerUnavailable("down")]
    assert await tokens.get() == "token-1"
    clock.advance(timedelta(minutes=5))
    issuer.errors = [BrokerUnavailable("down")]
    with pytest.raises(BrokerUnavailable):
        await tokens.get()


async def test_a_dropped_token_is_replaced_after_the_minute(tmp_path, clock):
    issuer = Issuer()
    tokens = cache(tmp_path, issuer, clock)
    await tokens.get()
    clock.advance(timedelta(seconds=20))
    await tokens.drop("token-1")
    assert await tokens.get() == "token-2"
    assert clock.waits == [NOW + timedelta(seconds=60)]


async def test_the_impatient_are_told_instead_of_waiting(tmp_path, clock):
    tokens = cache(tmp_path, Issuer(), clock)
    await tokens.get()
    await tokens.drop("token-1")
    with pytest.raises(TokenExpired):
        await tokens.get(patient=False)
    assert clock.waits == []


async def test_dropping_a_token_that_was_replaced_already_keeps_the_new_one(tmp_path, clock):
    issuer = Issuer()
    ours, theirs = cache(tmp_path, issuer, clock), cache(tmp_path, issuer, clock)
    await ours.get()
    await theirs.get()
    clock.advance(timedelta(minutes=2))
    await theirs.drop("token-1")
    assert await theirs.get() == "token-2"
    await ours.drop("token-1")
    assert await ours.get() == "token-2"
    assert issuer.count == 2


async def test_a_refusal_of_the_broker_to_issue_is_waited_out(tmp_path, clock):
    issuer = Issuer()
    issuer.errors = [RateLimited("once a minute", "EGW00133")]
    assert await cache(tmp_path, issuer, clock).get() == "token-1"
    assert clock.waits == [NOW + timedelta(seconds=60)]


async def test_waiting_for_a_token_ends(tmp_path, clock):
    issuer = Issuer()
    issuer.errors = [RateLimited("once a minute", "EGW00133") for _ in range(10)]
    with pytest.raises(TokenExpired):
        await cache(tmp_path, issuer, clock).get()
    assert len(clock.waits) < 10


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", '{"token": "x"}', '{"token":"x","issued_at":"a","expires_at":"b"}'],
)
async def test_a_broken_file_counts_as_none(tmp_path, clock, content):
    issuer = Issuer()
    await cache(tmp_path, issuer, clock).get()
    [path] = tmp_path.glob("token-*.json")
    path.write_text(content)
    assert await cache(tmp_path, issuer, clock).get() == "token-2"


async def test_a_token_from_the_future_belongs_to_another_clock(tmp_path, clock):
    issuer = Issuer()
    await cache(tmp_path, issuer, clock).get()
    earlier = CountingClock(NOW - timedelta(days=1))
    assert await cache(tmp_path, issuer, earlier).get() == "token-2"
    assert earlier.waits == []


async def test_the_file_is_replaced_in_one_piece(tmp_path, clock):
    tokens = cache(tmp_path, Issuer(timedelta(minutes=10)), clock)
    for _ in range(5):
        await tokens.get()
        clock.advance(timedelta(minutes=9))
        [path] = tmp_path.glob("token-*.json")
        assert json.loads(path.read_text())["token"]
    assert not list(tmp_path.glob(".token-*"))


class Repeater(Issuer):
    """Hands out one token again and again, and says until when it lives."""

    def __init__(self, expires_at):
        super().__init__()
        self.expires_at = expires_at

    async def __call__(self):
        issued = await super().__call__()
        return IssuedToken("the-same", issued.lifetime, self.expires_at)


async def test_a_token_lives_no_longer_than_the_time_the_broker_names(tmp_path, clock):
    until = NOW + timedelta(hours=3)
    issuer = Repeater(until)
    tokens = cache(tmp_path, issuer, clock)
    await tokens.get()
    [path] = tmp_path.glob("token-*.json")
    assert datetime.fromisoformat(json.loads(path.read_text())["expires_at"]) == until
    clock.advance(timedelta(hours=2, minutes=50))
    await tokens.get()
    assert issuer.count == 2


async def test_a_token_that_is_handed_out_again_keeps_its_end(tmp_path, clock):
    # Lives until 23:00 in Seoul: handed out again half an hour before, it is not good for a day.
    until = MIDNIGHT_IN_SEOUL - timedelta(hours=1)
    tokens = cache(tmp_path, Repeater(until), clock)
    await tokens.get()
    clock.advance(until - NOW - timedelta(minutes=20))
    assert await tokens.get() == "the-same"
    [path] = tmp_path.glob("token-*.json")
    assert datetime.fromisoformat(json.loads(path.read_text())["expires_at"]) == until


async def test_a_repeated_token_keeps_its_end_even_when_the_reply_names_none(tmp_path, clock):
    issuer = Issuer(timedelta(hours=2))
    tokens = cache(tmp_path, issuer, clock)
    await tokens.get()
    issuer.count -= 1
    clock.advance(timedelta(hours=1, minutes=55))
    assert await tokens.get() == "token-1"
    [path] = tmp_path.glob("token-*.json")
    kept = datetime.fromisoformat(json.loads(path.read_text())["expires_at"])
    assert kept == NOW + timedelta(hours=2)


async def test_a_stated_end_in_the_past_belongs_to_another_clock(tmp_path, clock):
    tokens = cache(tmp_path, Repeater(NOW - timedelta(days=400)), clock)
    assert [await tokens.get(), await tokens.get()] == ["the-same"] * 2
    assert clock.waits == []


async def test_the_token_at_hand_is_told_without_asking(tmp_path, clock):
    issuer = Issuer()
    tokens = cache(tmp_path, issuer, clock)
    assert tokens.current() == ""
    await tokens.get()
    assert cache(tmp_path, issuer, clock).current() == "token-1"
    assert issuer.count == 1
