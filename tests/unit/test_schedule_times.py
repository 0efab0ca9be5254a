"""When schedules are due: on the wall clock of their zone, through gaps and repeated hours."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sender.campaigns.schedule import Bounds, Once, Recurring, Relative, Schedule
from sender.campaigns.schedule_times import Due, due, moment_of, upcoming

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
ZONES = [
    "Europe/London",
    "Europe/Dublin",  # winter time is its daylight saving
    "America/New_York",
    "America/Sao_Paulo",  # skipped midnight, until it gave daylight saving up
    "America/Caracas",  # half an hour, twice, for good
    "Australia/Lord_Howe",  # half an hour of daylight saving
    "Asia/Kathmandu",
    "Asia/Pyongyang",
    "Africa/Casablanca",  # gives it up for a month each year
    "Pacific/Apia",  # left a day out
    "UTC",
]
Wall = Callable[[datetime], bool]
CRONS: dict[str, Wall] = {
    "0 9 * * *": lambda wall: (wall.hour, wall.minute) == (9, 0),
    "30 1 * * *": lambda wall: (wall.hour, wall.minute) == (1, 30),
    "0 0 * * *": lambda wall: (wall.hour, wall.minute) == (0, 0),
    "*/20 * * * *": lambda wall: wall.minute % 20 == 0,
    "15 2 * * 0": lambda wall: (wall.hour, wall.minute, wall.isoweekday()) == (2, 15, 7),
    "0 12 L * *": lambda wall: (wall.hour, wall.minute, (wall + DAY).day) == (12, 0, 1),
}
moments = st.datetimes(
    datetime(2004, 1, 1),  # noqa: DTZ001 - the strategy puts the zone on
    datetime(2037, 1, 1),  # noqa: DTZ001 - likewise
    timezones=st.just(UTC),
).map(lambda moment: moment.replace(microsecond=0))
spans = st.integers(0, 60 * 24 * 10).map(lambda minutes: minutes * MINUTE)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def wall(text: str) -> datetime:
    return datetime.fromisoformat(text)


def cron(expression: str, zone: str = "Europe/London", **bounds: object) -> Recurring:
    return Recurring(expression, within(zone, **bounds))


def within(zone: str, **bounds: object) -> Bounds:
    return Bounds(**{"time_zone": zone, "start": None, "end": None, "blackout": (), **bounds})  # type: ignore[arg-type]  # a test names what it means


def moments_of(found: list[Due]) -> list[str]:
    return [f"{one.due_at:%Y-%m-%dT%H:%M}" for one in found]


class TestMoment:
    @pytest.mark.parametrize(
        ("zone", "shown", "moment"),
        [
            ("Europe/London", "2026-07-01T09:00", "2026-07-01T08:00"),
            ("Europe/London", "2026-03-29T01:30", "2026-03-29T01:00"),  # skipped
            ("Europe/London", "2026-03-29T01:00", "2026-03-29T01:00"),
            ("Europe/London", "2026-03-29T02:00", "2026-03-29T01:00"),
            ("Europe/London", "2026-10-25T01:30", "2026-10-25T00:30"),  # shown twice
            ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:30"),
            ("Australia/Lord_Howe", "2026-04-05T01:45", "2026-04-04T14:45"),
            ("America/Sao_Paulo", "2018-11-04T00:00", "2018-11-04T03:00"),
            ("Pacific/Apia", "2011-12-30T09:00", "2011-12-30T10:00"),
        ],
    )
    def test_of_a_time_of_day(self, zone: str, shown: str, moment: str) -> None:
        assert moment_of(wall(shown), ZoneInfo(zone)) == at(moment)

    @given(st.sampled_from(ZONES), moments)
    @example("Australia/Lord_Howe", at("2026-10-04T02:15"))
    @example("America/Sao_Paulo", at("2018-11-04T00:30"))
    def test_is_the_first_at_which_the_clocks_show_that_much(
        self, name: str, shown: datetime
    ) -> None:
        zone, shown = ZoneInfo(name), shown.replace(tzinfo=None, second=0)
        moment = shown.replace(tzinfo=UTC) - timedelta(hours=26)
        while moment.astimezone(zone).replace(tzinfo=None) < shown:
            moment += MINUTE
        assert moment_of(shown, zone) == moment


class TestOnce:
    def test_is_due_at_its_moment_and_never_again(self) -> None:
        schedule = Once(at("2026-05-07T08:00"))
        assert due(schedule, at("2026-05-07T07:59"), at("2026-05-07T08:00")) == [
            Due(at("2026-05-07T08:00"))
        ]
        assert due(schedule, at("2026-05-07T08:00"), at("2027-01-01T00:00")) == []
        assert due(schedule, at("2026-05-07T07:00"), at("2026-05-07T07:59")) == []
        assert upcoming(schedule, at("2026-05-07T08:00"), 3) == []


class TestCron:
    def test_keeps_to_the_wall_clock_when_the_clocks_change(self) -> None:
        found = due(cron("0 9 * * *"), at("2026-03-28T00:00"), at("2026-03-31T00:00"))
        assert moments_of(found) == ["2026-03-28T09:00", "2026-03-29T08:00", "2026-03-30T08:00"]

    def test_that_falls_into_a_skipped_hour_is_due_after_it_once(self) -> None:
        found = due(cron("*/20 1 * * *"), at("2026-03-29T00:00"), at("2026-03-29T06:00"))
        assert moments_of(found) == ["2026-03-29T01:00"]

    def test_and_not_twice_beside_a_time_that_is_due_then_anyhow(self) -> None:
        found = due(cron("30 1,2 * * *"), at("2026-03-29T00:00"), at("2026-03-29T06:00"))
        assert moments_of(found) == ["2026-03-29T01:00", "2026-03-29T01:30"]

    def test_that_falls_into_a_repeated_hour_is_due_once(self) -> None:
        found = due(cron("30 1 * * *"), at("2026-10-25T00:00"), at("2026-10-25T06:00"))
        assert moments_of(found) == ["2026-10-25T00:30"]

    def test_is_not_due_again_for_somebody_who_asks_within_the_repeated_hour(self) -> None:
        found = due(cron("*/20 * * * *"), at("2026-10-25T01:05"), at("2026-10-25T02:20"))
        assert moments_of(found) == ["2026-10-25T02:00", "2026-10-25T02:20"]

    def test_keeps_to_its_days(self) -> None:
        schedule = cron(
            "0 0 * * *",
            start=date(2026, 5, 2),
            end=date(2026, 5, 5),
            blackout=(date(2026, 5, 3),),
        )
        found = due(schedule, at("2020-01-01T00:00"), at("2030-01-01T00:00"))
        assert moments_of(found) == ["2026-05-01T23:00", "2026-05-03T23:00", "2026-05-04T23:00"]

    def test_a_blackout_is_of_the_day_in_its_own_zone(self) -> None:
        schedule = cron("30 0 * * *", "Pacific/Auckland", blackout=(date(2026, 7, 2),))
        found = upcoming(schedule, at("2026-06-30T00:00"), 2)
        assert moments_of(found) == ["2026-06-30T12:30", "2026-07-02T12:30"]

    def test_that_has_run_out_of_days_is_never_due(self) -> None:
        schedule = cron("0 9 * * *", end=date(2026, 5, 7))
        assert upcoming(schedule, at("2026-05-07T08:00"), 5) == []

    @pytest.mark.parametrize(
        ("expression", "first"),
        [
            ("0 9 * * FRI#1", "2026-06-05T08:00"),
            ("0 9 L * *", "2026-05-31T08:00"),
            ("0 9 29 2 *", "2028-02-29T09:00"),
        ],
    )
    def test_has_names_and_lasts(self, expression: str, first: str) -> None:
        assert moments_of(upcoming(cron(expression), at("2026-05-08T00:00"), 1)) == [first]


class TestRelative:
    def test_to_a_date_is_one_moment(self) -> None:
        schedule = Relative(3, None, date(2026, 5, 7), time(10, 30), within("Europe/London"))
        assert upcoming(schedule, at("2026-01-01T00:00"), 5) == [Due(at("2026-05-04T09:30"))]
        assert upcoming(schedule, at("2026-05-04T09:30"), 5) == []

    @pytest.mark.parametrize(
        "bounds",
        [
            {"blackout": (date(2026, 5, 4),)},
            {"end": date(2026, 5, 3)},
            {"start": date(2026, 5, 5)},
        ],
    )
    def test_to_a_date_keeps_to_its_days(self, bounds: dict[str, object]) -> None:
        days = within("Europe/London", **bounds)
        schedule = Relative(3, None, date(2026, 5, 7), time(10, 30), days)
        assert upcoming(schedule, at("2026-01-01T00:00"), 5) == []

    def test_to_each_persons_date_is_due_daily_for_the_people_of_one_day(self) -> None:
        days = within("Europe/London", end=date(2026, 5, 9), blackout=(date(2026, 5, 8),))
        schedule = Relative(14, "membership_ends", None, time(9), days)
        assert upcoming(schedule, at("2026-05-07T07:59"), 5) == [
            Due(at("2026-05-07T08:00"), date(2026, 5, 21)),
            Due(at("2026-05-09T08:00"), date(2026, 5, 23)),
        ]

    def test_to_each_persons_date_begins_at_its_start(self) -> None:
        days = within("Europe/London", start=date(2026, 6, 1))
        schedule = Relative(0, "renewal", None, time(9), days)
        [first] = upcoming(schedule, at("2026-05-07T07:59"), 1)
        assert first == Due(at("2026-06-01T08:00"), date(2026, 6, 1))

    @pytest.mark.parametrize("name", [zone for zone in ZONES if zone != "Pacific/Apia"])
    def test_each_day_of_many_years_has_its_people(self, name: str) -> None:
        schedule = Relative(2, "renewal", None, time(1, 30), within(name))
        found = due(schedule, at("2005-01-01T12:00"), at("2035-01-01T12:00"))
        days = [one.day for one in found if one.day is not None]
        assert days == [days[0] + number * DAY for number in range(len(found))]
        assert len(days) > 30 * 365


def in_schedule(expression: str, zone: ZoneInfo, after: datetime, through: datetime) -> list[Due]:
    """Look at every minute that the clocks could show."""

    def found() -> Iterator[datetime]:
        shown = (after - 2 * DAY).replace(tzinfo=None, second=0)
        while shown < (through + 2 * DAY).replace(tzinfo=None):
            if CRONS[expression](shown):
                yield moment_of(shown, zone)
            shown += MINUTE

    return [Due(one) for one in sorted(set(found())) if after < one <= through]


@given(st.sampled_from(list(CRONS)), st.sampled_from(ZONES), moments, spans)
def test_none_is_lost_and_none_is_due_twice(
    expression: str, name: str, after: datetime, span: timedelta
) -> None:
    through = after + span
    wanted = in_schedule(expression, ZoneInfo(name), after, through)
    assert due(cron(expression, name), after, through) == wanted


schedules: st.SearchStrategy[Schedule] = st.one_of(
    st.builds(Once, moments),
    st.builds(cron, st.sampled_from(list(CRONS)), st.sampled_from(ZONES)),
    st.builds(
        lambda zone, days, at_: Relative(days, "renewal", None, at_, within(zone)),
        st.sampled_from(ZONES),
        st.integers(0, 366),
        st.times().map(lambda one: one.replace(microsecond=0)),
    ),
)


@given(schedules, moments, st.lists(spans, min_size=1, max_size=5))
def test_windows_that_meet_give_the_same_as_one_over_all(
    schedule: Schedule, after: datetime, steps: list[timedelta]
) -> None:
    pieces: list[Due] = []
    begin = after
    for step in steps:
        pieces += due(schedule, begin, begin + step)
        begin += step
    assert pieces == due(schedule, after, begin)
    assert len({one.due_at for one in pieces}) == len(pieces)
