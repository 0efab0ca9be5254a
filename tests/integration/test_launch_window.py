"""A sending window is kept, and a file that asks for a later time is not sent now."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from sender.campaigns.launch import prepare_launch
from sender.campaigns.pinning import read_pinned
from sender.delivery.progress import Ending
from sender.store.campaigns import CampaignVersion
from sender.store.engine import Store
from sender.toml.source import FileErrors
from sender.vocabulary import DeliveryState, RunState
from tests.fakes.ses import SesFake
from tests.support.campaign_folder import (
    CREDENTIALS,
    Office,
    carry_out,
    on_bulk_call,
    open_office,
)
from tests.support.set_clock import MORNING, NIGHT, SetClock

WINDOW = '[window]\nfrom = "09:00"\nto = "20:00"\n'


@dataclass
class Morning:
    office: Office
    ses: SesFake
    clock: SetClock


@pytest.fixture
def morning(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Morning]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    clock = SetClock()
    with (
        SesFake() as ses,
        open_office(store, tmp_path, ses=ses, people=120, clock=clock) as office,
    ):
        office.one_call_at_a_time()
        yield Morning(office, ses, clock)


def test_outside_its_window_a_campaign_is_refused(morning: Morning) -> None:
    morning.clock.set(NIGHT)
    with pytest.raises(FileErrors, match=r"window: is shut: it is 22:00 in Europe/London"):
        prepare_launch(morning.office.context, morning.office.email(WINDOW))
    assert morning.ses.messages == []
    assert morning.office.open_runs() == []


def test_a_run_waits_when_its_window_closes_and_goes_on_the_next_day(morning: Morning) -> None:
    office, clock = morning.office, morning.clock

    def night_falls() -> None:
        clock.set(NIGHT)

    launch = prepare_launch(office.context, office.email(WINDOW))
    launch.confirm()
    on_bulk_call(morning.ses, 1, night_falls)
    assert launch.dispatch() is Ending.WAITING
    launch.close()
    counts = office.counts(launch.run_id)
    assert 0 < counts.by_state[DeliveryState.ACCEPTED] < 120
    assert counts.planned == 120
    assert office.run(launch.run_id).state is RunState.READY
    with pytest.raises(FileErrors, match="is shut"):
        office.resume(launch.run_id)
    morning.ses.on_request = None
    clock.set(MORNING + timedelta(days=1))
    assert office.resume(launch.run_id) is Ending.FINISHED
    assert len({message.delivery_id for message in morning.ses.messages}) == 120
    assert len(morning.ses.messages) == 120


def test_a_file_with_a_schedule_is_sent_now_only_if_somebody_says_so(morning: Morning) -> None:
    office = morning.office
    scheduled = office.email("[schedule]\nat = 2026-12-24T09:00:00Z\n")
    with pytest.raises(FileErrors, match=r"schedule: says when this goes out"):
        prepare_launch(office.context, scheduled)
    assert office.open_runs() == []
    launch = prepare_launch(office.context, scheduled, send_now=True)
    run_id, ending = carry_out(launch)
    assert ending is Ending.FINISHED
    with office.store.read() as session:
        version = session.get_one(CampaignVersion, office.run(run_id).version_id)
    assert read_pinned(version).schedule == scheduled.schedule
