"""Providers that only count: quicker than the faithful fakes, and flat in memory.

    python -m benchmarks.sinks http [--delay 0.02]      SES (bulk and single) and Twilio
    python -m benchmarks.sinks smtp                     a mail server (aiosmtpd)

The first line of output is the address. `GET /stats` of the first tells what came so far.
"""

import argparse
import asyncio
import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
_ENTRY = b'"ReplacementEmailContent"'


class Sink:
    """What came so far."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.messages = 0
        self.calls = 0
        self.body_bytes = 0
        self.under_way = 0
        self.most_under_way = 0
        self.first_at = 0.0
        self.last_at = 0.0

    def stats(self) -> dict[str, Any]:
        return {**vars(self), "cpu_seconds": time.process_time()}

    def take(self, messages: int, size: int) -> int:
        """Count one call; return the number of its first message."""
        self.last_at = time.monotonic()
        self.first_at = self.first_at or self.last_at
        first, self.messages = self.messages, self.messages + messages
        self.calls += 1
        self.body_bytes += size
        return first


class HttpConnection(asyncio.Protocol):
    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._buffer = bytearray()
        self._needed = 0
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) < self._needed:
            return
        head_ends = self._buffer.find(b"\r\n\r\n")
        if head_ends < 0:
            return
        length = _LENGTH.search(self._buffer, 0, head_ends)
        self._needed = head_ends + 4 + (int(length[1]) if length else 0)
        if len(self._buffer) >= self._needed:
            request = bytes(self._buffer)
            self._buffer.clear()
            self._needed = 0
            self._serve(request, head_ends + 4)

    def _serve(self, request: bytes, body_starts: int) -> None:
        method, path, _ = request.split(b" ", 2)
        is_message = method == b"POST"
        document = self._take(path, request, body_starts) if is_message else self._tell(path)
        body = json.dumps(document).encode()
        status = b"201 Created" if path.endswith(b"/Messages.json") else b"200 OK"
        head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        wire = head % (status, len(body)) + body
        if not (self._sink.delay and is_message):
            self._transport.write(wire)
            return
        self._sink.under_way += 1
        self._sink.most_under_way = max(self._sink.most_under_way, self._sink.under_way)
        asyncio.get_running_loop().call_later(self._sink.delay, self._answer_late, wire)

    def _answer_late(self, wire: bytes) -> None:
        self._sink.under_way -= 1
        self._transport.write(wire)

    def _take(self, path: bytes, request: bytes, body_starts: int) -> dict[str, Any]:
        is_bulk = path.endswith(b"/outbound-bulk-emails")
        entries = request.count(_ENTRY, body_starts) if is_bulk else 1
        first = self._sink.take(entries, len(request) - body_starts)
        if path.endswith(b"/Messages.json"):
            return {"sid": f"SM{first:032x}", "status": "queued"}
        if not is_bulk:
            return {"MessageId": f"{first:016x}-sink"}
        ids = (f"{number:016x}-sink" for number in range(first, first + entries))
        return {"BulkEmailEntryResults": [{"Status": "SUCCESS", "MessageId": one} for one in ids]}

    def _tell(self, path: bytes) -> dict[str, Any]:
        if path == b"/stats":
            return self._sink.stats()
        if path == b"/v2/email/account":
            return {
                "ProductionAccessEnabled": True, "SendingEnabled": True,
                "EnforcementStatus": "HEALTHY",
                "SendQuota": {
                    "Max24HourSend": -1.0, "MaxSendRate": 1_000_000.0, "SentLast24Hours": 0.0,
                },
            }  # fmt: skip
        return {"sid": "AC" + "0" * 32, "status": "active", "type": "Full"}


class MailServer:
    async def handle_DATA(  # noqa: N802  # aiosmtpd's name
        self, _server: SMTP, _session: Session, _envelope: Envelope
    ) -> str:
        return "250 2.0.0 taken"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["http", "smtp"])
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    arguments = parser.parse_args()
    asyncio.run(_serve(arguments.kind, arguments.delay))


async def _serve(kind: str, delay: float) -> None:
    sink, loop = Sink(delay), asyncio.get_running_loop()

    def connect() -> asyncio.Protocol:
        if kind == "http":
            return HttpConnection(sink)
        return SMTP(MailServer(), hostname="mail.example", loop=loop)

    server = await loop.create_server(connect, "127.0.0.1", 0, backlog=512)
    port = server.sockets[0].getsockname()[1]
    print(f"{kind}://127.0.0.1:{port}", flush=True)
    await server.serve_forever()


@contextmanager
def running_sink(kind: str = "http", *, delay: float = 0.0) -> Iterator[str]:
    """Run one in a process of its own; yield its address."""
    command = [sys.executable, "-m", "benchmarks.sinks", kind, "--delay", str(delay)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def stats(url: str) -> dict[str, Any]:
    """Ask a running HTTP sink what came so far."""
    with urllib.request.urlopen(f"{url}/stats", timeout=10) as answer:
        return dict(json.load(answer))


if __name__ == "__main__":
    main()
