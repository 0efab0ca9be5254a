"""Serve an ASGI application over real HTTP, on a free port of this machine, in a thread.

with serve(app) as url:
    requests.get(f"{url}/healthz", timeout=10)
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from sender.web.limits import Limits
from sender.web.server import Bind, WebServer, configuration
from tests.fakes.certificates import CERTIFICATE, KEY
from tests.fakes.loop import stop_accepting

START_SECONDS = 30


class ServerInThread(WebServer):
    """A server whose start and end another thread can wait for."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._started = threading.Event()
        self._thread = threading.Thread(target=self.run)
        self._told: asyncio.Event
        self._loop: asyncio.AbstractEventLoop

    async def main_loop(self) -> None:
        """Serve until `finish` is called, instead of looking every tenth of a second."""
        await self.on_tick(0)
        self._told = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._started.set()
        await self._told.wait()
        for server in self.servers:
            await stop_accepting(server)

    def begin(self) -> str:
        """Start, and return the base URL once connections are taken."""
        self._thread.start()
        while not self._started.wait(timeout=0.05):
            assert self._thread.is_alive(), "the server did not start"
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        return f"{'https' if self.config.ssl else 'http'}://{host}:{port}"

    def finish(self) -> None:
        """Let requests under way end, and stop."""
        self._loop.call_soon_threadsafe(self._told.set)
        self._thread.join(timeout=START_SECONDS)
        assert not self._thread.is_alive(), "the server did not stop"


@contextmanager
def serve(
    app: ASGIApp, *, limits: Limits | None = None, encrypted: bool = False, **options: Any
) -> Iterator[str]:
    """Serve `app` as `sender web` does, and yield its base URL, without slash.

    Args:
        app: any ASGI application with a lifespan.
        limits: of its connections; the usual ones where none are given.
        encrypted: whether to serve https, with this project's own test certificate.
        options: of `uvicorn.Config`, instead of ours.
    """
    pair = (CERTIFICATE, KEY) if encrypted else (None, None)
    bind = Bind("127.0.0.1", 0, *pair)
    config = configuration(app, bind, limits or Limits())
    for name, value in options.items():
        setattr(config, name, value)
    server = ServerInThread(config)
    url = server.begin()
    try:
        yield url
    finally:
        server.finish()
