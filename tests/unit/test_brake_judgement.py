"""At what figures the brake pauses a run."""

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.controllers.brake_thresholds import BrakeThresholds, exceeds
from sender.delivery.brake import Figures, judge

DEFAULTS = BrakeThresholds()
PERCENTS = st.integers(0, 10_000).map(lambda hundredths: hundredths / 100)
COUNTS = st.integers(0, 2_000_000)
FIGURES = st.builds(
    Figures,
    accepted=COUNTS,
    hard_bounces=COUNTS,
    complaints=COUNTS,
    opt_outs=COUNTS,
    silence=st.integers(0, 7200).map(lambda seconds: timedelta(seconds=seconds)),
)
THRESHOLDS = st.builds(
    BrakeThresholds,
    least_accepted=st.integers(1, 100_000),
    hard_bounce_percent=PERCENTS,
    complaint_percent=PERCENTS,
    opt_out_percent=PERCENTS,
    silence_minutes=st.integers(1, 120),
)


@pytest.mark.parametrize(
    ("just_well", "too_much", "word"),
    [
        ({"hard_bounces": 50}, {"hard_bounces": 51}, "hard bounces"),
        ({"complaints": 1}, {"complaints": 2}, "complaints"),
        ({"opt_outs": 20}, {"opt_outs": 21}, "opt-outs"),
        (
            {"silence": timedelta(minutes=15)},
            {"silence": timedelta(minutes=15, microseconds=1)},
            "no event",
        ),
    ],
)
def test_a_run_pauses_above_a_threshold_and_not_at_it(
    just_well: dict[str, Any], too_much: dict[str, Any], word: str
) -> None:
    figures = Figures(accepted=1000)
    assert judge(replace(figures, **just_well), DEFAULTS) is None
    reason = judge(replace(figures, **too_much), DEFAULTS)
    assert reason is not None
    assert word in reason


@pytest.mark.parametrize("accepted", [0, 1, 999])
def test_nothing_is_judged_before_a_thousand_were_accepted(accepted: int) -> None:
    worst = Figures(accepted, accepted, accepted, accepted, timedelta(days=1))
    assert judge(worst, DEFAULTS) is None
    assert judge(replace(worst, accepted=1000, hard_bounces=1000), DEFAULTS) is not None


@given(FIGURES, THRESHOLDS)
def test_it_judges_as_the_rule_is_written(figures: Figures, thresholds: BrakeThresholds) -> None:
    shares = [
        (figures.hard_bounces, thresholds.hard_bounce_percent),
        (figures.complaints, thresholds.complaint_percent),
        (figures.opt_outs, thresholds.opt_out_percent),
    ]
    grave = figures.silence > thresholds.silence or any(
        figures.accepted and Fraction(count, figures.accepted) > Fraction(str(percent)) / 100
        for count, percent in shares
    )
    expected = grave and figures.accepted >= thresholds.least_accepted
    assert (judge(figures, thresholds) is not None) == expected


@given(COUNTS, st.integers(1, 2_000_000), PERCENTS)
def test_a_share_is_compared_exactly(count: int, accepted: int, percent: float) -> None:
    hundredths = round(percent * 100)
    assert exceeds(count, accepted, percent) == (count * 10_000 > hundredths * accepted)


def test_a_reason_has_the_numbers() -> None:
    reason = judge(Figures(12_345, complaints=13), DEFAULTS)
    assert reason == "complaints: 13 or more of 12,345 accepted messages, over 0.1 %."
