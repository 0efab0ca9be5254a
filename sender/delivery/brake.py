"""The brake: a run of which too much goes wrong pauses itself until a person has looked.

It is judged by what providers and people said of its own messages. Once it has paused a run, only
messages that were handed over later are judged: whoever resumes it has looked at the others.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from sender.controllers.brake_thresholds import BrakeThresholds, exceeds
from sender.controllers.sending_policy import load_policy
from sender.delivery.silence import expects_events, last_heard
from sender.store.alert_book import RUN_PAUSED, RUN_STOPPED, raise_alert
from sender.store.campaigns import Campaign, Dispatcher, Run, RunBrake
from sender.store.controllers import Controller, ProviderAccount, SenderIdentity
from sender.store.deliveries import Delivery
from sender.store.portable import insert_missing
from sender.vocabulary import RunState

JUDGE_EVERY: Final = timedelta(seconds=4)
"""A little less than a heartbeat: a run costs the same to judge, however many dispatch it."""
LONGEST_BREAK: Final = timedelta(minutes=5)
"""After a longer time without a message, as overnight, silence is measured anew."""

_LONGEST_SUBJECT: Final = 200
_NONE: Final = timedelta(0)


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run is judged by.

    Attributes:
        accepted: messages that the provider accepted.
        hard_bounces: how many of them came back for good; may stop counting above its threshold.
        complaints: likewise, how many were called spam.
        opt_outs: likewise, how many made a person opt out.
        silence: for how long messages have been accepted without any event of their provider;
            zero where none is expected.
    """

    accepted: int
    hard_bounces: int = 0
    complaints: int = 0
    opt_outs: int = 0
    silence: timedelta = _NONE


