"""Dispatch a run: share it out in parts, and bring each part's people through `Batch`.

Several batches are under way at once, and several dispatchers, here and on other machines, may work
on one run. Nothing here decides who may be written to: `last_look` does, in the database, for every
batch.
"""

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from sender.clock import Clock
from sender.delivery.audience import Audience
from sender.delivery.batch import Batch, BatchEnd, Renderer, RunFacts
from sender.delivery.brake import alert_stopped, brake
from sender.delivery.hours import hours_of
from sender.delivery.lanes import Lanes
from sender.delivery.pace import Pace
from sender.delivery.parts import cover_pending, outlook
from sender.delivery.planning import TooManyRecipientsError
from sender.delivery.progress import Ending, Progress
from sender.delivery.quota import Quota
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
from sender.delivery.shares import Chunk, Share, Shares
from sender.errors import RefusedError
from sender.inbound.outcomes import apply_stragglers
from sender.providers.base import Directive, DirectiveAction, Provider
from sender.store.campaigns import Run
from sender.store.controllers import Controller
from sender.store.engine import Store
from sender.store.keys import AddressHasher
from sender.suppression.journal import require_up_to_date
from sender.vocabulary import Reason, RunState

_POLL = timedelta(milliseconds=250)
_LOOK_ROUND_EVERY = timedelta(milliseconds=250)
_QUOTA_PAUSE = timedelta(minutes=5)
"""Others may give back by then what they took, and a day's quota comes free bit by bit."""
_MOST_FRUITLESS = 20
"""Batches in a row of which no request began in time, before the run stops and says so."""
_TOO_SLOW = (
    "requests do not begin within a second of the last look: connecting to the provider, or this "
    "machine, is too slow. Check the network and sender doctor --providers."
)
_SILENT_FROM = 3
"""Batches in a row that the provider left in doubt, before the run waits and tries one message."""
_SILENT_PAUSE = timedelta(minutes=1)
_LONGEST_SILENT_PAUSE = timedelta(minutes=15)

MOST_AT_ONCE = 200
"""People of one last look. More would save little, and each is gone through again if it is late."""
CALLS_WITHIN = timedelta(milliseconds=400)
"""The calls of one last look should have begun by then: it is good for a second."""
_ALLOWANCE = 500
"""Messages that are taken from the daily quota at a time; what is left is given back."""
UNDER_WAY = 2
"""Batches at the same time: one is calling while the next is prepared. With more, threads only take
the interpreter from each other, and no more is sent."""

PATIENCE = timedelta(hours=1)
"""How long a launcher waits for people who may not be written to yet before it leaves."""


_ENDINGS = {
    RunState.FINISHED: Ending.FINISHED,
    RunState.PAUSED: Ending.PAUSED,
    RunState.STOPPED: Ending.STOPPED,
    RunState.CANCELLED: Ending.CANCELLED,
}
"""A run in any other state is in other hands already."""


