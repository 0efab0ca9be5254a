"""A dispatcher is lost while another works on: what it left is told of when the other leaves."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import update

from sender.delivery.recovery import SILENT_AFTER, start_dispatcher
from sender.delivery.runs import cancel, get_run, pause
from sender.providers.base import Outgoing
from sender.store.campaigns import Dispatcher as DispatcherRow
from sender.store.engine import Store
from sender.vocabulary import DeliveryState, RunState
from tests.fakes.ses import SesFake
from tests.support.dispatch_world import World, build_world

PEOPLE = 3


@pytest.fixture
def world(store: Store, ses: SesFake) -> World:
    made = build_world(store, ses, people=PEOPLE)
    made.plan()
    return made


def _another_marks_one(world: World) -> int:
    """Let a dispatcher elsewhere, alive so far, hold the last person's message."""
    with world.store.write() as session:
        other = start_dispatcher(session, world.run_id, world.clock.now())
        session.execute(
            update(DispatcherRow).where(DispatcherRow.id == other).values(place="elsewhere")
        )
        row = world.delivery_of(session, world.points[-1])
        row.state, row.dispatcher_id = DeliveryState.DISPATCHING, other
    return other


@pytest.mark.parametrize(
    ("move", "state"), [(cancel, RunState.CANCELLED), (pause, RunState.PAUSED)]
)
def test_whoever_leaves_last_tells_what_the_lost_one_left(
    world: World, move: Callable[..., RunState], state: RunState
) -> None:
    other = _another_marks_one(world)

    def lose_the_other_and_move(_batch: list[Outgoing]) -> None:
        with world.store.write() as session:
            silent = world.clock.now() - SILENT_AFTER - timedelta(seconds=1)
            lost = update(DispatcherRow).where(DispatcherRow.id == other)
            session.execute(lost.values(heartbeat_at=silent))
            move(session, world.run_id, now=world.clock.now(), operator="olive")

    with world.provider() as provider:
        provider.before = lose_the_other_and_move
        dispatcher = world.dispatcher(provider)
        dispatcher.by_hand = False
        dispatcher.run()
    counts = world.counts()
    assert counts.by_state[DeliveryState.DISPATCHING] == 0
    assert counts.by_state[DeliveryState.UNKNOWN] == 1
    with world.store.read() as session:
        assert world.delivery_of(session, world.points[-1]).state is DeliveryState.UNKNOWN
        assert get_run(session, world.run_id).state is state
