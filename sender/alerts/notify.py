"""Tell the operators what stands: each alert at least once, and by each way for itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from sender.alerts.message import Digest, Told
from sender.alerts.standing import raise_due_alerts
from sender.alerts.ways import Way, installation, try_way, ways_to_operators
from sender.context import Context
from sender.store.alert_book import TEST
from sender.store.inbound import Alert, AlertTelling
from sender.store.portable import insert_for

AGAIN_AFTER: Final = timedelta(hours=1)
"""Of an alert that was raised again, at most so often."""
REMIND_AFTER: Final = timedelta(days=1)
"""Of one that stands, at least so often."""
MOST_AT_ONCE: Final = 50
"""Alerts in one message; the others follow with the next."""
_GIVEN_UP_AFTER: Final = timedelta(minutes=10)
"""Whoever set out to tell and was not heard of since is taken for dead."""
_LONGEST_PROBLEM: Final = 500


def notify_operators(context: Context) -> int:
    """Look what needs somebody, and tell of every standing alert that is due.

    Returns how many alerts some way brought. Meant for once a minute, on any number of machines.
    An alert is due if a way has not told of it yet, or not since it was raised again (at most once
    an hour), or not for a day. It never raises for a way that fails: that is kept for `sender
    doctor`, and tried again at the next call.
    """
    raise_due_alerts(context)
    brought: set[int] = set()
    for way in ways_to_operators(context):
        brought |= _tell(context, way)
    return len(brought)


@dataclass(frozen=True, slots=True)
class Tried:
    """How one way took a test; `problem` is empty if it did."""

    way: str
    problem: str


def tell_test(context: Context) -> list[Tried]:
    """Tell of a made-up alert by every way; nothing is written down."""
    now = context.clock.now()
    details = {"because": "Somebody wanted to see whether alerts arrive. They do."}
    alert = Told(0, TEST, f"asked for by {context.operator}", 1, now, now, details)
    digest = Digest(installation(context), [alert], now)
    return [Tried(way.name, try_way(way, digest)) for way in ways_to_operators(context)]


def _tell(context: Context, way: Way) -> set[int]:
    now = context.clock.now()
    with context.store.read() as session:
        if not _due(session, way.name, now):
            return set()
    with context.store.write() as session:
        alerts = _begin(session, way.name, _due(session, way.name, now), now)
    if not alerts:
        return set()
    problem = try_way(way, Digest(installation(context), alerts, now))
    with context.store.write() as session:
        _end(session, way.name, alerts, problem, context.clock.now())
    return set() if problem else {alert.id for alert in alerts}


def _due(session: Session, way: str, now: datetime) -> list[Told]:
    told = select(AlertTelling).where(AlertTelling.way == way).subquery()
    query = (
        select(Alert)
        .outerjoin(told, told.c.alert_id == Alert.id)
        .where(
            Alert.resolved_at.is_(None),
            or_(
                told.c.told_at.is_(None),
                told.c.told_at <= now - REMIND_AFTER,
                (told.c.told_at <= now - AGAIN_AFTER) & (told.c.told_times < Alert.times),
            ),
            or_(told.c.begun_at.is_(None), told.c.begun_at <= now - _GIVEN_UP_AFTER),
        )
        .order_by(Alert.last_at.desc(), Alert.id)
        .limit(MOST_AT_ONCE)
    )
    return [Told.of(row) for row in session.scalars(query)]


def _begin(session: Session, way: str, alerts: Sequence[Told], now: datetime) -> list[Told]:
    """Take the alerts on; of two processes, one gets each."""
    if not alerts:
        return []
    rows = [{"alert_id": alert.id, "way": way, "begun_at": now} for alert in alerts]
    statement = (
        insert_for(session, AlertTelling)
        .values(rows)
        .on_conflict_do_update(
            index_elements=["alert_id", "way"],
            set_={"begun_at": now},
            where=or_(
                AlertTelling.begun_at.is_(None), AlertTelling.begun_at <= now - _GIVEN_UP_AFTER
            ),
        )
        .returning(AlertTelling.alert_id)
    )
    mine = set(session.scalars(statement))
    return [alert for alert in alerts if alert.id in mine]


def _end(session: Session, way: str, alerts: Sequence[Told], problem: str, now: datetime) -> None:
    for alert in alerts:
        row = session.get_one(AlertTelling, (alert.id, way))
        row.begun_at = None
        if problem:
            row.failed_at, row.problem = now, problem[:_LONGEST_PROBLEM]
        else:
            row.told_at, row.told_times = now, alert.times
            row.failed_at = row.problem = None
