"""Addresses as the ledgers know them: a keyed hash under a surrogate id."""

from datetime import datetime

from sqlalchemy import LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from sender.store.base import Base
from sender.vocabulary import Channel


class Address(Base):
    """A normalised e-mail address or E.164 number, by its keyed hash only."""

    __tablename__ = "address"
    __table_args__ = (UniqueConstraint("channel", "key_hash"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    channel: Mapped[Channel]
    key_hash: Mapped[bytes] = mapped_column(LargeBinary(32))


class HashKey(Base):
    """A fingerprint of every key that this database's hashes were made with."""

    __tablename__ = "hash_key"

    id: Mapped[int] = mapped_column(primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64), unique=True)
    registered_at: Mapped[datetime]
