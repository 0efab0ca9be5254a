"""Workers, launchers and web servers killed at random moments: the others carry on by themselves.

CHAOS_ROUNDS=200 makes it long; CHAOS_SEED repeats a round that failed.
"""

import random
import signal
from functools import partial

import pytest

from sender.vocabulary import DeliveryState, RunState
from tests.support.chaos_floor import Floor, kill
from tests.support.chaos_world import ROUNDS, ChaosWorld
from tests.support.nursery import Child
from tests.support.tally import Tally

WORKERS = 3
NOES = 2
VICTIMS = ("a worker", "two workers", "launcher", "web", "all workers")


@pytest.fixture
def people() -> int:
    return 300 + NOES * ROUNDS  # who said no is in no later round


@pytest.fixture
def floor(world: ChaosWorld, chance: random.Random) -> Floor:
    return Floor(world, chance)


def _killed(floor: Floor, who: str, launcher: Child) -> list[Child]:
    chance, workers = floor.chance, floor.workers
    return {
        "a worker": lambda: [chance.choice(workers)],
        "two workers": lambda: chance.sample(workers, 2),
        "all workers": lambda: list(workers),
        "launcher": lambda: [launcher],
        "web": lambda: [floor.web],
    }[who]()


@pytest.mark.parametrize("dialect", ["postgresql"])
def test_whoever_is_killed_the_others_carry_on(floor: Floor, tally: Tally) -> None:
    floor.world.fake.delay = 0.02
    floor.open(WORKERS)
    order = [VICTIMS[place % len(VICTIMS)] for place in range(ROUNDS)]
    floor.chance.shuffle(order)
    with floor.courier():
        for who in order:
            _round(floor, who, tally)
    tally["messages taken"] += len(floor.world.fake.messages)
    tally["noes acknowledged"] += len(floor.said_no)


def _round(floor: Floor, who: str, tally: Tally) -> None:
    file, before = floor.world.campaign(), floor.world.latest_run_if_any()
    launcher = floor.launch(file)
    killed = _killed(floor, who, launcher)
    struck = floor.strike_soon(*[kill(one) for one in killed])
    run_id = floor.new_run(launcher, before)
    if run_id is not None and who != "web" and floor.begun(run_id, launcher):
        floor.say_no(run_id, NOES)
    assert struck.wait(300)
    for one in killed:
        assert one.wait() == -signal.SIGKILL
    if who in {"web", "all workers"}:
        floor.replace()
    if run_id is None or not floor.carried_out(floor.world.watch(run_id)):
        launcher = floor.launch(file)  # nobody had confirmed it: a person says yes again
        run_id = floor.new_run(launcher, before)
        assert run_id is not None
        assert floor.carried_out(floor.world.watch(run_id))
        tally["launched again"] += 1
    assert floor.world.office.run(run_id).state is RunState.FINISHED
    if launcher not in killed:
        assert launcher.wait() == 0, launcher.complaints()
    floor.replace()
    tally["left unknown"] += floor.require_sound_end(run_id)
    tally[f"killed: {who}"] += 1


@pytest.mark.parametrize("dialect", ["postgresql"])
def test_at_usual_speed_too_the_others_pick_up_within_a_minute(floor: Floor, tally: Tally) -> None:
    floor.variables = {"CHAOS_SMALL": "60"}
    floor.open(2, web=False)
    victim, heir = floor.workers
    floor.world.fake.delay = 0.05
    floor.world.fake.strike_after(floor.chance.randrange(1, 60), kill(victim))
    launcher = floor.launch()
    assert victim.wait() == -signal.SIGKILL
    run_id = floor.world.latest_run()
    assert floor.carried_out(floor.world.watch(run_id))
    assert launcher.wait() == 0
    assert heir.poll() is None
    tally["left unknown"] += floor.require_sound_end(run_id)


