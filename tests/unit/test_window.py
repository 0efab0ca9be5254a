"""When a sending window is open, also on the days that clocks change."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sender.delivery.window import DEFAULT_WINDOW, SendingWindow, window_of, zone_of
from sender.store.campaigns import Run

LONDON = ZoneInfo("Europe/London")
NIGHT = SendingWindow(0, 90)
WHOLE_DAY = SendingWindow(0, 1440)
MINUTE = timedelta(minutes=1)

ZONES = [
    ZoneInfo(name)
    for name in (
        "UTC",
        "Europe/London",
        "Europe/Dublin",  # winter time is the exception there
        "Australia/Lord_Howe",  # changes by half an hour
        "America/Havana",  # changes at midnight
        "Asia/Beirut",
        "America/St_Johns",  # changed at one minute past midnight
        "Pacific/Apia",  # left a whole day out
        "Asia/Kathmandu",
        "Africa/Casablanca",
        "America/Scoresbysund",
    )
]

moments = st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # the zone is given beside
windows = st.tuples(st.integers(0, 1440), st.integers(0, 1440)).filter(lambda w: w[0] != w[1])
around_changes = st.sampled_from(
    [
        datetime(2026, 3, 29, 1, tzinfo=UTC),  # London, forward
        datetime(2026, 10, 25, 1, tzinfo=UTC),  # London, back
        datetime(2026, 4, 4, 15, tzinfo=UTC),  # Lord Howe, back
        datetime(2026, 10, 3, 15, 30, tzinfo=UTC),  # Lord Howe, forward
        datetime(2026, 3, 8, 5, tzinfo=UTC),  # Havana, forward
        datetime(2026, 11, 1, 5, tzinfo=UTC),  # Havana, back
        datetime(2010, 11, 7, 2, 31, tzinfo=UTC),  # St John's, back over midnight
        datetime(2011, 12, 30, 10, tzinfo=UTC),  # Apia
    ]
)
near_changes = st.builds(
    lambda change, minutes: change + timedelta(minutes=minutes),
    around_changes,
    st.integers(-1500, 1500),
)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]  # year to minute


def shows(at: datetime, zone: ZoneInfo) -> time:
    return at.astimezone(zone).time()


@pytest.mark.parametrize(
    ("at", "is_open"),
    [
        (utc(2026, 1, 15, 9), True),
        (utc(2026, 1, 15, 8, 59), False),
        (utc(2026, 1, 15, 19, 59), True),
        (utc(2026, 1, 15, 20), False),
        (utc(2026, 7, 15, 8), True),  # summer time
        (utc(2026, 7, 15, 7, 59), False),
    ],
)
def test_the_usual_hours_are_nine_to_eight_on_the_clock_of_the_zone(
    at: datetime, *, is_open: bool
) -> None:
    assert DEFAULT_WINDOW.is_open(at, LONDON) is is_open


def test_who_is_written_to_at_night_waits_for_the_morning() -> None:
    assert DEFAULT_WINDOW.next_opening(utc(2026, 7, 15, 22), LONDON) == utc(2026, 7, 16, 8)
    assert DEFAULT_WINDOW.next_opening(utc(2026, 1, 15, 3), LONDON) == utc(2026, 1, 15, 9)


def test_in_an_open_window_nobody_waits() -> None:
    at = utc(2026, 1, 15, 12).replace(second=7, microsecond=9)
    assert DEFAULT_WINDOW.next_opening(at, LONDON) == at
    assert DEFAULT_WINDOW.closes_at(at, LONDON) == utc(2026, 1, 15, 20)


def test_a_window_that_is_shut_has_closed_already() -> None:
    at = utc(2026, 1, 15, 21)
    assert DEFAULT_WINDOW.closes_at(at, LONDON) == at


def test_the_whole_day_never_closes() -> None:
    assert WHOLE_DAY.closes_at(utc(2026, 1, 15, 12), LONDON) is None
    assert WHOLE_DAY.is_open(utc(2026, 1, 15, 23, 59), LONDON)
    assert WHOLE_DAY.is_open(utc(2026, 1, 15), LONDON)


def test_a_window_may_end_at_midnight() -> None:
    evening = SendingWindow(18 * 60, 1440)
    assert evening.closes_at(utc(2026, 1, 15, 19), LONDON) == utc(2026, 1, 16)


def test_an_hour_that_comes_twice_counts_twice() -> None:
    first, second = utc(2026, 10, 25, 0, 15), utc(2026, 10, 25, 1, 15)  # 01:15 both
    assert NIGHT.closes_at(first, LONDON) == utc(2026, 10, 25, 0, 30)
    assert NIGHT.next_opening(utc(2026, 10, 25, 0, 30), LONDON) == utc(2026, 10, 25, 1)
    assert NIGHT.closes_at(second, LONDON) == utc(2026, 10, 25, 1, 30)


def test_a_window_of_an_hour_that_is_left_out_opens_the_next_day() -> None:
    skipped = SendingWindow(75, 105)  # 01:15 to 01:45
    assert skipped.next_opening(utc(2026, 3, 29), LONDON) == utc(2026, 3, 30, 0, 15)


def test_a_window_that_would_open_in_an_hour_left_out_opens_when_the_clock_has_jumped() -> None:
    early = SendingWindow(90, 180)  # 01:30 to 03:00
    assert early.next_opening(utc(2026, 3, 29), LONDON) == utc(2026, 3, 29, 1)


def test_a_window_that_would_close_in_an_hour_left_out_closes_when_the_clock_jumps() -> None:
    assert NIGHT.closes_at(utc(2026, 3, 29, 0, 30), LONDON) == utc(2026, 3, 29, 1)


@given(moments | near_changes, st.sampled_from(ZONES), windows)
@example(utc(2026, 10, 25, 0, 45), LONDON, (75, 105))
def test_the_next_opening_is_the_first_open_moment(
    at: datetime, zone: ZoneInfo, hours: tuple[int, int]
) -> None:
    window = SendingWindow(min(hours), max(hours))
    opening = window.next_opening(at, zone)
    assert opening >= at
    assert window.is_open(opening, zone)
    assert opening - at < timedelta(days=3)
    # Clocks show whole minutes and are changed on them, so no open moment lies between two.
    moment = at
    while moment < opening:
        assert not window.is_open(moment, zone), moment
        moment = (moment + MINUTE).replace(second=0, microsecond=0)


@given(moments | near_changes, st.sampled_from(ZONES), windows)
def test_it_closes_at_the_first_shut_moment(
    at: datetime, zone: ZoneInfo, hours: tuple[int, int]
) -> None:
    window = SendingWindow(min(hours), max(hours))
    closing = window.closes_at(at, zone)
    if closing is None:
        assert window == WHOLE_DAY
        return
    assert not window.is_open(closing, zone)
    moment = at
    while moment < closing:
        assert window.is_open(moment, zone), moment
        moment = (moment + MINUTE).replace(second=0, microsecond=0)


@given(st.dates(date(2000, 1, 2), date(2030, 1, 1)), st.sampled_from(ZONES))
def test_the_usual_hours_come_every_day_that_there_is(day: date, zone: ZoneInfo) -> None:
    noon = datetime.combine(day, time(12), tzinfo=zone)
    if noon.astimezone(UTC).astimezone(zone).date() != day:
        return  # Apia had no 30 December 2011
    start = datetime.combine(day, time(0), tzinfo=zone)
    opening = DEFAULT_WINDOW.next_opening(start, zone)
    assert opening.astimezone(zone).date() == day
    assert shows(opening, zone) == time(9)


@pytest.mark.parametrize("hours", [(-1, 5), (5, 5), (6, 5), (0, 1441)])
def test_hours_that_are_none_are_refused(hours: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="one day"):
        SendingWindow(*hours)


def test_a_person_s_own_zone_is_used_where_it_is_known() -> None:
    assert zone_of("America/New_York", LONDON).key == "America/New_York"


@pytest.mark.parametrize(
    "name", [None, "", "Mars/Olympus", "../etc/passwd", "/etc/passwd", "Europe", "a\0b", "x" * 400]
)
def test_an_unknown_zone_is_the_controllers(name: str | None) -> None:
    assert zone_of(name, LONDON) is LONDON


def test_a_run_keeps_its_own_hours() -> None:
    assert window_of(Run(window_opens=540, window_closes=1200)) == DEFAULT_WINDOW
    assert window_of(Run(window_opens=None, window_closes=None)) is None
