"""Campaigns, the exact text of each version, runs, and recipients pulled from elsewhere."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Date,
    ForeignKey,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from sender.store.base import Base
from sender.vocabulary import CampaignKind, Channel, Priority, Reason, RunState


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
    unanswered: Mapped[int | None]
    """Batches in a row that the provider left in doubt, over all dispatchers."""
    version_id: Mapped[int] = mapped_column(ForeignKey("campaign_version.id"))
    controller_id: Mapped[int] = mapped_column(ForeignKey("controller.id"), index=True)
    controller_version_id: Mapped[int] = mapped_column(ForeignKey("controller_version.id"))
    sender_identity_id: Mapped[int] = mapped_column(ForeignKey("sender_identity.id"))
    purpose_id: Mapped[int] = mapped_column(ForeignKey("purpose.id"))
    channel: Mapped[Channel]
    kind: Mapped[CampaignKind | None]
    """None in runs of before this was kept: they count as marketing."""
    fresh_within_months: Mapped[int | None]
    expires_at: Mapped[datetime | None]
    window_opens: Mapped[int | None]
    """Minutes after midnight on the recipient's clock; None: at any time."""
    window_closes: Mapped[int | None]
    """The minute from which nothing goes out, up to 1440."""
    priority: Mapped[Priority | None]
    weight: Mapped[int | None]
    """Its share of the account's rate beside other runs' weights; None: 1."""
    audience_day: Mapped[date | None] = mapped_column(Date)
    """The day that each person's own date must be, where a schedule goes by an attribute."""
    expiring_days: Mapped[int | None]
    """Of a run that asks people to reconfirm: whose consent ends within so many days (¶57)."""
    expiring_fresh_after: Mapped[datetime | None]
    """Their last affirmative act is later than this,"""
    expiring_stale_by: Mapped[datetime | None]
    """and not later than this; or"""
    expiring_ended_by: Mapped[datetime | None]
    """their consent ends by this moment, which is `expiring_days` after the run was opened."""
    planned_through: Mapped[int]
    """The last address id that a part was made for; it only rises."""
    plan_ends_at: Mapped[int | None]
    """The last address id there was when planning began; later ones do not join this run."""
    most_recipients: Mapped[int | None]
    """A part that would bring more people into the run is not planned."""
    recipients_planned: Mapped[int | None]
    """How many people planning has let in so far."""
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


class RunPart(Base):
    """A range of a run's address ids: planned in one transaction, sent by one dispatcher at a time.

    Parts share the work out; they decide nothing. Who was written to, the deliveries alone say: a
    part that is worked through twice finds nobody pending the second time.
    """

    __tablename__ = "run_part"
    __table_args__ = (
        UniqueConstraint("run_id", "above"),
        Index(
            "ix_run_part_open",
            "run_id",
            "above",
            sqlite_where=text("done_at IS NULL"),
            postgresql_where=text("done_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"))
    above: Mapped[int]
    """Its address ids are greater than this, and"""
    through: Mapped[int]
    """up to and including this."""
    planned_at: Mapped[datetime | None]
    dispatcher_id: Mapped[int | None] = mapped_column(ForeignKey("dispatcher.id"), index=True)
    """Who sends it now."""
    ready_at: Mapped[datetime | None]
    """Nobody in it may be written to before this."""
    done_at: Mapped[datetime | None]


class Worker(Base):
    """A process that carries on whatever runs there are, and its last sign of life."""

    __tablename__ = "worker"

    id: Mapped[int] = mapped_column(primary_key=True)
    host: Mapped[str] = mapped_column(String(255))
    process_id: Mapped[int]
    slots: Mapped[int]
    """How many runs it dispatches at the same time."""
    version: Mapped[str] = mapped_column(String(32))
    started_at: Mapped[datetime]
    heartbeat_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class Dispatcher(Base):
    """One process that dispatches a run; its silence tells that its calls are unaccounted for."""

    __tablename__ = "dispatcher"

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"), index=True)
    worker_id: Mapped[int | None]
    """The worker that it belongs to, if it is no launcher's own."""
    host: Mapped[str] = mapped_column(String(255))
    place: Mapped[str] = mapped_column(String(32), server_default="", default="")
    """Within which its process id means something: a machine since its start, or a container."""
    process_id: Mapped[int]
    started_at: Mapped[datetime]
    heartbeat_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    accepted: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    """Messages that it saw accepted, as of its last sign of life."""


class RunBrake(Base):
    """What the brake knows of a run from one judgement to the next."""

    __tablename__ = "run_brake"

    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"), primary_key=True)
    judged_at: Mapped[datetime | None]
    accepted: Mapped[int]
    """Messages that were accepted by the last judgement,"""
    accepted_at: Mapped[datetime | None]
    """when that number last rose,"""
    accepting_since: Mapped[datetime | None]
    """and since when it has risen without a longer break."""
    judged_from: Mapped[datetime | None]
    """When it last paused the run: only messages of after that are judged,"""
    accepted_before: Mapped[int]
    """and these were accepted before."""


class RateLimit(Base):
    """The theoretical arrival time of one rate's next message, shared by all processes (GCRA)."""

    __tablename__ = "rate_limit"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    arrival_at_seconds: Mapped[float]
    slowed_to: Mapped[float | None]
    """The part of the rate, up to 1, that was left when the provider last throttled,"""
    slowed_at_seconds: Mapped[float | None]
    """and when that was; it recovers with time."""


class RateClaim(Base):
    """One run that wants a rate, beside the others that want it."""

    __tablename__ = "rate_claim"
    __table_args__ = (PrimaryKeyConstraint("name", "run_id"),)

    name: Mapped[str] = mapped_column(String(100))
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"))
    weight: Mapped[int]
    urgent: Mapped[bool]
    wanted_at_seconds: Mapped[float]
    """When it last asked; one that has not for a while no longer counts."""
    arrival_at_seconds: Mapped[float]
    """When its next message is due by its share alone."""


class AccountQuota(Base):
    """What a provider account's daily quota leaves, shared by all processes."""

    __tablename__ = "account_quota"

    account_id: Mapped[int] = mapped_column(ForeignKey("provider_account.id"), primary_key=True)
    allowed: Mapped[int | None]
    """Messages a day; None: unknown."""
    remaining: Mapped[int | None]
    """Messages left; None: unlimited. Reservations take from it until it is counted anew."""
    taken: Mapped[int] = mapped_column(server_default=text("0"), default=0)
    """Messages taken since it was counted: the provider may not have them yet."""
    counted_at: Mapped[datetime]
    rate_per_second: Mapped[float | None]
    """The rate that the provider told then, for people to look at."""


class SourceRefusal(Base):
    """How many source rows could not be taken, by reason; the rows themselves are not kept."""

    __tablename__ = "source_refusal"
    __table_args__ = (PrimaryKeyConstraint("run_id", "reason"),)

    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"))
    reason: Mapped[Reason]
    count: Mapped[int]
