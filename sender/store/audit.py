"""The audit trail and the hash chains."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from sender.store.base import Base


class Chain(Base):
    """A hash chain of one ledger; a transaction holds one while it appends to it."""

    __tablename__ = "chain"

    id: Mapped[int] = mapped_column(primary_key=True)
    ledger: Mapped[str] = mapped_column(String(32))
    opened_at: Mapped[datetime]
    opened_by: Mapped[str] = mapped_column(String(200))
    head_seq: Mapped[int]
    head_hash: Mapped[bytes] = mapped_column(LargeBinary(32))


class AuditEvent(Base):
    """Who did what, when. Append-only and hash-chained; personal details lie beside it."""

    __tablename__ = "audit_event"
    __table_args__ = (UniqueConstraint("chain_id", "seq"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    chain_id: Mapped[int] = mapped_column(ForeignKey("chain.id"))
    seq: Mapped[int]
    recorded_at: Mapped[datetime]
    operator: Mapped[str] = mapped_column(String(200))
    action: Mapped[str] = mapped_column(String(100))
    controller_id: Mapped[int | None] = mapped_column(ForeignKey("controller.id"), index=True)
    details: Mapped[dict[str, Any]]
    payload_digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    row_hash: Mapped[bytes] = mapped_column(LargeBinary(32))


class AuditPayload(Base):
    """The personal side of an audit row, erasable."""

    __tablename__ = "audit_payload"

    event_id: Mapped[int] = mapped_column(ForeignKey("audit_event.id"), primary_key=True)
    salt: Mapped[bytes] = mapped_column(LargeBinary(16))
    payload: Mapped[dict[str, Any]]
