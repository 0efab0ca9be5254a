"""Opt-outs that came as hashes of addresses, and how the system that made them hashes."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, LargeBinary, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from sender.store.base import Base


class ForeignScheme(Base):
    """One way in which another system hashes addresses. Its key is not here, only where it is.

    An algorithm without a key has an empty variable and fingerprint.
    """

    __tablename__ = "foreign_scheme"
    __table_args__ = (UniqueConstraint("algorithm", "key_fingerprint"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    algorithm: Mapped[str] = mapped_column(String(32))
    key_fingerprint: Mapped[str] = mapped_column(String(32))
    key_variable: Mapped[str] = mapped_column(String(200))
    """The environment variable that holds the key."""
    recorded_at: Mapped[datetime]
    operator: Mapped[str] = mapped_column(String(200))


class ForeignHash(Base):
    """An opt-out from one controller, of whoever's address has this hash under the scheme.

    The hash is kept by its own keyed hash, as addresses are: a plain one could be guessed from.
    `address_id` tells whose it was found to be; empty until such an address arrives.
    """

    __tablename__ = "foreign_hash"
    __table_args__ = (
        UniqueConstraint("scheme_id", "key_hash", "controller_id"),
        Index(
            "ix_foreign_hash_address_id",
            "address_id",
            sqlite_where=text("address_id IS NOT NULL"),
            postgresql_where=text("address_id IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    scheme_id: Mapped[int] = mapped_column(ForeignKey("foreign_scheme.id"))
    key_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    controller_id: Mapped[int] = mapped_column(ForeignKey("controller.id"))
    batch_id: Mapped[int] = mapped_column(ForeignKey("import_batch.id"))
    occurred_at: Mapped[datetime]
    recorded_at: Mapped[datetime]
    source: Mapped[str] = mapped_column(String(200))
    address_id: Mapped[int | None] = mapped_column(ForeignKey("address.id"))
    matched_at: Mapped[datetime | None]
