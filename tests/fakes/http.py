"""A small HTTP/1.1 server on one thread, for fakes that must be fast and able to misbehave."""

import asyncio
import json
import socket
import ssl
import struct
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

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


@dataclass(frozen=True)
class Received:
    """One message that the fake took: the provider would deliver it."""

    delivery_id: int
    at: float
    """Monotonic seconds."""
    message: dict[str, Any]


def unused_port() -> int:
    """Return a port of 127.0.0.1 on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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


class HttpFake:
    """Base of the provider fakes: runs `respond` for each request, in one thread.

    Use as a context manager. Everything public may be read or set by the test at any time.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        delay: float = 0.0,
        bucket: Bucket | None = None,
        daily_quota: int | None = None,
        journal: Path | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.delay = delay
        self.bucket = bucket
        self.daily_quota = daily_quota
        self.messages: list[Received] = []
        self.requests: list[Request] = []
        self.connections = 0
        self.on_request: Callable[[], None] | None = None
        self.script: deque[Step] = deque()
        self._journal = journal.open("a", encoding="utf-8") if journal else None
        self._tls = tls
        self._port = port
        self._open: set[asyncio.Transport] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ready = threading.Event()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    @property
    def delivery_ids(self) -> list[int]:
        return [received.delivery_id for received in self.messages]

    def respond(self, request: Request) -> Answer:
        raise NotImplementedError

    def take(self, delivery_id: int, message: dict[str, Any]) -> None:
        """Note a message as taken, before anything is answered."""
        self.messages.append(Received(delivery_id, time.monotonic(), message))
        if self._journal:
            self._journal.write(json.dumps({"delivery_id": delivery_id}) + "\n")
            self._journal.flush()

    def room_today(self, count: int) -> int:
        """How many of `count` messages the daily quota still lets in."""
        if self.daily_quota is None:
            return count
        return max(0, min(count, self.daily_quota - len(self.messages)))

    def start(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        if self._journal:
            self._journal.close()

    def settle(self) -> None:
        """Wait until everything that is under way on the server's side was done."""
        for _ in range(3):
            asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self._loop).result()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        server = self._loop.run_until_complete(
            self._loop.create_server(
                lambda: _Connection(self), "127.0.0.1", self._port, ssl=self._tls, backlog=512
            )
        )
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for transport in list(self._open):
            transport.abort()
        self._loop.run_until_complete(server.wait_closed())
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()


class _Connection(asyncio.Protocol):
    def __init__(self, fake: HttpFake) -> None:
        self._fake = fake
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._fake.connections += 1
        self._fake._open.add(transport)

    def connection_lost(self, _: Exception | None) -> None:
        self._fake._open.discard(self._transport)

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
            return self._reset()
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
            asyncio.get_running_loop().call_later(0.02, self._reset)
        if fault in {Fault.TRUNCATED, Fault.CLOSE_AFTER}:
            self._transport.close()

    def _reset(self) -> None:
        connection = self._transport.get_extra_info("socket")
        linger = struct.pack("ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._transport.abort()
