"""Headlines, events and readings as values: cleaned, bounded, aware."""

from __future__ import annotations

import math
import unicodedata
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.record_factories import AT, make_event_due, make_headline, make_reading
from trading_core.model.sources import MAX_TITLE, SourceAsk, SourceKind, plain_text


@given(st.text(alphabet=st.characters(), max_size=900), st.integers(1, 400))
def test_any_text_becomes_one_bounded_line_that_can_be_stored(text: str, longest: int) -> None:
    cleaned = plain_text(text, longest)
    assert len(cleaned) <= longest
    assert cleaned == cleaned.strip()
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs") for c in cleaned)
    assert "\n" not in cleaned
    cleaned.encode()
    assert plain_text(cleaned, longest) == cleaned


def test_marks_that_turn_or_hide_text_are_taken_out() -> None:
    assert plain_text("buy\u202e now\u200b\x00!\u2028 next", 40) == "buy now ! next"
    # One Korean syllable, written as three letters or as one.
    assert plain_text(unicodedata.normalize("NFD", "한"), 40) == "한"


def test_a_title_is_cut() -> None:
    assert len(make_headline("x" * 5000).title) == MAX_TITLE


def test_times_are_utc_and_must_say_their_zone() -> None:
    seoul = timezone(timedelta(hours=9))
    headline = make_headline(published_at=datetime(2026, 11, 20, 9, 0, tzinfo=seoul))
    assert headline.published_at.isoformat() == "2026-11-20T00:00:00+00:00"
    assert headline.published_at.tzinfo is UTC
    with pytest.raises(ValueError, match="no time zone"):
        make_headline(published_at=datetime(2026, 11, 20))  # noqa: DTZ001
    with pytest.raises(ValueError, match="no time zone"):
        make_event_due(at=datetime(2026, 11, 20))  # noqa: DTZ001
    with pytest.raises(ValueError, match="no time zone"):
        make_reading(at=datetime(2026, 11, 20))  # noqa: DTZ001


@pytest.mark.parametrize("sentiment", [1.01, -1.01, math.nan, math.inf])
def test_a_score_of_another_scale_is_no_sentiment(sentiment: float) -> None:
    with pytest.raises(ValueError, match="not from -1 to 1"):
        make_headline(sentiment=sentiment)


def test_what_says_nothing_is_no_record() -> None:
    with pytest.raises(ValueError, match="without a title"):
        make_headline("\x00 \u200b")
    with pytest.raises(ValueError, match="without a name"):
        make_event_due(" ")
    with pytest.raises(ValueError, match="no number"):
        make_reading(value=math.nan)
    assert make_reading(change_pct=math.inf).change_pct is None


def test_the_same_line_of_another_hour_is_the_same_record() -> None:
    first = make_headline()
    assert make_headline(fetched_at=AT + timedelta(hours=1)).headline_id == first.headline_id
    assert make_headline(" SAMSUNG  ships").headline_id == first.headline_id
    for change in ({"symbol": None}, {"market": "US"}, {"source": "rss"}, {"url": "x"}):
        assert make_headline(**change).headline_id != first.headline_id


def test_a_revision_is_the_same_event_and_says_something_else() -> None:
    first = make_event_due()
    later = make_event_due(at=first.at + timedelta(minutes=30), forecast="3 %")
    assert later.event_id == first.event_id
    assert later.says != first.says
    assert make_event_due(at=first.at + timedelta(days=1)).event_id != first.event_id
    assert make_event_due(fetched_at=AT + timedelta(days=1)).says == first.says


def test_a_reason_names_the_kind_and_nothing_wrong_has_none() -> None:
    ask = SourceAsk(SourceKind.NEWS, "finnhub", "US", AT, 0, "finnhub answered 401")
    assert ask.reason == "news: finnhub answered 401"
    assert SourceAsk(SourceKind.NEWS, "finnhub", "US", AT, 3).reason == ""
