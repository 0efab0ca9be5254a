"""The only source of time. Tests pass a clock of their own."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Wall time, monotonic time and waiting."""

    def now(self) -> datetime:
        """Return the current time, timezone-aware UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a clock that never steps; the unit of every `start_before`."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait (seconds, >= 0)."""
        ...


_RUNS_ON_ASLEEP = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Linux's CLOCK_MONOTONIC, and `time.monotonic`, stand still while a machine is suspended: a
deadline of before would still seem to lie ahead when it wakes (clock_gettime(2)). Where there is no
CLOCK_BOOTTIME, as on macOS, CLOCK_MONOTONIC itself runs on."""


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """Return the current time, timezone-aware UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the machine's monotonic seconds, those spent asleep among them."""
        return time.clock_gettime(_RUNS_ON_ASLEEP)

    def sleep(self, seconds: float) -> None:
        """Wait (seconds, >= 0)."""
        time.sleep(seconds)
