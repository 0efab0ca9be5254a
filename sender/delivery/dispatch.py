"""Dispatch a run: render and check, wait for the rate, look and mark, call, record.

Several batches are under way at once where the provider gains by it. Nothing here decides who may
be written to: `last_look` does, in the database, for every batch.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from sqlalchemy import func, or_, select

from sender.clock import Clock
from sender.delivery.batch import Batch, BatchEnd
from sender.delivery.pace import Pace
from sender.delivery.recovery import (
    HEARTBEAT_EVERY,
    beat,
    end_dispatcher,
    live_dispatchers,
    recover,
    start_dispatcher,
    was_ended,
)
from sender.delivery.runs import finish_if_done, get_run, move, settle, skip_pending
from sender.errors import RefusedError
from sender.inbound.outcomes import apply_stragglers
from sender.providers.base import Directive, DirectiveAction, Provider
from sender.rendering.message import RenderedMessage
from sender.rendering.profile import Recipient
from sender.store.deliveries import Delivery
from sender.store.engine import Store
from sender.suppression.journal import require_up_to_date
from sender.vocabulary import DeliveryState, Reason, RunState

_POLL = timedelta(milliseconds=250)
_QUOTA_PAUSE = timedelta(hours=1)
_MOST_FRUITLESS = 20
"""Batches in a row of which no request began in time, before the run stops and says so."""
_TOO_SLOW = (
    "requests do not begin within a second of the last look: connecting to the provider, or this "
    "machine, is too slow. Check the network and sender doctor --providers."
)


class Renderer(Protocol):
    """Makes one person's message. Safe to use from several threads at once."""

    @property
    def fields_used(self) -> frozenset[str]:
        """The recipient fields that the templates name; these are kept with the delivery."""
        ...

    def render(self, recipient: Recipient) -> RenderedMessage:
        """Return the finished, checked message.

        Raises:
            MessageRefused: it cannot be made, or does not pass the check.
        """
        ...


class Ending(StrEnum):
    """Why a dispatcher left its run."""

    FINISHED = "finished"
    PAUSED = "paused"
    STOPPED = "stopped"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


_ENDINGS = {
    RunState.FINISHED: Ending.FINISHED,
    RunState.PAUSED: Ending.PAUSED,
    RunState.STOPPED: Ending.STOPPED,
    RunState.CANCELLED: Ending.CANCELLED,
}
"""A run in any other state is in other hands already."""


@dataclass(slots=True)
class Progress:
    """What this dispatcher has done so far, for people who watch."""

    accepted: int = 0
    skipped: int = 0
    rejected: int = 0
    returned: int = 0
    unknown: int = 0
    provider_calls: int = 0
    waiting_until: datetime | None = None
    waiting_for: str = ""

    @property
    def settled(self) -> int:
        """How many people are no longer waiting."""
        return self.accepted + self.skipped + self.rejected + self.unknown

    def add(self, end: BatchEnd) -> None:
        """Count one batch."""
        self.accepted += end.accepted
        self.skipped += end.skipped
        self.rejected += end.rejected
        self.returned += end.returned
        self.unknown += end.unknown
        self.provider_calls += end.calls