@dataclass(slots=True)
class Dispatcher:
    """One process's work on one run.

    Attributes:
        store: the database.
        hasher: of addresses, with the database's key.
        clock: the time; the provider must use the same.
        provider: the way out.
        renderer: of the run's current version.
        opt_out_url: makes a delivery's personal link.
        run_id: which run.
        version_id: the campaign version that `renderer` renders.
        controller_version_id: what its controller says of itself in `renderer`; None: as the run
            says.
        operator: for the audit trail.
        pace: of the provider account.
        by_hand: whether a person waits for it: then it works alone, and its interruption pauses the
            run. Otherwise others may work beside it, and the run is left to whoever comes next.
        audience: whom the run is about, to plan what is not planned; None: all is.
        quota: of the provider account; None: unlimited.
        worker_id: the worker that it belongs to, if any.
        until: when to hand the run on; None: never.
        patience: how long to wait for people who may not be written to yet before leaving.
        stopping: whether this process is to stop.
        on_progress: called from this thread after every change.
    """

    store: Store
    hasher: AddressHasher
    clock: Clock
    provider: Provider
    renderer: Renderer
    opt_out_url: Callable[[int], str]
    run_id: int
    version_id: int
    operator: str
    pace: Pace
    controller_version_id: int | None = None
    by_hand: bool = True
    audience: Audience | None = None
    quota: Quota | None = None
    worker_id: int | None = None
    until: datetime | None = None
    patience: timedelta = PATIENCE
    stopping: Callable[[], bool] = lambda: False
    on_progress: Callable[[Progress], None] = lambda _progress: None
    progress: Progress = field(default_factory=Progress)
    _dispatcher_id: int = 0
    _facts: RunFacts = field(init=False)
    _shares: Shares = field(init=False)
    _lanes: Lanes = field(init=False)
    _last_beat: datetime | None = None
    _last_round: datetime | None = None
    _stop_requested: bool = False
    _fruitless: int = 0
    _allowance: int = 0
    _in_doubt: bool = False
    _probing: bool = False
    _waits: bool = False

    def run(self) -> Ending:
        """Dispatch until nobody is left, or the run is paused, stopped, cancelled or handed on.

        Raises:
            RefusedError: another dispatcher is at work where this one works alone, or the run may
                not be sent.
        """
        self._enter()
        self._lanes = Lanes(self.provider.concurrency, self.clock.monotonic)
        interrupted = False
        try:
            self._work()
        except KeyboardInterrupt:
            interrupted = True
        finally:
            self._lanes.close()
            if self.quota is not None:
                self.quota.give_back(self._allowance)
            ending = self._leave(interrupted=interrupted)
        return ending

    def request_stop(self) -> None:
        """Let the calls that have begun finish, and begin no more."""
        self._stop_requested = True

    def _enter(self) -> None:
        now = self.clock.now()
        require_up_to_date(self.store, now)
        with self.store.write() as session:
            run = get_run(session, self.run_id, lock=True)
            self._require_sendable(run)
            if self.by_hand:
                _require_alone(session, run, now)
            self.progress.unknown += recover(session, run.id, now)
            self._dispatcher_id = start_dispatcher(session, run.id, now, self.worker_id)
            self._last_beat = now
            controller = session.get_one(Controller, run.controller_id)
            self.controller_version_id = self.controller_version_id or run.controller_version_id
            self._facts = RunFacts(
                run.channel,
                controller.slug,
                run.controller_version_id,
                run.is_test,
                run.expires_at,
            )
            self._shares = Shares(
                store=self.store,
                clock=self.clock,
                run_id=run.id,
                dispatcher_id=self._dispatcher_id,
                hours=hours_of(session, run),
                audience=self.audience,
                may_plan=lambda: not self._must_stop(self.clock.now()),
                on_planned=self._note_planned,
            )
            if run.state is not RunState.RUNNING:
                move(session, run, RunState.RUNNING, now=now, operator=self.operator)
            cover_pending(session, run.id, now)

    def _require_sendable(self, run: Run) -> None:
        if run.state not in {RunState.READY, RunState.RUNNING}:
            raise RefusedError(f"Run {run.id} is {run.state.value}; it cannot be sent.")
        if self._is_outdated(run):
            raise RefusedError(
                f"The text of run {run.id} was amended meanwhile.",
                remedy=f"Look at it again with: sender campaign resume {run.id}",
            )

    def _is_outdated(self, run: Run) -> bool:
        """Whether the run has another text, or its controller another identity, than rendered."""
        said_by = self.controller_version_id or run.controller_version_id
        return (run.version_id, run.controller_version_id) != (self.version_id, said_by)

    def _work(self) -> None:
        with ThreadPoolExecutor(UNDER_WAY, thread_name_prefix="dispatch") as pool:
            under_way: dict[Future[BatchEnd], Share] = {}
            try:
                while self._may_go_on():
                    self._fill(pool, under_way)
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
            if self._must_stop(now):
                return False
            if _is_within(_LOOK_ROUND_EVERY, self._last_round, now):
                return True
            self._beat(now)
            with self.store.read() as session:
                run = get_run(session, self.run_id)
                if not self._is_still_mine(session, run, now):
                    return False
            self._in_doubt = (run.unanswered or 0) > 0
            self._probing = (run.unanswered or 0) >= _SILENT_FROM
            if run.deferred_until is None or run.deferred_until <= now:
                self.progress.waiting_until = None
                self._last_round = now
                return True
            if not self._idle_until(run.deferred_until, now):
                return False

    def _is_still_mine(self, session: Session, run: Run, now: datetime) -> bool:
        """Whether the run is to be sent on, with what is rendered here, and by this dispatcher."""
        return (
            run.state is RunState.RUNNING
            and (run.expires_at is None or run.expires_at > now)
            and not self._is_outdated(run)
            and not was_ended(session, self._dispatcher_id)
        )

    def _must_stop(self, now: datetime) -> bool:
        return (
            self._stop_requested
            or self.stopping()
            or (self.until is not None and self.until <= now)
        )

    def _beat(self, now: datetime) -> None:
        if _is_within(HEARTBEAT_EVERY, self._last_beat, now):
            return
        with self.store.write() as session:
            run = get_run(session, self.run_id)
            why = brake(session, run, now) if run.state is RunState.RUNNING else None
            if why is not None:
                run = get_run(session, self.run_id, lock=True)
                move(session, run, RunState.PAUSING, now=now, operator="sender", because=why)
        with self.store.write() as session:  # by itself: others lock a run before its dispatchers
            beat(session, self._dispatcher_id, now, self.progress.accepted)
        self._last_beat = now

    def _idle_until(self, until: datetime, now: datetime) -> bool:
        """Wait a little for a later time; False when it is too far away to stay for."""
        if until - now > self.patience:
            self._waits = True
            return False
        self.progress.waiting_until = until
        self.on_progress(self.progress)
        self.clock.sleep(min(until - now, _POLL).total_seconds())
        return True

    def _fill(self, pool: ThreadPoolExecutor, under_way: dict[Future[BatchEnd], Share]) -> None:
        most = 1 if self._probing or self._waits_little() else UNDER_WAY
        while len(under_way) < most:
            size = self._batch_size()
            chunk = self._next_chunk(size) if size else None
            if chunk is None:
                return
            batch = self._batch(chunk.closes_at)
            under_way[pool.submit(batch.send, chunk.people)] = chunk.share

    def _waits_little(self) -> bool:
        """Whether a batch computes rather than waits: in bulk to a file, a second costs a fifth."""
        return self.store.dialect == "sqlite" and self.provider.messages_per_call > 1

    def _next_chunk(self, size: int) -> Chunk | None:
        try:
            chunk = self._shares.next_chunk(size)
        except TooManyRecipientsError as too_many:
            chunk = None
            people = f"{too_many.people:,}"
            self._stop(f"at least {people} people may be written to, more than max_recipients")
        self._allowance -= len(chunk.people) if chunk else 0
        return chunk

    def _note_planned(self, people: int) -> None:
        self._beat(self.clock.now())
        self.progress.planned += people
        self.on_progress(self.progress)

    def _batch_size(self) -> int:
        """Return how many people the next last look may be for; 0 when the quota is used up."""
        if self._probing:
            size = 1
        else:
            a_call = min(self.provider.messages_per_call, MOST_AT_ONCE)
            in_a_call = self.pace.most_at_once(a_call, in_one_call=True)
            side_by_side = self.pace.most_at_once(MOST_AT_ONCE, in_one_call=False)
            in_time = self._lanes.calls_within(CALLS_WITHIN) * in_a_call
            size = max(in_a_call, min(side_by_side, in_time) // in_a_call * in_a_call)
        return size if self.quota is None else self._allowed(size, self.quota)

    def _allowed(self, size: int, quota: Quota) -> int:
        """Return how many of these the quota allows, which is taken from it in larger amounts."""
        if self._allowance < size:
            self._allowance += quota.take(max(_ALLOWANCE, size) - self._allowance)
        if self._allowance == 0:
            self._defer(_QUOTA_PAUSE, "the provider's daily quota is used up")
        return min(size, self._allowance)

    def _more_to_come(self) -> bool:
        """Whether there is more to do here: at once, or when somebody may be written to."""
        with self.store.read() as session:
            run = get_run(session, self.run_id)
            ahead = outlook(session, run)
        now = self.clock.now()
        if run.deferred_until is not None and run.deferred_until > now:
            return True  # to be waited through, with what this one holds
        if ahead.ready_at is not None:
            return ahead.ready_at <= now or self._idle_until(ahead.ready_at, now)
        self._waits = ahead.open_parts > 0 or not ahead.is_planned
        return False

    def _collect(self, under_way: dict[Future[BatchEnd], Share]) -> None:
        if not under_way:
            return
        done, _ = wait(under_way, timeout=_POLL.total_seconds(), return_when=FIRST_COMPLETED)
        for future in done:
            share = under_way.pop(future)
            share.under_way -= 1
            self._take(future.result())
            if not self._stop_requested:
                self._shares.let_go_if_done(share)
        self.progress.skipped += self._shares.out_of_hours
        self._shares.out_of_hours = 0
        self.on_progress(self.progress)

    def _take(self, end: BatchEnd) -> None:
        self.progress.add(end)
        self._allowance += end.skipped + end.returned + end.untouched
        if end.directive is not None:
            self._obey(end.directive)
        self._fruitless = self._fruitless + 1 if end.never_started else 0
        if self._fruitless >= _MOST_FRUITLESS:
            self._stop(_TOO_SLOW)
        if end.unanswered or (end.accepted and self._in_doubt):
            self._note_silence(silent=end.unanswered)

    def _note_silence(self, *, silent: bool) -> None:
        """Count what the provider left in doubt: after some, wait, and try with one message.

        Each message to a provider that does not answer is one that nobody will send again.
        """
        with self.store.write() as session:
            run = get_run(session, self.run_id, lock=True)
            run.unanswered = (run.unanswered or 0) + 1 if silent else 0
            times = run.unanswered - _SILENT_FROM
        self._in_doubt, self._probing = silent, times >= 0
        if self._probing:
            pause = min(_SILENT_PAUSE * 2 ** min(times, 10), _LONGEST_SILENT_PAUSE)
            self._defer(pause, "the provider does not answer")

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
        now = self.clock.now()
        with self.store.write() as session:
            run = get_run(session, self.run_id, lock=True)
            if run.state is RunState.RUNNING:
                move(session, run, RunState.STOPPED, now=now, operator="sender", because=why)
                alert_stopped(session, run, why, now)

    def _defer(self, delay: timedelta, why: str) -> None:
        until = self.clock.now() + delay
        self.progress.waiting_for = why
        self._last_round = None
        with self.store.write() as session:
            run = get_run(session, self.run_id, lock=True)
            if run.deferred_until is None or run.deferred_until < until:
                run.deferred_until = until

    def _batch(self, closes_at: datetime | None) -> Batch:
        return Batch(
            store=self.store,
            hasher=self.hasher,
            clock=self.clock,
            provider=self.provider,
            lanes=self._lanes,
            renderer=self.renderer,
            opt_out_url=self.opt_out_url,
            run_id=self.run_id,
            version_id=self.version_id,
            dispatcher_id=self._dispatcher_id,
            facts=self._facts,
            pace=self.pace,
            window_closes_at=closes_at,
            stopping=self._is_stopping,
        )

    def _is_stopping(self) -> bool:
        return self._stop_requested or self.stopping()

    def _leave(self, *, interrupted: bool) -> Ending:
        now = self.clock.now()
        with self.store.write() as session:
            run = get_run(session, self.run_id, lock=True)
            if was_ended(session, self._dispatcher_id):  # given up for lost: the run is another's
                if not run.state.is_open:  # what this one knows it never sent, nobody will send now
                    skip_pending(session, run.id, Reason.CANCELLED)
                return _ending(run.state, interrupted=False)
            end_dispatcher(session, self._dispatcher_id, now, self.progress.accepted)
            if not live_dispatchers(session, run.id, now):
                recover(session, run.id, now)  # of those who were lost meanwhile
                apply_stragglers(session, now)
                settle(session, run, now=now, operator=self.operator)
            if run.state is not RunState.RUNNING:
                return _ending(run.state, interrupted=interrupted)
            if finish_if_done(session, run, now=now, operator=self.operator):
                return Ending.FINISHED
            return self._hand_on(session, run, now, interrupted=interrupted)

    def _hand_on(self, session: Session, run: Run, now: datetime, *, interrupted: bool) -> Ending:
        """Leave a run that is not done: to others, to a later time, or to a person's resume."""
        if not self.by_hand:
            return Ending.WAITING if self._waits else Ending.HANDED_ON
        if self._waits and not interrupted:
            move(session, run, RunState.READY, now=now, operator=self.operator)
            return Ending.WAITING
        move(session, run, RunState.PAUSED, now=now, operator=self.operator)
        return Ending.INTERRUPTED


def _is_within(duration: timedelta, last: datetime | None, now: datetime) -> bool:
    """Whether it was done just now; by a clock that was set back since, nobody can tell."""
    return last is not None and timedelta(0) <= now - last < duration


def _ending(state: RunState, *, interrupted: bool) -> Ending:
    if state is RunState.FINISHED:
        return Ending.FINISHED
    return Ending.INTERRUPTED if interrupted else _ENDINGS.get(state, Ending.INTERRUPTED)


def _require_alone(session: Session, run: Run, now: datetime) -> None:
    others = live_dispatchers(session, run.id, now)
    if others:
        where = ", ".join(f"process {row.process_id} on {row.host}" for row in others)
        raise RefusedError(
            f"Run {run.id} is being sent already, by {where}.",
            remedy="Watch it with: sender campaign status --watch",
        )
