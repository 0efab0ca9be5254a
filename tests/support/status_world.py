"""An installation in the middle of its work: workers, jobs, runs, parts, rates, a quota."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, insert, text
from sqlalchemy.orm import Session

from sender.context import Context
from sender.jobs.queue import Job, Queue, put
from sender.store.campaigns import (
    AccountQuota,
    Campaign,
    CampaignVersion,
    Dispatcher,
    RateClaim,
    RateLimit,
    Run,
    RunPart,
    Worker,
)
from sender.store.controllers import ProviderAccount, SenderIdentity
from sender.store.schedules import Schedule
from sender.vocabulary import Channel, DeliveryState, RunState, ScheduleState
from tests.support.factory import (
    Organisation,
    add_campaign,
    add_contact,
    add_delivery,
    add_point,
    add_run,
    add_schedule,
    establish,
)

CRON = """\
name = "weekly"
controller = "riverside"
channel = "email"
purpose = "campaign-news"
subject = "News"
template = "letter.html"
max_recipients = 1000

[schedule]
cron = "30 9 * * MON"
time_zone = "Europe/London"
"""
"""A campaign that goes out on Mondays at half past nine."""


@dataclass
class Floor:
    """Whoever fills an installation, in one writing session.

    Attributes:
        session: open for writing.
        now: the present.
    """

    session: Session
    now: datetime
    organisations: dict[str, Organisation] = field(default_factory=dict)

    def organisation(self, slug: str = "riverside") -> Organisation:
        """Return the controller, adding it if it is new."""
        if slug not in self.organisations:
            self.organisations[slug] = establish(self.session, slug)
        return self.organisations[slug]

    def run(
        self,
        name: str,
        *,
        state: RunState = RunState.RUNNING,
        slug: str = "riverside",
        pending: int = 0,
        channel: Channel = Channel.EMAIL,
        **columns: Any,
    ) -> Run:
        """Add a run with so many people pending, all of them planned."""
        organisation = self.organisation(slug)
        version = add_campaign(self.session, organisation.controller, name)[1]
        run = add_run(self.session, organisation, version, state=state, channel=channel, **columns)
        for _ in range(pending):
            point = add_point(
                self.session, add_contact(self.session, organisation.controller), channel=channel
            )
            add_delivery(self.session, run, point, state=DeliveryState.PENDING)
        return run

    def dispatcher(
        self,
        run: Run,
        accepted: int,
        *,
        began: float = 10,
        beat: float = 0,
        worker_id: int | None = None,
        ended: bool = False,
    ) -> Dispatcher:
        """Add a dispatcher that began and last beat so many seconds ago, on another machine."""
        heartbeat_at = self.now - timedelta(seconds=beat)
        row = Dispatcher(
            run_id=run.id,
            worker_id=worker_id,
            host="elsewhere.example.org",
            process_id=4711,
            started_at=self.now - timedelta(seconds=began),
            heartbeat_at=heartbeat_at,
            ended_at=heartbeat_at if ended else None,
            accepted=accepted,
        )
        self.session.add(row)
        self.session.flush()
        return row

    def worker(self, *, silent: float = 1, slots: int = 4, ended: bool = False) -> int:
        """Add a worker, silent for so many seconds by the database's clock; return its number."""
        seen = func.now() - timedelta(seconds=silent)
        row = insert(Worker).values(
            host="worker-1.example.org",
            process_id=4711,
            slots=slots,
            version="0.1.0",
            started_at=func.now() - timedelta(hours=2),
            heartbeat_at=seen,
            ended_at=seen if ended else None,
        )
        return self.session.scalars(row.returning(Worker.id)).one()

    def part(self, run: Run, above: int, **columns: Any) -> RunPart:
        """Add a part of ten addresses, planned a minute ago unless `columns` says otherwise."""
        usual: dict[str, Any] = {"planned_at": self.now - timedelta(minutes=1)}
        row = RunPart(run_id=run.id, above=above, through=above + 10, **{**usual, **columns})
        self.session.add(row)
        self.session.flush()
        return row

    def job(self, queue: Queue, number: int, *, waits: float | None = None) -> None:
        """Queue a job, for so many seconds already."""
        put(self.session, Job("send_slice", queue, f"{queue}:{number}", {"run_id": number}))
        if waits is not None:
            self.session.execute(
                text("UPDATE procrastinate_events SET at = now() - :waits"
                     " WHERE job_id = (SELECT max(id) FROM procrastinate_jobs)"),
                {"waits": timedelta(seconds=waits)},
            )  # fmt: skip

    def account(self, channel: Channel = Channel.EMAIL, **options: Any) -> ProviderAccount:
        """Return the account of the controller's identity; `options` changes its options."""
        identity = self.organisation().identities[channel]
        found = self.session.get_one(SenderIdentity, identity.id)
        account = self.session.get_one(ProviderAccount, found.provider_account_id)
        account.options = {**account.options, **options}
        self.session.flush()
        return account

    def rate(
        self, account: ProviderAccount, *, slowed_to: float | None = None, ago: float = 0
    ) -> None:
        """Let an account have been slowed to a part of its rate so many seconds ago."""
        at = self.now.timestamp()
        row = RateLimit(
            name=f"account:{account.id}",
            arrival_at_seconds=at,
            slowed_to=slowed_to,
            slowed_at_seconds=None if slowed_to is None else at - ago,
        )
        self.session.add(row)
        self.session.flush()

    def claim(self, account: ProviderAccount, run: Run, *, ago: float = 0) -> None:
        """Let a run have asked for the account's rate so many seconds ago."""
        at = self.now.timestamp()
        row = RateClaim(
            name=f"account:{account.id}",
            run_id=run.id,
            weight=1,
            urgent=False,
            wanted_at_seconds=at - ago,
            arrival_at_seconds=at,
        )
        self.session.add(row)
        self.session.flush()

    def quota(
        self,
        account: ProviderAccount,
        allowed: int | None,
        remaining: int | None,
        rate: float | None = None,
    ) -> None:
        """Let an account's quota have been counted a minute ago."""
        row = AccountQuota(
            account_id=account.id,
            allowed=allowed,
            remaining=remaining,
            counted_at=self.now - timedelta(minutes=1),
            rate_per_second=rate,
        )
        self.session.add(row)
        self.session.flush()

    def schedule(self, name: str = "weekly", text: str = CRON, **columns: Any) -> Schedule:
        """Add a schedule of a campaign file."""
        controller = self.organisation().controller
        campaign = Campaign(controller_id=controller.id, name=name, created_at=self.now)
        self.session.add(campaign)
        self.session.flush()
        version = CampaignVersion(
            campaign_id=campaign.id,
            version=1,
            content_hash=bytes(32),
            files={
                "campaign": {"name": "weekly.toml", "text": text},
                "files": {"letter.html": "<p>Come along.</p>", "layouts:standard": ""},
            },
            recorded_at=self.now,
            operator="test-operator",
        )
        self.session.add(version)
        self.session.flush()
        return add_schedule(self.session, version, considered_through=self.now, **columns)


