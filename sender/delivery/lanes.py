"""Provider calls side by side, and whose turn it is to look.

A last look is good for a second, so its calls must not queue behind those of another: a batch looks
only when every call of the one before has begun, and a lane is free. Where a provider leaves every
lane hanging, nobody looks, and nobody else's message is left in doubt.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Final

from sender.providers.base import BatchResult

Call = Callable[[], BatchResult]

_PATIENCE: Final = timedelta(milliseconds=250)
_SMOOTHING: Final = 0.4
_UNMEASURED: Final = timedelta(milliseconds=100)


class Lanes:
    """As many calls at the same time as the provider gains by.

    Attributes:
        width: how many.
    """

    def __init__(self, width: int, monotonic: Callable[[], float]) -> None:
        self.width = width
        self._monotonic = monotonic
        self._pool = ThreadPoolExecutor(width, thread_name_prefix="call")
        self._turn = threading.Lock()
        self._state = threading.Lock()
        self._busy, self._waiting, self._turn_is_due = 0, 0, False
        self._call_seconds = _UNMEASURED.total_seconds()

    def calls_within(self, duration: timedelta) -> int:
        """Return how many calls begin within a time, by how long the last ones took: >= 1."""
        rounds = int(duration.total_seconds() / max(self._call_seconds, 1e-6))
        return self.width * max(1, rounds)

    def take_turn(self, stopping: Callable[[], bool]) -> bool:
        """Wait until the batch before has begun all its calls; False when told to stop."""
        while not stopping():
            if self._turn.acquire(timeout=_PATIENCE.total_seconds()):
                return True
        return False

    def pass_turn(self) -> None:
        """Let the next batch look, because this one makes no calls."""
        self._turn.release()

    def start(self, calls: Sequence[Call]) -> list[Future[BatchResult]]:
        """Begin these calls as lanes are free; then, when one is free again, the turn passes on."""
        with self._state:
            self._waiting, self._turn_is_due = len(calls), True
        return [self._pool.submit(self._make, call) for call in calls]

    def close(self) -> None:
        """Wait for calls under way."""
        self._pool.shutdown()

    def _make(self, call: Call) -> BatchResult:
        self._count(busy=1, waiting=-1)
        began = self._monotonic()
        try:
            answer = call()
        finally:
            self._count(busy=-1)
        if answer.calls:
            took = (self._monotonic() - began) / answer.calls
            self._call_seconds += _SMOOTHING * (took - self._call_seconds)
        return answer

    def _count(self, *, busy: int, waiting: int = 0) -> None:
        with self._state:
            self._busy += busy
            self._waiting += waiting
            if self._turn_is_due and not self._waiting and self._busy < self.width:
                self._turn_is_due = False
                self._turn.release()
