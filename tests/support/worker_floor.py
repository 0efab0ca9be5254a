"""Workers in this process, each in a thread of its own, with carriers that a test can hold."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from queue import Queue

from sqlalchemy import text

from sender.context import Context
from sender.delivery.progress import Ending
from sender.store.engine import Store
from sender.worker.house import Duty
from sender.worker.process import SLICE, WorkerProcess
from sender.worker.slices import CarriesOn

SECONDS = 60

Act = Callable[[int, Callable[[], bool]], Ending]


@dataclass
class Carriage:
    """A carrier that a test watches: `act` says how each slice ends.

    Attributes:
        begun: the runs whose slices began, as they began.
        untils: until when each had its turn.
        closed: whether it was closed.
    """

    act: Act = lambda _run_id, _stopping: Ending.FINISHED
    begun: "Queue[int]" = field(default_factory=Queue)
    untils: list[datetime | None] = field(default_factory=list)
    closed: bool = False

    def carry_on(
        self, run_id: int, *, until: datetime | None, stopping: Callable[[], bool]
    ) -> Ending:
        self.untils.append(until)
        self.begun.put(run_id)
        return self.act(run_id, stopping)

    def close(self) -> None:
        self.closed = True

    def next_run(self) -> int:
        """Return the run whose slice begins next."""
        return self.begun.get(timeout=SECONDS)


class Running:
    """A worker at work in a thread."""

    def __init__(self, process: WorkerProcess) -> None:
        self.process = process
        self.code: int | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()
        assert self._started.wait(SECONDS)

    def stop(self) -> int | None:
        """Ask it to stop, wait until it has, and return its exit code."""
        if self._thread.is_alive() and self._loop is not None:
            self._loop.call_soon_threadsafe(self.process.stop.ask)
        return self.finish()

    def finish(self) -> int | None:
        """Wait until it has ended by itself."""
        self._thread.join(SECONDS)
        assert not self._thread.is_alive(), "the worker does not end"
        return self.code

    def _run(self) -> None:
        async def work() -> int:
            self._loop = asyncio.get_running_loop()
            self._started.set()
            return await self.process.work()

        self.code = asyncio.run(work())


@contextmanager
def worker(
    context: Context,
    carrier: CarriesOn,
    *,
    slots: int = 1,
    duties: Sequence[Duty] = (),
    once: bool = False,
    slice_length: timedelta = SLICE,
) -> Iterator[Running]:
    """Run a worker for the length of the block, and stop it at the end."""
    process = WorkerProcess(
        context, lambda _: carrier, duties, slots, once=once, slice_length=slice_length
    )
    running = Running(process)
    running.start()
    try:
        yield running
    finally:
        running.stop()


def wait_until(holds: Callable[[], bool]) -> None:
    """Return once it holds; asks again and again, for at most a minute."""
    ticker = threading.Event()
    for _ in range(SECONDS * 20):
        if holds():
            return
        ticker.wait(0.05)
    raise AssertionError("it does not come true")


def jobs(store: Store, status: str) -> int:
    """Return how many jobs are `todo` or `doing`."""
    with store.read() as session:
        query = text("SELECT count(*) FROM procrastinate_jobs WHERE status::text = :status")
        return int(session.scalar(query, {"status": status}) or 0)
