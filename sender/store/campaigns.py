"""Campaigns, the exact text of each version, runs, and recipients pulled from elsewhere."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    ForeignKey,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from sender.store.base import Base
from sender.vocabulary import Channel, Reason, RunState


class Campaign(Base):
    """What is sent, known by controller and name."""

    __tablename__ = "campaign"
    __table_args__ = (UniqueConstraint("controller_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    controller_id: Mapped[int] = mapped_column(ForeignKey("controller.id"))
    name: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime]


class CampaignVersion(Base):
    """The exact text of the campaign file and everything it names. Append-only."""

    __tablename__ = "campaign_version"
    __table_args__ = (UniqueConstraint("campaign_id", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaign.id"))
    version: Mapped[int]
    content_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    files: Mapped[dict[str, Any]]
    """`{"campaign": {"name", "text"}, "files": {relative name: text}}`."""
    recorded_at: Mapped[datetime]
    operator: Mapped[str] = mapped_column(String(200))


class Run(Base):
    """One launch of a campaign."""

    __tablename__ = "run"
    __table_args__ = (UniqueConstraint("campaign_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaign.id"))
    number: Mapped[int]
    is_test: Mapped[bool] = mapped_column(Boolean)
    state: Mapped[RunState]
    stopped_because: Mapped[str | None] = mapped_column(String(500))
    deferred_until: Mapped[datetime | None]
    version_id: Mapped[int] = mapped_column(ForeignKey("campaign_version.id"))
    controller_id: Mapped[int] = mapped_column(ForeignKey("controller.id"), index=True)
    controller_version_id: Mapped[int] = mapped_column(ForeignKey("controller_version.id"))
    sender_identity_id: Mapped[int] = mapped_column(ForeignKey("sender_identity.id"))
    purpose_id: Mapped[int] = mapped_column(ForeignKey("purpose.id"))
    channel: Mapped[Channel]
    fresh_within_months: Mapped[int | None]
    expires_at: Mapped[datetime | None]
    planned_through: Mapped[int]
    """The last address id that planning has seen; it only rises."""
    plan_ends_at: Mapped[int | None]
    """The last address id there was when planning began; later ones do not join this run."""
    exclude_sent: Mapped[bool] = mapped_column(Boolean)
    """Whether people who were sent an earlier run of this campaign are left out."""
    link_salt: Mapped[bytes | None] = mapped_column(LargeBinary(16))
    """Mixed into this run's opt-out links: after a restored backup a delivery's number may come
    again, and an old link must not speak for another person."""
    restored_at: Mapped[datetime | None]
    """When the run was found open in a restored backup; it waits for the provider's record."""
    operator: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class RunBody(Base):
    """A body named in `on_behalf_of`: its own consent is needed from each recipient (¶26)."""

    __tablename__ = "run_body"
    __table_args__ = (PrimaryKeyConstraint("run_id", "controller_id"),)

    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"))
    controller_id: Mapped[int] = mapped_column(ForeignKey("controller.id"))
    controller_version_id: Mapped[int] = mapped_column(ForeignKey("controller_version.id"))
    purpose_id: Mapped[int] = mapped_column(ForeignKey("purpose.id"))


class StagedRecipient(Base):
    """A recipient pulled from the organisation's own database for one run; erased in time."""

    __tablename__ = "staged_recipient"
    __table_args__ = (UniqueConstraint("run_id", "address_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"))
    address_id: Mapped[int] = mapped_column(ForeignKey("address.id"), index=True)
    address: Mapped[str | None] = mapped_column(String(320))
    attributes: Mapped[dict[str, Any]]
    erase_after: Mapped[datetime]


class Dispatcher(Base):
    """One process that dispatches a run; its silence tells that its calls are unaccounted for."""

    __tablename__ = "dispatcher"

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"), index=True)
    host: Mapped[str] = mapped_column(String(255))
    process_id: Mapped[int]
    started_at: Mapped[datetime]
    heartbeat_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class RateLimit(Base):
    """The theoretical arrival time of one rate's next message, shared by all processes (GCRA)."""

    __tablename__ = "rate_limit"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    arrival_at_seconds: Mapped[float]


class SourceRefusal(Base):
    """How many source rows could not be taken, by reason; the rows themselves are not kept."""

    __tablename__ = "source_refusal"
    __table_args__ = (PrimaryKeyConstraint("run_id", "reason"),)

    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"))
    reason: Mapped[Reason]
    count: Mapped[int]
