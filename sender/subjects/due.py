"""By when a person's request must be answered. Pure."""

from calendar import monthrange
from datetime import date, timedelta
from typing import Final

ACKNOWLEDGE_WITHIN: Final = timedelta(days=30)
"""For complaints (Data Protection Act 2018 s. 164A), the day of receipt counted in: the stricter
of the two ways to count."""

SOON: Final = timedelta(days=3)
"""How long before the last day the operators are told."""

_SATURDAY: Final = 5
_WEEK: Final = 7


def one_month_after(received_on: date) -> date:
    """Return the last day for an answer: one calendar month (UK GDPR Art. 12(3)).

    The ICO counts from the day of receipt to the same day of the next month, or to that month's
    last day where there is none such, and on to Monday from a weekend. Public holidays, which the
    ICO counts likewise, are left out: they differ by nation, and the earlier day is never late.
    """
    year, month = divmod(received_on.year * 12 + received_on.month, 12)
    day = min(received_on.day, monthrange(year, month + 1)[1])
    return _not_on_a_weekend(date(year, month + 1, day))


def acknowledge_by(received_on: date) -> date:
    """Return the last day to acknowledge a complaint."""
    return received_on + ACKNOWLEDGE_WITHIN - timedelta(days=1)


def _not_on_a_weekend(day: date) -> date:
    return day if day.weekday() < _SATURDAY else day + timedelta(days=_WEEK - day.weekday())
