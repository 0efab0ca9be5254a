"""Controllers, their versions, sender identities and provider accounts."""

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from sender.store.base import Base
from sender.vocabulary import Channel, ControllerKind, OptOutStyle, ProviderName


class Controller(Base):
    """A legal entity that instigates messages (guidance ¶9)."""

    __tablename__ = "controller"

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]


class ControllerVersion(Base):
    """What a controller's messages say of it, from one moment on. Append-only."""

    __tablename__ = "controller_version"
    __table_args__ = (UniqueConstraint("controller_id", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    controller_id: Mapped[int] = mapped_column(ForeignKey("controller.id"))
    version: Mapped[int]
    recorded_at: Mapped[datetime]
    operator: Mapped[str] = mapped_column(String(200))
    name: Mapped[str] = mapped_column(String(200))
    kind: Mapped[ControllerKind]
    postal_address: Mapped[str] = mapped_column(String(500))
    contact_email: Mapped[str] = mapped_column(String(320))
    contact_phone: Mapped[str | None] = mapped_column(String(32))
    website: Mapped[str | None] = mapped_column(String(500))
    privacy_notice_url: Mapped[str] = mapped_column(String(500))
    promoter_name: Mapped[str | None] = mapped_column(String(200))
    promoter_address: Mapped[str | None] = mapped_column(String(500))
    time_zone: Mapped[str] = mapped_column(String(64))
    brand_colour: Mapped[str | None] = mapped_column(String(7))
    """Of the opt-out pages, e.g. `#0b5fff`; dark enough to be read on white."""
    relatives: Mapped[list[str]]
    """Slugs of legally separate bodies that a person may take for this one (guidance ¶74)."""


class ControllerFreeze(Base):
    """From this moment only consent given afterwards counts (guidance ¶84-86). Append-only."""

    __tablename__ = "controller_freeze"

    id: Mapped[int] = mapped_column(primary_key=True)
    controller_id: Mapped[int] = mapped_column(ForeignKey("controller.id"), index=True)
    frozen_at: Mapped[datetime]
    reason: Mapped[str] = mapped_column(Text)
    operator: Mapped[str] = mapped_column(String(200))


class OptOutDeclaration(Base):
    """What became of the opt-outs of the system used before this one. Append-only.

    `statement` is `imported` or `none_exist`; without one no live run is launched, because losing
    opt-outs on a change of system is what the Conservative Party was fined for in 2021.
    """

    __tablename__ = "opt_out_declaration"

    id: Mapped[int] = mapped_column(primary_key=True)
    controller_id: Mapped[int] = mapped_column(ForeignKey("controller.id"), index=True)
    statement: Mapped[str] = mapped_column(String(32))
    recorded_at: Mapped[datetime]
    operator: Mapped[str] = mapped_column(String(200))


class FreshnessPolicy(Base):
    """How old the last affirmative act may be. Append-only; the latest, most specific row rules."""

    __tablename__ = "freshness_policy"

    id: Mapped[int] = mapped_column(primary_key=True)
    controller_id: Mapped[int] = mapped_column(ForeignKey("controller.id"), index=True)
    channel: Mapped[Channel | None]
    purpose_id: Mapped[int | None] = mapped_column(ForeignKey("purpose.id"))
    warn_months: Mapped[int]
    hold_months: Mapped[int]
    recorded_at: Mapped[datetime]
    operator: Mapped[str] = mapped_column(String(200))


class SendingPolicy(Base):
    """When, how often and how far a controller's runs may go. Append-only; the latest row rules.

    Every member is None where the controller says nothing and the default holds.
    """

    __tablename__ = "sending_policy"

    id: Mapped[int] = mapped_column(primary_key=True)
    controller_id: Mapped[int] = mapped_column(ForeignKey("controller.id"), index=True)
    window: Mapped[dict[str, Any] | None]
    """`{"opens": minute, "closes": minute}`."""
    frequency_caps: Mapped[dict[str, Any] | None]
    """`{"caps": [{"messages", "days", "across_channels"}]}`."""
    brake: Mapped[dict[str, Any] | None]
    """Thresholds that pause a run, by name."""
    two_person: Mapped[bool | None] = mapped_column(Boolean)
    """Whether somebody else than who launches must have approved the text."""
    recorded_at: Mapped[datetime]
    operator: Mapped[str] = mapped_column(String(200))


class RetentionPolicy(Base):
    """How long a controller keeps what shows why it wrote. Append-only; the latest row rules."""

    __tablename__ = "retention_policy"

    id: Mapped[int] = mapped_column(primary_key=True)
    controller_id: Mapped[int] = mapped_column(ForeignKey("controller.id"), index=True)
    limitation_years: Mapped[int | None]
    """None where the controller says nothing and the installation's setting holds."""
    recorded_at: Mapped[datetime]
    operator: Mapped[str] = mapped_column(String(200))


class ProviderAccount(Base):
    """One SES, Twilio, SMTP or outbox account. Credentials stand here by environment name only."""

    __tablename__ = "provider_account"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    provider: Mapped[ProviderName]
    options: Mapped[dict[str, Any]]
    recorded_at: Mapped[datetime]


class SenderIdentity(Base):
    """A From address or SMS sender of one controller. Never deleted.

    A STOP to a number that is no longer in use must still find its controller.
    """

    __tablename__ = "sender_identity"
    __table_args__ = (
        UniqueConstraint("controller_id", "channel", "name", "recorded_at"),
        Index("ix_sender_identity_channel_address", "channel", "address"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    controller_id: Mapped[int] = mapped_column(ForeignKey("controller.id"))
    provider_account_id: Mapped[int] = mapped_column(ForeignKey("provider_account.id"))
    channel: Mapped[Channel]
    name: Mapped[str] = mapped_column(String(64))
    address: Mapped[str] = mapped_column(String(320))
    display_name: Mapped[str] = mapped_column(String(200))
    reply_to: Mapped[str | None] = mapped_column(String(320))
    opt_out_style: Mapped[OptOutStyle | None]
    recorded_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]
