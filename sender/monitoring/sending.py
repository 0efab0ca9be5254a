"""What /metrics says of sending: the figures of `sender status`, in totals."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from sender.campaigns.status import Status
from sender.campaigns.status_accounts import AccountStatus
from sender.vocabulary import Channel, RunState, ScheduleState


def sending_metrics(status: Status, accepted: Mapping[Channel, int]) -> Iterator[Metric]:
    """Yield the figures of one look.

    Args:
        status: what was seen.
        accepted: messages that were ever accepted, by channel.
    """
    yield from _workers(status)
    yield from _queues(status)
    yield from _runs(status)
    yield _accepted(accepted)
    yield from _accounts(status.accounts)
    states = Counter(one.state for one in status.schedules)
    standing = (ScheduleState.ACTIVE, ScheduleState.PAUSED, ScheduleState.HELD)
    yield _by(
        "sender_schedules",
        "Schedules that stand, by state.",
        ["state"],
        {(state.value,): states[state] for state in standing},
    )


def _workers(status: Status) -> Iterator[Metric]:
    living = [one for one in status.workers if not one.lost]
    lost = len(status.workers) - len(living)
    dispatchers = sum(one.dispatchers for one in status.runs)
    yield _plain("sender_workers", "Workers that live.", len(living))
    yield _plain("sender_workers_lost", "Workers that fell silent in the last hour.", lost)
    yield _plain("sender_worker_slots", "Slots of those that live.", sum(w.slots for w in living))
    yield _plain("sender_dispatchers", "Slices and launches that are sending.", dispatchers)


def _queues(status: Status) -> Iterator[Metric]:
    jobs: dict[tuple[str, ...], int] = {}
    for one in status.queues:
        jobs |= {(one.queue.value, "waiting"): one.waiting, (one.queue.value, "doing"): one.doing}
    oldest: dict[tuple[str, ...], float] = {
        (one.queue.value,): one.oldest.total_seconds() if one.oldest else 0.0
        for one in status.queues
    }
    yield _by("sender_jobs", "Jobs, by queue and status.", ["queue", "status"], jobs)
    yield _by(
        "sender_jobs_oldest_seconds", "For how long the oldest has waited.", ["queue"], oldest
    )


def _runs(status: Status) -> Iterator[Metric]:
    states = Counter(one.state for one in status.runs)
    pending: Counter[Channel] = Counter()
    for run in status.runs:
        pending[run.channel] += run.pending
    parts, oldest = status.parts, status.parts.oldest_ready
    yield _by(
        "sender_runs",
        "Runs that are confirmed and not over, by state.",
        ["state"],
        {(state.value,): states[state] for state in RunState if state.is_open},
    )
    yield _by(
        "sender_deliveries_pending",
        "People of those runs who are still to be written to, by channel.",
        ["channel"],
        {(channel.value,): pending[channel] for channel in Channel},
    )
    yield _by(
        "sender_parts",
        "Open parts of the runs that may send, by state.",
        ["state"],
        {
            ("unplanned",): parts.unplanned,
            ("ready",): parts.ready,
            ("in_hand",): parts.in_hand,
            ("later",): parts.later,
        },
    )
    yield _plain(
        "sender_parts_oldest_ready_seconds",
        "For how long the oldest part that is ready has not been taken.",
        oldest.total_seconds() if oldest else 0,
    )


def _accepted(accepted: Mapping[Channel, int]) -> Metric:
    family = CounterMetricFamily(
        "sender_messages_accepted",
        "Messages that providers took, of all processes together.",
        labels=["channel"],
    )
    for channel in Channel:
        family.add_metric([channel.value], accepted.get(channel, 0))
    return family


def _accounts(accounts: Sequence[AccountStatus]) -> Iterator[Metric]:
    limited = [one for one in accounts if one.quota_left is not None]
    yield _by(
        "sender_rate_claims",
        "Runs that want an account's rate now.",
        ["account"],
        {(one.name,): one.runs_that_want_it for one in accounts},
    )
    yield _by(
        "sender_rate_part_left",
        "The part of an account's rate that throttling leaves, up to 1.",
        ["account"],
        {(one.name,): one.part_left for one in accounts},
    )
    yield _by(
        "sender_quota_remaining",
        "Messages left of an account's day.",
        ["account"],
        {(one.name,): one.quota_left for one in limited},
    )
    yield _by(
        "sender_quota_allowed",
        "Messages that an account may send a day.",
        ["account"],
        {(one.name,): one.quota_a_day for one in limited if one.quota_a_day is not None},
    )


def _plain(name: str, documentation: str, value: float) -> Metric:
    return GaugeMetricFamily(name, documentation, value=value)


def _by(
    name: str, documentation: str, labels: Sequence[str], values: Mapping[tuple[str, ...], Any]
) -> Metric:
    family = GaugeMetricFamily(name, documentation, labels=labels)
    for key, value in values.items():
        family.add_metric(list(key), value)
    return family
