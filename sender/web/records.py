"""One log line and one measurement for each request: the route's pattern, never its path."""

import secrets
from dataclasses import dataclass, field
from http import HTTPStatus

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sender.clock import Clock
from sender.web.logs import LOG
from sender.web.metrics import REQUESTS

NO_ROUTE = "none"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
_REQUEST_ID = "sender.request_id"


@dataclass(slots=True)
class _Record:
    started: float
    request_id: str = field(default_factory=lambda: secrets.token_hex(8))
    status: int = 0
    """0 when the client left before there was an answer."""
    bytes_in: int = 0
    bytes_out: int = 0


class RequestRecords:
    """Names, times and counts requests.

    Args:
        app: what serves them.
        clock: measures.
    """

    def __init__(self, app: ASGIApp, *, clock: Clock) -> None:
        self.app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request and write it down, however it ended."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        record = _Record(self._clock.monotonic())
        scope[_REQUEST_ID] = record.request_id
        try:
            await self.app(scope, _counting_in(receive, record), _counting_out(send, record))
        finally:
            self._write(scope, record)

    def _write(self, scope: Scope, record: _Record) -> None:
        seconds = self._clock.monotonic() - record.started
        route, method = route_of(scope), _method_of(scope)
        REQUESTS.labels(route=route, method=method, status=str(record.status)).observe(seconds)
        if route in _QUIET and record.status == HTTPStatus.OK:
            return
        LOG.info(
            "request",
            route=route,
            method=method,
            status=record.status,
            milliseconds=round(seconds * 1000, 1),
            bytes_in=record.bytes_in,
            bytes_out=record.bytes_out,
            request=record.request_id,
        )


def route_of(scope: Scope) -> str:
    """Return the pattern of the route that a request was for, once it was found; else `none`."""
    return str(getattr(scope.get("route"), "path", NO_ROUTE))


def request_id_of(scope: Scope) -> str:
    """Return the name that the request has in the log and in its answer."""
    return str(scope.get(_REQUEST_ID, ""))


def _method_of(scope: Scope) -> str:
    return scope["method"] if scope["method"] in _METHODS else "other"


def _counting_in(receive: Receive, record: _Record) -> Receive:
    async def counting() -> Message:
        message = await receive()
        record.bytes_in += len(message.get("body", b""))
        return message

    return counting


def _counting_out(send: Send, record: _Record) -> Send:
    async def counting(message: Message) -> None:
        if message["type"] == "http.response.start":
            record.status = message["status"]
            MutableHeaders(scope=message)["X-Request-ID"] = record.request_id
        record.bytes_out += len(message.get("body", b""))
        await send(message)

    return counting
