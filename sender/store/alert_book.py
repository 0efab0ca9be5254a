"""Raise an alert: something that an operator must look at."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from sender.store.inbound import Alert
from sender.store.portable import insert_for


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
        details: what helps to mend it, without personal data.
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
