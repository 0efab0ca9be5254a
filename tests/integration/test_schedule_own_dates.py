"""Schedules that go by each person's own date: each day has its people."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from sender.campaigns.launch import prepare_launch
from sender.store.deliveries import Delivery
from sender.store.engine import Store
from sender.toml.source import FileErrors
from sender.vocabulary import Channel, DeliveryState
from tests.support.campaign_folder import open_office
from tests.support.schedule_world import ScheduleDesk, SetClock

PEOPLE = 30


@pytest.fixture
def desk(store: Store, tmp_path: Path) -> Iterator[ScheduleDesk]:
    clock = SetClock()
    with open_office(store, tmp_path, people=PEOPLE, clock=clock) as office:
        yield ScheduleDesk(office, clock)


class TestEachPersonsDate:
    SCHEDULE = (
        '[schedule]\ndays_before = 14\nattribute = "ends"\ntime = "09:00"\n'
        'time_zone = "Europe/London"\naudience_change_percent = 1000\n'
    )

    def test_each_day_has_its_people(self, desk: ScheduleDesk) -> None:
        dates = {
            "a": "2026-12-16",
            "b": "2026-12-17",
            "c": "2026-12-17T10:00:00+02:00",
            "d": "2026-12-17 23:59",
            "e": "2026-12-170",
            "f": "17.12.2026",
        }
        for prefix, date in dates.items():
            desk.office.add_people(Channel.EMAIL, 2, prefix=prefix, attributes={"ends": date})
        desk.office.add_people(Channel.EMAIL, 1, prefix="n", attributes={"ends": 20261217})
        desk.add(self.SCHEDULE)
        for day in (2, 3, 4):
            desk.tick(f"2026-12-{day:02}T09:00", dispatch=True)
        reached = [_reached(desk, run.id) for run in desk.runs()]
        assert reached == [
            {"a0@example.org", "a1@example.org"},
            {f"{prefix}{place}@example.org" for prefix in "bcd" for place in range(2)},
            set(),
        ]
        assert [str(run.audience_day) for run in desk.runs()] == [
            "2026-12-16",
            "2026-12-17",
            "2026-12-18",
        ]
        assert [desk.occurrence(run.id).audience for run in desk.runs()] == [2, 6, 0]

    def test_the_filter_of_the_file_narrows_them_further(self, desk: ScheduleDesk) -> None:
        ends = {"ends": "2026-12-16"}
        desk.office.add_people(Channel.EMAIL, 3, prefix="a", attributes=ends | {"ward": "Abbey"})
        desk.office.add_people(Channel.EMAIL, 3, prefix="c", attributes=ends | {"ward": "Castle"})
        where = '[audience]\nwhere = { attribute = "ward", equals = "Abbey" }\n'
        desk.add(self.SCHEDULE + where)
        desk.tick("2026-12-02T09:00", dispatch=True)
        [run] = desk.runs()
        assert _reached(desk, run.id) == {f"a{place}@example.org" for place in range(3)}

    def test_whoever_launches_such_a_file_by_hand_is_refused(self, desk: ScheduleDesk) -> None:
        desk.office.add_people(Channel.EMAIL, 2, prefix="a", attributes={"ends": "2026-12-16"})
        definition = desk.office.email(self.SCHEDULE)
        with pytest.raises(FileErrors, match="each day has its own people"):
            prepare_launch(desk.office.context, definition, send_now=True)
        assert desk.office.open_runs() == []


def _reached(desk: ScheduleDesk, run_id: int) -> set[str]:
    with desk.office.store.read() as session:
        ids = session.scalars(
            select(Delivery.address_id).where(
                Delivery.run_id == run_id, Delivery.state == DeliveryState.ACCEPTED
            )
        )
        names = {address_id: address for address, address_id in desk.office.ids.items()}
        return {names[one] for one in ids}
