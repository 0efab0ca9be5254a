"""A simulated crowd that wants one rate: who asks when, and when each message really goes out.

The time is the simulation's. Each claimant stands for one thread of a process: it asks, waits as
it was told, sends, and asks again.
"""

import heapq
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sender.delivery.turns import Claim, Turn, believable, decide, wants
from tests.support.factory import NOW

Reserve = Callable[[int], Turn]


@dataclass
class SimulatedClock:
    """A wall clock that only the simulation moves."""

    seconds: float = 0.0

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass(frozen=True)
class Claimant:
    """One thread that has messages to send.

    Attributes:
        who: what it sends for.
        reserve: asks for a turn.
        messages: how many go in one turn.
        sending: seconds that sending them takes.
        begins: when it first asks.
        dies: it neither asks nor sends after this; what it reserved is lost.
    """

    who: str
    reserve: Reserve
    messages: int
    sending: float = 0.0
    begins: float = 0.0
    dies: float = float("inf")


@dataclass(frozen=True)
class Sent:
    """Messages that went out at one moment."""

    at: float
    messages: int
    who: str


def simulate(clock: SimulatedClock, claimants: Sequence[Claimant], seconds: float) -> list[Sent]:
    """Let all of them work for so many seconds and return what went out, in order."""
    sent: list[Sent] = []
    order = itertools.count()
    asking = [(claimant.begins, next(order), claimant) for claimant in claimants]
    heapq.heapify(asking)
    while asking and asking[0][0] < seconds:
        at, _, claimant = heapq.heappop(asking)
        if at > claimant.dies:
            continue
        clock.seconds = at
        turn = claimant.reserve(claimant.messages)
        next_at = at + turn.wait.total_seconds()
        if turn.granted:
            if next_at > claimant.dies:  # what it reserved is lost
                continue
            sent.append(Sent(next_at, claimant.messages, claimant.who))
            next_at += claimant.sending
        heapq.heappush(asking, (next_at, next(order), claimant))
    return sorted(sent, key=lambda entry: entry.at)


def busiest(sent: Sequence[Sent], window: float) -> int:
    """Return the most messages that went out within any so many seconds."""
    most, inside, first = 0, 0, 0
    for entry in sent:
        inside += entry.messages
        while sent[first].at <= entry.at - window + 1e-6:
            inside -= sent[first].messages
            first += 1
        most = max(most, inside)
    return most


def quietest(sent: Sequence[Sent], window: float, begin: float, end: float) -> int:
    """Return the fewest messages of any so many seconds between `begin` and `end`."""
    moments = [begin] + [entry.at + 1e-6 for entry in sent if begin <= entry.at <= end - window]
    return min(total(sent, at, at + window) for at in moments)


def total(sent: Iterable[Sent], begin: float, end: float, who: str | None = None) -> int:
    """Return how many messages went out from `begin` until before `end`."""
    return sum(
        entry.messages for entry in sent if begin <= entry.at < end and who in {None, entry.who}
    )


@dataclass
class PlainRate:
    """The rules of a rate without a database."""

    clock: SimulatedClock
    rate: float
    arrival: float = 0.0
    claims: dict[str, Claim] = field(default_factory=dict)

    def asker(self, who: str, weight: int = 1, *, urgent: bool = False) -> Reserve:
        def reserve(messages: int) -> Turn:
            now = self.clock.seconds
            old = self.claims.get(who)
            mine = Claim(weight, urgent, now, old.arrival_at if old else now)
            others = [claim for name, claim in self.claims.items() if name != who]
            rivals = [claim for claim in others if wants(claim, now)]
            arrival = believable(self.arrival, self.rate, now)
            decision = decide(arrival, messages / self.rate, now, mine, rivals)
            self.arrival = decision.arrival_at
            self.claims[who] = Claim(weight, urgent, now, decision.own_arrival_at)
            return decision.turn

        return reserve
