"""Doubles, sums of scores, and the lines a prompt gets."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.record_factories import AT, make_event_due, make_headline, make_reading
from trading_core.model.sources import Gathered, Headline, Sentiment, SourceKind
from trading_core.rules.headlines import (
    age,
    event_lines,
    headline_lines,
    reading_lines,
    sentiment_of,
    unique,
)

HOUR = timedelta(hours=1)


def titles(headlines: list[Headline]) -> list[str]:
    return [headline.title for headline in headlines]


def test_one_story_is_told_once_whatever_its_punctuation_or_address() -> None:
    told = [
        make_headline("Apple beats!", url="a"),
        make_headline("APPLE  beats", url="b"),
        make_headline("Apple did beat", url="a"),
        make_headline("Something else", url=""),
        make_headline("Another thing", url=""),
    ]
    assert len(unique(told)) == 3


def test_the_same_story_of_two_symbols_is_told_of_both() -> None:
    told = unique([make_headline(symbol=symbol) for symbol in ("A", "B", None)])
    assert {h.symbol for h in told} == {"A", "B", None}


def test_the_scored_telling_is_the_one_that_stays() -> None:
    [kept] = unique(
        [
            make_headline(url="a", sentiment=None, published_at=AT - HOUR * 5),
            make_headline(url="b", sentiment=-0.5, published_at=AT - HOUR),
        ]
    )
    assert kept.sentiment == -0.5


def test_titles_without_letters_are_not_all_one_story() -> None:
    assert len(unique([make_headline("???", url=""), make_headline("!!!", url="")])) == 2


scores = st.lists(st.none() | st.floats(-1, 1), min_size=1, max_size=12)


@given(scores)
def test_the_mean_is_over_the_scored_ones_alone_and_none_without_any(
    given_scores: list[float | None],
) -> None:
    told = [make_headline(f"n{n}", sentiment=score, url="") for n, score in enumerate(given_scores)]
    found = sentiment_of(told)["005930"]
    known = [score for score in given_scores if score is not None]
    assert (found.scored, found.of) == (len(known), len(given_scores))
    if known:
        assert found.mean is not None
        assert abs(found.mean - sum(known) / len(known)) < 1e-12
    else:
        assert found.mean is None


def test_nobody_told_of_a_symbol_is_not_a_neutral_symbol() -> None:
    found = sentiment_of([make_headline("a", sentiment=None), make_headline("b", symbol=None)])
    assert found["005930"] == Sentiment(None, 0, 1)
    assert found[""].mean == 0.25
    assert "000660" not in found


def test_lines_have_age_and_score_and_say_when_there_is_none() -> None:
    told = (
        make_headline("Ships", published_at=AT - HOUR * 3),
        make_headline("Talks", sentiment=None, published_at=AT - HOUR * 4),
        make_headline("Calm", symbol=None, sentiment=0.0, published_at=AT - HOUR),
    )
    lines = headline_lines(
        Gathered(headlines=told, sentiment=sentiment_of(told)), AT, ["000660", "005930"]
    )
    assert lines == [
        "market | 60 min ago | score +0.00 | Calm",
        "005930 | all 2 headlines: mean score +0.25 of 1",
        "005930 | 3 h ago | score +0.25 | Ships",
        "005930 | 4 h ago | no score | Talks",
    ]


def test_no_news_at_all_is_said_where_news_was_asked_for_and_left_out_where_not() -> None:
    [line] = headline_lines(Gathered(missing=(SourceKind.NEWS,)), AT, ["005930"])
    assert line.startswith("news: no data")
    assert event_lines(Gathered(missing=(SourceKind.CALENDAR,)), "Asia/Seoul")[0].startswith(
        "events: no data"
    )
    assert reading_lines(Gathered(missing=(SourceKind.MARKET,)), AT) == ["markets: no data"]
    assert headline_lines(Gathered(), AT, ["005930"]) == []
    assert event_lines(Gathered(), "Asia/Seoul") == reading_lines(Gathered(), AT) == []


def test_events_are_on_the_wall_clock_of_the_exchange_with_the_figures_that_are_there() -> None:
    event = make_event_due(previous="2.25 %")
    [line] = event_lines(Gathered(events=(event,)), "Asia/Seoul")
    local = (event.at + HOUR * 9).strftime("%Y-%m-%d %H:%M")
    assert line == (
        f"{local} | KR | importance high | Rate decision | forecast 2.5 %, previous 2.25 %"
    )


def test_a_level_without_a_change_does_not_look_unchanged() -> None:
    moved = make_reading("VIX", 18.25, change_pct=-2.5)
    lines = reading_lines(Gathered(readings=(make_reading(), moved)), AT)
    assert lines == [
        "KOSPI 4100.5 | change: no data | 5 h ago",
        "VIX 18.25 | change -2.50 % | 5 h ago",
    ]


def test_ages_in_the_unit_a_person_would_use() -> None:
    spans = (timedelta(minutes=-5), timedelta(minutes=89), HOUR * 2, HOUR * 47, HOUR * 72)
    assert [age(span) for span in spans] == [
        "0 min ago",
        "89 min ago",
        "2 h ago",
        "47 h ago",
        "3 d ago",
    ]
