"""How many requests are worked on at the same time, and how long one may take."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sender.web.answers import try_again
from sender.web.failures import report_failure
from sender.web.limits import Limits
from sender.web.metrics import REFUSED, UNDER_WAY
from sender.web.records import NO_ROUTE, route_of


class UnderWay:
    """Answers 503 when there is too much work, or when work takes longer than a provider waits.

    Work that was answered 503 goes on to its end, which a thread at a database cannot be kept from;
    it counts as under way for as long. What it commits is found again when the request is repeated.

    Args:
        app: what works.
        limits: how much and how long.
    """

    def __init__(self, app: ASGIApp, *, limits: Limits) -> None:
        self.app = app
        self._limits = limits
        self._working: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif len(self._working) >= self._limits.requests_under_way:
            REFUSED.labels(route=NO_ROUTE, why="too-much-work").inc()
            await try_again()(scope, receive, send)
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = _Answer(send)
        work = asyncio.ensure_future(self.app(scope, receive, answer.send))
        self._remember(work)
        await asyncio.wait({work}, timeout=self._limits.answer_time.total_seconds())
        if work.done() or answer.begun:
            await work
            return
        answer.given_up = True
        work.add_done_callback(lambda late: _report_late(scope, late))
        REFUSED.labels(route=route_of(scope), why="too-slow").inc()
        await try_again()(scope, receive, send)

    def _remember(self, work: "asyncio.Task[None]") -> None:
        self._working.add(work)
        UNDER_WAY.inc()
        work.add_done_callback(self._forget)

    def _forget(self, work: "asyncio.Task[None]") -> None:
        self._working.discard(work)
        UNDER_WAY.dec()


class _Answer:
    def __init__(self, send: Send) -> None:
        self.begun = False
        self.given_up = False
        self._send = send

    async def send(self, message: Message) -> None:
        """Pass it on, unless another answer was given already."""
        if self.given_up:
            return
        self.begun = True
        await self._send(message)


def _report_late(scope: Scope, work: "asyncio.Task[None]") -> None:
    error = None if work.cancelled() else work.exception()
    if error is not None:
        report_failure(scope, error)