def judge(figures: Figures, thresholds: BrakeThresholds) -> str | None:
    """Return why a run of these figures must pause, in one sentence; None if it may go on."""
    if figures.accepted < thresholds.least_accepted:
        return None
    shares = (
        ("hard bounces", figures.hard_bounces, thresholds.hard_bounce_percent),
        ("complaints", figures.complaints, thresholds.complaint_percent),
        ("opt-outs", figures.opt_outs, thresholds.opt_out_percent),
    )
    for what, count, percent in shares:
        if exceeds(count, figures.accepted, percent):
            return (
                f"{what}: {count:,} or more of {figures.accepted:,} accepted messages, "
                f"over {percent:g} %."
            )
    if figures.silence > thresholds.silence:
        minutes = int(figures.silence.total_seconds() // 60)
        return (
            f"no event of the provider for {minutes} minutes of sending: "
            "its webhook may be dead, so that opt-outs do not arrive either."
        )
    return None


def brake(session: Session, run: Run, now: datetime) -> str | None:
    """Judge a running run; return why it must pause, after raising the alert, else None.

    Meant for each heartbeat of each dispatcher; a run that was judged just now is not judged again.
    It reads indexes alone: a run of a million messages of which 5 % bounced takes a tenth of a
    second. The caller pauses the run in the same transaction; it is locked and still running then.
    Call it before the heartbeat locks rows of its own.

    Args:
        session: a writing session.
        run: which; it may be unlocked.
        now: when.
    """
    watch = _watch(session, run.id, now)
    if watch is None:
        return None
    thresholds = load_policy(session, run.controller_id).brake
    if watch.accepted - watch.accepted_before < thresholds.least_accepted:
        return None
    figures = _figures(session, run, watch, thresholds, now)
    reason = judge(figures, thresholds)
    if reason is None:
        return None
    session.refresh(run, with_for_update=True)
    if run.state is not RunState.RUNNING:
        return None
    details = {
        "run": run.id,
        "while": [RunState.PAUSING, RunState.PAUSED],
        "because": reason,
        "accepted": figures.accepted,
        "hard_bounces": figures.hard_bounces,
        "complaints": figures.complaints,
        "opt_outs": figures.opt_outs,
        "remedy": f"Look at it: sender campaign report {run.id}; then resume or cancel it.",
    }
    raise_alert(session, RUN_PAUSED, subject_of(session, run), now=now, details=details)
    watch.judged_from, watch.accepted_before = now, watch.accepted
    watch.accepting_since = watch.accepted_at = None
    return reason


def alert_stopped(session: Session, run: Run, why: str, now: datetime) -> None:
    """Raise the alert that a run stopped, because it failed or something must be mended.

    Args:
        session: a writing session, that of the stop.
        run: which.
        why: without personal data.
        now: when.
    """
    details = {
        "run": run.id,
        "while": [RunState.STOPPED],
        "because": why,
        "remedy": f"Mend it, then: sender campaign resume {run.id}",
    }
    raise_alert(session, RUN_STOPPED, subject_of(session, run), now=now, details=details)


def subject_of(session: Session, run: Run) -> str:
    """Return a run's name in alerts, such as `run 12 of riverside/spring-appeal`."""
    slug = session.get_one(Controller, run.controller_id).slug
    name = session.get_one(Campaign, run.campaign_id).name
    return f"run {run.id} of {slug}/{name}"[:_LONGEST_SUBJECT]


def _watch(session: Session, run_id: int, now: datetime) -> RunBrake | None:
    """Return what is known of the run, brought up to now and locked; None if it was just judged."""
    known = session.get(RunBrake, run_id, populate_existing=True)
    if known is None:
        first = {"run_id": run_id, "accepted": 0, "accepted_before": 0}
        insert_missing(session, RunBrake, [first])
    elif _was_just_judged(known, now):
        return None
    watch = session.get_one(RunBrake, run_id, with_for_update=True, populate_existing=True)
    if _was_just_judged(watch, now):  # while this one waited for the lock
        return None
    watch.judged_at = now
    query = select(func.sum(Dispatcher.accepted)).where(Dispatcher.run_id == run_id)
    accepted = int(session.scalar(query) or 0)
    if accepted > watch.accepted:
        if watch.accepted_at is None or now - watch.accepted_at > LONGEST_BREAK:
            watch.accepting_since = now
        watch.accepted_at, watch.accepted = now, accepted
    return watch


def _was_just_judged(watch: RunBrake, now: datetime) -> bool:
    """Whether another dispatcher judged; a clock that stepped back must not stop the judging."""
    return watch.judged_at is not None and timedelta(0) <= now - watch.judged_at < JUDGE_EVERY


def _figures(
    session: Session, run: Run, watch: RunBrake, thresholds: BrakeThresholds, now: datetime
) -> Figures:
    accepted = watch.accepted - watch.accepted_before

    def count(told_at: InstrumentedAttribute[datetime | None], percent: float) -> int:
        most = int(accepted * percent / 100) + 2
        return _count(session, told_at, run.id, watch.judged_from, most)

    return Figures(
        accepted=accepted,
        hard_bounces=count(Delivery.hard_bounced_at, thresholds.hard_bounce_percent),
        complaints=count(Delivery.complained_at, thresholds.complaint_percent),
        opt_outs=count(Delivery.opted_out_at, thresholds.opt_out_percent),
        silence=_silence(session, run, watch, now),
    )


def _count(
    session: Session,
    told_at: InstrumentedAttribute[datetime | None],
    run_id: int,
    since: datetime | None,
    most: int,
) -> int:
    """Count up to `most`: how far a threshold is exceeded changes nothing."""
    query = select(Delivery.run_id).where(Delivery.run_id == run_id, told_at.is_not(None))
    if since is not None:
        query = query.where(Delivery.dispatched_at > since)
    found = query.limit(most).subquery()
    return session.scalar(select(func.count()).select_from(found)) or 0


def _silence(session: Session, run: Run, watch: RunBrake, now: datetime) -> timedelta:
    if watch.accepting_since is None or watch.accepted_at is None:
        return _NONE
    if now - watch.accepted_at > LONGEST_BREAK:
        return _NONE
    identity = session.get_one(SenderIdentity, run.sender_identity_id)
    account = session.get_one(ProviderAccount, identity.provider_account_id)
    if not expects_events(account):
        return _NONE
    heard = last_heard(session, account)
    return now - max(watch.accepting_since, heard or watch.accepting_since)