@dataclass(slots=True)
class Dispatcher:
    """One process's work on one run.

    Attributes:
        store: the database.
        clock: the time; the provider must use the same.
        provider: the way out.
        renderer: of the run's current version.
        opt_out_url: makes a delivery's personal link.
        run_id: which run.
        version_id: the campaign version that `renderer` renders.
        operator: for the audit trail.
        pace: of the provider account.
        remaining_today: what the account's daily quota leaves; None is unlimited.
        window_closes_at: when to pause because the sending window closes; None without one.
        on_progress: called from this thread after every change.
    """

    store: Store
    clock: Clock
    provider: Provider
    renderer: Renderer
    opt_out_url: Callable[[int], str]
    run_id: int
    version_id: int
    operator: str
    pace: Pace
    remaining_today: int | None = None
    window_closes_at: datetime | None = None
    on_progress: Callable[[Progress], None] = lambda _progress: None
    progress: Progress = field(default_factory=Progress)
    _dispatcher_id: int = 0
    _cursor: int = 0
    _last_beat: datetime | None = None
    _stop_requested: bool = False
    _fruitless: int = 0

    def run(self) -> Ending:
        """Dispatch until nobody is left, or the run is paused, stopped, cancelled or interrupted.

        Raises:
            RefusedError: another dispatcher is at work on this run, or it may not be sent.
        """
        self._enter()
        interrupted = False
        try:
            self._work()
        except KeyboardInterrupt:
            interrupted = True
        finally:
            ending = self._leave(interrupted=interrupted)
        return ending

    def request_stop(self) -> None:
        """Let the calls that have begun finish, begin no more, and leave the run paused."""
        self._stop_requested = True

    def _enter(self) -> None:
        now = self.clock.now()
        require_up_to_date(self.store, now)
        with self.store.write() as session:
            run = get_run(session, self.run_id, lock=True)
            if run.state not in {RunState.READY, RunState.RUNNING}:
                raise RefusedError(f"Run {self.run_id} is {run.state.value}; it cannot be sent.")
            if run.version_id != self.version_id:
                raise RefusedError(
                    f"The text of run {self.run_id} was amended meanwhile.",
                    remedy=f"Look at it again with: sender campaign resume {self.run_id}",
                )
            others = live_dispatchers(session, self.run_id, now)
            if others:
                where = ", ".join(f"process {row.process_id} on {row.host}" for row in others)
                raise RefusedError(
                    f"Run {self.run_id} is being sent already, by {where}.",
                    remedy="Watch it with: sender campaign status --watch",
                )
            self.progress.unknown += recover(session, self.run_id, now)
            self._dispatcher_id = start_dispatcher(session, self.run_id, now)
            self._last_beat = now
            if run.state is not RunState.RUNNING:
                move(session, run, RunState.RUNNING, now=now, operator=self.operator)

    def _work(self) -> None:
        workers = self.provider.concurrency
        with ThreadPoolExecutor(workers, thread_name_prefix="dispatch") as pool:
            under_way: set[Future[BatchEnd]] = set()
            try:
                while self._may_go_on():
                    self._fill(pool, under_way, workers + 1)
                    if not under_way and not self._more_to_come():
                        return
                    self._collect(under_way)
            finally:
                self._stop_requested = True
                while under_way:
                    self._collect(under_way)
                    self._beat(self.clock.now())

    def _may_go_on(self) -> bool:
        """Look at the run, beat, and wait through a deferral; False when this process must stop."""
        while True:
            now = self.clock.now()
            with self.store.read() as session:
                run = get_run(session, self.run_id)
                state, deferred_until, expires_at = run.state, run.deferred_until, run.expires_at
                replaced = was_ended(session, self._dispatcher_id)
            self._beat(now)
            if self._stop_requested or replaced or state is not RunState.RUNNING:
                return False
            if any(end is not None and end <= now for end in (expires_at, self.window_closes_at)):
                return False
            if deferred_until is None or deferred_until <= now:
                self.progress.waiting_until = None
                return True
            self._idle(min(deferred_until - now, _POLL), until=deferred_until)

    def _beat(self, now: datetime) -> None:
        if self._last_beat is not None and now - self._last_beat < HEARTBEAT_EVERY:
            return
        with self.store.write() as session:
            beat(session, self._dispatcher_id, now)
        self._last_beat = now

    def _idle(self, duration: timedelta, *, until: datetime) -> None:
        self.progress.waiting_until = until
        self.on_progress(self.progress)
        self.clock.sleep(duration.total_seconds())

    def _fill(self, pool: ThreadPoolExecutor, under_way: set[Future[BatchEnd]], most: int) -> None:
        while len(under_way) < most:
            delivery_ids = self._next_ids(self._batch_size())
            if not delivery_ids:
                return
            under_way.add(pool.submit(self._send, delivery_ids))

    def _batch_size(self) -> int:
        size = self.pace.most_at_once(self.provider.batch_limit)
        return size if self.remaining_today is None else min(size, max(0, self.remaining_today))

    def _next_ids(self, size: int) -> list[int]:
        if size == 0:
            return []
        with self.store.read() as session:
            ids = list(
                session.scalars(
                    select(Delivery.id)
                    .where(
                        Delivery.run_id == self.run_id,
                        Delivery.state == DeliveryState.PENDING,
                        Delivery.id > self._cursor,
                        or_(
                            Delivery.not_before.is_(None),
                            Delivery.not_before <= self.clock.now(),
                        ),
                    )
                    .order_by(Delivery.id)
                    .limit(size)
                )
            )
        if ids:
            self._cursor = ids[-1]
            if self.remaining_today is not None:
                self.remaining_today -= len(ids)
        return ids

    def _more_to_come(self) -> bool:
        """Whether pending people are left for another pass, now or later."""
        if self.remaining_today is not None and self.remaining_today <= 0:
            self._renew_quota()
        self._cursor = 0
        with self.store.read() as session:
            pending, earliest = session.execute(
                select(
                    func.count(),
                    func.min(func.coalesce(Delivery.not_before, self.clock.now())),
                ).where(Delivery.run_id == self.run_id, Delivery.state == DeliveryState.PENDING)
            ).one()
        if not pending:
            return False
        now = self.clock.now()
        if earliest > now:
            self._idle(min(earliest - now, _POLL), until=earliest)
        return True

    def _renew_quota(self) -> None:
        capacity = self.provider.capacity()
        self.remaining_today = capacity.remaining_today
        if capacity.remaining_today == 0:
            self._defer(_QUOTA_PAUSE, "the provider's daily quota is used up")

    def _collect(self, under_way: set[Future[BatchEnd]]) -> None:
        if not under_way:
            return
        done, _ = wait(under_way, timeout=_POLL.total_seconds(), return_when=FIRST_COMPLETED)
        for future in done:
            under_way.discard(future)
            self._take(future.result())
        self.on_progress(self.progress)

    def _take(self, end: BatchEnd) -> None:
        self.progress.add(end)
        if self.remaining_today is not None:
            self.remaining_today += end.skipped + end.returned + end.untouched
        if end.directive is not None:
            self._obey(end.directive)
        elif end.accepted:
            self.pace.speed_up()
        self._fruitless = self._fruitless + 1 if end.never_started else 0
        if self._fruitless >= _MOST_FRUITLESS:
            self._stop(_TOO_SLOW)

    def _obey(self, directive: Directive) -> None:
        why = f"{directive.code}: {directive.remedy}"[:500]
        if directive.action is DirectiveAction.STOP:
            self._stop(why)
            return
        if directive.action is DirectiveAction.SLOW_DOWN:
            self.pace.slow_down()
        if directive.delay:
            self._defer(directive.delay, why)

    def _stop(self, why: str) -> None:
        with self.store.write() as session:
            run = get_run(session, self.run_id, lock=True)
            if run.state is RunState.RUNNING:
                now = self.clock.now()
                move(session, run, RunState.STOPPED, now=now, operator="sender", because=why)

    def _defer(self, delay: timedelta, why: str) -> None:
        until = self.clock.now() + delay
        self.progress.waiting_for = why
        with self.store.write() as session:
            run = get_run(session, self.run_id, lock=True)
            if run.deferred_until is None or run.deferred_until < until:
                run.deferred_until = until

    def _send(self, delivery_ids: Sequence[int]) -> BatchEnd:
        batch = Batch(
            store=self.store,
            clock=self.clock,
            provider=self.provider,
            renderer=self.renderer,
            opt_out_url=self.opt_out_url,
            run_id=self.run_id,
            version_id=self.version_id,
            dispatcher_id=self._dispatcher_id,
            pace=self.pace,
            window_closes_at=self.window_closes_at,
            stopping=lambda: self._stop_requested,
        )
        return batch.send(delivery_ids)

    def _leave(self, *, interrupted: bool) -> Ending:
        now = self.clock.now()
        with self.store.write() as session:
            run = get_run(session, self.run_id, lock=True)
            if was_ended(session, self._dispatcher_id):  # given up for lost: the run is another's
                if not run.state.is_open:  # what this one knows it never sent, nobody will send now
                    skip_pending(session, run.id, Reason.CANCELLED)
                return _ending(run.state, interrupted=True)
            end_dispatcher(session, self._dispatcher_id, now)
            apply_stragglers(session, now)
            settle(session, run, now=now, operator=self.operator)
            if run.state is RunState.RUNNING and not finish_if_done(
                session, run, now=now, operator=self.operator
            ):
                interrupted = True
                move(session, run, RunState.PAUSED, now=now, operator=self.operator)
            return _ending(run.state, interrupted=interrupted)


def _ending(state: RunState, *, interrupted: bool) -> Ending:
    if state is RunState.FINISHED:
        return Ending.FINISHED
    if interrupted or state not in _ENDINGS:
        return Ending.INTERRUPTED
    return _ENDINGS[state]
