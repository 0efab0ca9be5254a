"""No faster than the provider account allows, over all processes, and shared among its runs.

One row per account holds the theoretical arrival time of its next message, one row per run that
wants the rate when its own next message is due; `sender/delivery/turns.py` decides, and
`sender/delivery/pace_rows.py` reads and writes.

The time is PostgreSQL's own, so that machines need not agree on theirs. SQLite has none; there all
processes are on one machine and share its clock.
"""

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from sender.clock import Clock
from sender.delivery.pace_rows import RateRows, Seen, lockless
from sender.delivery.turns import (
    LONGEST_WAIT,
    MOST_RESERVED_SECONDS,
    SLOWEST,
    Decision,
    Turn,
    believable,
    decide,
    wants,
)
from sender.store.engine import Store

_BURST_SECONDS = 0.1
"""Messages that go out one call each leave as fast as they can within a turn: so much of the rate
stays within a hundredth of what ten seconds allow."""

_STILL_WANTED_AFTER_SECONDS = 0.2
"""How old the word of a run that waits grows before it is written again."""

_MOST_TRIES = 10
_ASK_AGAIN = Turn(granted=False, wait=timedelta(milliseconds=20))
_NO_TIME = timedelta(0)


@dataclass(slots=True)
class Pace:
    """The pace of one provider account, for one run. Safe to use from several threads at once.

    Attributes:
        store: where the shared rows lie.
        clock: for the time of reservations, where the database has none.
        name: of the account's rate.
        rate_per_second: what the account allows, > 0.
        run_id: whose messages they are; None takes part in no sharing.
        weight: the run's share beside the weights of other runs, > 0.
        urgent: whether the run goes before those that are not.
        own_clock: take `clock` on PostgreSQL too: whoever holds the time in the hand, as a test.
    """

    store: Store
    clock: Clock
    name: str
    rate_per_second: float
    run_id: int | None = None
    weight: int = 1
    urgent: bool = False
    own_clock: bool = False
    _engine: Engine = field(init=False)
    _rows: RateRows = field(init=False)
    _part_left: float = field(default=1.0, init=False)
    _claimed: bool = field(default=False, init=False)
    _ask_after: datetime | None = field(default=None, init=False)
    _one_asks: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        self._engine = lockless(self.store.engine)
        self._rows = RateRows(self.store.dialect, self.name, self.run_id, self.weight, self.urgent)

    @property
    def current_rate_per_second(self) -> float:
        """The rate as of the last reservation: lower than allowed while throttling is recent."""
        return self.rate_per_second * self._part_left

    def most_at_once(self, limit: int, *, in_one_call: bool) -> int:
        """Return how many messages one reservation may be for: at least one, at most `limit`.

        Args:
            limit: the most that the provider takes.
            in_one_call: whether they leave in one provider call; otherwise each leaves by itself.
        """
        seconds = MOST_RESERVED_SECONDS if in_one_call else _BURST_SECONDS
        return max(1, min(limit, int(self.current_rate_per_second * seconds)))

    def reserve(self, messages: int) -> Turn:
        """Ask for room for so many messages (> 0) and return when to use it, or to ask again.

        Of the threads of one process one asks at a time; what it was told holds for the others.
        """
        with self._one_asks:
            left = self._told_to_wait()
            if left > _NO_TIME:
                return Turn(granted=False, wait=left)
            turn = self._ask(messages)
            self._ask_after = None if turn.granted else self.clock.now() + turn.wait
            return turn

    def slow_down(self) -> None:
        """Halve the rate for all processes after the provider throttled.

        Once a second at most, and never below a twentieth; it recovers by a twentieth a second.
        """
        with self._engine.begin() as connection:
            seen = self._rows.look(connection, self._now())
            slowed_to = max(SLOWEST, seen.part_left / 2)
            slowed = self._rows.slow_down(connection, slowed_to, seen.now)
        self._part_left = slowed_to if slowed else seen.part_left

    def _told_to_wait(self) -> timedelta:
        if self._ask_after is None:
            return _NO_TIME
        left = self._ask_after - self.clock.now()
        return left if left <= LONGEST_WAIT else _NO_TIME  # the clock was set back meanwhile

    def _ask(self, messages: int) -> Turn:
        with self._engine.begin() as connection:
            for _ in range(_MOST_TRIES):  # each failure is another's success
                if self.run_id is not None and not self._claimed:
                    self._rows.claim(connection, self._now())
                    self._claimed = True
                turn = self._try(connection, messages)
                if turn is not None:
                    return turn
        return _ASK_AGAIN

    def _try(self, connection: Connection, messages: int) -> Turn | None:
        """Decide by what is seen; None if another was granted a turn meanwhile."""
        seen = self._rows.look(connection, self._now())
        self._claimed = seen.mine is not None
        if self.run_id is not None and not self._claimed:
            return None  # forgotten, as after a long pause
        self._part_left = seen.part_left
        decision = self._decide(seen, messages)
        return decision.turn if self._write(connection, seen, decision) else None

    def _decide(self, seen: Seen, messages: int) -> Decision:
        return decide(
            believable(seen.arrival_at, self.rate_per_second, seen.now),
            messages / self.current_rate_per_second,
            seen.now,
            seen.mine,
            [claim for claim in seen.others if wants(claim, seen.now)],
        )

    def _write(self, connection: Connection, seen: Seen, decision: Decision) -> bool:
        """Write what the others must know, if nobody else was granted a turn meanwhile."""
        if decision.turn.granted:
            return self._rows.move(connection, seen, decision)
        silent_for = seen.now - seen.mine.wanted_at if seen.mine else 0.0
        if abs(silent_for) > _STILL_WANTED_AFTER_SECONDS:
            self._rows.want(connection, seen.now)
        return True

    def _now(self) -> float | None:
        """Return the time to go by, or None to let PostgreSQL tell it."""
        ours = self.own_clock or self.store.dialect == "sqlite"
        return self.clock.now().timestamp() if ours else None
