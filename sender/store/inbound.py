"""What providers and people told us: notifications, events, people's replies, alerts."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    ForeignKey,
    Index,
    PrimaryKeyConstraint,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from sender.store.base import Base
from sender.vocabulary import (
    Arrival,
    BlockCause,
    Channel,
    EventKind,
    ProviderName,
    ReplyMeaning,
)


class InboundNotification(Base):
    """One thing that a provider told us, once, however often it was told.

    `payload` is what came, without addresses; it is emptied after `erase_after`.
    """

    __tablename__ = "inbound_notification"
    __table_args__ = (
        UniqueConstraint("provider", "name"),
        Index(
            "ix_inbound_notification_erase_after",
            "erase_after",
            sqlite_where=text("payload IS NOT NULL"),
            postgresql_where=text("payload IS NOT NULL"),
        ),
        Index(
            "ix_inbound_notification_heard",
            "provider",
            "account_id",
            "received_at",
            sqlite_where=text("arrived_by = 'webhook'"),
            postgresql_where=text("arrived_by = 'webhook'"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    provider: Mapped[ProviderName]
    name: Mapped[str] = mapped_column(String(200))
    """The provider's own name of it, the same when it is told again."""
    account_id: Mapped[int | None] = mapped_column(ForeignKey("provider_account.id"))
    arrived_by: Mapped[Arrival]
    raw_type: Mapped[str] = mapped_column(String(64))
    received_at: Mapped[datetime]
    payload: Mapped[dict[str, Any] | None]
    suppression_event_ids: Mapped[list[int] | None]
    """The suppression events that it caused: told again, it is acknowledged for these."""
    erase_after: Mapped[datetime]


class InboundEvent(Base):
    """One event of a notification, in the vocabulary of all providers. Never deleted."""

    __tablename__ = "inbound_event"
    __table_args__ = (
        Index("ix_inbound_event_address", "address_id", "occurred_at"),
        Index("ix_inbound_event_delivery_id", "delivery_id"),
        Index(
            "ix_inbound_event_waiting",
            "provider_message_id",
            sqlite_where=text("applied_at IS NULL"),
            postgresql_where=text("applied_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    notification_id: Mapped[int] = mapped_column(ForeignKey("inbound_notification.id"), index=True)
    kind: Mapped[EventKind]
    raw_type: Mapped[str] = mapped_column(String(64))
    code: Mapped[str | None] = mapped_column(String(200))
    block: Mapped[BlockCause | None]
    """The block that it called for by itself; a bounce without one may pass."""
    occurred_at: Mapped[datetime]
    recorded_at: Mapped[datetime]
    delivery_id: Mapped[int | None]
    """No foreign key: after a restored backup an event may name a delivery that is gone."""
    address_id: Mapped[int | None] = mapped_column(ForeignKey("address.id"))
    provider_message_id: Mapped[str | None] = mapped_column(String(200))
    applied_at: Mapped[datetime | None]
    """When the delivery learned of it; empty while our own record of the call is awaited."""


class InboxMessage(Base):
    """What a person wrote back, to one controller. The text is erased in time."""

    __tablename__ = "inbox_message"
    __table_args__ = (
        Index("ix_inbox_message_controller", "controller_id", "received_at"),
        Index("ix_inbox_message_address_id", "address_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    notification_id: Mapped[int] = mapped_column(ForeignKey("inbound_notification.id"), index=True)
    controller_id: Mapped[int] = mapped_column(ForeignKey("controller.id"))
    address_id: Mapped[int] = mapped_column(ForeignKey("address.id"))
    channel: Mapped[Channel]
    received_at: Mapped[datetime]
    body: Mapped[str | None] = mapped_column(Text)
    meaning: Mapped[ReplyMeaning]
    """What the recogniser made of it."""
    hold_event_id: Mapped[int | None] = mapped_column(ForeignKey("suppression_event.id"))
    decided_as: Mapped[ReplyMeaning | None]
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[str | None] = mapped_column(String(200))
    erase_after: Mapped[datetime]


class ObjectionPassOn(Base):
    """A person was asked whether a legally separate body should hear of their objection (¶74)."""

    __tablename__ = "objection_pass_on"

    id: Mapped[int] = mapped_column(primary_key=True)
    from_controller_id: Mapped[int] = mapped_column(ForeignKey("controller.id"), index=True)
    to_controller_id: Mapped[int] = mapped_column(ForeignKey("controller.id"))
    address_id: Mapped[int] = mapped_column(ForeignKey("address.id"), index=True)
    passed_on: Mapped[bool] = mapped_column(Boolean)
    """Their answer; a no is kept as well."""
    answered_at: Mapped[datetime]
    source: Mapped[str] = mapped_column(String(200))
    delivery_id: Mapped[int | None]


class Reconciliation(Base):
    """One time that a provider account was asked what its webhooks may have missed."""

    __tablename__ = "reconciliation"

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("provider_account.id"), index=True)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    found: Mapped[dict[str, Any]]
    """How many of each kind, and how many of them no webhook had told."""


class Alert(Base):
    """Something that an operator must look at; told once, counted when it happens again."""

    __tablename__ = "alert"
    __table_args__ = (UniqueConstraint("kind", "subject"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(200))
    """What it is about, without personal data; with the kind it tells one alert from another."""
    details: Mapped[dict[str, Any]]
    times: Mapped[int]
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None]


class AlertTelling(Base):
    """Whether one way to the operators brought them one alert, and when it last failed to."""

    __tablename__ = "alert_telling"
    __table_args__ = (PrimaryKeyConstraint("alert_id", "way"),)

    alert_id: Mapped[int] = mapped_column(ForeignKey("alert.id"))
    way: Mapped[str] = mapped_column(String(64))
    """`webhook`, or `email:` and the first digits of the address's keyed hash."""
    begun_at: Mapped[datetime | None]
    """When a process set out to tell; empty when it is done with it."""
    told_at: Mapped[datetime | None]
    told_times: Mapped[int | None]
    """How often the alert had been raised by then."""
    failed_at: Mapped[datetime | None]
    problem: Mapped[str | None] = mapped_column(String(500))
