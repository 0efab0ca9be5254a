"""The whole request is read before anything works on it: bounded in size and in time."""

import asyncio
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sender.web.answers import plain
from sender.web.limits import Limits
from sender.web.metrics import REFUSED
from sender.web.records import NO_ROUTE


class _RefusedError(Exception):
    """The request is not served.

    Attributes:
        status: the answer.
        why: the word that it is counted under.
    """

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


class WholeRequest:
    """Refuses what is too large (413, 431) or comes too slowly (408).

    Args:
        app: what serves a request, with its whole body at hand.
        limits: how much and how long.
    """

    def __init__(self, app: ASGIApp, *, limits: Limits) -> None:
        self.app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            body = await self._read(scope, receive)
        except _RefusedError as refused:
            REFUSED.labels(route=NO_ROUTE, why=refused.why).inc()
            await plain(refused.status, close=True)(scope, receive, send)
            return
        if body is not None:
            await self.app(scope, _replaying(body, receive), send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        """Return the body, or None when the client left before its end."""
        if _head_bytes(scope) > self._limits.head_bytes:
            raise _RefusedError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head-too-large")
        most = self._limits.body_bytes_for(scope["path"])
        if _declared_length(scope) > most:
            raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body-too-large")
        try:
            async with asyncio.timeout(self._limits.body_time.total_seconds()):
                return await _collect(receive, most)
        except TimeoutError:
            raise _RefusedError(HTTPStatus.REQUEST_TIMEOUT, "body-too-slow") from None


async def _collect(receive: Receive, most: int) -> bytes | None:
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > most:
            raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body-too-large")
    return bytes(body)


def _replaying(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _head_bytes(scope: Scope) -> int:
    headers = sum(len(name) + len(value) for name, value in scope["headers"])
    return headers + len(scope.get("raw_path") or b"") + len(scope["query_string"])


def _declared_length(scope: Scope) -> int:
    """Return the Content-Length; 0 where there is none or it is not a number."""
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    return max((int(value) for value in lengths if value.isdigit()), default=0)
