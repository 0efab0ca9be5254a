"""Schedules of campaigns, and what became of each of their occurrences."""

from datetime import date, datetime

from sqlalchemy import Date, ForeignKey, Index, LargeBinary, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from sender.store.base import Base
from sender.vocabulary import OccurrenceState, ScheduleState


class Schedule(Base):
    """A campaign that goes out by itself, with the text that was approved for it."""

    __tablename__ = "schedule"
    __table_args__ = (
        Index(
            "uq_schedule_campaign_standing",
            "campaign_id",
            unique=True,
            sqlite_where=text("state NOT IN ('removed', 'ended')"),
            postgresql_where=text("state NOT IN ('removed', 'ended')"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    controller_id: Mapped[int] = mapped_column(ForeignKey("controller.id"), index=True)
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaign.id"), index=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("campaign_version.id"))
    """The approved text."""
    file_path: Mapped[str] = mapped_column(String(1000))
    """Where the file lay when it was approved, absolute; a change there holds the schedule."""
    content_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    state: Mapped[ScheduleState]
    because: Mapped[str | None] = mapped_column(String(500))
    """Why it is held."""
    late_by_seconds: Mapped[int]
    """How late an occurrence may still be launched; one later than that is skipped."""
    considered_through: Mapped[datetime]
    """Occurrences up to this moment have been decided on; it only rises."""
    operator: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]


class ScheduleOccurrence(Base):
    """One occurrence of a schedule: one run, or why there is none. Never deleted."""

    __tablename__ = "schedule_occurrence"
    __table_args__ = (UniqueConstraint("schedule_id", "due_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    schedule_id: Mapped[int] = mapped_column(ForeignKey("schedule.id"))
    due_at: Mapped[datetime]
    day: Mapped[date | None] = mapped_column(Date)
    """The day that each person's own date is, where the schedule goes by an attribute."""
    state: Mapped[OccurrenceState]
    because: Mapped[str | None] = mapped_column(String(500))
    run_id: Mapped[int | None] = mapped_column(ForeignKey("run.id"), index=True)
    audience: Mapped[int | None]
    """How many people it could write to when it was launched."""
    decided_at: Mapped[datetime]
