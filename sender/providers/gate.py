"""The last moment before a request: is it still in time, and was anything of it written?

A client library may spend seconds on connecting before it writes the first byte of a request. The
gate therefore sits in the HTTP connection itself: `start_before` is looked at once more when the
first byte is about to be written, and that write is noted. What was not written was not received,
whatever exception the library makes of it; what was written may have been received.
"""

import threading
from types import TracebackType
from typing import Any, Self

from sender.clock import Clock


class TooLateError(Exception):
    """The request did not begin before its `start_before`; nothing of it was written."""


class RequestGate:
    """Guards one request made in this thread, used as a context manager.

    Attributes:
        wrote: whether any byte of the request was handed to the operating system.
    """

    def __init__(self, clock: Clock, start_before: float) -> None:
        self.wrote = False
        self._clock = clock
        self._start_before = start_before

    def check(self) -> None:
        """Let the request begin.

        Raises:
            TooLateError: `start_before` has passed.
        """
        if self._clock.monotonic() >= self._start_before:
            raise TooLateError

    def __enter__(self) -> Self:
        self.check()
        _thread.gate = self
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _thread.gate = None


class _Thread(threading.local):
    gate: RequestGate | None = None


_thread = _Thread()


class GatedConnection:
    """Mix-in for `http.client` connections: the first write of a request passes the gate."""

    sock: Any

    def connect(self) -> None:
        """Connect; what a proxy is told meanwhile is no part of the request."""
        try:
            super().connect()  # type: ignore[misc]  # of the connection that this is mixed into
        finally:
            if _thread.gate is not None:
                _thread.gate.wrote = False

    def send(self, data: Any) -> None:
        """Write part of the request.

        Raises:
            TooLateError: this would be its first byte, and `start_before` has passed.
        """
        if self.sock is None:
            self.connect()
        gate = _thread.gate
        if gate is not None and not gate.wrote:
            gate.check()
            gate.wrote = True
        super().send(data)  # type: ignore[misc]  # of the connection that this is mixed into
