"""The worker's own connections to the job queue, which tell when they fail."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from procrastinate import PsycopgConnector
from procrastinate.exceptions import ConnectorException, UniqueViolation
from sqlalchemy import URL

if TYPE_CHECKING:
    from typing import LiteralString

_CONNECT_SECONDS = 10
_MOST_CONNECTIONS = 4


class WatchedConnector(PsycopgConnector):
    """Connections to the queue of one spell of work.

    Procrastinate bears a failed query badly: a job whose end could not be written stays in the
    hands of its worker for as long as that lives. So after any failure the spell ends, and the next
    one begins under another number, whose predecessor's jobs are put back.

    Attributes:
        failed: set when a query failed.
    """

    def __init__(self, url: URL) -> None:
        conninfo = url.set(drivername="postgresql").render_as_string(hide_password=False)
        super().__init__(
            conninfo=conninfo,
            kwargs={"connect_timeout": _CONNECT_SECONDS, "application_name": "sender worker"},
            min_size=1,
            max_size=_MOST_CONNECTIONS,
        )
        self.failed = asyncio.Event()

    async def execute_query_async(self, query: "LiteralString", **arguments: Any) -> None:
        """Execute, and tell of a failure."""
        with self._watched():
            await super().execute_query_async(query, **arguments)

    async def execute_query_one_async(
        self, query: "LiteralString", **arguments: Any
    ) -> dict[str, Any]:
        """Execute, and tell of a failure."""
        with self._watched():
            row: dict[str, Any] = await super().execute_query_one_async(query, **arguments)
        return row

    async def execute_query_all_async(
        self, query: "LiteralString", **arguments: Any
    ) -> list[dict[str, Any]]:
        """Execute, and tell of a failure."""
        with self._watched():
            rows: list[dict[str, Any]] = await super().execute_query_all_async(query, **arguments)
        return rows

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except UniqueViolation:  # a job with that key waits already
            raise
        except ConnectorException:
            self.failed.set()
            raise
