"""Whose turn it is: one account's rate among the runs that want it. Pure; times in seconds.

The account has one theoretical arrival time, that of its next message (the generic cell rate
algorithm). A turn begins there and moves it on by what the messages take of the rate. Each run has
an arrival time of its own besides, which moves on by as much as they take of its share. A run that
is ahead of its share leaves the turn to the others, unless they leave the account idle.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

MOST_RESERVED_SECONDS = 0.5
"""How much of the rate one turn takes at most, and how far ahead of its start it is given: a dead
process loses no more, and a new or urgent run has no more before it."""

SLOWEST = 0.05
"""The least part of a rate that throttling leaves."""

_RECOVERY_PER_SECOND = 1.05
_RECOVERED_AFTER_SECONDS = 62.0
"""Within this the slowest is at full rate again: 1.05 to the power of 62 is more than 20."""

WANTED_FOR_SECONDS = 2.0
"""How long a run that asked counts among those that share the rate."""

_URGENT_FOR_SECONDS = 1.0
_LEAST_LEAD_SECONDS = 0.1
_SPARE_LEAD_SECONDS = 0.02
"""How near its end the queue must be before somebody takes what is another's: about what it takes
to ask and be answered."""

_CREDIT_SECONDS = 1.0
"""How much of its share a run that was slow may still claim."""

_SHORTEST_WAIT = timedelta(milliseconds=10)
LONGEST_WAIT = timedelta(seconds=1)
"""Who is not granted a turn asks again after this at the latest."""

_CLOCKS_DIFFER_BY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Turn:
    """The answer to a reservation.

    Attributes:
        granted: whether the messages may go, once `wait` is over. Otherwise nothing was reserved.
        wait: how long to wait before sending (about half a second at most), or before asking again
            (a second at most).
    """

    granted: bool
    wait: timedelta


@dataclass(frozen=True, slots=True)
class Claim:
    """A run that wants the rate.

    Attributes:
        weight: its share beside the others' weights, > 0.
        urgent: whether it goes before those that are not.
        wanted_at: when it last asked.
        arrival_at: when its next message is due by its share alone.
    """

    weight: int
    urgent: bool
    wanted_at: float
    arrival_at: float


@dataclass(frozen=True, slots=True)
class Decision:
    """A turn, and the arrival times of the account and of the run after it."""

    turn: Turn
    arrival_at: float
    own_arrival_at: float


def decide(
    arrival_at: float, seconds: float, now: float, mine: Claim | None, rivals: Sequence[Claim]
) -> Decision:
    """Decide whether a run may have the account's next turn.

    Args:
        arrival_at: the account's arrival time.
        seconds: what the messages take of the account's time, > 0.
        now: the time.
        mine: the run's claim; None asks outside of all shares.
        rivals: the other runs that want the rate now, see `wants`.
    """
    start = max(arrival_at, now)
    share = _share(mine, rivals) if mine else 1.0
    own = mine.arrival_at if mine else start
    behind_urgent = mine is not None and _is_behind_urgent(mine, rivals, now)
    if behind_urgent:  # what the urgent leave is less than the shares: who lacks most goes first
        due = all(own <= rival.arrival_at for rival in rivals if not rival.urgent)
    else:
        due = share == 1.0 or own <= start
    lead = _lead(seconds, reasons_to_yield=(not due) + behind_urgent)
    if start - now > lead:
        wait = start - now - lead
        turn = _later(min(wait, own - start) if own > start else wait)
        return Decision(turn, arrival_at, own)
    turn = Turn(granted=True, wait=timedelta(seconds=start - now))
    own_start = start if share == 1.0 else min(max(own, start - _CREDIT_SECONDS), start)
    return Decision(turn, start + seconds, own_start + seconds / share)


def _share(mine: Claim, rivals: Sequence[Claim]) -> float:
    """Return the run's part of the rate among those that are as urgent."""
    peers = sum(rival.weight for rival in rivals if rival.urgent == mine.urgent)
    return mine.weight / (mine.weight + peers)


def _is_behind_urgent(mine: Claim, rivals: Sequence[Claim], now: float) -> bool:
    if mine.urgent:
        return False
    return any(rival.urgent and now - rival.wanted_at <= _URGENT_FOR_SECONDS for rival in rivals)


def _later(seconds: float) -> Turn:
    wait = min(max(timedelta(seconds=seconds), _SHORTEST_WAIT), LONGEST_WAIT)
    return Turn(granted=False, wait=wait)


def _lead(seconds: float, *, reasons_to_yield: int) -> float:
    """Return how much of the account's time may be taken already when one more turn is given.

    Twice what the turn takes keeps the account busy while somebody asks, and nobody waits longer
    than that for its turn.
    """
    if reasons_to_yield:
        return _SPARE_LEAD_SECONDS * (2 - reasons_to_yield)
    return min(max(2 * seconds, _LEAST_LEAD_SECONDS), MOST_RESERVED_SECONDS)


def wants(claim: Claim, now: float) -> bool:
    """Return whether a run asked so lately that it counts."""
    return abs(now - claim.wanted_at) <= WANTED_FOR_SECONDS


def share_left(slowed_to: float | None, slowed_at: float | None, now: float) -> float:
    """Return the part of the rate, up to 1, that is left some time after throttling.

    Args:
        slowed_to: the part that was left then; None if the provider never throttled.
        slowed_at: when that was.
        now: the time. Where `slowed_at` lies well after it, a clock was wrong, and it is forgotten.
    """
    if slowed_to is None or slowed_at is None:
        return 1.0
    since = now - slowed_at
    if not -_CLOCKS_DIFFER_BY_SECONDS <= since <= _RECOVERED_AFTER_SECONDS:
        return 1.0
    return min(1.0, slowed_to * math.pow(_RECOVERY_PER_SECOND, max(0.0, since)))


def believable(arrival_at: float, rate_per_second: float, now: float) -> float:
    """Return the arrival time, or `now` where only a wrong clock can have put it.

    It is rightly ahead by what one turn takes at the slowest rate, and by as much as turns are
    given ahead; anything more than seconds beyond that was reserved by a clock that has been set
    back since.
    """
    one_turn = max(MOST_RESERVED_SECONDS, 1 / rate_per_second) / SLOWEST
    furthest = now + one_turn + MOST_RESERVED_SECONDS + _CLOCKS_DIFFER_BY_SECONDS
    return arrival_at if arrival_at <= furthest else now
