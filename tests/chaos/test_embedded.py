"""One machine and a SQLite file: launcher, tick and web server killed at random moments.

CHAOS_ROUNDS=200 makes it long; CHAOS_SEED repeats a round that failed.
"""

import random
import signal
from pathlib import Path

import pytest

from sender.vocabulary import RunState
from tests.support.chaos_floor import Floor, kill
from tests.support.chaos_world import ROUNDS, ChaosWorld
from tests.support.nursery import Child
from tests.support.tally import Tally

NOES = 1


@pytest.fixture
def people() -> int:
    return 200 + 4 * NOES * ROUNDS  # who said no is in no later round


@pytest.fixture
def floor(world: ChaosWorld, chance: random.Random) -> Floor:
    return Floor(world, chance, variables={"CHAOS_SMALL": "60"})


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_whatever_is_killed_a_launch_or_a_tick_carries_on(floor: Floor, tally: Tally) -> None:
    floor.world.fake.delay = 0.02
    floor.open(0)
    with floor.courier():
        for _ in range(ROUNDS):
            _round(floor, tally)
    tally["messages taken"] += len(floor.world.fake.messages)
    tally["noes acknowledged"] += len(floor.said_no)


def _round(floor: Floor, tally: Tally) -> None:
    file, before = floor.world.campaign(), floor.world.latest_run_if_any()
    sending = floor.launch(file)
    _kill_in_mid_run(floor, sending, tally)
    run_id = floor.new_run(sending, before)
    while run_id is None or floor.world.office.run(run_id).state.is_open:
        if run_id is not None:
            floor.world.watch(run_id).look()
            floor.say_no(run_id, NOES)
        sending = _carry_on(floor, file, run_id)
        if floor.chance.random() < 0.3:
            _kill_in_mid_run(floor, sending, tally)
        else:
            assert sending.wait() == 0, sending.complaints()
        run_id = run_id or floor.new_run(sending, before)
    tally["left unknown"] += floor.require_sound_end(run_id)


def _kill_in_mid_run(floor: Floor, sending: Child, tally: Tally) -> None:
    with_web = floor.chance.random() < 0.5
    strikes = [kill(sending), kill(floor.web)] if with_web else [kill(sending)]
    struck = floor.strike_soon(*strikes)
    code = sending.wait()  # few were left, perhaps, and it came to its end before
    assert code in {0, -signal.SIGKILL}, sending.complaints()
    floor.call_off()
    tally["launchers killed"] += code != 0
    if struck.is_set() and with_web:
        tally["web servers killed"] += 1
        floor.web.wait()
        floor.replace()


def _carry_on(floor: Floor, file: Path, run_id: int | None) -> Child:
    """Carry the run on as a person does, or as cron does."""
    confirmed = run_id is not None and floor.world.office.run(run_id).state is not RunState.PLANNING
    if confirmed and floor.chance.random() < 0.5:
        return floor.world.start("schedule", "tick", CHAOS_HOST="machine-0", **floor.variables)
    return floor.launch(file)
