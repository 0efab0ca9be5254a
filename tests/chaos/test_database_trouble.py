"""The database goes away, connections are cut, the disk is full, the clock steps: nobody twice."""

import random
import resource
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url, update

from sender.delivery.runs import pause
from sender.store.deliveries import Delivery
from sender.vocabulary import DeliveryState, RunState
from tests.support.chaos_floor import QUICK, Floor
from tests.support.chaos_world import ROUNDS, ChaosWorld, chaos_world
from tests.support.databases import PostgresDatabases
from tests.support.nursery import Child, Nurse
from tests.support.postgres import PostgresServer, running_postgres
from tests.support.tally import Tally

TIMES = max(1, ROUNDS // 5)
THREE_HOURS = 3 * 60 * 60
NEXT_TO_NOTHING = 8 * 1024
"""Bytes."""


@pytest.fixture
def people() -> int:
    return 300


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server of these tests' own, to be restarted."""
    with running_postgres(durable=True) as running:
        if running.data is None:
            pytest.skip("A server that is given by TEST_DATABASE_URL is not restarted.")
        yield running


@pytest.fixture
def floor(world: ChaosWorld, chance: random.Random) -> Floor:
    return Floor(world, chance)


@pytest.fixture
def own_database_url(server: PostgresServer) -> str:
    databases = PostgresDatabases(server.url)
    url = databases.create_migrated()
    databases.close()
    return url


@pytest.fixture
def restartable(
    nurse: Nurse, own_database_url: str, tmp_path: Path, people: int, chance: random.Random
) -> Iterator[Floor]:
    with chaos_world(nurse, own_database_url, tmp_path, people=people) as world:
        yield Floor(world, chance)


def _carried_out(floor: Floor, run_id: int) -> None:
    assert floor.carried_out(floor.world.watch(run_id))
    assert floor.world.office.run(run_id).state is RunState.FINISHED


@pytest.mark.parametrize("how", ["orderly", "crash"])
def test_postgresql_is_restarted_in_mid_run(
    restartable: Floor, server: PostgresServer, tally: Tally, how: str
) -> None:
    floor, crash = restartable, how == "crash"
    floor.world.fake.delay = 0.02
    floor.open(2, web=False)
    for _ in range(TIMES):
        moment = floor.chance.randrange(1, floor.world.people - 50)
        restart = threading.Thread(target=server.restart, kwargs={"crash": crash})
        floor.world.fake.strike_after(moment, restart.start)
        launcher = floor.launch()
        assert floor.world.fake.struck.wait(300)
        restart.join()
        floor.world.office.store.close()
        run_id = floor.world.latest_run()
        _carried_out(floor, run_id)
        code = launcher.wait()
        assert code in {0, 1}
        assert "@example.org" not in launcher.complaints()
        assert [worker.poll() for worker in floor.workers] == [None, None]
        tally["left unknown"] += floor.require_sound_end(run_id)
        tally["PostgreSQL restarted"] += 1


@pytest.mark.parametrize("dialect", ["postgresql"])
def test_connections_are_cut_in_mid_run(floor: Floor, tally: Tally) -> None:
    floor.world.fake.delay = 0.02
    floor.open(2, web=False)
    for _ in range(TIMES):
        moment = floor.chance.randrange(1, floor.world.people - 50)
        floor.world.fake.strike_after(moment, partial(cut_off, floor.world.database_url))
        launcher = floor.launch()
        assert floor.world.fake.struck.wait(300)
        run_id = floor.world.latest_run()
        _carried_out(floor, run_id)
        assert launcher.wait() in {0, 1}
        assert [worker.poll() for worker in floor.workers] == [None, None]
        tally["left unknown"] += floor.require_sound_end(run_id)
        tally["connections cut"] += 1


@pytest.mark.parametrize("dialect", ["postgresql"])
def test_a_launcher_is_cut_off(world: ChaosWorld, chance: random.Random) -> None:
    process = world.launch(world.campaign())
    world.fake.strike_after(chance.randrange(1, 200), partial(cut_off, world.database_url))
    assert process.wait() in {0, 1}, process.complaints()
    assert "@example.org" not in process.complaints()
    world.finish_watched(world.latest_run())


def cut_off(database_url: str) -> None:
    """Let the server end everybody's connection to this database."""
    url = make_url(database_url).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.mark.parametrize("dialect", ["sqlite"])
@pytest.mark.skipif(sys.platform != "linux", reason="Only Linux limits another process.")
def test_the_disk_is_full_from_one_moment_on(
    world: ChaosWorld, chance: random.Random, tally: Tally
) -> None:
    """No file of the process grows any more: the kernel refuses the write, as a full disk does.

    It says EFBIG where a disk says ENOSPC; the write-ahead log is cut short in the same places.
    """
    for _ in range(TIMES):
        process = world.launch(world.campaign(), CHAOS_SMALL="60")
        world.fake.strike_after(chance.randrange(1, 200), partial(fill_disk, process))
        assert process.wait() == 1
        assert "@example.org" not in process.complaints()
        run_id = world.latest_run()
        assert world.watch(run_id).look()[DeliveryState.ACCEPTED] < world.people
        world.finish_watched(run_id)
        tally["disks filled"] += 1


def fill_disk(process: Child) -> None:
    limits = (NEXT_TO_NOTHING, NEXT_TO_NOTHING)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_the_database_may_not_grow(world: ChaosWorld, chance: random.Random, tally: Tally) -> None:
    """SQLite itself says "database or disk is full", at whichever statement needs one page more."""
    for _ in range(TIMES * 3):
        process = world.launch(
            world.campaign(), CHAOS_SMALL="30", CHAOS_PAGES=str(chance.randrange(1, 30))
        )
        code = process.wait()
        assert code in {0, 1}, process.complaints()
        assert "@example.org" not in process.complaints()
        tally["databases filled"] += code
        run_id = world.latest_run_if_any()
        if run_id is not None:
            world.finish_watched(run_id)


@pytest.fixture
def clock(tmp_path: Path) -> Path:
    path = tmp_path / "seconds-ahead"
    path.write_text("0")
    return path


def _steps(clock: Path, seconds: int) -> Callable[[], object]:
    """Return what lets the clock step. Written whole: a reader may come at any moment."""
    new = clock.with_suffix(".new")

    def step() -> None:
        new.write_text(str(seconds))
        new.replace(clock)

    return step


@pytest.mark.parametrize("dialect", ["postgresql"])
@pytest.mark.parametrize("seconds", [THREE_HOURS, -THREE_HOURS])
def test_a_workers_clock_steps_and_steps_back_in_mid_run(
    floor: Floor, tally: Tally, clock: Path, seconds: int
) -> None:
    fake = floor.world.fake
    fake.delay = 0.02
    floor.open(1, web=False)
    floor.hire(CHAOS_CLOCK=str(clock)).hear("working")
    first, second = (floor.chance.randrange(1, floor.world.people // 3) for _ in range(2))

    def step_and_back_later() -> None:
        _steps(clock, seconds)()
        fake.strike_after(second, _steps(clock, 0))

    fake.strike_after(first, step_and_back_later)
    launcher = floor.launch()
    assert launcher.wait() == 0, launcher.complaints()
    assert clock.read_text() == "0"
    run_id = floor.world.latest_run()
    _carried_out(floor, run_id)
    tally["left unknown"] += floor.require_sound_end(run_id)
    tally["clocks stepped"] += 2


@pytest.mark.parametrize("seconds", [THREE_HOURS, -THREE_HOURS])
def test_a_launcher_whose_clock_steps_still_hears_of_a_pause(
    world: ChaosWorld, chance: random.Random, clock: Path, seconds: int
) -> None:
    process = world.launch(world.campaign(), CHAOS_CLOCK=str(clock), **QUICK)

    def step_and_pause() -> None:
        _steps(clock, seconds)()
        world.act(pause)

    world.fake.strike_after(chance.randrange(1, world.people - 150), step_and_pause)
    assert process.wait() in {0, 1}, process.complaints()
    run_id = world.latest_run()
    assert world.office.run(run_id).state is RunState.PAUSED
    _let_time_pass(world, run_id)
    world.finish_watched(run_id)


def _let_time_pass(world: ChaosWorld, run_id: int) -> None:
    """Whoever was given back by a clock that is ahead is sent when the others get there."""
    now = world.office.context.clock.now()
    with world.office.store.write() as session:
        session.execute(
            update(Delivery)
            .where(Delivery.run_id == run_id, Delivery.not_before > now)
            .values(not_before=now)
        )
