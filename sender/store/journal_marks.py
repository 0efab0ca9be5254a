"""How far the journals outside the database are known to be in it, and what a restore lost."""

from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from sender.store.base import Base


class JournalMark(Base):
    """Up to where a journal was compared with this database and found whole.

    A restored backup brings the mark of its own day, so what was written since is looked at again.
    """

    __tablename__ = "journal_mark"

    journal: Mapped[str] = mapped_column(String(32), primary_key=True)
    """The journal's own name, from its first line."""
    checked_bytes: Mapped[int]
    checked_at: Mapped[datetime]


class LostRun(Base):
    """A run that a journal tells of and a restored backup does not: its people were written to."""

    __tablename__ = "lost_run"
    __table_args__ = (UniqueConstraint("controller_id", "campaign_name", "run_key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    controller_id: Mapped[int] = mapped_column(ForeignKey("controller.id"))
    campaign_name: Mapped[str] = mapped_column(String(100))
    run_key: Mapped[str] = mapped_column(String(32))
    """The run's link salt, hexadecimal: run numbers come again after a restore."""
    messages: Mapped[int]
    recorded_at: Mapped[datetime]
