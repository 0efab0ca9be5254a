"""How far runs are, in one line each."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.controllers.lookup import find_controller
from sender.delivery.runs import Counts, count, get_run
from sender.store.campaigns import Campaign, Run
from sender.store.controllers import Controller
from sender.vocabulary import RunState

LATEST = 20


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run.

    Attributes:
        run_id: its number.
        campaign: the campaign's name.
        controller: the controller's slug.
        state: of the run.
        because: why it stopped, if it did.
        counts: its people.
    """

    run_id: int
    campaign: str
    controller: str
    state: RunState
    because: str | None
    counts: Counts

    @property
    def over(self) -> bool:
        """Whether nothing moves any more until somebody does something."""
        return self.state not in {
            RunState.PLANNING,
            RunState.READY,
            RunState.RUNNING,
            RunState.PAUSING,
            RunState.CANCELLING,
        }

    @property
    def document(self) -> dict[str, Any]:
        """The line for scripts."""
        return {
            "run": self.run_id,
            "campaign": self.campaign,
            "controller": self.controller,
            "state": self.state.value,
            "because": self.because,
            "people": {state.value: n for state, n in sorted(self.counts.by_state.items())},
            "skipped": {reason.value: n for reason, n in sorted(self.counts.by_reason.items())},
        }


def run_line(session: Session, run_id: int) -> RunLine:
    """Return one run's line; raises NotFoundError."""
    return _line(session, get_run(session, run_id))


def latest_runs(session: Session, controller: str | None) -> list[RunLine]:
    """Return the latest runs, of one controller if it is named; raises NotFoundError."""
    query = select(Run).order_by(Run.id.desc()).limit(LATEST)
    if controller is not None:
        query = query.where(Run.controller_id == find_controller(session, controller).id)
    return [_line(session, run) for run in session.scalars(query).all()]


def _line(session: Session, run: Run) -> RunLine:
    return RunLine(
        run_id=run.id,
        campaign=session.get_one(Campaign, run.campaign_id).name,
        controller=session.get_one(Controller, run.controller_id).slug,
        state=run.state,
        because=run.stopped_because,
        counts=count(session, run.id),
    )
