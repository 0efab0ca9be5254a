"""The moves of a run's life, each in one transaction with its audit row."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from sender.delivery.parts import cover_pending, is_planned
from sender.delivery.recovery import live_dispatchers, recover
from sender.errors import NotFoundError, RefusedError
from sender.store.audit import Chain
from sender.store.audit_trail import record as audit
from sender.store.campaigns import Run, SourceRefusal
from sender.store.deliveries import Delivery
from sender.vocabulary import DeliveryState, Reason, RunState

SENDABLE = frozenset(
    {RunState.PLANNING, RunState.READY, RunState.RUNNING, RunState.PAUSED, RunState.STOPPED}
)
"""States that a launch or a resume may carry on from."""


@dataclass(frozen=True, slots=True)
class Counts:
    """A run's people by what became of them; together they are the whole audience (invariant 5)."""

    by_state: Counter[DeliveryState]
    by_reason: Counter[Reason]
    """Of the skipped, by reason."""
    source_refusals: Counter[Reason]
    """Rows of the organisation's own database that could not be taken at all."""

    @property
    def planned(self) -> int:
        """Everybody who has a delivery."""
        return sum(self.by_state.values())

    @property
    def pending(self) -> int:
        """How many are still to be written to."""
        return self.by_state[DeliveryState.PENDING]

    @property
    def unknown(self) -> int:
        """How many may or may not have been written to."""
        return self.by_state[DeliveryState.UNKNOWN]

    @property
    def handed_over(self) -> int:
        """How many messages a provider took."""
        taken = (DeliveryState.ACCEPTED, DeliveryState.DELIVERED, DeliveryState.FAILED)
        return sum(self.by_state[state] for state in taken)


def get_run(session: Session, run_id: int, *, lock: bool = False) -> Run:
    """Return the run, locked against other writers of its row if asked.

    Whoever plans a range of it writes rows that refer to it, which takes seconds: that is not
    waited for, so that a pause takes hold at once. Planning looks at the state at its own end.

    Raises:
        NotFoundError: there is none.
    """
    how = {"key_share": True} if lock else False
    run = session.get(Run, run_id, with_for_update=how, populate_existing=True)
    if run is None:
        raise NotFoundError(f"There is no run {run_id}.", remedy="See: sender campaign status")
    return run


def count(session: Session, run_id: int) -> Counts:
    """Count the run's people by state and reason."""
    query = (
        select(Delivery.state, Delivery.reason, func.count())
        .where(Delivery.run_id == run_id)
        .group_by(Delivery.state, Delivery.reason)
    )
    by_state: Counter[DeliveryState] = Counter()
    by_reason: Counter[Reason] = Counter()
    for state, reason, number in session.execute(query):
        by_state[state] += number
        if reason is not None and state is DeliveryState.SKIPPED:
            by_reason[reason] += number
    refused = session.execute(
        select(SourceRefusal.reason, SourceRefusal.count).where(SourceRefusal.run_id == run_id)
    )
    return Counts(by_state, by_reason, Counter(dict(refused.all())))


def move(
    session: Session,
    run: Run,
    state: RunState,
    *,
    now: datetime,
    operator: str,
    because: str | None = None,
) -> None:
    """Put the run in `state` and say so in the audit trail."""
    before, run.state = run.state, state
    run.stopped_because = because
    if state is RunState.RUNNING and run.started_at is None:
        run.started_at = now
    details: dict[str, Any] = {"run": run.id, "from": before.value, "to": state.value}
    if because:
        details["because"] = because
    if not state.is_open:
        run.ended_at = now
        details |= _closing_details(session, run.id)
    audit(
        session,
        now=now,
        operator=operator,
        action=f"run.{state.value}",
        controller_id=run.controller_id,
        details=details,
    )


