"""A small HTTP/1.1 server on one thread, for fakes that must be fast and able to misbehave."""

import asyncio
import json
import time
from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self

from tests.fakes.loop import LoopServer, reset

if TYPE_CHECKING:
    from collections.abc import Callable


class Fault(Enum):
    """How one request is mistreated."""

    RESET = auto()
    """The connection is reset before the request is looked at; nothing is taken."""
    SILENCE = auto()
    """The request is taken and never answered."""
    HANG_UP = auto()
    """The request is taken and the connection closed without an answer."""
    RESET_MIDWAY = auto()
    """The request is taken and the connection reset in the middle of the answer."""
    TRUNCATED = auto()
    """The request is taken and the connection closed in the middle of the answer."""
    CLOSE_AFTER = auto()
    """The request is answered and the idle connection closed without notice."""
    TWICE = auto()
    """The request is answered twice on the same connection."""


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, status: int, document: Any, headers: dict[str, str] | None = None) -> Self:
        every = {"Content-Type": "application/json", **(headers or {})}
        return cls(status, json.dumps(document).encode(), every)

    @classmethod
    def html(cls, status: int) -> Self:
        page = f"<html><body><h1>{status} {HTTPStatus(status).phrase}</h1></body></html>"
        return cls(status, page.encode(), {"Content-Type": "text/html"})

    @classmethod
    def nonsense(cls, status: int) -> Self:
        return cls(status, b'{"half": ', {"Content-Type": "application/json"})

    def encode(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        headers = {**self.headers, "Content-Length": str(len(self.body))}
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


Step = Fault | Answer | None
"""A fault, an answer given instead of the real one, or None for the real one."""


class Bucket:
    """A rate limit that answers honestly: a token bucket filled at `rate` per second."""

    def __init__(self, rate: float, burst: float) -> None:
        self.rate = rate
        self.burst = burst
        self._tokens = burst
        self._filled_at = time.monotonic()

    def take(self, count: int) -> bool:
        now = time.monotonic()
        self._tokens = min(self.burst, self._tokens + (now - self._filled_at) * self.rate)
        self._filled_at = now
        if count > self._tokens:
            return False
        self._tokens -= count
        return True


class HttpFake(LoopServer):
    """Base of the HTTP fakes: runs `respond` for each request, in one thread.

    script: what happens to the next requests, one step each.
    delay: seconds before each answer.
    on_request: called when a request came in.
    """

    def __init__(
        self,
        *,
        delay: float = 0.0,
        bucket: Bucket | None = None,
        daily_quota: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.delay = delay
        self.bucket = bucket
        self.daily_quota = daily_quota
        self.requests: list[Request] = []
        self.on_request: Callable[[], None] | None = None
        self.script: deque[Step] = deque()
        self.transports: set[asyncio.Transport] = set()

    def respond(self, request: Request) -> Answer:
        """Answer as the provider would."""
        raise NotImplementedError

    def room_today(self, count: int) -> int:
        """How many of `count` messages the daily quota still lets in."""
        if self.daily_quota is None:
            return count
        return max(0, min(count, self.daily_quota - len(self.messages)))

    def protocol(self) -> asyncio.Protocol:
        return _Connection(self)

    async def hang_up(self) -> None:
        for transport in list(self.transports):
            transport.abort()


class _Connection(asyncio.Protocol):
    def __init__(self, fake: HttpFake) -> None:
        self._fake = fake
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._fake.transports.add(transport)

    def connection_lost(self, _: Exception | None) -> None:
        self._fake.transports.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.split(":", 1) for line in lines)
        headers = {name.strip().lower(): value.strip() for name, value in pairs}
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return
        self._buffer = rest[length:]
        method, path, _ = first.split(" ", 2)
        self._serve(Request(method, path, headers, rest[:length]))

    def _serve(self, request: Request) -> None:
        fake = self._fake
        step = fake.script.popleft() if fake.script else None
        fake.requests.append(request)
        if fake.on_request:
            fake.on_request()
        if step is Fault.RESET:
            return reset(self._transport)
        answer = step if isinstance(step, Answer) else fake.respond(request)
        if step is Fault.SILENCE:
            return None
        if step is Fault.HANG_UP:
            return self._transport.close()
        wire = answer.encode()
        fault = step if isinstance(step, Fault) else None
        if fake.delay:
            asyncio.get_running_loop().call_later(fake.delay, self._answer, wire, fault)
        else:
            self._answer(wire, fault)
        return None

    def _answer(self, wire: bytes, fault: Fault | None) -> None:
        if fault in {Fault.RESET_MIDWAY, Fault.TRUNCATED}:
            self._transport.write(wire[: len(wire) - 9])
        else:
            self._transport.write(wire * 2 if fault is Fault.TWICE else wire)
        if fault is Fault.RESET_MIDWAY:
            # Give the client the half answer first: a reset discards what is not yet read.
            asyncio.get_running_loop().call_later(0.02, reset, self._transport)
        if fault in {Fault.TRUNCATED, Fault.CLOSE_AFTER}:
            self._transport.close()
