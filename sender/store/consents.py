"""Purposes, notices, the consent ledger and its fold."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    ForeignKey,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from sender.store.base import Base
from sender.vocabulary import ConsentFlaw, ConsentKind


class Purpose(Base):
    """A kind of marketing that one controller asks for, e.g. `campaign-news`; matched exactly."""

    __tablename__ = "purpose"
    __table_args__ = (UniqueConstraint("controller_id", "slug"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    controller_id: Mapped[int] = mapped_column(ForeignKey("controller.id"))
    slug: Mapped[str] = mapped_column(String(100))
    title: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]


class Notice(Base):
    """One version of the exact wording that people saw (guidance ¶25, ¶55). Append-only."""

    __tablename__ = "notice"
    __table_args__ = (UniqueConstraint("controller_id", "slug", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    controller_id: Mapped[int] = mapped_column(ForeignKey("controller.id"))
    slug: Mapped[str] = mapped_column(String(100))
    version: Mapped[int]
    wording: Mapped[str] = mapped_column(Text)
    privacy_notice_url: Mapped[str] = mapped_column(String(500))
    channels: Mapped[list[str]]
    purposes: Mapped[list[str]]
    controllers: Mapped[list[str]]
    pre_ticked: Mapped[bool] = mapped_column(Boolean)
    bundled: Mapped[bool] = mapped_column(Boolean)
    shown_from: Mapped[datetime]
    shown_until: Mapped[datetime | None]
    screenshot: Mapped[str | None] = mapped_column(String(255))
    """The name of the picture of an archived form, which its owner keeps."""
    screenshot_sha256: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    """By which that picture is known to be the one that was recorded."""
    signed_off_by: Mapped[str | None] = mapped_column(String(200))
    recorded_at: Mapped[datetime]
    operator: Mapped[str] = mapped_column(String(200))


class ConsentEvent(Base):
    """One act, or one statement about an act, of consent. Append-only and hash-chained."""

    __tablename__ = "consent_event"
    __table_args__ = (
        UniqueConstraint("chain_id", "seq"),
        Index("ix_consent_event_key", "address_id", "controller_id", "purpose_id"),
        Index(
            "ix_consent_event_batch",
            "batch_id",
            "address_id",
            sqlite_where=text("batch_id IS NOT NULL"),
            postgresql_where=text("batch_id IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    chain_id: Mapped[int] = mapped_column(ForeignKey("chain.id"))
    seq: Mapped[int]
    controller_id: Mapped[int] = mapped_column(ForeignKey("controller.id"))
    purpose_id: Mapped[int] = mapped_column(ForeignKey("purpose.id"))
    address_id: Mapped[int] = mapped_column(ForeignKey("address.id"))
    kind: Mapped[ConsentKind]
    occurred_at: Mapped[datetime]
    recorded_at: Mapped[datetime]
    method: Mapped[str] = mapped_column(String(64))
    source: Mapped[str] = mapped_column(String(200))
    notice_id: Mapped[int | None] = mapped_column(ForeignKey("notice.id"))
    lawful_basis: Mapped[str] = mapped_column(String(32))
    flaw: Mapped[ConsentFlaw]
    ends_at: Mapped[datetime | None]
    batch_id: Mapped[int | None] = mapped_column(ForeignKey("import_batch.id"))
    operator: Mapped[str] = mapped_column(String(200))
    payload_digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    row_hash: Mapped[bytes] = mapped_column(LargeBinary(32))


class ConsentPayload(Base):
    """The personal side of a consent event, erasable; the event commits to its salted digest."""

    __tablename__ = "consent_payload"

    event_id: Mapped[int] = mapped_column(ForeignKey("consent_event.id"), primary_key=True)
    salt: Mapped[bytes] = mapped_column(LargeBinary(16))
    payload: Mapped[dict[str, Any]]


class ConsentState(Base):
    """The fold of the consent events of one controller, purpose and address."""

    __tablename__ = "consent_state"
    __table_args__ = (PrimaryKeyConstraint("controller_id", "purpose_id", "address_id"),)

    controller_id: Mapped[int] = mapped_column(ForeignKey("controller.id"))
    purpose_id: Mapped[int] = mapped_column(ForeignKey("purpose.id"))
    address_id: Mapped[int] = mapped_column(ForeignKey("address.id"), index=True)
    status: Mapped[ConsentKind]
    event_id: Mapped[int] = mapped_column(ForeignKey("consent_event.id"))
    last_affirmative_at: Mapped[datetime | None]
    ends_at: Mapped[datetime | None]
    flaw: Mapped[ConsentFlaw]
    notice_shown_from: Mapped[datetime | None]
