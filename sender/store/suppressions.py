"""The suppression ledger and its fold, the current blocks."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    ForeignKey,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from sender.store.base import Base
from sender.vocabulary import BlockCause, SuppressionAct


class SuppressionEvent(Base):
    """The setting or release of a block, with the act behind it. Append-only and hash-chained.

    An empty controller or purpose, and the channel `*`, stand for all of them.
    """

    __tablename__ = "suppression_event"
    __table_args__ = (UniqueConstraint("chain_id", "seq"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    chain_id: Mapped[int] = mapped_column(ForeignKey("chain.id"))
    seq: Mapped[int]
    act: Mapped[SuppressionAct]
    cause: Mapped[BlockCause]
    address_id: Mapped[int] = mapped_column(ForeignKey("address.id"), index=True)
    controller_id: Mapped[int | None] = mapped_column(ForeignKey("controller.id"))
    channel: Mapped[str] = mapped_column(String(32))
    purpose_id: Mapped[int | None] = mapped_column(ForeignKey("purpose.id"))
    by_person: Mapped[bool] = mapped_column(Boolean)
    occurred_at: Mapped[datetime]
    recorded_at: Mapped[datetime]
    source: Mapped[str] = mapped_column(String(200))
    delivery_id: Mapped[int | None] = mapped_column(ForeignKey("delivery.id"))
    batch_id: Mapped[int | None] = mapped_column(ForeignKey("import_batch.id"))
    operator: Mapped[str] = mapped_column(String(200))
    payload_digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    row_hash: Mapped[bytes] = mapped_column(LargeBinary(32))


class SuppressionPayload(Base):
    """The personal side of a suppression event, erasable."""

    __tablename__ = "suppression_payload"

    event_id: Mapped[int] = mapped_column(ForeignKey("suppression_event.id"), primary_key=True)
    salt: Mapped[bytes] = mapped_column(LargeBinary(16))
    payload: Mapped[dict[str, Any]]


class Block(Base):
    """A block in force. Controller and purpose 0 and channel `*` stand for all."""

    __tablename__ = "block"
    __table_args__ = (
        PrimaryKeyConstraint("address_id", "controller_id", "channel", "purpose_id", "cause"),
    )

    address_id: Mapped[int] = mapped_column(ForeignKey("address.id"))
    controller_id: Mapped[int]
    channel: Mapped[str] = mapped_column(String(32))
    purpose_id: Mapped[int]
    cause: Mapped[BlockCause]
    event_id: Mapped[int] = mapped_column(ForeignKey("suppression_event.id"))
    set_at: Mapped[datetime]