def pause(session: Session, run_id: int, *, now: datetime, operator: str) -> RunState:
    """Let no further request start; a dispatcher at work finishes the calls it has begun.

    Raises:
        RefusedError: the run is over, or nobody confirmed it yet.
    """
    run = get_run(session, run_id, lock=True)
    if run.state is RunState.PAUSED:
        return run.state
    working = _working(session, run_id, now)
    if run.state is RunState.PAUSING and not working:
        settle(session, run, now=now, operator=operator)
    if run.state in {RunState.PAUSING, RunState.PAUSED}:
        return run.state
    if run.state not in {RunState.READY, RunState.RUNNING}:
        raise RefusedError(f"Run {run_id} is {run.state.value}; only a running one is paused.")
    move(
        session,
        run,
        RunState.PAUSING if working else RunState.PAUSED,
        now=now,
        operator=operator,
    )
    return run.state


def cancel(session: Session, run_id: int, *, now: datetime, operator: str) -> RunState:
    """End the run: whoever is still pending is skipped as cancelled.

    Raises:
        RefusedError: the run is over.
    """
    run = get_run(session, run_id, lock=True)
    if not run.state.is_open:
        raise RefusedError(f"Run {run_id} is already {run.state.value}.")
    skip_pending(session, run_id, Reason.CANCELLED)
    working = _working(session, run_id, now)
    state = RunState.CANCELLING if working else RunState.CANCELLED
    move(session, run, state, now=now, operator=operator)
    return run.state


def _working(session: Session, run_id: int, now: datetime) -> bool:
    """Whether a dispatcher is at work; if none is, what lost ones had marked becomes unknown."""
    if live_dispatchers(session, run_id, now):
        return True
    recover(session, run_id, now)
    return False


def settle(session: Session, run: Run, *, now: datetime, operator: str) -> None:
    """Put a run that its last dispatcher has left into the state that it was heading for."""
    if run.state is RunState.PAUSING:
        because = run.stopped_because
        move(session, run, RunState.PAUSED, now=now, operator=operator, because=because)
    elif run.state is RunState.CANCELLING:
        skip_pending(session, run.id, Reason.CANCELLED)
        move(session, run, RunState.CANCELLED, now=now, operator=operator)


def finish_if_done(session: Session, run: Run, *, now: datetime, operator: str) -> bool:
    """Finish a run with nobody left to plan or write to; runs don't wait for unknowns.

    One that has expired is planned no further; how many were not is in its report.
    """
    if run.expires_at is not None and run.expires_at <= now:
        skip_pending(session, run.id, Reason.EXPIRED)
    elif not is_planned(session, run) or cover_pending(session, run.id, now):
        return False
    waiting = (DeliveryState.PENDING, DeliveryState.DISPATCHING)
    left = session.scalar(
        select(Delivery.id).where(Delivery.run_id == run.id, Delivery.state.in_(waiting)).limit(1)
    )
    if left is not None:
        return False
    move(session, run, RunState.FINISHED, now=now, operator=operator)
    return True


def skip_pending(session: Session, run_id: int, reason: Reason) -> None:
    """Turn everybody who is pending into skipped, for one reason."""
    session.execute(
        update(Delivery)
        .where(Delivery.run_id == run_id, Delivery.state == DeliveryState.PENDING)
        .values(state=DeliveryState.SKIPPED, reason=reason, consent_event_id=None)
    )


def skip(session: Session, refusals: Iterable[tuple[int, Reason]]) -> None:
    """Skip pending deliveries whose message could not be made."""
    by_reason: dict[Reason, list[int]] = {}
    for delivery_id, reason in refusals:
        by_reason.setdefault(reason, []).append(delivery_id)
    for reason, delivery_ids in by_reason.items():
        session.execute(
            update(Delivery)
            .where(Delivery.id.in_(delivery_ids), Delivery.state == DeliveryState.PENDING)
            .values(state=DeliveryState.SKIPPED, reason=reason, consent_event_id=None)
        )


def _closing_details(session: Session, run_id: int) -> dict[str, Any]:
    """Return the final counts, and the head of every chain as an anchor against truncation."""
    counts = count(session, run_id)
    heads = session.execute(select(Chain.id, Chain.head_seq, Chain.head_hash).order_by(Chain.id))
    return {
        "counts": {state.value: number for state, number in sorted(counts.by_state.items())},
        "skipped": {reason.value: number for reason, number in sorted(counts.by_reason.items())},
        "chains": {str(chain): [seq, head.hex()] for chain, seq, head in heads},
    }
