"""When a sending window is open, also on the days that clocks change."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from sender.campaigns.schedule import SendingWindow
from sender.campaigns.window import closes_at

LONDON = ZoneInfo("Europe/London")
DAY = SendingWindow(time(9), time(20))


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]  # year to minute


@pytest.mark.parametrize(
    ("now", "end"),
    [
        (utc(2026, 1, 15, 9), utc(2026, 1, 15, 20)),
        (utc(2026, 1, 15, 8, 59), None),
        (utc(2026, 1, 15, 19, 59), utc(2026, 1, 15, 20)),
        (utc(2026, 1, 15, 20), None),
        (utc(2026, 7, 15, 8), utc(2026, 7, 15, 19)),  # summer time
        (utc(2026, 7, 15, 7, 59), None),
        (utc(2026, 3, 29, 8), utc(2026, 3, 29, 19)),  # clocks went forward that night
    ],
)
def test_the_window_is_on_the_controllers_clock(now: datetime, end: datetime | None) -> None:
    assert closes_at(DAY, LONDON, now) == end


def test_a_window_that_ends_in_the_repeated_hour_ends_the_first_time() -> None:
    night = SendingWindow(time(0), time(1, 30))
    assert closes_at(night, LONDON, utc(2026, 10, 25, 0, 15)) == utc(2026, 10, 25, 0, 30)
