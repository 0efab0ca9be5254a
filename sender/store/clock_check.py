"""Refuse to work when this machine's clock and the database's disagree."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select

from sender.errors import DatabaseError
from sender.store.audit import AuditEvent
from sender.store.engine import Store

SERVER_TOLERANCE = timedelta(seconds=10)
"""Machines must agree: who was silent for half a minute by the clock is taken for gone."""
RECORD_TOLERANCE = timedelta(minutes=5)


def require_agreeing_clock(store: Store, now: datetime) -> None:
    """Compare `now` with the database server's clock and with the latest audit row.

    A file has no clock of its own: there, only a clock that was set back behind what was already
    recorded can be seen.

    Raises:
        DatabaseError: they are more than 10 seconds apart, or five minutes behind the latest row.
    """
    with store.read() as session:
        latest = session.scalar(select(func.max(AuditEvent.recorded_at)))
        server = session.scalar(select(func.now())) if store.dialect == "postgresql" else None
    if isinstance(server, datetime) and abs(server.astimezone(UTC) - now) > SERVER_TOLERANCE:
        raise DatabaseError(
            f"This machine's clock ({now:%Y-%m-%d %H:%M:%S}Z) and the database's "
            f"({server.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z) disagree.",
            remedy="Set both by NTP; consent, expiry and opt-outs depend on the time.",
        )
    if latest is not None and latest - now > RECORD_TOLERANCE:
        raise DatabaseError(
            f"This machine's clock ({now:%Y-%m-%d %H:%M:%S}Z) is behind what the database already "
            f"recorded ({latest:%Y-%m-%d %H:%M:%S}Z).",
            remedy="Set the clock by NTP. Where it is right, another was ahead then: see Clocks in "
            "docs/deploy.md.",
        )
