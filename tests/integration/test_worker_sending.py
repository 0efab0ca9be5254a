"""Workers that really send: as processes, through the real SDK, stopped, killed and cut short."""

import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest
from sqlalchemy import select, text, update

from sender.campaigns.carrying import Carrier
from sender.campaigns.launch import prepare_launch
from sender.delivery.progress import Ending
from sender.jobs.sending import enqueue_sending
from sender.store.campaigns import Dispatcher, Worker
from sender.store.engine import Store, open_store
from sender.vocabulary import DeliveryState, RunState
from sender.worker.duties import DUTIES, sweep_runs
from sender.worker.house import Duty, do_duty
from tests.support.campaign_folder import CREDENTIALS, Office, environment, open_office, written_to
from tests.support.chaos_world import StrikingFake
from tests.support.command_line import sit_down
from tests.support.worker_floor import jobs, wait_until, worker
from tests.support.worker_process import worker_process

PEOPLE = 300
HALF_A_MINUTE = "now() - interval '31 seconds'"


@pytest.fixture
def ses() -> Iterator[StrikingFake]:
    with StrikingFake() as running:
        yield running


@pytest.fixture
def office(
    postgresql_url: str, tmp_path: Path, ses: StrikingFake, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Office]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    store = open_store(postgresql_url)
    with open_office(store, tmp_path, ses=ses, people=PEOPLE) as opened:
        yield opened
    store.close()


@pytest.fixture
def variables(office: Office, postgresql_url: str) -> dict[str, str]:
    return environment(office.folder, postgresql_url)


def launch(office: Office) -> int:
    """Say yes to a launch, and leave the sending to the workers."""
    opened = prepare_launch(office.context, office.email())
    try:
        opened.confirm()
        return opened.run_id
    finally:
        opened.close()


def workers(store: Store) -> list[Worker]:
    with store.read() as session:
        return list(session.scalars(select(Worker).order_by(Worker.id)))


def is_over(office: Office, run_id: int) -> Callable[[], bool]:
    return lambda: office.run(run_id).state is RunState.FINISHED


def as_if_half_a_minute_passed(store: Store, worker_id: int) -> None:
    """Set back the last signs of life of a worker that was killed just now."""
    with store.write() as session:
        was = session.get_one(Worker, worker_id).heartbeat_at - timedelta(minutes=1)
        session.execute(update(Worker).where(Worker.id == worker_id).values(heartbeat_at=was))
        dispatchers = update(Dispatcher).where(Dispatcher.worker_id == worker_id)
        session.execute(dispatchers.values(heartbeat_at=was))
        session.execute(
            text(
                f"UPDATE procrastinate_workers SET last_heartbeat = {HALF_A_MINUTE}"
                " WHERE id IN (SELECT worker_id FROM procrastinate_jobs WHERE status = 'doing')"
            )
        )


def test_a_worker_sends_what_is_launched_and_ends_cleanly(
    office: Office, ses: StrikingFake, variables: dict[str, str]
) -> None:
    with worker_process(variables) as process:
        process.wait_for("working")
        run_id, ending = office.launch(office.email())
        assert ending is Ending.FINISHED
        assert process.stop() == 0
    assert office.counts(run_id).by_state == {DeliveryState.ACCEPTED: PEOPLE}
    assert set(written_to(ses).values()) == {1}
    [left] = workers(office.store)
    assert left.ended_at is not None
    assert left.slots == 4
    assert not any("@example.org" in line for line in process.said)


def test_a_job_that_is_done_again_does_nothing(office: Office, ses: StrikingFake) -> None:
    run_id = launch(office)
    for _ in range(2):
        with office.store.write() as session:
            enqueue_sending(session, run_id, None)
        with worker(office.context, Carrier(office.context), duties=DUTIES, once=True) as once:
            assert once.finish() == 0
        assert is_over(office, run_id)()
    assert jobs(office.store, "todo") + jobs(office.store, "doing") == 0
    assert len(ses.messages) == PEOPLE
    assert office.counts(run_id).by_state == {DeliveryState.ACCEPTED: PEOPLE}


def test_what_a_killed_worker_had_in_hand_goes_on_elsewhere(
    office: Office, ses: StrikingFake, variables: dict[str, str]
) -> None:
    with worker_process(variables, "--slots", "1") as killed:
        first = killed.wait_for("working")["worker"]
        ses.strike_after(20, killed.process.kill)
        run_id = launch(office)
        assert killed.process.wait(60) == -signal.SIGKILL
    as_if_half_a_minute_passed(office.store, first)
    with worker(office.context, Carrier(office.context, None), duties=DUTIES):
        wait_until(is_over(office, run_id))
    counts = office.counts(run_id)
    assert counts.planned == counts.handed_over + counts.unknown == PEOPLE
    assert 0 < counts.unknown <= PEOPLE - 20
    assert set(written_to(ses).values()) == {1}


def test_a_stop_records_the_call_in_flight_and_leaves_the_rest_pending(
    office: Office, ses: StrikingFake, variables: dict[str, str]
) -> None:
    office.one_call_at_a_time()
    with worker_process(variables, "--slots", "1") as process:
        process.wait_for("working")
        ses.strike_after(60, lambda: process.process.send_signal(signal.SIGTERM))
        run_id = launch(office)
        assert process.process.wait(60) == 0
    counts = office.counts(run_id)
    assert counts.unknown == 0
    assert counts.handed_over == len(ses.messages) < PEOPLE
    assert counts.planned == counts.handed_over + counts.pending == PEOPLE
    assert office.run(run_id).state is RunState.RUNNING
    assert jobs(office.store, "todo") == 1, "others take over at once"


def test_a_second_signal_ends_at_once(
    office: Office, ses: StrikingFake, variables: dict[str, str]
) -> None:
    held, asked = Event(), Event()

    def hold() -> None:
        if ses.requests[-1].path.endswith("outbound-bulk-emails"):
            asked.set()
            held.wait(60)

    ses.on_request = hold
    with worker_process(variables, "--slots", "1") as process:
        process.wait_for("working")
        launch(office)
        assert asked.wait(60)
        process.process.send_signal(signal.SIGTERM)
        process.wait_for("stopping")
        assert process.stop() == 130
        held.set()


@pytest.mark.parametrize("duty", DUTIES, ids=lambda duty: duty.name)
def test_every_duty_can_be_done(office: Office, duty: Duty) -> None:
    launch(office)
    assert do_duty(office.context, duty)


def test_the_sweep_brings_what_the_queue_lost(office: Office) -> None:
    run_id = launch(office)
    with office.store.write() as session:
        session.execute(text("DELETE FROM procrastinate_jobs"))
    assert sweep_runs(office.context) == {"runs": 1, "slices": 1}
    assert sweep_runs(office.context) == {"runs": 1, "slices": 0}
    with worker(office.context, Carrier(office.context)):
        wait_until(is_over(office, run_id))
    assert sweep_runs(office.context) == {}


def test_sqlite_is_refused_with_a_remedy(
    sqlite_url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = sit_down(tmp_path, sqlite_url, capsys, monkeypatch)
    desk.done("db", "upgrade")
    answer = desk.sender("worker", "--json")
    assert answer.code == 1
    assert "needs PostgreSQL" in answer.document["error"]["problem"]
    assert "sender schedule tick" in answer.document["error"]["remedy"]
