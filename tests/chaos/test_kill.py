"""Launchers that are killed, interrupted, cut off and frozen: nobody twice, nobody lost.

CHAOS_ROUNDS=200 makes it long; CHAOS_SEED repeats a round that failed.
"""

import random
import signal
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import select, update

from sender.delivery.progress import Ending
from sender.delivery.recovery import SILENT_AFTER
from sender.delivery.runs import cancel, pause
from sender.errors import RefusedError
from sender.store.campaigns import Dispatcher, Run
from sender.vocabulary import Channel, DeliveryState, RunState
from tests.support.chaos_world import PEOPLE, ROUNDS, ChaosWorld, strike, wait_for
from tests.support.tally import Tally

SOURCE = '[audience.source]\nurl_env = "CRM_URL"\nquery = "people.sql"\naddress = "email"'

MOMENTS = ("before", "after")
POINTS = {
    "while the plan is worked out": ("sender.campaigns.launch:work_out", 1),
    "before a part is cut off": ("sender.delivery.planning:_cut_off:{}:before", 4),
    "between cutting a part off and planning it": ("sender.delivery.planning:_cut_off:{}:after", 4),
    "within a part's planning": ("sender.delivery.planning:_count_planned", 4),
    "within a part's splitting": ("sender.delivery.planning:_split", 4),
    "when a part was planned": ("sender.delivery.shares:plan_next:{}:after", 4),
    "while the launch is confirmed": ("sender.campaigns.launch:Launch._make_ready", 1),
    "before the dispatcher is entered": ("sender.delivery.dispatch:start_dispatcher", 1),
    "while a part is claimed": ("sender.delivery.shares:claim", 4),
    "between claim and first look": ("sender.delivery.shares:waiting_people", 4),
    "within the last look": ("sender.delivery.batch:look_and_mark", 4),
    "between mark and call": ("sender.delivery.batch:Batch._call:{}:before", 4),
    "between call and record": ("sender.delivery.batch:Batch._call:{}:after", 4),
    "within the record": ("sender.delivery.batch:record_outcomes", 4),
    "while a part is let go": ("sender.delivery.shares:let_go", 4),
    "while the dispatcher leaves": ("sender.delivery.dispatch:end_dispatcher", 1),
    "while the run is finished": ("sender.delivery.dispatch:finish_if_done", 1),
    "when all is done": ("sender.delivery.dispatch:Dispatcher._leave", 1),
}
"""Where a launcher dies: the function, and at which of its first calls at the latest."""

_DATABASES = ("sqlite", "postgresql")
ON_BOTH = [(dialect, where) for where in POINTS for dialect in _DATABASES]
IN_TURN = [(_DATABASES[place % 2], where) for place, where in enumerate(POINTS)]


def test_killed_while_sending(world: ChaosWorld, chance: random.Random, tally: Tally) -> None:
    unknown = 0
    for _ in range(ROUNDS):
        file = world.campaign()
        process = world.launch(file)
        messages = chance.randrange(1, PEOPLE)
        world.fake.strike_after(messages, partial(strike, process, signal.SIGKILL))
        code, _, err = wait_for(process)
        assert code == -signal.SIGKILL, (messages, err)
        run_id = world.latest_run()
        world.finish_watched(run_id)
        unknown += world.office.counts(run_id).unknown
        tally["launchers killed"] += 1
    tally["messages taken"] += len(world.fake.messages)
    tally["left unknown"] += unknown
    assert unknown > 0  # a kill in the middle of a call can't leave every outcome known


