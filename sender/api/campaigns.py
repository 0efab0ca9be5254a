"""A launch in one call, for scripts that have made up their mind."""

from collections.abc import Callable

from sender.campaigns.definition import CampaignDefinition
from sender.campaigns.launch import Launch, prepare_launch, prepare_resume
from sender.campaigns.plan import LaunchPlan
from sender.campaigns.report import RunReport, report_run
from sender.context import Context
from sender.errors import RefusedError

Approve = Callable[[LaunchPlan], bool]
"""Looks at the plan and says whether to send."""


def launch_campaign(
    context: Context,
    definition: CampaignDefinition,
    *,
    approve: Approve = lambda _plan: True,
    new_run: bool = False,
    send_now: bool = False,
    any_time: bool = False,
) -> RunReport:
    """Plan, ask `approve`, send, and return what became of everybody.

    Args:
        context: the installation.
        definition: the campaign file.
        approve: sees the plan before anything goes out; saying no sends nothing.
        new_run: open another run of a finished campaign, leaving out people already sent.
        send_now: send although the file has a schedule.
        any_time: send outside the sending hours too; the audit trail keeps who did.

    Raises:
        RefusedError: the plan was not approved, or the rules forbid the launch.
        FileErrors: the file, or something it names, is wrong.
        ProviderError: the provider account cannot send.
    """
    launch = prepare_launch(
        context, definition, new_run=new_run, send_now=send_now, any_time=any_time
    )
    return _carry_out(context, launch, approve)


def resume_run(
    context: Context,
    run_id: int,
    *,
    approve: Approve = lambda _plan: True,
    any_time: bool = False,
) -> RunReport:
    """Carry a paused, stopped or interrupted run on; nobody is written to twice.

    Args:
        context: the installation.
        run_id: the run.
        approve: sees the plan before anything more goes out.
        any_time: send outside the sending hours too; the audit trail keeps who did.

    Raises:
        RefusedError: the run is over, or the plan was not approved.
    """
    return _carry_out(context, prepare_resume(context, run_id, any_time=any_time), approve)


def _carry_out(context: Context, launch: Launch, approve: Approve) -> RunReport:
    try:
        if not approve(launch.plan):
            raise RefusedError("The plan was not approved; nothing was sent.")
        launch.confirm()
        launch.dispatch()
    finally:
        launch.close()
    with context.store.read() as session:
        return report_run(session, launch.run_id)