def fill_floor(context: Context) -> None:
    """Fill an installation with something of everything; workers and jobs on PostgreSQL only."""
    with context.store.write() as session:
        floor = Floor(session, context.clock.now())
        account = floor.account(rate_per_second=14)
        sending = floor.run("spring-appeal", pending=8, recipients_planned=1_408)
        urgent = floor.run("polling-day", pending=3, channel=Channel.SMS)
        floor.run(
            "library", state=RunState.PAUSED, slug="national", pending=2,
            stopped_because="hard bounces: 60 or more of 1,000 accepted messages, over 5 %.",
        )  # fmt: skip
        on_postgresql = context.store.dialect == "postgresql"
        worker_id = floor.worker() if on_postgresql else None
        mine = floor.dispatcher(sending, 100, began=8, beat=1, worker_id=worker_id)
        floor.dispatcher(sending, 1_300, began=130, beat=9, ended=True)
        floor.dispatcher(urgent, 12, began=6, beat=2, worker_id=worker_id)
        floor.part(sending, 0, dispatcher_id=mine.id)
        floor.part(sending, 10)
        floor.part(sending, 20, planned_at=None)
        floor.rate(account, slowed_to=0.5, ago=3)
        floor.claim(account, sending)
        floor.quota(account, 50_000, 4_321)
        floor.schedule()
        floor.schedule("monthly", state=ScheduleState.HELD, because="The file was changed.")
        if on_postgresql:
            floor.worker(silent=50)
            floor.job(Queue.SEND, 1, waits=7)
            floor.job(Queue.INBOUND, 2)
