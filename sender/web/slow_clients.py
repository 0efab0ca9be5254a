"""Connections that are slow, idle, endless or too many are closed: uvicorn has no limits for them.

uvicorn's httptools protocol waits without end for the head of a request, and for a client that does
not read its answer; its keep-alive timer ends with the first further byte; and its parser takes
heads and trailers of any length (`uvicorn/protocols/http/httptools_impl.py`). So one timer runs
whenever a client owes us something, and the bytes of each request are counted.
"""

import asyncio
from datetime import timedelta
from http import HTTPStatus
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from sender.web.headers import SECURITY_HEADERS
from sender.web.limits import Limits
from sender.web.metrics import REFUSED
from sender.web.records import NO_ROUTE


def guarded(limits: Limits) -> type["GuardedProtocol"]:
    """Return the protocol class for connections with these limits."""
    return type("GuardedProtocol", (GuardedProtocol,), {"limits": limits})


class GuardedProtocol(HttpToolsProtocol):
    """One connection, closed when a head, an exchange or its next request takes too long."""

    limits: ClassVar[Limits] = Limits()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.access_log = False  # it would name paths
        seconds = self.limits.keep_alive_time.total_seconds()
        self.timeout_keep_alive = seconds  # type: ignore[assignment]  # any delay of call_later
        self._in_head = True
        self._request_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Begin to wait for the head of the first request."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            self._abort("too-many-connections")
        else:
            self._wait("head-too-slow", self.limits.head_time)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count, parse, and refuse what has no end."""
        if self.transport.is_closing():
            return
        self._request_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._request_bytes > self.limits.head_bytes:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head-too-large")
        elif self._request_bytes > self.limits.request_bytes:
            self._abort("request-too-large")

    def on_headers_complete(self) -> None:
        """Wait for the rest of the request, and for the client to read its answer."""
        self._in_head = False
        self._request_bytes = 0
        self._wait("exchange-too-slow", self.limits.exchange_time)
        super().on_headers_complete()
        self.headers = []  # uvicorn would add trailers to the headers (RFC 9110, section 6.5.1)

    def on_message_complete(self) -> None:
        """Count anew."""
        self._in_head = True
        self._request_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the client to read its answer, or for the head of its next request."""
        another = bool(self.pipeline)
        super().on_response_complete()
        if another:
            self._wait("exchange-too-slow", self.limits.exchange_time)
        elif not self.transport.get_write_buffer_size():
            self._wait("head-too-slow", self.limits.head_time)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP."""
        del msg
        self._refuse(HTTPStatus.BAD_REQUEST, "not-http")

    def _wait(self, why: str, time: timedelta) -> None:
        self._stop_waiting()
        self._timer = self.loop.call_later(time.total_seconds(), self._abort, why)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        """Answer without the application, and close; cut off if an answer is being written."""
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        if cycle is not None and not cycle.response_complete:
            self._abort(why)
            return
        if not self.transport.is_closing():
            REFUSED.labels(route=NO_ROUTE, why=why).inc()
            self.transport.write(_answer(status))
            self.transport.close()

    def _abort(self, why: str) -> None:
        """Cut the connection off; closing it would wait until what was written is read."""
        REFUSED.labels(route=NO_ROUTE, why=why).inc()
        self.transport.abort()


def _answer(status: HTTPStatus) -> bytes:
    body = f"{status.phrase}.\n"
    headers = {
        **SECURITY_HEADERS,
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Length": str(len(body)),
        "Connection": "close",
    }
    lines = [f"HTTP/1.1 {status.value} {status.phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join([*lines, "", ""]) + body).encode("ascii")
