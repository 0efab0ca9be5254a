"""The process behind `sender worker`: it enters, works, says that it lives, and leaves cleanly."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from sqlalchemy.orm import Session

from sender.context import Context
from sender.jobs.upkeep import rescue
from sender.jobs.workers import HEARTBEAT_EVERY, LOST_AFTER, beat, enter, leave
from sender.logs import place_of
from sender.worker.crews import Work, spell
from sender.worker.house import Duty, do_duty
from sender.worker.log import LOG
from sender.worker.metrics import CONNECTIONS
from sender.worker.slices import CarriesOn, Slices
from sender.worker.stop import Stop

SLICE: Final = timedelta(seconds=10)
"""How long a run is carried on before another has its turn."""

_AGAIN_AFTER: Final = timedelta(seconds=2)
_BEYOND_THE_PROVIDER: Final = timedelta(seconds=5)
_SPARE_THREADS: Final = 4
_ENDED_AT_ONCE: Final = 130


@dataclass(slots=True)
class WorkerProcess:
    """One worker.

    Attributes:
        context: the installation, on PostgreSQL.
        make_carrier: returns what sends, given the worker's number.
        duties: the house work, shared with the other workers.
        slots: how many runs it carries on at the same time, >= 1; an urgent one has one more.
        once: do what there is to do now, and end.
        slice_length: how long a run has before another's turn.
        lost_after: for how long a worker must be silent before others take over its jobs.
        stop: asks it to stop; SIGTERM and SIGINT do.
    """

    context: Context
    make_carrier: Callable[[int], CarriesOn]
    duties: Sequence[Duty]
    slots: int
    once: bool = False
    slice_length: timedelta = SLICE
    lost_after: timedelta = LOST_AFTER
    stop: Stop = field(default_factory=Stop)

    def run(self) -> int:
        """Work until told to stop, or with `once` until nothing is left; return the exit code."""
        return asyncio.run(self.work())

    async def work(self) -> int:
        """Do what `run` does, in the event loop that is there."""
        threads = self.slots + 1 + len(self.duties) + _SPARE_THREADS
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(threads))
        worker_id = await asyncio.to_thread(self._enter)
        carrier = self.make_carrier(worker_id)
        length = None if self.once else self.slice_length
        slices = Slices(self.context, carrier, self.stop.asked, length)
        work = Work(self.context, slices, self.duties, self.slots)
        self._listen_for_signals(slices)
        LOG.info("working", worker=worker_id, slots=self.slots, once=self.once)
        living = asyncio.create_task(self._keep_living(worker_id))
        try:
            return await (self._work_once(work) if self.once else self._work_on(work))
        finally:
            living.cancel()
            await asyncio.gather(living, return_exceptions=True)
            await asyncio.to_thread(carrier.close)
            await self._try("leave", lambda session: leave(session, worker_id))
            LOG.info("stopped", worker=worker_id)

    async def _work_on(self, work: Work) -> int:
        """Work, and begin again whenever the queue was lost; a restarted PostgreSQL is no end."""
        while not self.stop.asked():
            try:
                await spell(work, self.stop)
            except Exception as error:  # noqa: BLE001  # told by type, then tried again
                CONNECTIONS.inc()
                LOG.warning("cut_off", error=type(error).__name__, at=place_of(error))
                await self.stop.wait(_AGAIN_AFTER)
        return 0

    async def _work_once(self, work: Work) -> int:
        """Do the house work that sending needs, send, and tidy up; 1 if something failed."""
        needed = [duty for duty in self.duties if duty.with_once]
        done = [await asyncio.to_thread(do_duty, self.context, duty) for duty in needed]
        await spell(replace(work, duties=(), once=True), self.stop)
        done += [await asyncio.to_thread(do_duty, self.context, duty) for duty in needed]
        return 0 if all(done) and not work.slices.failed else 1

    async def _keep_living(self, worker_id: int) -> None:
        while True:
            await self._try("heartbeat", lambda session: beat(session, worker_id))
            await self._try("rescue", self._rescue)
            await asyncio.sleep(HEARTBEAT_EVERY.total_seconds())

    def _rescue(self, session: Session) -> None:
        if rescued := rescue(session, self.lost_after):
            LOG.warning("rescued", jobs=rescued)

    async def _try(self, what: str, act: Callable[[Session], None]) -> None:
        """Write something that the worker can live without; a failure is logged by type."""
        try:
            await asyncio.to_thread(self._write, act)
        except Exception as error:  # noqa: BLE001  # see the docstring
            LOG.error(f"{what}_failed", error=type(error).__name__, at=place_of(error))

    def _write(self, act: Callable[[Session], None]) -> None:
        with self.context.store.write() as session:
            act(session)

    def _enter(self) -> int:
        with self.context.store.write() as session:
            return enter(session, self.slots)

    def _listen_for_signals(self, slices: Slices) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told, loop, slices)

    def _told(self, loop: asyncio.AbstractEventLoop, slices: Slices) -> None:
        """Stop cleanly when told first; at once when told again."""
        if self.stop.asked():
            LOG.warning("ended_at_once", slices=slices.busy)
            os._exit(_ENDED_AT_ONCE)
        LOG.info("stopping", slices=slices.busy)
        self.stop.ask()
        patience = self.context.settings.provider_timeout + _BEYOND_THE_PROVIDER
        loop.call_later(patience.total_seconds(), self._give_up, slices)

    def _give_up(self, slices: Slices) -> None:
        """End though something is still in hand: house work, which is safe to break off, or worse.

        What was left of a slice is recovered as after a crash.
        """
        LOG.warning("left_behind", slices=slices.busy)
        os._exit(1 if slices.busy else 0)
