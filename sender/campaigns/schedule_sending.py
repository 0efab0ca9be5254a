"""Send what may be sent, in the process of a tick: the way of one machine without workers."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from sender.campaigns.carrying import Carrier
from sender.campaigns.watching import has_workers
from sender.context import Context
from sender.delivery.progress import Ending
from sender.delivery.sweep import sweep
from sender.errors import SenderError
from sender.store.exclusive import exclusively

_SLICE = timedelta(seconds=20)
"""So long each run is sent before it is looked what else there is."""
_TOGETHER = 4
"""Runs that are sent side by side, so that one whose provider hangs does not hold up the others."""

_log = structlog.get_logger("sender.schedules")


@dataclass(slots=True)
class Sent:
    """What was carried on.

    Attributes:
        endings: by run, how its sending ended.
        failed: by run, why it could not be sent now.
    """

    endings: dict[int, Ending] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)

    def counts(self) -> Counter[str]:
        """Return how many runs ended each way."""
        return Counter(ending.value for ending in self.endings.values())


def send_what_is_due(
    context: Context, stopping: Callable[[], bool], look_again: Callable[[], None]
) -> Sent | None:
    """Carry on every run that has work, until none has; None where others do that.

    Others are live workers, or an earlier tick that is still at it and finds new runs by itself.

    Args:
        context: the installation.
        stopping: asked between runs and calls; true ends the sending early.
        look_again: called between rounds, to let go what fell due meanwhile: systemd starts no
            second tick beside one that sends for hours.
    """
    if has_workers(context):
        return None
    with exclusively(context.store, "sending") as mine:
        return _Round(context, stopping, look_again).carry_out() if mine else None


@dataclass(slots=True)
class _Round:
    context: Context
    stopping: Callable[[], bool]
    look_again: Callable[[], None]
    sent: Sent = field(default_factory=Sent)

    def carry_out(self) -> Sent:
        context = self.context
        carrier = Carrier(context)
        try:
            with ThreadPoolExecutor(_TOGETHER) as pool:
                while runs := self._with_work():
                    list(pool.map(lambda run_id: self._carry_on(carrier, run_id), runs))
                    if not self.stopping():
                        self.look_again()
        finally:
            carrier.close()
        return self.sent

    def _with_work(self) -> list[int]:
        if self.stopping():
            return []
        found = sweep(self.context.store, self.context.clock, self.context.operator)
        return [run_id for run_id in found if self._may_go_on(run_id)]

    def _may_go_on(self, run_id: int) -> bool:
        """Whether another look at the run may do anything at this tick."""
        last = self.sent.endings.get(run_id, Ending.HANDED_ON)
        return run_id not in self.sent.failed and last is Ending.HANDED_ON

    def _carry_on(self, carrier: Carrier, run_id: int) -> None:
        until = self.context.clock.now() + _SLICE
        try:
            self.sent.endings[run_id] = carrier.carry_on(
                run_id, until=until, stopping=self.stopping
            )
        except SenderError as refusal:
            self.sent.failed[run_id] = str(refusal)
        except Exception as error:  # noqa: BLE001 - told by type alone; the other runs go on
            self.sent.failed[run_id] = type(error).__name__
            _log.error("run-failed", run=run_id, error=type(error).__name__)
