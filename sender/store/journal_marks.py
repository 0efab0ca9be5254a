"""How far the journals outside the database are known to be in it, and what a restore lost."""

from datetime import datetime

from sqlalchemy import ForeignKey, PrimaryKeyConstraint, String, UniqueConstraint, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from sender.store.base import Base
from sender.store.portable import insert_missing, upsert

NOT_ACCEPTED = 0
"""The mark of a journal that is known by name only: whether it is the whole one, nobody said."""


class JournalMark(Base):
    """Up to where a journal was compared with this database and found whole.

    A restored backup brings the mark of its own day, so what was written since is looked at again.
    """

    __tablename__ = "journal_mark"

    journal: Mapped[str] = mapped_column(String(32), primary_key=True)
    """The journal's own name, from its first line."""
    checked_bytes: Mapped[int]
    """0 for a journal that another one was known before; it is not relied on until a replay."""
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


class LostMessage(Base):
    """A person whom a lost run wrote to: later runs of that campaign leave them out."""

    __tablename__ = "lost_message"
    __table_args__ = (PrimaryKeyConstraint("lost_run_id", "address_id"),)

    lost_run_id: Mapped[int] = mapped_column(ForeignKey("lost_run.id"))
    address_id: Mapped[int] = mapped_column(ForeignKey("address.id"))


def marks(session: Session) -> dict[str, int]:
    """Return how many bytes of each known journal are known to be in this database."""
    return dict(session.execute(select(JournalMark.journal, JournalMark.checked_bytes)).all())


def set_mark(session: Session, journal: str, checked_bytes: int, now: datetime) -> None:
    """Remember that the journal was found whole up to there."""
    row = {"journal": journal, "checked_bytes": checked_bytes, "checked_at": now}
    upsert(session, JournalMark, [row], ["journal"])


def introduce(session: Session, journal: str, now: datetime) -> None:
    """Make a journal known that lines are about to be written to.

    The first is relied on at once. A later one is not: after a restore on a machine without the
    old file, it would hide that the old one is missing.
    """
    is_first = not session.scalar(select(func.count()).select_from(JournalMark))
    row = {
        "journal": journal,
        "checked_bytes": 1 if is_first else NOT_ACCEPTED,
        "checked_at": now,
    }
    insert_missing(session, JournalMark, [row])
