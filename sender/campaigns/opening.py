"""Open a campaign's run, or find the one that is open."""

import secrets
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sender.campaigns.pinning import find_campaign, pin
from sender.campaigns.refresh import narrow_run
from sender.campaigns.resolve import ResolvedCampaign
from sender.context import Context
from sender.controllers.sending_policy import load_policy
from sender.delivery.restored import has_lost_runs
from sender.delivery.runs import get_run, move, skip_pending
from sender.errors import RefusedError
from sender.store.campaigns import Campaign, CampaignVersion, Run, RunBody
from sender.store.portable import insert_missing
from sender.vocabulary import Reason, RunState


def abandon(session: Session, context: Context, run_id: int, because: str) -> bool:
    """Cancel a run that nobody has said yes to; return whether it was one."""
    run = get_run(session, run_id, lock=True)
    if run.state is not RunState.PLANNING:
        return False
    skip_pending(session, run_id, Reason.CANCELLED)
    move(
        session,
        run,
        RunState.CANCELLED,
        now=context.clock.now(),
        operator=context.operator,
        because=because,
    )
    return True


def require_resumable(run: Run) -> None:
    """Require that the run is open and no test.

    Raises:
        RefusedError: it is not.
    """
    if run.is_test:
        raise RefusedError(
            f"Run {run.id} was a test; a test is not resumed.",
            remedy="Send another with: sender campaign test FILE --to ADDRESS",
        )
    if not run.state.is_open:
        raise RefusedError(f"Run {run.id} is {run.state.value}; nothing is left to resume.")


def carry_on(session: Session, run_id: int, version_id: int) -> int:
    """Return the run again if it can be carried on with this text.

    Raises:
        RefusedError: meanwhile it ended, or its text was amended.
    """
    run = get_run(session, run_id, lock=True)
    require_resumable(run)
    if run.version_id != version_id:
        raise RefusedError(f"The text of run {run_id} was just amended.", remedy="Try again.")
    return run_id


def adopt(session: Session, run: Run, campaign: ResolvedCampaign) -> None:
    """Let the run name its controller, bodies and sender as they are now.

    Its messages are rendered with these, and each delivery keeps which ones it was sent with.
    """
    run.controller_version_id = campaign.own.version.id
    run.sender_identity_id = campaign.identity.id
    for body in campaign.bodies:
        row = session.get_one(RunBody, (run.id, body.controller_id))
        row.controller_version_id = body.version.id


def find_or_open(
    session: Session, context: Context, campaign: ResolvedCampaign, *, new_run: bool
) -> tuple[int, bool]:
    """Return the campaign's open run and True, or a new one and False.

    Raises:
        RefusedError: an open run has another text, or the campaign was sent already and no new run
            was asked for.
    """
    definition, now = campaign.definition, context.clock.now()
    row = campaign_row(session, campaign, now)
    runs = session.scalars(
        select(Run).where(Run.campaign_id == row.id, Run.is_test.is_(False)).order_by(Run.id)
    ).all()
    version = pin(session, row, definition, now=now, operator=context.operator)
    for run in runs:
        if run.state.is_open:
            if run.version_id == version.id:
                return run.id, True
            if run.state is not RunState.PLANNING:
                raise RefusedError(
                    f"Run {run.id} of {definition.name} is {run.state.value}, with another text "
                    "than this file's.",
                    remedy=f"Pause it and run: sender campaign amend {run.id} FILE; or cancel it.",
                )
            abandon(session, context, run.id, "superseded by an edited file")
    finished = [run for run in runs if run.state is RunState.FINISHED]
    if finished and not new_run:
        raise RefusedError(
            f"{definition.name} was sent already, in run {finished[-1].id}.",
            remedy="Use --new-run to write to people who have not been sent it.",
        )
    sent_before = bool(runs) or has_lost_runs(session, row.controller_id, row.name)
    return open_run(session, context, campaign, row, version, exclude_sent=sent_before), False


def campaign_row(session: Session, campaign: ResolvedCampaign, now: datetime) -> Campaign:
    """Return the campaign of the file's controller and name, made if it is new, and locked."""
    name, controller_id = campaign.definition.name, campaign.own.controller_id
    insert_missing(
        session, Campaign, [{"controller_id": controller_id, "name": name, "created_at": now}]
    )
    row = find_campaign(session, controller_id, name)
    assert row is not None
    return row


def open_run(
    session: Session,
    context: Context,
    campaign: ResolvedCampaign,
    row: Campaign,
    version: CampaignVersion,
    *,
    exclude_sent: bool,
    is_test: bool = False,
) -> int:
    """Open a run of this campaign version and return its id."""
    last = session.scalar(select(func.max(Run.number)).where(Run.campaign_id == row.id))
    definition = campaign.definition
    opens, closes = (None, None) if is_test else _hours(session, campaign)
    run = Run(
        campaign_id=row.id,
        number=(last or 0) + 1,
        is_test=is_test,
        state=RunState.PLANNING,
        version_id=version.id,
        controller_id=campaign.own.controller_id,
        controller_version_id=campaign.own.version.id,
        sender_identity_id=campaign.identity.id,
        purpose_id=campaign.own.purpose.id,
        channel=definition.channel,
        kind=definition.kind,
        fresh_within_months=definition.fresh_within_months,
        expires_at=definition.expires_at,
        window_opens=opens,
        window_closes=closes,
        priority=definition.priority,
        weight=definition.weight,
        most_recipients=definition.max_recipients,
        planned_through=0,
        exclude_sent=exclude_sent,
        link_salt=secrets.token_bytes(16),
        operator=context.operator,
        created_at=context.clock.now(),
    )
    narrow_run(session, run, campaign, context.clock.now())
    session.add(run)
    session.flush()
    session.add_all(
        RunBody(
            run_id=run.id,
            controller_id=body.controller_id,
            controller_version_id=body.version.id,
            purpose_id=body.purpose.id,
        )
        for body in campaign.bodies
    )
    session.flush()
    move(
        session,
        run,
        RunState.PLANNING,
        now=context.clock.now(),
        operator=context.operator,
    )
    return run.id


def _hours(session: Session, campaign: ResolvedCampaign) -> tuple[int, int]:
    """Return the sending hours of the file, or else of the controller, in minutes of the day."""
    window = campaign.definition.window
    if window is not None:
        return window.opens, window.closes
    return load_policy(session, campaign.own.controller_id).window
