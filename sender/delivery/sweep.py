"""Look after every open run: what lost dispatchers left, what is done, and what has work now.

Whoever carries runs on calls this often: a worker every few seconds, a scheduler at each tick. It
changes nothing that a dispatcher would not have changed itself, had it lived.
"""

from datetime import datetime

import structlog
from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from sender.clock import Clock
from sender.delivery.parts import cover_pending, outlook
from sender.delivery.recovery import live_dispatchers, recover
from sender.delivery.runs import cancel, finish_if_done, get_run, settle
from sender.store.campaigns import Run
from sender.store.engine import Store
from sender.vocabulary import Priority, RunState

_log = structlog.get_logger("sender.sweep")

_TO_SETTLE = (RunState.PAUSING, RunState.CANCELLING)
_TO_SEND = (RunState.READY, RunState.RUNNING)


def sweep(store: Store, clock: Clock, operator: str) -> list[int]:
    """Tidy up after lost dispatchers and return the runs that have work now, urgent ones first.

    Each run is looked after in a transaction of its own, and what breaks in one holds up no other.
    A run that nobody confirmed, or that a person or the brake stopped, is never among them; nor is
    one that waits. A test whose sender was lost in the middle is cancelled: a test is never carried
    on.

    Raises:
        Exception: what broke, if nothing went well.
    """
    with store.read() as session:
        open_runs = or_(
            Run.state.in_((*_TO_SETTLE, RunState.RUNNING)),
            and_(Run.state == RunState.READY, Run.is_test.is_(False)),
        )
        query = select(Run.id, Run.priority).where(open_runs).order_by(Run.id)
        runs = list(session.execute(query))
    runs.sort(key=lambda one: one[1] is not Priority.URGENT)
    with_work: list[int] = []
    broken: list[Exception] = []
    for run_id, _ in runs:
        try:
            if _look_after(store, clock.now(), run_id, operator):
                with_work.append(run_id)
        except Exception as error:  # noqa: BLE001 - told by type alone, and tried again next time
            broken.append(error)
            _log.error("sweep-failed", run=run_id, error=type(error).__name__)
    if broken and len(broken) == len(runs):
        raise broken[-1]
    return with_work


def _look_after(store: Store, now: datetime, run_id: int, operator: str) -> bool:
    """Tidy one run up; return whether it has work now."""
    with store.write() as session:
        run = get_run(session, run_id, lock=True)
        recover(session, run_id, now)
        if live_dispatchers(session, run_id, now):
            return not run.is_test and _has_work(session, run, now)
        if run.is_test and run.state is RunState.RUNNING:
            cancel(session, run_id, now=now, operator=operator)
        settle(session, run, now=now, operator=operator)
        if run.state not in _TO_SEND:
            return False
        cover_pending(session, run_id, now)
        if finish_if_done(session, run, now=now, operator=operator):
            return False
        return _has_work(session, run, now)


def _has_work(session: Session, run: Run, now: datetime) -> bool:
    if run.state not in _TO_SEND or (run.deferred_until is not None and run.deferred_until > now):
        return False
    ahead = outlook(session, run)
    return not ahead.is_planned or (ahead.ready_at is not None and ahead.ready_at <= now)
