"""How long a yes may be relied on (guidance ¶57): calendar months, never more than the policy."""

from calendar import monthrange
from dataclasses import dataclass
from datetime import datetime

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
    """Return the same time of day `months` calendar months earlier.

    A day that the earlier month lacks becomes its last day: 31 August less 18 months is 28 (or 29)
    February.
    """
    index = moment.year * MONTHS_A_YEAR + moment.month - 1 - months
    year, month = divmod(index, MONTHS_A_YEAR)
    day = min(moment.day, monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)
