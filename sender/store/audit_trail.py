"""Write to the audit trail: who did what, when."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from sender.store.chain import AUDIT_LEDGER, NewRow, append


def record(
    session: Session,
    *,
    now: datetime,
    operator: str,
    action: str,
    controller_id: int | None = None,
    details: Mapping[str, Any] | None = None,
    personal: Mapping[str, Any] | None = None,
) -> int:
    """Append one audit row and return its id.

    Args:
        session: a writing session; the row shares its fate.
        now: when, aware UTC.
        operator: who; never empty.
        action: `room.verb`, e.g. `run.launch`.
        controller_id: for whom.
        details: what, without personal data.
        personal: personal data about the act, erasable.
    """
    columns = {
        "recorded_at": now,
        "operator": operator or "unknown",
        "action": action,
        "controller_id": controller_id,
        "details": dict(details or {}),
    }
    return append(session, AUDIT_LEDGER, [NewRow(columns, personal)], now)[0]
