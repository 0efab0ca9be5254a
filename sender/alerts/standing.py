"""What stands: raise what time alone brings, resolve what is over, list, and see to by hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sender.context import Context
from sender.errors import NotFoundError, RefusedError
from sender.inbound.inbox import is_open
from sender.store.alert_book import (
    ACCOUNT_UNUSABLE,
    INBOX_WAITING,
    RUN_PAUSED,
    RUN_STOPPED,
    keep_raised,
    resolve,
)
from sender.store.campaigns import Run
from sender.store.controllers import Controller
from sender.store.inbound import Alert, AlertTelling, InboxMessage
from sender.subjects.reminders import remind_of_requests

INBOX_PATIENCE: Final = timedelta(hours=4)
"""How long a reply that may be a no may wait for a person."""

_ITSELF: Final = "sender"
_OF_RUNS: Final = (ACCOUNT_UNUSABLE, RUN_PAUSED, RUN_STOPPED)
"""Over when their run is, or has left the states of `while` in their details."""


@dataclass(frozen=True, slots=True)
class Listed:
    """An alert for people to look at, with what became of telling it."""

    alert: Alert
    tellings: Sequence[AlertTelling]


def raise_due_alerts(context: Context) -> None:
    """Raise an alert for each inbox that waits for too long, and resolve what is over by itself."""
    now = context.clock.now()
    with context.store.write() as session:
        waiting = _overdue(session, now)
        for slug, details in waiting.items():
            keep_raised(session, INBOX_WAITING, slug, now=now, details=details)
        for alert in _standing(session, [INBOX_WAITING, *_OF_RUNS]):
            if _is_over(session, alert, waiting):
                resolve(session, alert, now=now, operator=_ITSELF)
        remind_of_requests(session, now)


def list_alerts(session: Session, *, everything: bool) -> list[Listed]:
    """Return the alerts that stand, or all there ever were; the newest first."""
    query = select(Alert).order_by(Alert.last_at.desc(), Alert.id.desc())
    if not everything:
        query = query.where(Alert.resolved_at.is_(None))
    alerts = session.scalars(query).all()
    tellings: dict[int, list[AlertTelling]] = {alert.id: [] for alert in alerts}
    for telling in session.scalars(select(AlertTelling).order_by(AlertTelling.way)):
        if telling.alert_id in tellings:
            tellings[telling.alert_id].append(telling)
    return [Listed(alert, tellings[alert.id]) for alert in alerts]


def resolve_by_hand(session: Session, alert_id: int, *, now: datetime, operator: str) -> Alert:
    """Let an alert stand no longer.

    Raises:
        NotFoundError: there is none of this id.
        RefusedError: it is resolved.
    """
    alert = session.get(Alert, alert_id, with_for_update=True)
    if alert is None:
        raise NotFoundError(f"There is no alert {alert_id}.", remedy="See: sender alert list")
    if alert.resolved_at is not None:
        raise RefusedError(f"Alert {alert_id} is resolved.", remedy="See: sender alert list --all")
    resolve(session, alert, now=now, operator=operator)
    return alert


def _overdue(session: Session, now: datetime) -> dict[str, dict[str, Any]]:
    query = (
        select(Controller.slug, func.count(), func.min(InboxMessage.received_at))
        .join(Controller, Controller.id == InboxMessage.controller_id)
        .where(is_open(), InboxMessage.received_at < now - INBOX_PATIENCE)
        .group_by(Controller.slug)
    )
    return {slug: _waits(slug, count, oldest) for slug, count, oldest in session.execute(query)}


def _waits(slug: str, count: int, oldest: datetime) -> dict[str, Any]:
    hours = int(INBOX_PATIENCE.total_seconds() // 3600)
    return {
        "waiting": count,
        "because": (
            f"{count:,} of them for over {hours} hours, the oldest since "
            f"{oldest.astimezone(UTC):%Y-%m-%d %H:%M} UTC."
        ),
        "remedy": f"Read them: sender inbox list -c {slug}",
    }


def _standing(session: Session, kinds: Sequence[str]) -> Sequence[Alert]:
    query = select(Alert).where(Alert.kind.in_(kinds), Alert.resolved_at.is_(None))
    return session.scalars(query).all()


def _is_over(session: Session, alert: Alert, waiting: dict[str, dict[str, Any]]) -> bool:
    if alert.kind == INBOX_WAITING:
        return alert.subject not in waiting
    run = session.get(Run, alert.details.get("run", 0))
    if run is None or not run.state.is_open:
        return True
    return run.state not in alert.details.get("while", [run.state])
