"""People as one controller knows them, their contact points, and the batches they came in."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from sender.store.base import Base
from sender.vocabulary import Channel, ContactSource


class Contact(Base):
    """A person as one controller knows them. Personal columns are emptied by an erasure."""

    __tablename__ = "contact"
    __table_args__ = (
        UniqueConstraint("controller_id", "external_ref"),
        Index(
            "ix_contact_retain_until",
            "retain_until",
            sqlite_where=text("retain_until IS NOT NULL"),
            postgresql_where=text("retain_until IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    controller_id: Mapped[int] = mapped_column(ForeignKey("controller.id"))
    external_ref: Mapped[str | None] = mapped_column(String(200))
    """The controller's own; of somebody erased who had objected, its keyed hash alone."""
    title: Mapped[str | None] = mapped_column(String(64))
    first_name: Mapped[str | None] = mapped_column(String(200))
    last_name: Mapped[str | None] = mapped_column(String(200))
    postcode: Mapped[str | None] = mapped_column(String(16))
    locale: Mapped[str | None] = mapped_column(String(16))
    time_zone: Mapped[str | None] = mapped_column(String(64))
    attributes: Mapped[dict[str, Any]]
    source: Mapped[ContactSource]
    source_detail: Mapped[str | None] = mapped_column(String(500))
    """Who passed the details on, in words that the person is told (guidance ¶76-77)."""
    source_told_at: Mapped[datetime | None]
    retained_for: Mapped[str | None] = mapped_column(String(100))
    """What somebody without consent is kept for, in the organisation's words (guidance ¶83)."""
    retain_until: Mapped[date | None]
    """Until when they are."""
    objected_at: Mapped[datetime | None]
    """Set by an objection; blocks every address, also those learned later (guidance ¶72)."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    erased_at: Mapped[datetime | None]


class ContactPoint(Base):
    """One address of a contact on one channel."""

    __tablename__ = "contact_point"
    __table_args__ = (
        UniqueConstraint("controller_id", "address_id"),
        Index("ix_contact_point_audience", "controller_id", "channel", "address_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    controller_id: Mapped[int] = mapped_column(ForeignKey("controller.id"))
    contact_id: Mapped[int] = mapped_column(ForeignKey("contact.id"), index=True)
    channel: Mapped[Channel]
    address_id: Mapped[int] = mapped_column(ForeignKey("address.id"), index=True)
    address: Mapped[str | None] = mapped_column(String(320))
    """The address in plain, as needed to send; emptied by an erasure, and never kept of somebody
    of whom a no alone is."""
    created_at: Mapped[datetime]


class ImportBatch(Base):
    """One file that was brought in. Its yeses count from its approval until it is revoked."""

    __tablename__ = "import_batch"

    id: Mapped[int] = mapped_column(primary_key=True)
    controller_id: Mapped[int] = mapped_column(ForeignKey("controller.id"), index=True)
    file_name: Mapped[str] = mapped_column(String(255))
    file_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    operator: Mapped[str] = mapped_column(String(200))
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    counts: Mapped[dict[str, Any]]
    approved_at: Mapped[datetime | None]
    approved_by: Mapped[str | None] = mapped_column(String(200))
    revoked_at: Mapped[datetime | None]
    revoked_by: Mapped[str | None] = mapped_column(String(200))
    revoked_because: Mapped[str | None] = mapped_column(String(500))
    settled_at: Mapped[datetime | None]
    """When the consent states were last brought to what its approval or revocation means."""
    reading_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    """How the file was read; only an import that reads it alike takes an unfinished one up."""
    rows_done: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    """How many of its rows are written; raised in the transaction that writes them."""
    rejects_file: Mapped[str | None] = mapped_column(Text)
    """Where its rejects are written, on the machine of who brings it in."""
    rejects_bytes: Mapped[int | None]
    """How long that file is with the rejects of the rows that are done."""


class TestAddress(Base):
    """An address that a controller may send marked tests to, once its holder confirmed it."""

    __tablename__ = "test_address"
    __table_args__ = (UniqueConstraint("controller_id", "address_id"),)
    __test__ = False  # not a pytest class

    id: Mapped[int] = mapped_column(primary_key=True)
    controller_id: Mapped[int] = mapped_column(ForeignKey("controller.id"))
    address_id: Mapped[int] = mapped_column(ForeignKey("address.id"), index=True)
    address: Mapped[str] = mapped_column(String(320))
    code_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    failures: Mapped[int] = mapped_column(default=0)
    added_at: Mapped[datetime]
    verified_at: Mapped[datetime | None]
