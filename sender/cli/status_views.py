"""How the status looks in a terminal: what needs somebody first, then what is under way."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from sender.cli.common import counted
from sender.cli.output import Listing, Part
from sender.vocabulary import RunState, ScheduleState

if TYPE_CHECKING:
    from sender.campaigns.status import AlertStatus, ScheduleStatus, Status
    from sender.campaigns.status_accounts import AccountStatus
    from sender.campaigns.status_sending import Parts, RunStatus, WorkerStatus
    from sender.jobs.backlog import Backlog

_MOST_SHOWN: Final = 10
_WHO_SENDS_ON_SQLITE: Final = (
    "SQLite: whoever launches sends, and `sender schedule tick` does the rest.\n"
    "There are no workers and no queues."
)
_NO_WORKER: Final = "No worker lives. Whoever launches sends alone; start some with: sender worker"


def parts_of(status: "Status") -> Iterator[Part]:
    """Yield the answer for people."""
    yield _headline(status)
    if status.alerts:
        yield from _alerts(status.alerts)
    yield from _runs(status.runs, status.at)
    if status.runs:
        yield _shared_out(status.parts)
    yield from _who_sends(status)
    if status.queues:
        yield _queues(status.queues)
    yield _accounts(status.accounts, status.at)
    if status.schedules:
        yield from _schedules(status.schedules)


def _headline(status: "Status") -> str:
    sending = sum(one.last_minute for one in status.runs)
    living = [one for one in status.workers if not one.lost]
    said = [
        f"{status.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z",
        counted(len(living), "worker") if status.queues else "",
        counted(len(status.runs), "run"),
        f"{counted(sending, 'message')} a minute",
        counted(len(status.alerts), "alert"),
    ]
    return " · ".join(part for part in said if part)


def _alerts(alerts: Sequence["AlertStatus"]) -> Iterator[Part]:
    rows = [
        [one.alert_id, one.kind, one.subject, one.times, one.last_at]
        for one in alerts[:_MOST_SHOWN]
    ]
    yield Listing(["Id", "Alert", "About", "Times", "Last"], rows, title="Alerts")
    if len(alerts) > _MOST_SHOWN:
        yield f"And {len(alerts) - _MOST_SHOWN} more: sender alert list"


def _runs(runs: Sequence["RunStatus"], now: datetime) -> Iterator[Part]:
    rows = [
        [one.run_id, f"{one.controller}/{one.campaign}", _state(one), _pending(one), one.sent,
         one.last_minute, _clock(one.done_at, now)]
        for one in runs
    ]  # fmt: skip
    columns = ["Run", "Campaign", "State", "Pending", "Sent", "A minute", "Done"]
    yield Listing(columns, rows, title="Runs under way", empty="No run is under way.")
    for one in runs:
        if one.because and one.state in {RunState.PAUSED, RunState.PAUSING, RunState.STOPPED}:
            yield f"Run {one.run_id}: {one.because}"
        if one.waits_until:
            yield f"Run {one.run_id} waits until {_clock(one.waits_until, now)}."


def _state(run: "RunStatus") -> str:
    words: list[str] = ["urgent"] if run.urgent else []
    words.append(run.state.value)
    if not run.is_planned:
        words.append("planning")
    if run.waits_until:
        words.append("waits")
    return ", ".join(words)


def _pending(run: "RunStatus") -> int | str:
    if run.pending_is_about:
        return f"about {run.pending:,}"
    return run.pending


def _shared_out(parts: "Parts") -> str:
    oldest = f" (oldest: {span(parts.oldest_ready)})" if parts.oldest_ready else ""
    return (
        f"Parts: {parts.in_hand:,} in hand, {parts.ready:,} ready{oldest}, {parts.later:,} for "
        f"later, {parts.unplanned:,} not planned yet."
    )


def _who_sends(status: "Status") -> Iterator[Part]:
    if status.dialect == "sqlite":
        yield _WHO_SENDS_ON_SQLITE
        return
    if not status.workers:
        yield _NO_WORKER
        return
    columns = ["Id", "Host", "Process", "Up for", "Silent", "Slots", "Sends runs"]
    rows = [_worker_row(one, status.at) for one in status.workers]
    yield Listing(columns, rows, title="Workers")


def _worker_row(worker: "WorkerStatus", now: datetime) -> list[object]:
    silence = span(worker.silent_for)
    return [
        worker.worker_id,
        worker.host,
        str(worker.process_id),
        span(now - worker.started_at),
        f"{silence}, LOST" if worker.lost else silence,
        worker.slots,
        ", ".join(map(str, sorted(set(worker.runs)))),
    ]


def _queues(queues: Sequence["Backlog"]) -> Listing:
    rows = [[one.queue, one.waiting, one.doing, span(one.oldest)] for one in queues]
    return Listing(["Queue", "Waiting", "Doing", "Oldest"], rows, title="Queues")


def _accounts(accounts: Sequence["AccountStatus"], now: datetime) -> Listing:
    rows = [
        [one.name, _rate(one), one.runs_that_want_it, one.last_minute, _quota(one),
         span(now - one.quota_counted_at) if one.quota_counted_at else ""]
        for one in accounts
    ]  # fmt: skip
    columns = ["Account", "Allowed", "Runs", "A minute", "Quota left", "Counted"]
    return Listing(columns, rows, title="Provider accounts", empty="No account is in use.")


def _rate(account: "AccountStatus") -> str:
    if account.rate_per_second is None:
        rate = "not known yet"
    else:
        rate = f"{account.rate_per_second * account.part_left:,.1f}".removesuffix(".0") + "/s"
    return f"{rate} (slowed to {account.part_left:.0%})" if account.part_left < 1 else rate


def _quota(account: "AccountStatus") -> str:
    if account.quota_left is None:
        return "unlimited" if account.quota_counted_at else "not counted"
    of = f" of {account.quota_a_day:,}" if account.quota_a_day is not None else ""
    return f"{account.quota_left:,}{of}"


def _schedules(schedules: Sequence["ScheduleStatus"]) -> Iterator[Part]:
    rows = [
        [one.schedule_id, f"{one.controller}/{one.campaign}", one.state, _local(one.next_at)]
        for one in schedules
    ]
    yield Listing(["Schedule", "Campaign", "State", "Next"], rows, title="Schedules")
    for one in schedules:
        if one.state is ScheduleState.HELD:
            yield f"Schedule {one.schedule_id} is held: {one.because}"


def _local(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M %Z}" if moment else "none"


def _clock(moment: datetime | None, now: datetime) -> str:
    """Return a moment as short as it can be: the time alone if it is within a day."""
    if moment is None:
        return ""
    shown = moment.astimezone(UTC)
    far = abs(moment - now) >= timedelta(hours=24)
    return f"{shown:%Y-%m-%d %H:%M}Z" if far else f"{shown:%H:%M}Z"


def span(duration: timedelta | None) -> str:
    """Return a duration in its two largest units; None is empty."""
    if duration is None:
        return ""
    seconds = max(0, round(duration.total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if not minutes:
        return f"{seconds} s"
    if not hours:
        return f"{minutes} min"
    if not days:
        return f"{hours} h {minutes % 60} min"
    return f"{days} d {hours % 24} h"
