"""Remind the operators of requests that are due soon, or overdue."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.store.alert_book import keep_raised, resolve
from sender.store.inbound import Alert
from sender.store.requests import SubjectRequest
from sender.subjects.desk import Listed, is_open, list_requests
from sender.subjects.due import SOON

REQUEST_DUE: Final = "request.due"
"""A request must be answered, or a complaint acknowledged, within three days."""

REQUEST_OVERDUE: Final = "request.overdue"
"""The last day for it has passed."""

_ITSELF: Final = "sender"


def remind_of_requests(session: Session, now: datetime) -> None:
    """Raise an alert for each request that is due soon or overdue, and resolve what is over."""
    wanted: dict[tuple[str, str], dict[str, Any]] = {}
    if session.scalar(select(SubjectRequest.id).where(is_open()).limit(1)) is not None:
        for one in list_requests(session, now=now):
            if one.deadline is not None and one.deadline - SOON <= now.date():
                kind = REQUEST_OVERDUE if one.is_overdue else REQUEST_DUE
                wanted[kind, f"request {one.id}"] = _details(one)
    for (kind, subject), details in wanted.items():
        keep_raised(session, kind, subject, now=now, details=details)
    standing = select(Alert).where(
        Alert.kind.in_((REQUEST_DUE, REQUEST_OVERDUE)), Alert.resolved_at.is_(None)
    )
    for alert in session.scalars(standing).all():
        if (alert.kind, alert.subject) not in wanted:
            resolve(session, alert, now=now, operator=_ITSELF)


def _details(one: Listed) -> dict[str, Any]:
    step = "answer it" if one.kind != "complaint" or one.acknowledged_on else "acknowledge it"
    return {
        "request": one.id,
        "kind": one.kind,
        "controller": one.controller,
        "because": f"The last day to {step} is {one.deadline}.",
        "remedy": f"See: sender request list -c {one.controller}",
    }
