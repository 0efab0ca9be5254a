"""Look at a run's ledger at any moment, and say at once when an invariant does not hold."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.delivery.audience import ContactAudience
from sender.delivery.planning import count_unplanned
from sender.delivery.runs import get_run
from sender.store.campaigns import Run, RunPart
from sender.store.deliveries import Delivery
from sender.store.engine import Store
from sender.vocabulary import Channel, DeliveryState

RETURNS = {
    (DeliveryState.DISPATCHING, DeliveryState.PENDING),
    (DeliveryState.UNKNOWN, DeliveryState.PENDING),
}
"""The provider clearly did not take it, or no request began; also where others had given up."""
NEVER_HANDED_OVER = {DeliveryState.PENDING, DeliveryState.SKIPPED}


@dataclass(slots=True)
class LedgerWatch:
    """Watches one run among people who stay the same.

    Attributes:
        store: where the ledger is.
        run_id: which run.
        taken: tells how many messages the provider has taken by now for each delivery of the run.
    """

    store: Store
    run_id: int
    taken: Callable[[], Mapping[int, int]]
    looks: int = 0
    _before: dict[int, DeliveryState] = field(default_factory=dict)

    def look(self) -> Counter[DeliveryState]:
        """Require the invariants of this moment, and return how many are in each state.

        Nobody twice (4); everybody is planned once or is not planned yet (5); no state falls.
        """
        taken = dict(self.taken())  # first: what was taken by now is marked
        with self.store.read() as session:
            run = get_run(session, self.run_id)
            people = _people(session, run)
            states = _states(session, run.id)
            unplanned = _unplanned(session, run)
            counted = count_unplanned(session, run, _audience(run))
        assert set(taken.values()) <= {1}, "somebody was written to twice"
        assert len(states) + counted == len(people), "the sum of a run's people is wrong"
        planned = {address_id for address_id, _ in states.values()}
        assert planned | unplanned == people, "somebody is in no place"
        assert not planned & unplanned, "somebody is in two places"
        now = {delivery_id: state for delivery_id, (_, state) in states.items()}
        for delivery_id in taken:
            assert now[delivery_id] not in NEVER_HANDED_OVER, "sent, and may be sent again"
        for delivery_id, before in self._before.items():
            after = now[delivery_id]
            assert after.rank >= before.rank or (before, after) in RETURNS, (before, after)
        self._before, self.looks = now, self.looks + 1
        return Counter(now.values())


def _audience(run: Run) -> ContactAudience:
    return ContactAudience(run.controller_id, Channel.EMAIL)


def _people(session: Session, run: Run) -> set[int]:
    return _between(session, run, 0, _audience(run).last(session))


def _between(session: Session, run: Run, above: int, through: int) -> set[int]:
    rows = _audience(run).people(above, through).rows
    return set(session.scalars(select(rows.c.address_id)))


def _states(session: Session, run_id: int) -> dict[int, tuple[int, DeliveryState]]:
    query = select(Delivery.id, Delivery.address_id, Delivery.state)
    rows = session.execute(query.where(Delivery.run_id == run_id))
    return {delivery_id: (address_id, state) for delivery_id, address_id, state in rows}


def _unplanned(session: Session, run: Run) -> set[int]:
    query = select(RunPart).where(RunPart.run_id == run.id, RunPart.planned_at.is_(None))
    ranges = [(part.above, part.through) for part in session.scalars(query)]
    last = run.plan_ends_at or _audience(run).last(session)
    if run.planned_through < last:
        ranges.append((run.planned_through, last))
    return {one for above, through in ranges for one in _between(session, run, above, through)}
