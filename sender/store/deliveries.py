"""The delivery ledger: one message to one address in one run."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    ForeignKey,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from sender.store.base import Base
from sender.vocabulary import DeliveryState, Reason

RESTORED = "restored"
"""The provider code of deliveries that a restored backup had forgotten to be under way."""


class Delivery(Base):
    """One message to one address in one run. Never deleted; `values` is erasable.

    `state` only rises in rank, but for `dispatching` back to `pending` when the provider clearly
    did not take the message. Later events are times beside it.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        UniqueConstraint("run_id", "address_id"),
        Index(
            "ix_delivery_pending",
            "run_id",
            "id",
            sqlite_where=text("state = 'pending'"),
            postgresql_where=text("state = 'pending'"),
        ),
        Index(
            "ix_delivery_unsettled",
            "run_id",
            sqlite_where=text("state IN ('dispatching', 'unknown')"),
            postgresql_where=text("state IN ('dispatching', 'unknown')"),
        ),
        *[
            Index(
                f"ix_delivery_{what}",
                "run_id",
                "dispatched_at",
                sqlite_where=text(f"{what}_at IS NOT NULL"),
                postgresql_where=text(f"{what}_at IS NOT NULL"),
            )
            for what in ("hard_bounced", "complained", "opted_out")
        ],
        Index(
            "ix_delivery_with_values",
            "dispatched_at",
            sqlite_where=text('"values" IS NOT NULL'),
            postgresql_where=text('"values" IS NOT NULL'),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"))
    address_id: Mapped[int] = mapped_column(ForeignKey("address.id"), index=True)
    contact_point_id: Mapped[int | None] = mapped_column(ForeignKey("contact_point.id"))
    staged_recipient_id: Mapped[int | None] = mapped_column(ForeignKey("staged_recipient.id"))
    state: Mapped[DeliveryState]
    reason: Mapped[Reason | None]
    refused_by_id: Mapped[int | None] = mapped_column(ForeignKey("controller.id"))
    """The controller whose rule refused; another than the run's where a body's consent lacks."""
    consent_event_id: Mapped[int | None] = mapped_column(ForeignKey("consent_event.id"))
    version_id: Mapped[int | None] = mapped_column(ForeignKey("campaign_version.id"))
    controller_version_id: Mapped[int | None] = mapped_column(ForeignKey("controller_version.id"))
    dispatcher_id: Mapped[int | None] = mapped_column(ForeignKey("dispatcher.id"))
    not_before: Mapped[datetime | None]
    dispatched_at: Mapped[datetime | None]
    accepted_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]
    bounced_at: Mapped[datetime | None]
    hard_bounced_at: Mapped[datetime | None]
    """When it bounced for good: the address does not work."""
    complained_at: Mapped[datetime | None]
    opted_out_at: Mapped[datetime | None]
    provider_message_id: Mapped[str | None] = mapped_column(String(200), index=True)
    provider_code: Mapped[str | None] = mapped_column(String(200))
    segments: Mapped[int | None]
    message_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    values: Mapped[dict[str, Any] | None]
    """The attribute values that this message used; personal, erasable."""


class DeliveryReliance(Base):
    """The consent relied on for a body named in `on_behalf_of`, at each last look. Append-only."""

    __tablename__ = "delivery_reliance"
    __table_args__ = (
        PrimaryKeyConstraint("delivery_id", "controller_id", "dispatched_at"),
        Index("ix_delivery_reliance_consent", "consent_event_id", "dispatched_at"),
    )

    delivery_id: Mapped[int] = mapped_column(ForeignKey("delivery.id"))
    controller_id: Mapped[int] = mapped_column(ForeignKey("controller.id"))
    dispatched_at: Mapped[datetime]
    consent_event_id: Mapped[int] = mapped_column(ForeignKey("consent_event.id"))


class Reply(Base):
    """A fixed, non-marketing text that answered a person's own act."""

    __tablename__ = "reply"
    __table_args__ = (Index("ix_reply_address_kind", "address_id", "kind", "sent_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    controller_id: Mapped[int] = mapped_column(ForeignKey("controller.id"))
    address_id: Mapped[int] = mapped_column(ForeignKey("address.id"))
    kind: Mapped[str] = mapped_column(String(64))
    notification_id: Mapped[int | None] = mapped_column(
        ForeignKey("inbound_notification.id"), index=True
    )
    """The person's act that it answers, where that came from a provider."""
    sent_at: Mapped[datetime]
