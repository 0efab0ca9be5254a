"""What became of people who were held twice, and of addresses that changed."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from sender.store.base import Base


class ContactMerge(Base):
    """A contact that was found to be the same person as another, and is empty since. It stays.

    Its reference stays on its own row, so that the next import knows whom it means.
    """

    __tablename__ = "contact_merge"

    id: Mapped[int] = mapped_column(primary_key=True)
    merged_contact_id: Mapped[int] = mapped_column(ForeignKey("contact.id"), unique=True)
    into_contact_id: Mapped[int] = mapped_column(ForeignKey("contact.id"), index=True)
    """The contact that the person is known as now; it changes if that one is merged in turn."""
    merged_at: Mapped[datetime]
    operator: Mapped[str] = mapped_column(String(200))


class ContactPointMove(Base):
    """An address that went from one contact to another by a merge. Append-only.

    By it a past decision finds out whose address it was then.
    """

    __tablename__ = "contact_point_move"

    id: Mapped[int] = mapped_column(primary_key=True)
    contact_point_id: Mapped[int] = mapped_column(ForeignKey("contact_point.id"), index=True)
    from_contact_id: Mapped[int] = mapped_column(ForeignKey("contact.id"), index=True)
    to_contact_id: Mapped[int] = mapped_column(ForeignKey("contact.id"))
    moved_at: Mapped[datetime]


class AddressMove(Base):
    """A person's change of address at one controller, from the day that somebody told of it.

    From then on each no at the old address holds for the new one; consent follows once the person
    has confirmed the new one. It holds no address in plain.
    """

    __tablename__ = "address_move"
    __table_args__ = (
        Index("ix_address_move_old", "old_address_id", "controller_id"),
        Index("ix_address_move_new", "new_address_id", "controller_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    controller_id: Mapped[int] = mapped_column(ForeignKey("controller.id"))
    old_address_id: Mapped[int] = mapped_column(ForeignKey("address.id"))
    new_address_id: Mapped[int] = mapped_column(ForeignKey("address.id"))
    request_id: Mapped[int | None] = mapped_column(ForeignKey("subject_request.id"))
    """The person's request that it answers, where the desk has one."""
    told_at: Mapped[datetime]
    operator: Mapped[str] = mapped_column(String(200))
    code_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    """Of the code that went to the new address; empty where none was sent."""
    code_sent_at: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(default=0)
    confirmed_at: Mapped[datetime | None]
    confirmed_by: Mapped[str | None] = mapped_column(String(200))
    """The operator to whom the person gave the code."""
    ended_at: Mapped[datetime | None]
    """When another new address was told of instead, before this one was confirmed."""
