"""Stated confidence against what came of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_core.rules.calibration import calibrate

samples_of_any_kind = st.lists(st.tuples(st.integers(0, 100), st.booleans()), min_size=1)


def test_the_brier_score_of_a_worked_example() -> None:
    # (0.9-1)^2 + (0.8-0)^2 + (0.8-1)^2 + (0.6-0)^2 = 0.01 + 0.64 + 0.04 + 0.36, over 4.
    found = calibrate([(90, True), (80, False), (80, True), (60, False)])
    assert found.brier == pytest.approx(0.2625)
    assert found.hit_rate_pct == 50.0
    assert found.base_brier == pytest.approx(0.25)


def test_bins_tell_stated_from_realised() -> None:
    found = calibrate([(80, True), (89, False), (85, False), (90, True), (100, False)])
    assert [(b.low, b.high, b.count) for b in found.bins] == [(80, 90, 3), (90, 100, 2)]
    eighties, nineties = found.bins
    assert eighties.stated_pct == pytest.approx(84.6667, abs=1e-3)
    assert eighties.realized_pct == pytest.approx(33.3333, abs=1e-3)
    assert nineties.gap == pytest.approx(45.0)


def test_nothing_settled_is_no_data_and_not_a_perfect_score() -> None:
    found = calibrate([])
    assert (found.samples, found.brier, found.hit_rate_pct, found.bins) == (0, None, None, ())
    assert found.summary()["brier"] is None


@given(samples_of_any_kind)
def test_every_sample_is_in_one_bin_and_scores_stay_in_their_range(
    samples: list[tuple[int, bool]],
) -> None:
    found = calibrate(samples)
    assert sum(b.count for b in found.bins) == found.samples == len(samples)
    assert found.brier is not None and 0 <= found.brier <= 1
    assert all(b.low <= b.stated_pct <= b.high for b in found.bins)
    assert sum(b.count * b.realized_pct for b in found.bins) == pytest.approx(
        100 * sum(won for _, won in samples)
    )


@given(samples_of_any_kind)
def test_stating_the_hit_rate_itself_scores_the_base_score(
    samples: list[tuple[int, bool]],
) -> None:
    rate = sum(won for _, won in samples) / len(samples) * 100
    honest = calibrate([(rate, won) for _, won in samples])
    assert honest.brier == pytest.approx(honest.base_brier)


@given(samples_of_any_kind)
def test_it_agrees_with_scikit_learn(samples: list[tuple[int, bool]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    stated = [confidence / 100 for confidence, _ in samples]
    theirs = metrics.brier_score_loss([won for _, won in samples], stated, pos_label=True)
    assert calibrate(samples).brier == pytest.approx(theirs)
