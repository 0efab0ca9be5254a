"""Who was asked lately to confirm a consent anew."""

from datetime import datetime

from sqlalchemy import ForeignKey, PrimaryKeyConstraint
from sqlalchemy.orm import Mapped, mapped_column

from sender.store.base import Base


class RefreshAsk(Base):
    """The last message that asked an address to reconfirm a purpose; one row for both.

    Written in the transaction of the last look, so that of two runs at once only one asks.
    """

    __tablename__ = "refresh_ask"
    __table_args__ = (PrimaryKeyConstraint("purpose_id", "address_id"),)

    purpose_id: Mapped[int] = mapped_column(ForeignKey("purpose.id"))
    address_id: Mapped[int] = mapped_column(ForeignKey("address.id"), index=True)
    delivery_id: Mapped[int] = mapped_column(ForeignKey("delivery.id"))
    asked_at: Mapped[datetime]
    quiet_until: Mapped[datetime]
    """No other message may ask before."""
