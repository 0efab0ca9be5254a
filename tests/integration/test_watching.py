"""A launcher beside workers: it hands the run over, and watches."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text, update

from sender.campaigns.carrying import Carrier
from sender.campaigns.launch import Launch, prepare_launch
from sender.campaigns.watching import has_workers, watch
from sender.delivery.progress import Ending, Progress
from sender.delivery.runs import get_run, pause
from sender.jobs.workers import enter
from sender.store.campaigns import Worker
from sender.store.engine import Store, open_store
from sender.vocabulary import RunState
from tests.fakes.ses import SesFake
from tests.support.campaign_folder import CREDENTIALS, Office, open_office
from tests.support.factory import OPERATOR

PEOPLE = 12


@pytest.fixture
def store(postgresql_url: str) -> Iterator[Store]:
    opened = open_store(postgresql_url)
    yield opened
    opened.close()


@pytest.fixture
def office(
    store: Store, tmp_path: Path, ses: SesFake, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Office]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with store.write() as session:
        enter(session, slots=2)
    with open_office(store, tmp_path, ses=ses, people=PEOPLE) as opened:
        yield opened


@pytest.fixture
def launch(office: Office) -> Iterator[Launch]:
    prepared = prepare_launch(office.context, office.email())
    yield prepared
    prepared.close()


def jobs(office: Office) -> int:
    with office.store.read() as session:
        return int(session.scalar(text("SELECT count(*) FROM procrastinate_jobs")) or 0)


def test_the_yes_hands_the_run_to_the_workers_in_its_own_transaction(
    office: Office, launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert launch.by_workers
    assert jobs(office) == 0

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr("sender.campaigns.launch.count", broken)
        with pytest.raises(ZeroDivisionError):
            launch.confirm()
    assert (jobs(office), office.run(launch.run_id).state) == (0, RunState.PLANNING)
    launch.confirm()
    assert jobs(office) > 0
    assert office.run(launch.run_id).state is RunState.READY


def test_it_watches_until_the_workers_are_done(office: Office, launch: Launch) -> None:
    launch.confirm()
    seen: list[int] = []

    def look(progress: Progress) -> None:
        seen.append(progress.accepted)
        carrier = Carrier(office.context)
        assert carrier.carry_on(launch.run_id) is Ending.FINISHED
        carrier.close()
        launch.on_progress = lambda progress: seen.append(progress.accepted)

    def once(progress: Progress) -> None:
        launch.on_progress(progress)

    launch.on_progress = look
    assert watch(office.context, launch.run_id, once) is Ending.FINISHED
    assert seen == [0, PEOPLE]


def test_ctrl_c_ends_the_watching_and_not_the_sending(office: Office, launch: Launch) -> None:
    def interrupt(_: Progress) -> None:
        raise KeyboardInterrupt

    launch.confirm()
    launch.on_progress = interrupt
    assert launch.dispatch() is Ending.HANDED_ON
    assert office.run(launch.run_id).state is RunState.READY


@pytest.mark.parametrize("why", ["paused", "deferred", "nobody works"])
def test_nobody_watches_what_does_not_move(office: Office, launch: Launch, why: str) -> None:
    launch.confirm()
    now = office.context.clock.now()
    with office.store.write() as session:
        if why == "paused":
            pause(session, launch.run_id, now=now, operator=OPERATOR)
        elif why == "deferred":
            get_run(session, launch.run_id).deferred_until = now + timedelta(hours=1)
        else:
            session.execute(update(Worker).values(ended_at=now))
    expected = Ending.PAUSED if why == "paused" else Ending.WAITING
    assert launch.dispatch() is expected
    assert has_workers(office.context) == (why != "nobody works")
