"""A clock that a test sets to a time of day, and that goes on from there."""

from datetime import UTC, datetime

from sender.clock import SystemClock

MORNING = datetime(2026, 12, 1, 10, tzinfo=UTC)
NIGHT = datetime(2026, 12, 1, 22, tzinfo=UTC)


class SetClock(SystemClock):
    """Real waiting, from a time of day that the test sets."""

    def __init__(self, at: datetime = MORNING) -> None:
        self.set(at)

    def set(self, at: datetime) -> None:
        self._ahead = at - super().now()

    def now(self) -> datetime:
        return super().now() + self._ahead