@pytest.mark.parametrize(("dialect", "where"), ON_BOTH if ROUNDS > 5 else IN_TURN)
def test_killed_at_a_weak_point(
    world: ChaosWorld, chance: random.Random, tally: Tally, where: str
) -> None:
    function, calls = POINTS[where]
    template = function if "{}" in function else function + ":{}:" + chance.choice(MOMENTS)
    for _ in range(max(1, ROUNDS // 20)):
        point = template.format(chance.randrange(1, calls + 1))
        process = world.launch(world.campaign(), CHAOS_KILL=point, CHAOS_SMALL="30")
        code, _, err = wait_for(process)
        assert code == -signal.SIGKILL, (point, err)
        world.finish_watched(world.latest_run())
        tally["launchers killed at a weak point"] += 1


def test_killed_while_it_was_being_paused(world: ChaosWorld, chance: random.Random) -> None:
    file = world.campaign()
    process = world.launch(file)

    def pause_and_kill() -> None:
        world.act(pause)
        strike(process, signal.SIGKILL)

    world.fake.strike_after(chance.randrange(1, PEOPLE - 100), pause_and_kill)
    assert wait_for(process)[0] == -signal.SIGKILL
    run_id = world.latest_run()
    assert world.office.run(run_id).state is RunState.PAUSING
    world.finish_watched(run_id)


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_killed_while_it_was_being_cancelled(world: ChaosWorld, chance: random.Random) -> None:
    process = world.launch(world.campaign())

    def cancel_and_kill() -> None:
        world.act(cancel)
        strike(process, signal.SIGKILL)

    world.fake.strike_after(chance.randrange(1, PEOPLE - 100), cancel_and_kill)
    assert wait_for(process)[0] == -signal.SIGKILL
    run_id, taken = world.latest_run(), len(world.fake.messages)
    assert world.office.run(run_id).state is RunState.CANCELLING
    with pytest.raises(RefusedError):
        world.office.resume(run_id)
    world.act(cancel)
    assert world.office.run(run_id).state is RunState.CANCELLED
    counts = world.office.counts(run_id)
    assert (counts.pending, len(world.fake.messages)) == (0, taken)
    assert counts.planned == PEOPLE
    assert set(world.messages_of(run_id).values()) == {1}


def test_killed_while_staging(
    world: ChaosWorld, chance: random.Random, request: pytest.FixtureRequest, dialect: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    url = request.getfixturevalue("sqlite_url" if dialect == "postgresql" else "postgresql_url")
    fill(url, world.office.addresses[Channel.EMAIL])
    world.office.write("people.sql", "SELECT email FROM person")
    file = world.campaign(SOURCE)
    number, moment = chance.randrange(1, 5), chance.choice(MOMENTS)
    point = f"sender.delivery.source:_Staging.take:{number}:{moment}"
    process = world.launch(file, CHAOS_KILL=point, CHAOS_SMALL="30", CRM_URL=url)
    code, _, err = wait_for(process)
    assert code == -signal.SIGKILL, (point, err)
    run_id = world.latest_run()
    assert (world.states(run_id), world.fake.messages) == ({}, [])
    monkeypatch.setenv("CRM_URL", url)
    world.finish(run_id)
    world.require_sound_end(run_id)
    assert world.office.counts(run_id).unknown == 0


def fill(url: str, addresses: list[str]) -> None:
    from sqlalchemy import create_engine, text  # noqa: PLC0415  # for this one test

    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE person (email text)"))
        rows = [{"email": address} for address in addresses]
        connection.execute(text("INSERT INTO person VALUES (:email)"), rows)
    engine.dispose()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_by_the_operator(
    world: ChaosWorld, chance: random.Random, how: signal.Signals
) -> None:
    process = world.launch(world.campaign())
    messages = chance.randrange(1, PEOPLE - 100)
    world.fake.strike_after(messages, partial(strike, process, how))
    code, out, err = wait_for(process)
    assert code == 130, (out, err)
    run_id = world.latest_run()
    assert world.office.run(run_id).state is RunState.PAUSED
    assert f"sender campaign resume {run_id}" in err
    states = set(world.states(run_id).values())
    assert states == {DeliveryState.ACCEPTED, DeliveryState.PENDING}
    resumed = world.start("campaign", "resume", str(run_id), "--yes")
    assert wait_for(resumed)[0] == 0
    world.require_sound_end(run_id)
    assert len(world.messages_of(run_id)) == PEOPLE


def test_two_launchers_of_one_file(world: ChaosWorld) -> None:
    file = world.campaign()
    both = [world.launch(file), world.launch(file)]
    answers = [wait_for(process) for process in both]
    assert sorted(code for code, _, _ in answers) == [0, 1], answers
    with world.office.store.read() as session:
        assert [run.state for run in session.scalars(select(Run))] == [RunState.FINISHED]
    run_id = world.latest_run()
    world.require_sound_end(run_id)
    assert len(world.messages_of(run_id)) == PEOPLE


def test_frozen_given_up_for_lost_and_woken_up(world: ChaosWorld, chance: random.Random) -> None:
    world.office.one_call_at_a_time()  # none may be frozen in the middle of a transaction
    process = world.launch(world.campaign())
    messages = chance.randrange(1, PEOPLE - 100)

    def freeze() -> None:
        with world.office.store.write():  # so that it has no transaction of SQLite open itself
            strike(process, signal.SIGSTOP)
            assert process.stopped.wait(60)

    world.fake.strike_after(messages, freeze)
    assert world.fake.struck.wait(300)
    world.fake.settle()
    run_id = world.latest_run()
    with pytest.raises(RefusedError, match="is being sent already, by process"):
        world.office.resume(run_id)
    silence(world)
    assert world.office.resume(run_id) is Ending.FINISHED
    assert world.office.counts(run_id).unknown > 0
    assert set(world.messages_of(run_id).values()) == {1}
    process.send_signal(signal.SIGCONT)
    code, out, err = wait_for(process)
    assert code in {0, 130}, (out, err)
    assert world.office.run(run_id).state is RunState.FINISHED
    assert set(world.messages_of(run_id).values()) == {1}
    counts = world.office.counts(run_id)
    assert (counts.planned, counts.pending, counts.unknown) == (PEOPLE, 0, 0)
    assert counts.handed_over == len(world.messages_of(run_id))


def silence(world: ChaosWorld) -> None:
    """Let the frozen dispatcher's last heartbeat be long ago."""
    long_ago = world.office.context.clock.now() - SILENT_AFTER - timedelta(seconds=1)
    with world.office.store.write() as session:
        session.execute(
            update(Dispatcher).where(Dispatcher.ended_at.is_(None)).values(heartbeat_at=long_ago)
        )
