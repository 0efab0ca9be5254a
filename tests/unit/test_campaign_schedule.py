"""`[schedule]`: once, by cron, or some days before a date."""

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest

from sender.campaigns.definition import parse_campaign
from sender.campaigns.schedule import Bounds, Once, Recurring, Relative, Schedule, Tolerance
from sender.toml.source import FileErrors

SMS = """\
name = "polling-day"
controller = "national"
channel = "sms"
purpose = "polling-day-reminder"
template = "poll.txt"
max_recipients = 500
[schedule]
"""
ZONE = 'time_zone = "Europe/London"\n'
WINDOW = '[window]\nfrom = "09:00"\nto = "20:00"\n'
LONDON = Bounds("Europe/London", None, None, ())


def _schedule(text: str) -> Schedule | None:
    return parse_campaign(SMS + text, {"poll.txt": "Vote"}, Path("poll.toml")).schedule


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        ("at = 2026-05-07T08:00:00+01:00", Once(datetime(2026, 5, 7, 7, tzinfo=UTC))),
        ('cron = "0 9 * * 1"\n' + ZONE, Recurring("0 9 * * 1", LONDON)),
        ('cron = "*/30 9-17 1,L * *"\n' + ZONE, Recurring("*/30 9-17 1,L * *", LONDON)),
        (
            'cron = "0 9 29 2 *"\nend = 2030-01-01\nblackout = []\n' + ZONE,
            Recurring("0 9 29 2 *", Bounds("Europe/London", None, date(2030, 1, 1), ())),
        ),
        (
            'days_before = 3\ndate = 2026-05-07\ntime = "10:30"\n' + ZONE,
            Relative(3, None, date(2026, 5, 7), time(10, 30), LONDON),
        ),
        (
            'days_before = 0\nattribute = "renewal"\n' + ZONE + WINDOW,
            Relative(0, "renewal", None, time(9), LONDON),
        ),
        (
            "at = 2026-05-07T08:00:00Z\nlate_by_minutes = 90\n",
            Once(datetime(2026, 5, 7, 8, tzinfo=UTC), Tolerance(timedelta(minutes=90), 50)),
        ),
        (
            'cron = "0 9 * * *"\naudience_change_percent = 200\n' + ZONE,
            Recurring("0 9 * * *", LONDON, Tolerance(timedelta(hours=1), 200)),
        ),
    ],
)
def test_schedules(text: str, schedule: Schedule) -> None:
    assert _schedule(text) == schedule


@pytest.mark.parametrize(
    ("text", "line", "key", "words"),
    [
        ("", 7, "schedule", "it has 0"),
        ('at = 2026-05-07T08:00:00Z\ncron = "0 9 * * 1"', 7, "schedule", "it has 2"),
        ("at = 2026-05-07T08:00:00", 8, "schedule.at", "no offset"),
        ("at = 2026-05-07T08:00:00Z\nstart = 2026-05-01", 9, "schedule.start", "beside `at`"),
        ("at = 2026-05-07T08:00:00Z\nwhen = 1", 9, "schedule.when", "unknown"),
        ('cron = "0 9 * * 1"', 7, "schedule.time_zone", "missing"),
        ('cron = "0 9 * *"\n' + ZONE, 8, "schedule.cron", "has 4 fields"),
        ('cron = "0 0 9 * * 1"\n' + ZONE, 8, "schedule.cron", "has 6 fields"),
        ('cron = "0 25 * * 1"\n' + ZONE, 8, "schedule.cron", "hour"),
        ('cron = "0 9 31 2 *"\n' + ZONE, 8, "schedule.cron", "day-of-month"),
        ('cron = "0 9 * * 1"\ntime_zone = "London"', 9, "schedule.time_zone", "not a time zone"),
        ('cron = "0 9 * * 1"\ntime_zone = "Europe"', 9, "schedule.time_zone", "not a time zone"),
        ('cron = "0 9 * * 1"\ntime_zone = "../x"', 9, "schedule.time_zone", "not a time zone"),
        (
            'cron = "0 9 * * 1"\nstart = 2026-05-07\nend = 2026-05-06\n' + ZONE,
            10,
            "schedule.end",
            "before",
        ),
        ('cron = "0 9 * * 1"\nstart = 2026-05-07T00:00:00Z\n' + ZONE, 9, "schedule.start", "date"),
        ('cron = "0 9 * * 1"\nblackout = [1]\n' + ZONE, 9, "schedule.blackout[1]", "dates"),
        ('cron = "0 9 * * 1"\ndate = 2026-05-07\n' + ZONE, 9, "schedule.date", "beside `cron`"),
        ("days_before = 3\n" + ZONE + WINDOW, 8, "schedule.days_before", "either"),
        (
            'days_before = 3\ndate = 2026-05-07\nattribute = "x"\n' + ZONE + WINDOW,
            8,
            "schedule.days_before",
            "either",
        ),
        ("days_before = 3\ndate = 2026-05-07\n" + ZONE, 8, "schedule.days_before", "no time"),
        (
            "days_before = 367\ndate = 2026-05-07\n" + ZONE + WINDOW,
            8,
            "schedule.days_before",
            "0 to 366",
        ),
        ('cron = "0 9 * * 1"\nstart = 0001-01-01\n' + ZONE, 9, "schedule.start", "1900"),
        ("at = 2026-05-07T08:00:00Z\nlate_by_minutes = 0\n", 9, "schedule.late_by_minutes", "1 to"),
        (
            "at = 2026-05-07T08:00:00Z\naudience_change_percent = 0\n",
            9,
            "schedule.audience_change_percent",
            "1 to",
        ),
        (
            'days_before = 1\nattribute = "a\\"b"\n' + ZONE + WINDOW,
            9,
            "schedule.attribute",
            "cannot be the name",
        ),
        (
            'days_before = 1\nattribute = "renewal"\n'
            + ZONE
            + WINDOW
            + '[audience.source]\nurl_env = "CRM"\nquery = "q.sql"\naddress = "tel"\n',
            9,
            "schedule.attribute",
            "cannot stand beside [audience.source]",
        ),
    ],
)
def test_what_cannot_be_meant(text: str, line: int, key: str, words: str) -> None:
    with pytest.raises(FileErrors) as caught:
        _schedule(text)
    errors = [error for error in caught.value.errors if error.key == key]
    assert [error.line for error in errors] == [line]
    assert words in errors[0].problem


def test_a_wrong_window_is_told_once() -> None:
    with pytest.raises(FileErrors) as caught:
        _schedule(
            "days_before = 1\ndate = 2026-05-07\n" + ZONE + '[window]\nfrom = "9"\nto = "20:00"\n'
        )
    assert [error.key for error in caught.value.errors] == ["window.from"]
