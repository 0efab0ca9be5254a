"""No faster than the provider account allows, over all processes: the generic cell rate algorithm.

One row per account holds the theoretical arrival time of the next message; one statement moves it
and tells how long to wait. Times are the database's users' own wall clocks in seconds; they are
required to be within minutes of each other, and a step backwards only makes senders wait.
"""

from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import Float, case, literal
from sqlalchemy.orm import Session

from sender.clock import Clock
from sender.store.campaigns import RateLimit
from sender.store.engine import Store
from sender.store.portable import insert_for

MOST_RESERVED = timedelta(milliseconds=500)
"""How much of the rate one reservation may take: a dead process loses no more than this."""

_SLOWEST = 0.05
_RECOVERY = 1.05


@dataclass(slots=True)
class Pace:
    """The pace of one provider account.

    Attributes:
        store: where the shared row lies.
        clock: for the time of reservations.
        name: of the account.
        rate_per_second: what the account allows, > 0.
    """

    store: Store
    clock: Clock
    name: str
    rate_per_second: float
    _share: float = field(default=1.0, init=False)

    @property
    def current_rate_per_second(self) -> float:
        """The rate now: lower than allowed while recovering from throttling."""
        return self.rate_per_second * self._share

    def most_at_once(self, limit: int) -> int:
        """Return how many messages one reservation may be for: at least one, at most `limit`."""
        within = int(self.current_rate_per_second * MOST_RESERVED.total_seconds())
        return max(1, min(limit, within))

    def reserve(self, messages: int) -> timedelta:
        """Reserve room for `messages` and return how long to wait before using it."""
        with self.store.write() as session:
            seconds = reserve(
                session,
                self.name,
                now_seconds=self.clock.now().timestamp(),
                cost_seconds=messages / self.current_rate_per_second,
            )
        return timedelta(seconds=seconds)

    def slow_down(self) -> None:
        """Halve the rate after the provider throttled; never below a twentieth."""
        self._share = max(_SLOWEST, self._share / 2)

    def speed_up(self) -> None:
        """Recover a little after a batch went through."""
        self._share = min(1.0, self._share * _RECOVERY)


def reserve(session: Session, name: str, *, now_seconds: float, cost_seconds: float) -> float:
    """Move the account's arrival time by `cost_seconds` and return the seconds to wait (>= 0)."""
    statement = insert_for(session, RateLimit).values(
        name=name, arrival_at_seconds=now_seconds + cost_seconds
    )
    current = RateLimit.arrival_at_seconds
    now = literal(now_seconds, Float(53))
    moved = statement.on_conflict_do_update(
        index_elements=["name"],
        set_={"arrival_at_seconds": case((current > now, current), else_=now) + cost_seconds},
    ).returning(RateLimit.arrival_at_seconds)
    arrival = session.execute(moved).scalar_one()
    return max(0.0, float(arrival) - cost_seconds - now_seconds)
