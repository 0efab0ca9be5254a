"""One calendar month as the ICO counts it, and thirty days for a complaint."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.store.requests import SubjectRequest
from sender.subjects.desk import deadline_of
from sender.subjects.due import acknowledge_by, one_month_after

DAYS = st.dates(date(2000, 1, 1), date(2100, 1, 1))


@pytest.mark.parametrize(
    ("received", "due"),
    [
        pytest.param("2026-09-03", "2026-10-05", id="the same day next month is a Saturday"),
        pytest.param("2025-09-03", "2025-10-03", id="the same day next month"),
        pytest.param("2026-03-31", "2026-04-30", id="there is no 31st of April"),
        pytest.param("2027-01-31", "2027-03-01", id="28 February 2027 is a Sunday"),
        pytest.param("2028-01-31", "2028-02-29", id="a leap year"),
        pytest.param("2025-12-31", "2026-02-02", id="over the year's end, and a weekend"),
    ],
)
def test_an_answer_is_due_in_a_calendar_month(received: str, due: str) -> None:
    assert one_month_after(date.fromisoformat(received)) == date.fromisoformat(due)


@given(DAYS)
def test_it_is_a_working_day_of_about_a_month_later(received: date) -> None:
    due = one_month_after(received)
    assert due.weekday() < 5
    assert timedelta(days=28) <= due - received <= timedelta(days=33)


@given(DAYS)
def test_a_later_request_is_never_due_sooner(received: date) -> None:
    assert one_month_after(received) <= one_month_after(received + timedelta(days=1))


def test_a_complaint_is_acknowledged_within_thirty_days_of_which_the_first_is_its_own() -> None:
    assert acknowledge_by(date(2026, 5, 1)) == date(2026, 5, 30)


def test_a_complaint_is_due_on_whichever_day_comes_first_until_it_is_acknowledged() -> None:
    received = date(2025, 1, 31)
    row = SubjectRequest(due_on=one_month_after(received), acknowledge_by=acknowledge_by(received))
    assert (row.due_on, row.acknowledge_by) == (date(2025, 2, 28), date(2025, 3, 1))
    assert deadline_of(row) == row.due_on
    later = SubjectRequest(due_on=date(2026, 6, 8), acknowledge_by=date(2026, 6, 5))
    assert deadline_of(later) == later.acknowledge_by
    later.acknowledged_on = date(2026, 5, 8)
    assert deadline_of(later) == later.due_on
