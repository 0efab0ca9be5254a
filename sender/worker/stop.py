"""Tell a worker to stop, once, in its event loop and in all its threads."""

import asyncio
import threading
from contextlib import suppress
from datetime import timedelta


class Stop:
    """Asked for once and for all."""

    def __init__(self) -> None:
        self._in_loop = asyncio.Event()
        self._anywhere = threading.Event()

    def ask(self) -> None:
        """Ask to stop; only from the event loop's thread."""
        self._anywhere.set()
        self._in_loop.set()

    def asked(self) -> bool:
        """Whether it was asked for; from any thread."""
        return self._anywhere.is_set()

    async def wait(self, most: timedelta | None = None) -> None:
        """Return when it is asked for, or after so long."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._in_loop.wait(), most.total_seconds() if most else None)
