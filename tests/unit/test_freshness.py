"""Consent ages in calendar months, and what is stale stays stale."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.consent.freshness import FreshnessPolicy, months_before, stale_from

MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(  # noqa: DTZ001 - zone below
    lambda moment: moment.replace(tzinfo=UTC)
)
MONTHS = st.integers(0, 120)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "months", "earlier"),
    [
        ("2026-05-07T09:30", 24, "2024-05-07T09:30"),
        ("2026-05-07T09:30", 18, "2024-11-07T09:30"),
        ("2026-01-15T00:00", 1, "2025-12-15T00:00"),
        ("2026-12-31T23:59", 12, "2025-12-31T23:59"),
        ("2024-02-29T12:00", 24, "2022-03-01T00:00"),
        ("2026-03-31T12:00", 1, "2026-03-01T00:00"),
        ("2025-08-31T12:00", 18, "2024-03-01T00:00"),
        ("2026-07-31T12:00", 1, "2026-07-01T00:00"),
        ("2026-05-07T09:30", 0, "2026-05-07T09:30"),
    ],
)
def test_months_are_calendar_months(moment: str, months: int, earlier: str) -> None:
    assert months_before(utc(moment), months) == utc(earlier)


@given(MOMENTS, MOMENTS, MONTHS)
def test_time_passing_never_makes_a_stale_consent_fresh(
    one: datetime, other: datetime, months: int
) -> None:
    sooner, later = sorted((one, other))
    assert months_before(sooner, months) <= months_before(later, months)


@given(MOMENTS, st.integers(0, 3 * 24 * 60), MONTHS)
def test_nor_does_it_around_the_end_of_a_month(moment: datetime, minutes: int, months: int) -> None:
    start = moment.replace(day=28)
    later = start + timedelta(minutes=minutes)
    assert months_before(start, months) <= months_before(later, months)


@given(MOMENTS, MONTHS)
def test_the_cut_off_is_within_a_day_length_of_the_months_asked_for(
    moment: datetime, months: int
) -> None:
    earlier = months_before(moment, months)
    apart = (moment.year - earlier.year) * 12 + moment.month - earlier.month
    assert apart in {months, months - 1}
    assert months_before(moment, months + 1) <= earlier


@given(st.integers(1, 60), st.integers(0, 60), st.none() | st.integers(1, 90))
def test_a_campaign_can_only_be_stricter(warn: int, more: int, limit: int | None) -> None:
    policy = FreshnessPolicy(warn_months=warn, hold_months=warn + more)
    tightened = policy.tightened(limit)
    assert tightened.hold_months == min(policy.hold_months, limit or policy.hold_months)
    assert tightened.warn_months <= policy.warn_months
    assert tightened.warn_months <= tightened.hold_months


def test_the_default_warns_at_18_months_and_holds_at_24() -> None:
    assert FreshnessPolicy() == FreshnessPolicy(warn_months=18, hold_months=24)


@given(
    MOMENTS
    | MOMENTS.map(lambda moment: moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)),
    MONTHS,
)
def test_a_yes_is_stale_from_the_first_moment_that_the_cut_off_reaches_it(
    last_act: datetime, months: int
) -> None:
    found = stale_from(last_act, months)
    assert months_before(found, months) >= last_act
    assert months_before(found - timedelta(microseconds=1), months) < last_act
