"""Watch workers send a run."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from sender.context import Context
from sender.delivery.progress import Ending, Progress
from sender.delivery.runs import Counts, count, get_run
from sender.jobs.workers import live_slots
from sender.vocabulary import DeliveryState, RunState

_LOOK_EVERY: Final = timedelta(seconds=1)
_COST_OF_LOOKING: Final = 20
"""Counting a run of millions takes the database a while: looking is at most a twentieth."""
_LONGEST_WATCH_OF_NOTHING: Final = timedelta(minutes=5)
_ENDINGS: Final = {
    RunState.FINISHED: Ending.FINISHED,
    RunState.PAUSED: Ending.PAUSED,
    RunState.STOPPED: Ending.STOPPED,
    RunState.CANCELLED: Ending.CANCELLED,
}


def has_workers(context: Context) -> bool:
    """Whether workers are there to send what is launched."""
    if context.store.dialect == "sqlite":
        return False
    with context.store.read() as session:
        return live_slots(session) > 0


def watch(context: Context, run_id: int, on_progress: Callable[[Progress], None]) -> Ending:
    """Follow a run until it ends or must wait; Ctrl-C ends the watching, not the sending.

    Where the last worker is gone nobody waits for it either: the next one carries the run on.
    """
    try:
        while True:
            began = context.clock.monotonic()
            with context.store.read() as session:
                run = get_run(session, run_id)
                on_progress(_progress(count(session, run_id)))
                is_worked_on = live_slots(session) > 0
            if run.state in _ENDINGS:
                return _ENDINGS[run.state]
            later = context.clock.now() + _LONGEST_WATCH_OF_NOTHING
            if not is_worked_on or (run.deferred_until is not None and run.deferred_until > later):
                return Ending.WAITING
            took = context.clock.monotonic() - began
            context.clock.sleep(max(_LOOK_EVERY.total_seconds(), took * _COST_OF_LOOKING))
    except KeyboardInterrupt:
        return Ending.HANDED_ON


def _progress(counts: Counts) -> Progress:
    return Progress(
        planned=counts.planned,
        accepted=counts.handed_over,
        skipped=counts.by_state[DeliveryState.SKIPPED],
        rejected=counts.by_state[DeliveryState.REJECTED],
        unknown=counts.unknown,
    )
