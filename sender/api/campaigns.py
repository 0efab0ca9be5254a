"""Campaigns and their runs, for scripts: what `sender campaign` and `sender explain` do."""

from collections.abc import Callable

from sender.api.acting import acts_as
from sender.campaigns import amend as amending
from sender.campaigns import approval, launch
from sender.campaigns import check as checking
from sender.campaigns import explain as explaining
from sender.campaigns import preview as previewing
from sender.campaigns import report as reporting
from sender.campaigns import test_send as testing
from sender.campaigns.definition import CampaignDefinition
from sender.campaigns.launch import Launch
from sender.campaigns.plan import LaunchPlan
from sender.campaigns.report import RunReport
from sender.context import Context
from sender.delivery import runs
from sender.errors import RefusedError
from sender.vocabulary import RunState

Approve = Callable[[LaunchPlan], bool]
"""Looks at the plan and says whether to send."""

amend = acts_as("campaign amend")(amending.amend)
check = acts_as("campaign check")(checking.check)
explain = acts_as("explain")(explaining.explain)
look_over_for_approval = acts_as("campaign approve")(approval.look_over_for_approval)
prepare_launch = acts_as("campaign launch")(launch.prepare_launch)
prepare_resume = acts_as("campaign resume")(launch.prepare_resume)
preview = acts_as("campaign preview")(previewing.preview)
preview_amendment = acts_as("campaign amend")(amending.preview_amendment)
send_test = acts_as("campaign test")(testing.send_test)


@acts_as("campaign launch")
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
        NotAllowedError: whoever acts may not launch for this controller.
        RefusedError: the plan was not approved, or the rules forbid the launch.
        FileErrors: the file, or something it names, is wrong.
        ProviderError: the provider account cannot send.
    """
    prepared = prepare_launch(
        context, definition, new_run=new_run, send_now=send_now, any_time=any_time
    )
    return _carry_out(context, prepared, approve)


@acts_as("campaign resume")
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
        NotAllowedError: whoever acts may not launch for this controller.
        RefusedError: the run is over, or the plan was not approved.
    """
    return _carry_out(context, prepare_resume(context, run_id, any_time=any_time), approve)


@acts_as("campaign pause")
def pause(context: Context, run_id: int) -> RunState:
    """Let no further message start, anywhere, within a second.

    Raises:
        NotAllowedError: whoever acts has no role at this controller.
        NotFoundError: there is no such run.
        RefusedError: the run is over, or nobody confirmed it yet.
    """
    with context.store.write() as session:
        return runs.pause(session, run_id, now=context.clock.now(), operator=context.operator)


@acts_as("campaign cancel")
def cancel(context: Context, run_id: int) -> RunState:
    """End a run: whoever is pending is skipped for good.

    Raises:
        NotAllowedError: whoever acts has no role at this controller.
        NotFoundError: there is no such run.
        RefusedError: the run is over.
    """
    with context.store.write() as session:
        return runs.cancel(session, run_id, now=context.clock.now(), operator=context.operator)


@acts_as("campaign report")
def report_run(context: Context, run_id: int) -> RunReport:
    """Return what became of everybody in a run.

    Raises:
        NotFoundError: there is no such run.
    """
    with context.store.read() as session:
        return reporting.report_run(session, run_id)


def _carry_out(context: Context, prepared: Launch, approve: Approve) -> RunReport:
    try:
        if not approve(prepared.plan):
            raise RefusedError("The plan was not approved; nothing was sent.")
        prepared.confirm()
        prepared.dispatch()
    finally:
        prepared.close()
    return report_run(context, prepared.run_id)
