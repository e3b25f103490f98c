"""What the settings make of the broker's connection."""

from unittest.mock import sentinel

import pytest

from tests.kis_stand_in import ACCOUNT, APP_KEY, APP_SECRET, NOW
from trading_core.adapters.kis import connection
from trading_core.adapters.kis.tr_table import Query
from trading_core.clock import FixedClock
from trading_core.errors import ConfigError
from trading_core.wiring import broker, configure

KEYS = {"kis_app_key": APP_KEY, "kis_app_secret": APP_SECRET, "kis_account_no": ACCOUNT}


@pytest.fixture
def opened(monkeypatch, tmp_path):
    """Opens the connection of some settings and answers with what it was asked to be."""
    asked = {}

    def open_kis(**options):
        asked.update(options)
        return sentinel.connection

    monkeypatch.setattr(connection, "open_kis", open_kis)

    def of(**changes):
        settings = configure(ouroboros_home=tmp_path, **changes)
        place = broker.Place.of(settings)
        assert broker.connect(settings, place, FixedClock(NOW)) is sentinel.connection
        return asked

    return of


def test_certificates_are_checked_everywhere_but_at_the_paper_host(opened):
    paper = opened(**KEYS, mode="paper")
    assert (paper["verify_tls"], paper["personality"]) == (False, "paper")
    assert connection.PAPER_HOST in paper["base_url"]
    live = opened(**KEYS, mode="live")
    assert (live["verify_tls"], live["personality"]) == (True, "real")
    assert connection.REAL_HOST in live["base_url"]
    twin = opened(twin_url="http://127.0.0.1:9443")
    assert (twin["verify_tls"], twin["personality"]) == (True, "real")


def test_orders_are_signed_unless_that_is_switched_off(opened):
    assert opened(**KEYS, mode="live")["hashkey"] is True
    assert opened(**KEYS, mode="live", kis_hashkey=False)["hashkey"] is False


def test_korean_orders_go_to_krx_unless_another_route_is_set(opened):
    assert opened(**KEYS, mode="live")["route"] == "KRX"
    assert opened(**KEYS, mode="live", kis_route="SOR")["route"] == "SOR"
    assert opened(twin_url="http://127.0.0.1:9443", kis_route="NXT")["route"] == "NXT"


@pytest.mark.parametrize("changes", [{"kis_route": "NXT"}, {"kis_route": "SOR"}])
def test_a_paper_account_with_another_route_does_not_start(opened, changes):
    with pytest.raises(ConfigError, match=r"KIS_ROUTE.*paper.*KRX"):
        opened(**KEYS, mode="paper", **changes)


def test_a_route_that_does_not_exist_does_not_start(opened):
    with pytest.raises(ConfigError, match="KIS_ROUTE=NYSE"):
        opened(**KEYS, mode="live", kis_route="NYSE")


def test_the_rate_is_two_calls_a_second_and_never_more_than_twenty(opened):
    assert opened(**KEYS, mode="paper")["rate_limit_rps"] == 2.0
    assert opened(**KEYS, mode="live", rate_limit_rps=20)["rate_limit_rps"] == 20.0
    with pytest.raises(ConfigError, match="RATE_LIMIT_RPS"):
        opened(**KEYS, mode="live", rate_limit_rps=21)


def test_the_overseas_rankings_are_the_right_ones_and_can_be_set_or_switched_off(opened):
    usual = opened(**KEYS, mode="live")["endpoints"]
    for query in (Query.FLUCTUATION, Query.VOLUME_RANK):
        assert (usual[query].path, usual[query].real) == (query.value.path, query.value.real)
    assert usual[Query.FLUCTUATION].real == "HHDFS76290000"
    assert usual[Query.VOLUME_RANK].real == "HHDFS76310010"
    other = opened(**KEYS, mode="live", overseas_ranking_fluct_tr_id="HHDFS76260000")["endpoints"]
    assert other[Query.FLUCTUATION].real == "HHDFS76260000"
    off = opened(**KEYS, mode="live", overseas_ranking_enabled=False)["endpoints"]
    assert {endpoint.real for endpoint in off.values()} == {""}
