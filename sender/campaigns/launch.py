"""Launch a campaign: find or open its run, show the plan, and after a yes plan and dispatch it.

Nothing goes out before the yes, and a launch that is declined or refused leaves a cancelled run
without deliveries. The same file launched again carries its open run on; nobody is repeated.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from sender.campaigns.accounts import counter_of, open_account, usable_capacity
from sender.campaigns.approval import require_approved, require_go, require_launcher
from sender.campaigns.carrying import pace_of
from sender.campaigns.definition import CampaignDefinition
from sender.campaigns.message import CampaignRenderer, make_renderer
from sender.campaigns.opening import abandon, adopt, carry_on, find_or_open, require_resumable
from sender.campaigns.pinning import read_pinned
from sender.campaigns.plan import LaunchPlan, Planned, work_out
from sender.campaigns.requirements import (
    require_declarations,
    require_no_schedule,
    require_open_window,
    require_sound_templates,
    require_stricter,
    require_unexpired,
    require_within_limits,
)
from sender.campaigns.resolve import ResolvedCampaign, resolve
from sender.campaigns.run_audience import read_audience
from sender.campaigns.watching import has_workers, watch
from sender.campaigns.window import override_window
from sender.context import Context
from sender.delivery.audience import Audience, StagedAudience
from sender.delivery.dispatch import Dispatcher
from sender.delivery.planning import PLANNABLE, TooManyRecipientsError, plan_next
from sender.delivery.progress import Ending, Progress
from sender.delivery.quota import Quota
from sender.delivery.recovery import live_dispatchers, recover
from sender.delivery.restored import require_reconciled
from sender.delivery.runs import (
    SENDABLE,
    Counts,
    count,
    finish_if_done,
    get_run,
    move,
    pause,
    skip_pending,
)
from sender.delivery.source import count_staged, forget_recipients
from sender.delivery.staging_retention import erase_expired
from sender.errors import RefusedError
from sender.inbound.retention import erase_expired as erase_inbound
from sender.jobs.sending import enqueue_sending
from sender.providers.base import Provider
from sender.store.campaigns import CampaignVersion, Run
from sender.suppression.journal import require_up_to_date
from sender.suppression.links import opt_out_links
from sender.vocabulary import Reason, RunState


@dataclass(slots=True)
class Launch:
    """One launch under way; close it, also when it is declined.

    Attributes:
        context: the installation.
        campaign: the file with everything it names.
        run_id: its run.
        continues: whether the run was open before.
        version_id: the text of the run that `renderer` renders.
        renderer: of the run's version.
        audience: whom the run is about.
        provider: opened and able to send.
        rate_per_second: what its account allows, in messages.
        quota: what its account allows a day.
        by_workers: whether workers send it; otherwise this process does.
        any_time: whether the yes is to sending outside the sending hours too.
        launcher: the operator who answers for it; None: whoever acts.
        plan: what it would do.
    """

    context: Context
    campaign: ResolvedCampaign
    run_id: int
    continues: bool
    version_id: int
    renderer: CampaignRenderer
    audience: Audience
    provider: Provider
    rate_per_second: float
    quota: Quota
    by_workers: bool
    any_time: bool
    plan: LaunchPlan
    launcher: str | None = None
    on_progress: Callable[[Progress], None] = lambda _progress: None
    _confirmed: bool = field(default=False, init=False)

    def confirm(self, on_planned: Callable[[int], None] = lambda _people: None) -> Counts:
        """Say yes: the first people in the audience become deliveries, and the run is ready.

        The rest is planned while sending, so that a million people need not wait for it. Where
        there are workers, they are told of the run in the transaction that makes it ready.

        Raises:
            NotAllowedError: whoever acts was revoked meanwhile, or may not lift the hours.
            RefusedError: meanwhile the approval ended, more people may be written to than
                `max_recipients`, the run was cancelled or is being paused, or another launch is
                reading its audience anew.
        """
        require_go(
            self.context, self.campaign, self.version_id, self.launcher, any_time=self.any_time
        )
        self._confirmed = True
        self._hold_audience()
        context = self.context
        try:
            people = plan_next(context.store, context.clock, self.run_id, self.audience)
        except TooManyRecipientsError as too_many:
            self._refuse_too_many(too_many.people)
            raise RefusedError(
                f"{too_many.people:,} people may be written to by now; max_recipients is "
                f"{self.campaign.definition.max_recipients:,}.",
                remedy="Nothing was sent. Raise max_recipients or narrow the audience.",
            ) from None
        on_planned(people or 0)
        with context.store.write() as session:
            self._make_ready(session, get_run(session, self.run_id, lock=True))
            return count(session, self.run_id)

    def _refuse_too_many(self, people: int) -> None:
        """Cancel a run that nobody was sent anything of; stop one that is under way."""
        now, who = self.context.clock.now(), self.context.operator
        with self.context.store.write() as session:
            run = get_run(session, self.run_id, lock=True)
            because = f"at least {people:,} people, more than max_recipients"
            if run.started_at is None and run.state.is_open:
                skip_pending(session, run.id, Reason.CANCELLED)
                move(session, run, RunState.CANCELLED, now=now, operator=who, because=because)
            elif run.state in PLANNABLE:
                move(session, run, RunState.STOPPED, now=now, operator=who, because=because)

    def _hold_audience(self) -> None:
        """Let nobody read a staged audience anew from here on; it must be the one of the plan."""
        if not isinstance(self.audience, StagedAudience):
            return
        with self.context.store.write() as session:
            run = get_run(session, self.run_id, lock=True)
            if run.plan_ends_at is not None:
                return
            if count_staged(session, run.id) != self.plan.recipients + self.plan.refused.total():
                raise RefusedError(
                    f"Another launch is reading the audience of run {run.id} anew.",
                    remedy="Nothing was sent. Launch again when the other one is done.",
                )
            run.plan_ends_at = self.audience.last(session)

    def _make_ready(self, session: Session, run: Run) -> None:
        now, who = self.context.clock.now(), self.context.operator
        if run.state is RunState.PAUSING:  # its dispatcher may be gone
            pause(session, run.id, now=now, operator=who)
        if run.state not in SENDABLE:
            raise RefusedError(f"Run {run.id} is {run.state.value}; it cannot be sent.")
        if not live_dispatchers(session, run.id, now):
            adopt(session, run, self.campaign)
            run.unanswered, run.deferred_until = None, now  # from the yes on, however old it is
        if self.any_time:  # not before the yes: workers may be waiting for the run's hours
            override_window(session, run, operator=who, now=now)
        if run.state is not RunState.RUNNING:
            run.unanswered, run.deferred_until = None, now
            move(session, run, RunState.READY, now=now, operator=who)
        if self.by_workers:
            enqueue_sending(session, run.id, run.priority)

    def dispatch(self) -> Ending:
        """Send until everybody is settled or the run is paused, stopped or interrupted.

        Where there are workers, watch them do it: an interruption ends the watching alone.
        """
        if self.by_workers:
            return watch(self.context, self.run_id, self.on_progress)
        context = self.context
        with context.store.read() as session:
            run = get_run(session, self.run_id)
        dispatcher = Dispatcher(
            store=context.store,
            hasher=context.hasher,
            clock=context.clock,
            provider=self.provider,
            renderer=self.renderer,
            opt_out_url=opt_out_links(context.settings).of_run(run.link_salt),
            run_id=self.run_id,
            version_id=self.version_id,
            operator=context.operator,
            pace=pace_of(context, self.campaign, run, self.rate_per_second),
            audience=self.audience,
            quota=self.quota,
            on_progress=self.on_progress,
        )
        return dispatcher.run()

    def close(self) -> None:
        """Let go of the provider; a run that nobody said yes to is cancelled."""
        self.provider.close()
        if not self._confirmed and not self.continues:
            _abandon(self.context, self.run_id, "not confirmed")


def prepare_launch(
    context: Context,
    definition: CampaignDefinition,
    *,
    new_run: bool = False,
    send_now: bool = False,
    any_time: bool = False,
) -> Launch:
    """Find or open the run, check everything that can be checked, and work out the plan.

    Args:
        context: the installation.
        definition: the campaign file.
        new_run: open another run of a finished campaign, leaving out people already sent.
        send_now: send although the file has a schedule; the schedule is kept with the run's text.
        any_time: send outside the sending hours too; the audit trail says who answers for it.

    Raises:
        FileErrors: the file names something that is not there, a template is wrong, or it has a
            schedule and nobody said to send now.
        NotAllowedError: who acts may not launch for this controller.
        RefusedError: a limit would be exceeded, opt-outs of the old system were not accounted
            for, nobody approved a text that must be, the campaign was sent already, or the
            database was restored from a backup and is not brought up to date.
        ProviderError: the account cannot send.
        SettingsError: the public address or token keys are missing.
    """
    if not send_now:
        require_no_schedule(definition)
    require_launcher(context, definition.controller)

    def find(session: Session, campaign: ResolvedCampaign) -> tuple[int, bool]:
        return find_or_open(session, context, campaign, new_run=new_run)

    return prepare(context, definition, find, any_time=any_time)


def prepare(
    context: Context,
    definition: CampaignDefinition,
    find: Callable[[Session, ResolvedCampaign], tuple[int, bool]],
    *,
    any_time: bool = False,
    may_wait: bool = False,
    launcher: str | None = None,
) -> Launch:
    """Prepare the launch of the run that `find` returns.

    Args:
        context: the installation.
        definition: what is sent.
        find: opens the run, or finds it, in a writing session; returns its id and whether it was
            open before.
        any_time: send outside the sending hours too.
        may_wait: whether the run may wait for its sending hours, as a scheduled one does.
        launcher: the operator who answers for it; None: whoever acts.

    Raises:
        Everything that `prepare_launch` raises.
    """
    now = context.clock.now()
    links = opt_out_links(context.settings)
    require_up_to_date(context.store, now)
    require_unexpired(definition, now)
    with context.store.read() as session:
        campaign = resolve(session, definition)
        require_declarations(session, campaign)
        require_stricter(session, campaign, now)
    renderer = make_renderer(campaign)
    provider = open_account(campaign.account, context)
    with _closed_on_failure(provider):
        capacity = usable_capacity(campaign.account, provider)
        with context.store.write() as session:
            erase_expired(session, now)
            erase_inbound(session, now)
            run_id, continues = find(session, campaign)
            run = get_run(session, run_id)
            require_reconciled(session, run)
            version_id = run.version_id
            version = session.get_one(CampaignVersion, version_id)
            answers = launcher or context.operator
            require_approved(session, campaign, version, launcher=answers)
        with _abandoned_on_failure(context, run_id, continues=continues):
            by_workers = has_workers(context)
            window_closes_at = None
            if not (may_wait or any_time):
                window_closes_at = require_open_window(campaign, run, now)
            audience = read_audience(context, campaign, run_id)
            planned = Planned(campaign, run_id, continues, audience, capacity, window_closes_at)
            with context.store.read() as session:
                require_sound_templates(session, renderer, audience)
                launch_plan = work_out(session, planned, renderer, links.preview, now)
            require_within_limits(definition, launch_plan)
    return Launch(
        context=context,
        campaign=campaign,
        run_id=run_id,
        continues=continues,
        version_id=version_id,
        renderer=renderer,
        audience=audience,
        provider=provider,
        rate_per_second=capacity.rate_per_second,
        quota=Quota(
            context.store,
            context.clock,
            campaign.account.id,
            counter_of(provider, capacity),
        ),
        by_workers=by_workers,
        any_time=any_time,
        plan=launch_plan,
        launcher=launcher,
    )


@contextmanager
def _closed_on_failure(provider: Provider) -> Iterator[None]:
    try:
        yield
    except BaseException:
        provider.close()
        raise


@contextmanager
def _abandoned_on_failure(context: Context, run_id: int, *, continues: bool) -> Iterator[None]:
    try:
        yield
    except BaseException:
        if not continues:
            _abandon(context, run_id, "refused before anybody confirmed it")
        raise


def _abandon(context: Context, run_id: int, because: str) -> None:
    with context.store.write() as session:
        abandoned = abandon(session, context, run_id, because)
    if abandoned:
        forget_recipients(context.store, run_id)


def prepare_resume(context: Context, run_id: int, *, any_time: bool = False) -> Launch:
    """Prepare to carry an open run on, with the text that was pinned for it.

    Raises:
        NotFoundError: there is no such run.
        RefusedError: it is over, has expired, or was a test.
        Everything that `prepare_launch` raises.
    """
    _end_if_expired(context, run_id)
    with context.store.read() as session:
        run = get_run(session, run_id)
        require_resumable(run)
        definition = read_pinned(session.get_one(CampaignVersion, run.version_id))
        version_id = run.version_id
    require_launcher(context, definition.controller)

    def find(session: Session, _campaign: ResolvedCampaign) -> tuple[int, bool]:
        return carry_on(session, run_id, version_id), True

    return prepare(context, definition, find, any_time=any_time)


def _end_if_expired(context: Context, run_id: int) -> None:
    """Bring a run that outlived its `expires_at` to its end, so that nobody waits in it."""
    now = context.clock.now()
    with context.store.write() as session:
        run = get_run(session, run_id, lock=True)
        expired = run.expires_at is not None and run.expires_at <= now
        if not expired or not run.state.is_open or run.started_at is None:
            return
        if live_dispatchers(session, run_id, now):
            return  # they end the run themselves
        recover(session, run_id, now)
        finish_if_done(session, run, now=now, operator=context.operator)
