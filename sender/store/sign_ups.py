"""Sign-up forms, and the sign-ups that wait for their confirmation."""

from datetime import datetime

from sqlalchemy import (
    Boolean,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from sender.store.base import Base
from sender.vocabulary import Channel


class SignUpForm(Base):
    """One version of a public form. Append-only; the latest of a slug rules."""

    __tablename__ = "sign_up_form"
    __table_args__ = (UniqueConstraint("controller_id", "slug", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    controller_id: Mapped[int] = mapped_column(ForeignKey("controller.id"))
    slug: Mapped[str] = mapped_column(String(64))
    version: Mapped[int]
    notice_slug: Mapped[str] = mapped_column(String(100))
    """The notice whose latest version is shown."""
    site: Mapped[str | None] = mapped_column(String(500))
    """The page that the form stands on, told to whoever is asked to confirm; empty for our own."""
    origins: Mapped[list[str]]
    """Web origins whose scripts may use the JSON endpoint."""
    most_a_day: Mapped[int] = mapped_column(Integer)
    """Sign-ups of the controller within a day after which this form takes no more."""
    is_open: Mapped[bool] = mapped_column(Boolean)
    recorded_at: Mapped[datetime]
    operator: Mapped[str] = mapped_column(String(200))


class SignUp(Base):
    """One address that somebody entered into a form, with what they ticked for it.

    Nothing of it is consent. The address in plain goes with the confirmation, the press of "not
    me", or after seven days; the row stays where a link was sent, so that the link can say so.
    """

    __tablename__ = "sign_up"
    __table_args__ = (
        Index(
            "ix_sign_up_due_at",
            "due_at",
            sqlite_where=text("due_at IS NOT NULL"),
            postgresql_where=text("due_at IS NOT NULL"),
        ),
        Index("ix_sign_up_requested_at", "requested_at"),
        Index("ix_sign_up_address_id", "address_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    form_id: Mapped[int] = mapped_column(ForeignKey("sign_up_form.id"))
    controller_id: Mapped[int] = mapped_column(ForeignKey("controller.id"))
    notice_id: Mapped[int] = mapped_column(ForeignKey("notice.id"))
    """The version whose words were shown."""
    channel: Mapped[Channel]
    address_id: Mapped[int] = mapped_column(ForeignKey("address.id"))
    address: Mapped[str | None] = mapped_column(String(320))
    purpose_ids: Mapped[list[int]]
    """Of the boxes that were ticked for this address."""
    beside_id: Mapped[int | None] = mapped_column(ForeignKey("sign_up.id"))
    """The other address of the same press."""
    salt: Mapped[bytes] = mapped_column(LargeBinary(4))
    """Told in the link: after a restored backup the number may have come again."""
    requested_at: Mapped[datetime]
    due_at: Mapped[datetime | None]
    """When the confirmation may be handed over; empty once that was begun, or given up."""
    reply_id: Mapped[int | None] = mapped_column(ForeignKey("reply.id"))
    """The confirmation; written before it is handed over."""
    sent_at: Mapped[datetime | None]
    """When the provider took it."""
    confirmed_at: Mapped[datetime | None]
    disowned_at: Mapped[datetime | None]
    """When somebody who opened the link said that it was not they."""
