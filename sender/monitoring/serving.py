"""Serve /metrics on 127.0.0.1, to whoever is on this machine."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server

from sender.errors import UsageError


@contextmanager
def serve_metrics(registry: CollectorRegistry, port: int | None) -> Iterator[None]:
    """Serve what `registry` collects meanwhile; None for not at all.

    Raises:
        UsageError: the port is taken.
    """
    if port is None:
        yield
        return
    try:
        server, thread = start_http_server(port, "127.0.0.1", registry)
    except OSError as error:
        raise UsageError(
            f"Cannot listen on 127.0.0.1:{port}.", remedy="Choose another --metrics-port."
        ) from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
