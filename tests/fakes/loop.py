"""A server on an event loop in a thread of its own; what all fakes share."""

import asyncio
import json
import socket
import ssl
import struct
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self


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


def reset(transport: asyncio.BaseTransport) -> None:
    """Reset a connection: the other side loses even what is under way."""
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert isinstance(transport, asyncio.Transport)
    transport.abort()


async def stop_accepting(server: asyncio.Server) -> None:
    """Take no connection any more, and let those be known that were taken just now.

    To be called before a server is closed: one that is closed refuses to know a connection that it
    has accepted and not begun yet (`Server._attach`), and nobody ever closes that.
    """
    loop = asyncio.get_running_loop()
    for listening in server.sockets:
        loop.remove_reader(listening.fileno())
    for _ in range(3):
        await asyncio.sleep(0)


class LoopServer:
    """Base of the fakes. Use as a context manager; public attributes may be used at any time."""

    scheme = "http"

    def __init__(
        self,
        *,
        port: int = 0,
        journal: Path | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.messages: list[Received] = []
        self.connections = 0
        self._port = port
        self._tls = tls
        self._journal = journal.open("a", encoding="utf-8") if journal else None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ready = threading.Event()

    def protocol(self) -> asyncio.Protocol:
        """Make the protocol of one connection."""
        raise NotImplementedError

    async def hang_up(self) -> None:
        """Let go of every connection."""
        raise NotImplementedError

    @property
    def url(self) -> str:
        return f"{self.scheme}{'s' if self._tls else ''}://127.0.0.1:{self._port}"

    @property
    def port(self) -> int:
        return self._port

    @property
    def delivery_ids(self) -> list[int]:
        return [received.delivery_id for received in self.messages]

    def take(self, delivery_id: int, message: dict[str, Any]) -> None:
        """Note a message as taken, before anything is answered."""
        self.messages.append(Received(delivery_id, time.monotonic(), message))
        if self._journal:
            self._journal.write(json.dumps({"delivery_id": delivery_id}) + "\n")
            self._journal.flush()

    def settle(self) -> None:
        """Wait until everything that is under way on the server's side was done."""
        for _ in range(3):
            asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self._loop).result()

    def start(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        if self._journal:
            self._journal.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connect(self) -> asyncio.Protocol:
        self.connections += 1
        return self.protocol()

    def _run(self) -> None:
        server = self._loop.run_until_complete(
            self._loop.create_server(
                self._connect, "127.0.0.1", self._port, ssl=self._tls, backlog=512
            )
        )
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(stop_accepting(server))
        server.close()
        self._loop.run_until_complete(self.hang_up())
        self._loop.run_until_complete(server.wait_closed())
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()
