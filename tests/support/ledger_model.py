"""What a scripted provider saw, beside the ledger: the truth that the ledger is held against."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Final, NoReturn

from sender.delivery.batch import Batch
from sender.delivery.outcomes import Outcome
from sender.delivery.turns import Turn
from sender.providers.base import (
    Accepted,
    BatchResult,
    Capacity,
    Deferred,
    NotStarted,
    Outgoing,
    Rejected,
    Result,
    Unknown,
)
from sender.rendering.message import RenderedMessage
from sender.rendering.profile import Recipient
from sender.vocabulary import Channel, ProviderName

CAP: Final = 2
CAP_DAYS: Final = 7
OUTCOMES: Final = (
    "accepted",
    "accepted",
    "accepted",
    "rejected",
    "deferred",
    "taken",
    "lost",
    "not started",
)
"""What may become of a message. `taken` and `lost` are both in doubt; the provider has the one."""


class PowerCutError(Exception):
    """The process is gone; nothing that it did later happened."""


@dataclass
class HeldClock:
    """Time that only the test moves, or whoever waits."""

    time: datetime
    seconds: float = 0.0

    def now(self) -> datetime:
        return self.time + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass
class Truth:
    """What really happened.

    Attributes:
        clock: the time.
        address_of: each delivery's address.
        said_no: addresses of people who said no.
        taken: messages that the provider has, by delivery.
        settled: deliveries that may never be handed over again.
        taken_at: when each address was sent something.
    """

    clock: HeldClock
    address_of: dict[int, int] = field(default_factory=dict)
    said_no: set[int] = field(default_factory=set)
    taken: Counter[int] = field(default_factory=Counter)
    settled: set[int] = field(default_factory=set)
    taken_at: dict[int, list[datetime]] = field(default_factory=dict)

    def hand_over(self, delivery_id: int, outcome: str) -> Result:
        """Let the provider see a message; it must not see one that it may not."""
        address_id, now = self.address_of[delivery_id], self.clock.now()
        assert address_id not in self.said_no, "written to after a no"
        assert delivery_id not in self.settled, "handed over twice"
        if outcome not in {"deferred", "not started"}:
            self.settled.add(delivery_id)
        if outcome in {"accepted", "taken"}:
            self.taken[delivery_id] += 1
            recent = self.taken_at.setdefault(address_id, [])
            since = now - timedelta(days=CAP_DAYS)
            assert sum(at > since for at in recent) < CAP, "written to more often than may be"
            recent.append(now)
        return _RESULTS[outcome](delivery_id)


_RESULTS: Final[dict[str, Callable[[int], Result]]] = {
    "accepted": lambda delivery_id: Accepted(message_id(delivery_id)),
    "rejected": lambda _: Rejected("refused", "for good"),
    "deferred": lambda _: Deferred(timedelta(minutes=1), "later"),
    "taken": lambda _: Unknown("time-out"),
    "lost": lambda _: Unknown("time-out"),
    "not started": lambda _: NotStarted(),
}


def message_id(delivery_id: int) -> str:
    """Return the provider's name of a message."""
    return f"message-{delivery_id}"


@dataclass
class ScriptedProvider:
    """A provider that does with each message what the script says.

    Attributes:
        script: outcomes, in turn; the last one again and again.
        during: what happens while a call is under way.
        calls: how many there were.
    """

    truth: Truth
    script: list[str] = field(default_factory=lambda: ["accepted"])
    during: Callable[[], None] = lambda: None
    calls: int = 0
    name: ProviderName = ProviderName.OUTBOX
    channels: frozenset[Channel] = frozenset({Channel.EMAIL})
    batch_limit: int = 2
    messages_per_call: int = 2
    concurrency: int = 1

    def capacity(self) -> Capacity:
        return Capacity(1000.0, None, False, True, "")

    def send(self, batch: Sequence[Outgoing], _start_before: float) -> BatchResult:
        self.calls += 1
        results = tuple(self.truth.hand_over(one.delivery_id, self._next()) for one in batch)
        self.during()
        return BatchResult(results, calls=1)

    def close(self) -> None:
        pass

    def _next(self) -> str:
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


@dataclass
class OneMessage:
    """A renderer that has one message for all."""

    message: RenderedMessage
    fields_used: frozenset[str] = frozenset()

    def render(self, _recipient: Recipient) -> RenderedMessage:
        return self.message


@dataclass
class FreePace:
    """A rate that never makes anybody wait; `meanwhile` happens before the last look."""

    meanwhile: Callable[[], None] = lambda: None

    def most_at_once(self, limit: int, *, in_one_call: bool) -> int:
        del in_one_call
        return limit

    def reserve(self, _messages: int) -> Turn:
        self.meanwhile()
        return Turn(granted=True, wait=timedelta(0))

    def slow_down(self) -> None:
        pass


class DyingBatch(Batch):
    """A batch whose process dies between the call and its record."""

    __slots__ = ()

    @classmethod
    def of(cls, batch: Batch) -> "DyingBatch":
        return cls(**{one.name: getattr(batch, one.name) for one in fields(batch)})

    def _write(self, _outcomes: Sequence[Outcome]) -> NoReturn:
        raise PowerCutError
