"""The house work of all workers together: what is done again and again, by whichever has a hand."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import select

from sender.alerts.notify import notify_operators
from sender.alerts.standing import raise_due_alerts
from sender.campaigns.accounts import account_settings
from sender.campaigns.scheduling import tick
from sender.context import Context
from sender.delivery import staging_retention
from sender.delivery.sweep import sweep
from sender.inbound.outcomes import apply_stragglers
from sender.inbound.reconcile import reconcile
from sender.inbound.retention import erase_all_expired
from sender.jobs.queue import Queue
from sender.jobs.sending import enqueue_all
from sender.jobs.upkeep import tidy
from sender.signup.upkeep import keep_sign_ups
from sender.store.campaigns import Run
from sender.worker.house import Duty
from sender.worker.log import LOG


def sweep_runs(context: Context) -> Mapping[str, int]:
    """Tidy up what lost dispatchers left, and let the workers carry on every run with work."""
    runs = sweep(context.store, context.clock, context.operator)
    if not runs:
        return {}
    with context.store.write() as session:
        found = session.execute(select(Run.id, Run.priority).where(Run.id.in_(runs)))
        priorities = {row.id: row.priority for row in found}
        new = enqueue_all(session, [(run_id, priorities[run_id]) for run_id in runs])
    return {"runs": len(runs), "slices": new}


def keep_schedules(context: Context) -> Mapping[str, int]:
    """Open a run for each occurrence that is due."""
    report = tick(context)
    return {
        "launched": report.launched,
        "skipped": report.skipped,
        "held": len(report.held),
        "failed": len(report.failed),
    }


def notify(context: Context) -> Mapping[str, int]:
    """Raise what has become overdue, and tell the operators of all that stands."""
    raise_due_alerts(context)
    return {"alerts": notify_operators(context)}


def match_stragglers(context: Context) -> Mapping[str, int]:
    """Apply events that crossed the record of their message."""
    with context.store.write() as session:
        return {"events": apply_stragglers(session, context.clock.now())}


def erase_expired(context: Context) -> Mapping[str, int]:
    """Erase words, events and staged recipients that are past their time."""
    texts = erase_all_expired(context)
    with context.store.write() as session:
        recipients = staging_retention.erase_expired(session, context.clock.now())
    return {"texts": texts, "recipients": recipients}


def ask_providers(context: Context) -> Mapping[str, int]:
    """Ask every provider account for what no webhook brought."""
    accounts = reconcile(context, lambda account: account_settings(account, context))
    for one in accounts:
        for problem in one.problems:
            LOG.error("reconcile_problem", account=one.account, problem=problem)
    return {
        "new": sum(one.new.total() for one in accounts),
        "missed": sum(one.missed.total() for one in accounts),
        "opt_outs": sum(one.opt_outs for one in accounts),
        "problems": sum(len(one.problems) for one in accounts),
    }


def ask_to_confirm(context: Context) -> Mapping[str, int]:
    """Send what asks people to confirm their sign-up, and erase what nobody confirmed."""
    kept = keep_sign_ups(context)
    return {"sent": kept.sent, "erased": kept.erased}


def tidy_queue(context: Context) -> Mapping[str, int]:
    """Keep the queue's own tables small and its statistics true."""
    with context.store.write() as session:
        return {"jobs": tidy(session)}


DUTIES: Final = (
    Duty("stragglers", Queue.INBOUND, "* * * * * 15", match_stragglers),
    Duty("reconcile", Queue.INBOUND, "*/15 * * * *", ask_providers),
    Duty("retention", Queue.INBOUND, "30 2 * * *", erase_expired),
    Duty("schedules", Queue.HOUSE, "* * * * * */20", keep_schedules, with_once=True),
    Duty("sweep", Queue.HOUSE, "* * * * * */10", sweep_runs, with_once=True),
    Duty("sign_ups", Queue.HOUSE, "* * * * * 30", ask_to_confirm),
    Duty("alerts", Queue.HOUSE, "* * * * * 45", notify, with_once=True),
    Duty("tidy_queue", Queue.HOUSE, "*/5 * * * *", tidy_queue),
)
"""In their order with `--once`, a schedule's run is opened before the sweep looks for work."""
