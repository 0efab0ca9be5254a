"""One spell of work: crews of hands that take jobs from the queue, until told or cut off."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from procrastinate import App
from sqlalchemy import URL

from sender.context import Context
from sender.jobs.queue import PRIORITY, Queue
from sender.jobs.sending import SEND_SLICE
from sender.jobs.workers import HEARTBEAT_EVERY, LOST_AFTER
from sender.worker.connector import WatchedConnector
from sender.worker.house import Duty, do_duty
from sender.worker.slices import Slices
from sender.worker.stop import Stop

POLL_EVERY: Final = timedelta(seconds=2)
"""PostgreSQL notifies workers of new jobs; this is for a notice that was lost."""

_LATE_BY: Final = timedelta(days=2)
"""A duty's last moment is made up for, if nobody was there, by whoever starts within this."""


class CutOffError(Exception):
    """The job queue did not answer."""


@dataclass(frozen=True, slots=True)
class Crew:
    """Hands that serve the same queues.

    Attributes:
        app: the tasks that they know.
        queues: which they serve.
        hands: how many jobs they do at the same time.
    """

    app: App
    queues: Sequence[Queue]
    hands: int


@dataclass(frozen=True, slots=True)
class Work:
    """All that one process does.

    Attributes:
        context: the installation.
        slices: how runs are carried on.
        duties: the house work; none with `once`.
        slots: how many slices at the same time; one more is kept for urgent runs.
        once: end when no job is left.
    """

    context: Context
    slices: Slices
    duties: Sequence[Duty]
    slots: int
    once: bool = False

    @property
    def hands(self) -> int:
        """How many jobs may be under way at the same time."""
        return self.slots + 1 + len(self.duties)


async def spell(work: Work, stop: Stop) -> None:
    """Take jobs until told to stop, then finish those in hand; with `once` until none is left.

    Raises:
        CutOffError: the queue did not answer; begin another spell.
        ConnectorException: it cannot be reached at all.
    """
    connector = WatchedConnector(_url(work.context))
    crews = _crews(work, connector)
    async with crews[0].app.open_async():
        working = [asyncio.create_task(_serve(crew, once=work.once)) for crew in crews]
        ends = asyncio.ALL_COMPLETED if work.once else asyncio.FIRST_COMPLETED
        await _first_of(
            asyncio.wait(working, return_when=ends), connector.failed.wait(), stop.wait()
        )
        for one in working:
            one.cancel()  # which lets it finish what it has in hand
        results = await asyncio.gather(*working, return_exceptions=True)
    fell = any(isinstance(result, Exception) for result in results)
    if not stop.asked() and (fell or connector.failed.is_set() or not work.once):
        raise CutOffError


def _crews(work: Work, connector: WatchedConnector) -> list[Crew]:
    sending = App(connector=connector)
    sending.task(name=SEND_SLICE)(work.slices.send)
    senders = [
        Crew(sending, [Queue.URGENT], 1),
        Crew(sending, [Queue.URGENT, Queue.SEND], work.slots),
    ]
    if not work.duties:
        return senders
    house = App(connector=connector, periodic_defaults={"max_delay": _LATE_BY.total_seconds()})
    for duty in work.duties:
        _add_duty(house, work.context, duty)
    return [Crew(house, [Queue.INBOUND, Queue.HOUSE], len(work.duties)), *senders]


def _add_duty(app: App, context: Context, duty: Duty) -> None:
    @app.periodic(cron=duty.every)
    @app.task(
        name=duty.name,
        queue=duty.queue,
        priority=PRIORITY[duty.queue],
        queueing_lock=duty.name,
        lock=duty.name,
    )
    def do(timestamp: int) -> None:
        del timestamp
        do_duty(context, duty)


async def _serve(crew: Crew, *, once: bool) -> None:
    await crew.app.run_worker_async(
        queues=list(crew.queues),
        concurrency=crew.hands,
        wait=not once,
        install_signal_handlers=False,
        delete_jobs="always",
        fetch_job_polling_interval=POLL_EVERY.total_seconds(),
        update_heartbeat_interval=HEARTBEAT_EVERY.total_seconds(),
        stalled_worker_timeout=LOST_AFTER.total_seconds(),
    )


async def _first_of(*awaited: Coroutine[Any, Any, Any]) -> None:
    waiting = [asyncio.ensure_future(one) for one in awaited]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


def _url(context: Context) -> URL:
    return context.store.engine.url
