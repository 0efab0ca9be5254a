"""Do the house work: each duty by one worker at a time, whichever it is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sender.context import Context
from sender.errors import SenderError
from sender.jobs.queue import Queue
from sender.logs import place_of
from sender.worker.log import LOG
from sender.worker.metrics import DUTIES


@dataclass(frozen=True, slots=True)
class Duty:
    """Something that has to be done again and again.

    Attributes:
        name: of it, in logs and in the queue.
        queue: `inbound` or `house`.
        every: cron with the seconds last, in UTC. All workers queue each of its moments; the
            database takes it once.
        do: what is done; returns counts for the log. Safe to be done twice or at the same time.
        with_once: whether `sender worker --once` does it too, before and after it sends.
    """

    name: str
    queue: Queue
    every: str
    do: Callable[[Context], Mapping[str, int]]
    with_once: bool = False


def do_duty(context: Context, duty: Duty) -> bool:
    """Do it and say so in the log; whether it did not fail. It comes again at its next moment."""
    try:
        done = duty.do(context)
    except Exception as error:  # noqa: BLE001  # told by type; nothing may end the worker
        because = error.problem if isinstance(error, SenderError) else None
        LOG.error(
            "duty_failed",
            duty=duty.name,
            error=type(error).__name__,
            because=because,
            at=place_of(error),
        )
        DUTIES.labels(duty=duty.name, failed="yes").inc()
        return False
    say = LOG.info if any(done.values()) else LOG.debug
    say("duty", duty=duty.name, **done)
    DUTIES.labels(duty=duty.name, failed="no").inc()
    return True
