"""Do a job of sending: carry one run on for a few seconds, then let the next run have its turn."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from sender.context import Context
from sender.delivery.brake import subject_of
from sender.delivery.progress import Ending
from sender.errors import RefusedError, SenderError
from sender.jobs.sending import enqueue_again
from sender.logs import place_of
from sender.store.alert_book import RUN_STOPPED, keep_raised
from sender.store.campaigns import Run
from sender.vocabulary import RunState
from sender.worker.log import LOG
from sender.worker.metrics import BUSY, SLICES

REST: Final = timedelta(minutes=1)
"""How long a worker leaves a run alone that it could not carry on; another may be able to."""

SHORT_REST: Final = timedelta(seconds=5)
"""The same where the database failed: all workers are cut off at once, so no other would do it."""

_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
_TO_SEND: Final = (RunState.READY, RunState.RUNNING)
_AGAIN: Final = frozenset({Ending.HANDED_ON, Ending.INTERRUPTED})


class CarriesOn(Protocol):
    """What a slice is spent on, from several threads; see `sender.campaigns.carrying`."""

    def carry_on(
        self, run_id: int, *, until: datetime | None, stopping: Callable[[], bool]
    ) -> Ending:
        """Send what may be sent of a run until then."""
        ...

    def close(self) -> None:
        """Let go of what is kept between calls."""
        ...


class Slices:
    """The slices of this process.

    Args:
        context: the installation.
        carrier: what sends.
        stopping: whether this process is to stop.
        length: of a slice; None: until there is nothing more to do.

    Attributes:
        busy: how many are under way.
        failed: how many have failed.
    """

    def __init__(
        self,
        context: Context,
        carrier: CarriesOn,
        stopping: Callable[[], bool],
        length: timedelta | None,
    ) -> None:
        self.busy = 0
        self.failed = 0
        self._context = context
        self._carrier = carrier
        self._stopping = stopping
        self._length = length
        self._left_alone: dict[int, datetime] = {}
        self._lock = threading.Lock()

    def send(self, run_id: int, number: int) -> None:
        """Carry the run on and, if there is more to do at once, queue it again at the tail.

        Never fails: what goes wrong is logged and raised as an alert, and the sweep brings the run
        again.
        """
        if self._context.clock.now() < self._left_alone.get(run_id, _LONG_AGO):
            return
        self._count(1)
        try:
            ending = self._carry_on(run_id)
            SLICES.labels(ending=ending or "too_late").inc()
            LOG.info("slice", run=run_id, number=number, ending=ending or "too_late")
            if ending in _AGAIN:
                self._enqueue_again(run_id, number)
        except Exception as error:  # noqa: BLE001  # see the docstring
            self._fail(run_id, error)
        finally:
            self._count(-1)

    def _carry_on(self, run_id: int) -> Ending | None:
        """Return how it ended; None if the run was, or came, out of the workers' hands meanwhile.

        A job may be late: by then the run may be finished, paused by a person or amended.
        """
        before = self._version_to_send(run_id)
        if before is None:
            return None
        until = self._context.clock.now() + self._length if self._length else None
        try:
            return self._carrier.carry_on(run_id, until=until, stopping=self._stopping)
        except RefusedError:
            if self._version_to_send(run_id) == before:
                raise
            return None

    def _version_to_send(self, run_id: int) -> int | None:
        with self._context.store.read() as session:
            query = select(Run.version_id).where(Run.id == run_id, Run.state.in_(_TO_SEND))
            return session.scalar(query)

    def _enqueue_again(self, run_id: int, number: int) -> None:
        with self._context.store.write() as session:
            run = session.get_one(Run, run_id)
            enqueue_again(session, run_id, number, run.priority)

    def _fail(self, run_id: int, error: Exception) -> None:
        self.failed += 1
        SLICES.labels(ending="failed").inc()
        name = type(error).__name__
        because = error.problem if isinstance(error, SenderError) else name
        LOG.error("slice_failed", run=run_id, error=name, because=because, at=place_of(error))
        rest = SHORT_REST if isinstance(error, OperationalError) else REST
        self._left_alone[run_id] = self._context.clock.now() + rest
        try:
            self._raise_alert(run_id, error, because)
        except Exception as second:  # noqa: BLE001  # the database may be what failed
            LOG.error("alert_failed", run=run_id, error=type(second).__name__)

    def _raise_alert(self, run_id: int, error: Exception, because: str) -> None:
        remedy = error.remedy if isinstance(error, SenderError) else "See the worker's log."
        details = {"run": run_id, "because": because, "remedy": remedy}
        with self._context.store.write() as session:
            subject = subject_of(session, session.get_one(Run, run_id))
            now = self._context.clock.now()
            keep_raised(session, RUN_STOPPED, subject, now=now, details=details)

    def _count(self, more: int) -> None:
        with self._lock:
            self.busy += more
        BUSY.inc(more)
