"""How long a yes may be relied on (guidance ¶57): calendar months, never more than the policy."""

from calendar import monthrange
from dataclasses import dataclass
from datetime import datetime, timedelta

MONTHS_A_YEAR = 12


@dataclass(frozen=True, slots=True)
class FreshnessPolicy:
    """When an old consent is pointed out, and when it is no longer relied on.

    Attributes:
        warn_months: age in calendar months from which people are told (> 0).
        hold_months: age in calendar months from which nobody is written to (>= warn_months).
    """

    warn_months: int = 18
    hold_months: int = 24

    def tightened(self, fresh_within_months: int | None) -> "FreshnessPolicy":
        """Return the stricter of this policy and a campaign's own limit."""
        if fresh_within_months is None or fresh_within_months >= self.hold_months:
            return self
        return FreshnessPolicy(
            warn_months=min(self.warn_months, fresh_within_months), hold_months=fresh_within_months
        )


def months_before(moment: datetime, months: int) -> datetime:
    """Return the same time of day `months` calendar months earlier; it never falls as time passes.

    A day that the earlier month lacks stands for that month's end: 31 August less 18 months is the
    first moment of 1 March. Its last day at the same hour would let the night of 28 February be
    stale at noon of one day and fresh again on the morning of the next.
    """
    index = moment.year * MONTHS_A_YEAR + moment.month - 1 - months
    year, month = divmod(index, MONTHS_A_YEAR)
    days = monthrange(year, month + 1)[1]
    if moment.day <= days:
        return moment.replace(year=year, month=month + 1)
    last_day = moment.replace(
        year=year, month=month + 1, day=days, hour=0, minute=0, second=0, microsecond=0
    )
    return last_day + timedelta(days=1)


def stale_from(last_act: datetime, months: int) -> datetime:
    """Return the first moment at which an act of this age is too old: `months_before` reaches it.

    One month's first moment is reached early, by the days that the month before it lacks.
    """
    index = last_act.year * MONTHS_A_YEAR + last_act.month - 1 + months
    midnight = last_act.replace(hour=0, minute=0, second=0, microsecond=0)
    if last_act == midnight.replace(day=1):
        lacking = _days(index - months - 1) + 1
        if lacking <= _days(index - 1):
            return _day(midnight, index - 1, lacking)
    if last_act.day <= _days(index):
        return _day(last_act, index, last_act.day)
    return _day(midnight, index + 1, 1)


def _days(index: int) -> int:
    year, month = divmod(index, MONTHS_A_YEAR)
    return monthrange(year, month + 1)[1]


def _day(moment: datetime, index: int, day: int) -> datetime:
    year, month = divmod(index, MONTHS_A_YEAR)
    return moment.replace(year=year, month=month + 1, day=day)
