"""The process behind `sender web`: uvicorn with our limits, our log, and a clean end."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from sender.errors import SettingsError, UsageError
from sender.web.limits import Limits
from sender.web.logs import LOG
from sender.web.slow_clients import guarded


@dataclass(frozen=True, slots=True)
class Bind:
    """Where to listen.

    Attributes:
        host: the address.
        port: 0 for any free one.
        certificate: PEM file of the chain, for TLS without a proxy; None for plain HTTP.
        key: PEM file of its key.
    """

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise UsageError("--tls-cert and --tls-key go together.")


class WebServer(uvicorn.Server):
    """Ends quietly when it is told to: a service manager's SIGTERM is no failure."""

    async def startup(self, sockets: Any = None) -> None:
        """Start, and say where."""
        await super().startup(sockets)
        for server in self.servers:
            for listening in server.sockets:
                host, port = listening.getsockname()[:2]
                LOG.info("listening", host=host, port=port, tls=bool(self.config.ssl))

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGINT and SIGTERM, without raising them once more at the end as uvicorn does."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()


def configuration(app: ASGIApp, bind: Bind, limits: Limits) -> uvicorn.Config:
    """Return how uvicorn serves `app`.

    Raises:
        SettingsError: the certificate or its key cannot be used.
    """
    config = uvicorn.Config(
        app,
        host=bind.host,
        port=bind.port,
        http=guarded(limits),
        ws="none",
        lifespan="on",
        log_config=None,  # see logs.py
        access_log=False,
        proxy_headers=False,  # see strikes.py
        server_header=False,
        timeout_graceful_shutdown=int(limits.stop_time.total_seconds()),
        ssl_certfile=bind.certificate,
        ssl_keyfile=bind.key,
    )
    try:
        config.load()
    except OSError as error:  # ssl.SSLError is one
        raise SettingsError(
            "The TLS certificate and its key cannot be used.",
            remedy="Give PEM files that belong together and that this user may read.",
        ) from error
    return config


def serve_until_told(app: ASGIApp, bind: Bind, limits: Limits) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is under way.

    Raises:
        SettingsError: the certificate or its key cannot be used.
        UsageError: the address or port is taken or not this machine's.
    """
    server = WebServer(configuration(app, bind, limits))
    try:
        server.run()
    except SystemExit as error:  # how uvicorn ends when it cannot listen
        raise UsageError(
            f"Cannot listen on {bind.host}:{bind.port}.", remedy="Choose another --host or --port."
        ) from error
    LOG.info("stopped")
