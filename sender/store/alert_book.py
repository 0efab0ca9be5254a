"""The alerts: what an operator must look at, until somebody has, or it is over by itself."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from sender.store.audit_trail import record as audit
from sender.store.inbound import Alert, AlertTelling
from sender.store.portable import insert_for

RUN_PAUSED: Final = "run.paused"
"""A run paused itself: by the brake, or because nobody carried it on."""
RUN_STOPPED: Final = "run.stopped"
"""A run failed, or something must be mended before it can go on."""
ACCOUNT_UNUSABLE: Final = "account.unusable"
"""A run waits because its provider account cannot be used from here."""
INBOX_WAITING: Final = "inbox.waiting"
"""A reply that may be a no has waited for a person for too long."""
TEST: Final = "alert.test"
"""Raised by hand, to see whether the operators are told."""


def raise_alert(
    session: Session,
    kind: str,
    subject: str,
    *,
    now: datetime,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Raise it, or count it again if it stands; one that was resolved stands anew.

    Args:
        session: a writing session.
        kind: `room.what`, e.g. `opt_out.row_missing`.
        subject: what it is about, without personal data.
        now: when.
        details: what helps to mend it, without personal data; `because` and `remedy` are shown as
            sentences.
    """
    statement = insert_for(session, Alert).values(
        kind=kind,
        subject=subject,
        details=dict(details or {}),
        times=1,
        first_at=now,
        last_at=now,
    )
    again = {
        "details": statement.excluded.details,
        "times": Alert.times + 1,
        "last_at": now,
        "resolved_at": None,
    }
    session.execute(statement.on_conflict_do_update(index_elements=["kind", "subject"], set_=again))


def keep_raised(
    session: Session, kind: str, subject: str, *, now: datetime, details: Mapping[str, Any]
) -> None:
    """Raise it unless it stands; one that stands learns the details, and is not counted again.

    For what is looked at over and over again, while `raise_alert` is for what happens.
    """
    standing = session.scalar(
        select(Alert).where(
            Alert.kind == kind, Alert.subject == subject, Alert.resolved_at.is_(None)
        )
    )
    if standing is None:
        raise_alert(session, kind, subject, now=now, details=details)
    elif standing.details != details:
        standing.details = dict(details)


def resolve(session: Session, alert: Alert, *, now: datetime, operator: str) -> None:
    """Let an alert stand no longer, and say in the audit trail who saw to it.

    Raised again it is another alert, of which the operators are told at once.
    """
    alert.resolved_at = now
    session.execute(
        update(AlertTelling).where(AlertTelling.alert_id == alert.id).values(told_at=None)
    )
    details = {"alert": alert.id, "kind": alert.kind, "subject": alert.subject}
    audit(session, now=now, operator=operator, action="alert.resolve", details=details)