@pytest.mark.parametrize("dialect", ["postgresql"])
def test_a_frozen_worker_that_wakes_writes_to_nobody_again(floor: Floor, tally: Tally) -> None:
    floor.world.fake.delay = 0.02
    floor.open(2, web=False)
    for _ in range(max(1, ROUNDS // 5)):
        frozen = floor.chance.choice(floor.workers)
        moment = floor.chance.randrange(1, 100)
        floor.world.fake.strike_after(moment, partial(frozen.send_signal, signal.SIGSTOP))
        frozen.stopped.clear()
        floor.launch()
        assert frozen.stopped.wait(300)
        run_id = floor.world.latest_run()
        watch = floor.world.watch(run_id)
        assert floor.carried_out(watch, seconds=150)  # a transaction may be frozen for a minute
        before = floor.world.messages_of(run_id)
        frozen.send_signal(signal.SIGCONT)
        frozen.send_signal(signal.SIGTERM)  # it ends what it had in hand, and says so by its end
        assert frozen.wait() == 0, frozen.complaints()
        assert floor.world.messages_of(run_id) == before
        assert watch.look()[DeliveryState.PENDING] == 0
        tally["left unknown"] += floor.require_sound_end(run_id)
        tally["workers frozen"] += 1
        floor.replace()


@pytest.mark.parametrize("dialect", ["postgresql"])
def test_a_worker_that_freezes_between_mark_and_call_never_calls(
    floor: Floor, tally: Tally
) -> None:
    floor.open(0, web=False)
    frozen = floor.hire(CHAOS_FREEZE="sender.delivery.batch:Batch._call:1:before")
    frozen.hear("working")
    floor.launch()
    assert frozen.stopped.wait(300)
    floor.hire().hear("working")
    run_id = floor.world.latest_run()
    assert floor.carried_out(floor.world.watch(run_id))
    before = floor.world.messages_of(run_id)
    assert len(before) < floor.world.people
    frozen.send_signal(signal.SIGCONT)
    frozen.send_signal(signal.SIGTERM)
    assert frozen.wait() == 0, frozen.complaints()
    assert floor.world.messages_of(run_id) == before
    counts = floor.world.watch(run_id).look()
    assert counts[DeliveryState.ACCEPTED] == len(before)
    assert counts[DeliveryState.SKIPPED] == floor.world.people - len(before)
    tally["workers frozen"] += 1


@pytest.mark.parametrize("dialect", ["postgresql"])
def test_workers_that_are_told_to_stop_record_the_calls_in_flight(
    floor: Floor, tally: Tally
) -> None:
    floor.world.fake.delay = 0.02
    floor.open(2, web=False)
    for _ in range(max(1, ROUNDS // 5)):
        told = list(floor.workers)
        stops = [partial(one.send_signal, signal.SIGTERM) for one in told]
        floor.world.fake.strike_after(floor.chance.randrange(1, 100), _all(stops))
        launcher = floor.launch()
        for one in told:
            assert one.wait() == 0, one.complaints()
        run_id = floor.world.latest_run()
        counts = floor.world.watch(run_id).look()
        assert counts[DeliveryState.UNKNOWN] == counts[DeliveryState.DISPATCHING] == 0
        assert counts[DeliveryState.ACCEPTED] == len(floor.world.messages_of(run_id))
        assert floor.world.office.run(run_id).state is RunState.RUNNING
        floor.replace()
        assert floor.carried_out(floor.world.watch(run_id))
        assert launcher.wait() == 0
        assert floor.require_sound_end(run_id) == 0
        tally["workers told to stop"] += len(told)


def _all(acts: list["partial[None]"]) -> "partial[None]":
    return partial(_do_all, acts)


def _do_all(acts: list["partial[None]"]) -> None:
    for act in acts:
        act()


@pytest.mark.parametrize("dialect", ["postgresql"])
def test_two_launchers_of_one_file_beside_workers(floor: Floor) -> None:
    floor.open(2, web=False)
    file = floor.world.campaign()
    both = [floor.launch(file), floor.launch(file)]
    codes = sorted(one.wait() for one in both)
    assert codes in ([0, 0], [0, 1]), [one.complaints() for one in both]
    run_id = floor.world.latest_run()
    assert run_id == 1
    assert floor.require_sound_end(run_id) == 0
    assert sum(floor.world.messages_of(run_id).values()) == floor.world.people
