"""What people asked of a controller about their own data, and purposes that are over."""

from datetime import date, datetime

from sqlalchemy import Date, ForeignKey, Index, PrimaryKeyConstraint, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from sender.store.base import Base


class SubjectRequest(Base):
    """A person's request: access, erasure, objection, rectification or complaint. Never deleted.

    `requester`, `words`, `identity_check` and `answer` are personal, and emptied by an erasure.
    """

    __tablename__ = "subject_request"
    __table_args__ = (Index("ix_subject_request_controller", "controller_id", "due_on"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    controller_id: Mapped[int] = mapped_column(ForeignKey("controller.id"))
    kind: Mapped[str] = mapped_column(String(32))
    """A word of `sender.subjects.desk.RequestKind`."""
    address_id: Mapped[int | None] = mapped_column(ForeignKey("address.id"), index=True)
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contact.id"), index=True)
    received_on: Mapped[date] = mapped_column(Date)
    due_on: Mapped[date] = mapped_column(Date)
    """The last day for the answer."""
    acknowledge_by: Mapped[date | None] = mapped_column(Date)
    """The last day to acknowledge it; complaints only."""
    acknowledged_on: Mapped[date | None] = mapped_column(Date)
    requester: Mapped[str | None] = mapped_column(String(320))
    """Who asks, where no address is known: a name, as in a letter."""
    words: Mapped[str | None] = mapped_column(Text)
    identity_check: Mapped[str | None] = mapped_column(String(500))
    """How the person was known to be who they say they are."""
    outcome: Mapped[str | None] = mapped_column(String(32))
    """A word of `sender.subjects.desk.Outcome`; empty while it is open."""
    answer: Mapped[str | None] = mapped_column(Text)
    opened_at: Mapped[datetime]
    opened_by: Mapped[str] = mapped_column(String(200))
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[str | None] = mapped_column(String(200))


class SubjectRequestDelivery(Base):
    """A message that a request is about."""

    __tablename__ = "subject_request_delivery"
    __table_args__ = (PrimaryKeyConstraint("request_id", "delivery_id"),)

    request_id: Mapped[int] = mapped_column(ForeignKey("subject_request.id"))
    delivery_id: Mapped[int] = mapped_column(ForeignKey("delivery.id"), index=True)


class PurposeClosure(Base):
    """From this moment no consent to the purpose counts (guidance ¶52-53). Append-only.

    There is no reopening: of several closures the earliest rules.
    """

    __tablename__ = "purpose_closure"

    id: Mapped[int] = mapped_column(primary_key=True)
    purpose_id: Mapped[int] = mapped_column(ForeignKey("purpose.id"), index=True)
    closes_at: Mapped[datetime]
    reason: Mapped[str] = mapped_column(Text)
    recorded_at: Mapped[datetime]
    operator: Mapped[str] = mapped_column(String(200))
