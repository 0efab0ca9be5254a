"""Occurrences of schedules: each is one run, made once, however often and wherever it is looked."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from sqlalchemy import text

from sender.campaigns.carrying import Carrier
from sender.campaigns.launch import prepare_launch
from sender.campaigns.schedule_state import get_schedule
from sender.campaigns.scheduling import tick
from sender.context import Context
from sender.delivery.progress import Ending
from sender.errors import RefusedError
from sender.jobs.workers import enter
from sender.store.engine import Store
from sender.store.exclusive import exclusively
from sender.vocabulary import Channel, DeliveryState, RunState, ScheduleState
from tests.support.campaign_folder import open_office
from tests.support.schedule_world import (
    DAILY,
    ONCE,
    Killed,
    ScheduleDesk,
    SetClock,
    at,
    own_context,
)

PEOPLE = 30


@pytest.fixture
def desk(store: Store, tmp_path: Path) -> Iterator[ScheduleDesk]:
    clock = SetClock()
    with open_office(store, tmp_path, people=PEOPLE, clock=clock) as office:
        yield ScheduleDesk(office, clock)


class TestAnOccurrence:
    def test_is_one_run_from_its_time_on(self, desk: ScheduleDesk) -> None:
        schedule_id = desk.add(DAILY)
        assert desk.tick("2026-12-02T08:59").launched == 0
        assert desk.tick("2026-12-02T09:00").launched == 1
        assert desk.tick("2026-12-02T09:01").launched == 0
        [run] = desk.runs()
        assert (run.state, run.exclude_sent) == (RunState.READY, False)
        assert desk.occurrences() == [("02 09:00", "launched", "")]
        assert desk.occurrence(run.id).audience == PEOPLE
        assert desk.schedule(schedule_id).state is ScheduleState.ACTIVE
        assert desk.audited() == ["add", "launch"]
        assert desk.alerts() == {}

    def test_is_sent_at_the_tick_where_that_is_asked_for(self, desk: ScheduleDesk) -> None:
        desk.add(DAILY)
        report = desk.tick("2026-12-02T09:00", dispatch=True)
        assert report.sent is not None
        assert report.sent.counts() == {"finished": 1}
        [run] = desk.runs()
        assert desk.office.counts(run.id).by_state == {DeliveryState.ACCEPTED: PEOPLE}

    def test_writes_to_the_same_people_as_the_one_before(self, desk: ScheduleDesk) -> None:
        desk.add(DAILY)
        desk.tick("2026-12-02T09:00", dispatch=True)
        desk.office.add_people(Channel.EMAIL, 3, prefix="new")
        desk.tick("2026-12-03T09:00", dispatch=True)
        reached = [desk.office.counts(run.id).handed_over for run in desk.runs()]
        assert reached == [PEOPLE, PEOPLE + 3]

    def test_goes_out_although_it_is_a_little_late(self, desk: ScheduleDesk) -> None:
        desk.add(DAILY)
        assert desk.tick("2026-12-02T10:00").launched == 1

    def test_that_is_too_late_is_skipped_with_an_alert(self, desk: ScheduleDesk) -> None:
        schedule_id = desk.add(DAILY)
        report = desk.tick("2026-12-02T10:01")
        assert (report.launched, report.skipped) == (0, 1)
        assert desk.occurrences() == [("02 09:00", "skipped", "61 minutes late")]
        assert desk.runs() == []
        alert = desk.alerts()["schedule.missed"]
        assert alert.subject == f"schedule {schedule_id}"
        assert alert.details == {
            "schedule": schedule_id,
            "campaign": "spring",
            "controller": "riverside",
            "remedy": "See: sender schedule list",
            "due_at": "2026-12-02T09:00:00+00:00",
            "because": "61 minutes late",
            "number": 1,
        }

    def test_may_be_later_where_its_file_says_so(self, desk: ScheduleDesk) -> None:
        desk.add(DAILY + "late_by_minutes = 120\n")
        assert desk.tick("2026-12-02T11:00").launched == 1

    def test_waits_for_its_sending_hours(self, desk: ScheduleDesk) -> None:
        early = '[schedule]\ncron = "0 7 * * *"\ntime_zone = "Europe/London"\n'
        desk.add(early + '[window]\nfrom = "09:00"\nto = "20:00"\n')
        report = desk.tick("2026-12-02T07:00", dispatch=True)
        assert report.launched == 1
        [run] = desk.runs()
        assert desk.office.counts(run.id).handed_over == 0
        desk.tick("2026-12-02T09:00", dispatch=True)
        assert desk.office.counts(run.id).handed_over == PEOPLE

    def test_is_skipped_while_the_one_before_is_still_sent(self, desk: ScheduleDesk) -> None:
        desk.add(DAILY)
        desk.tick("2026-12-02T09:00")
        [run] = desk.runs()
        report = desk.tick("2026-12-03T09:00")
        assert (report.launched, report.skipped) == (0, 1)
        why = f"run {run.id} of the campaign is still ready"
        assert desk.occurrences()[1] == ("03 09:00", "skipped", why)
        assert desk.alerts()["schedule.missed"].details["because"] == why
        desk.end_runs()
        assert desk.tick("2026-12-04T09:00").launched == 1

    def test_is_not_held_up_by_a_launch_that_nobody_confirmed(self, desk: ScheduleDesk) -> None:
        desk.add(DAILY)
        context = desk.office.context
        launch = prepare_launch(context, desk.office.email(DAILY), send_now=True)
        assert desk.tick("2026-12-02T09:00").launched == 1
        with pytest.raises(RefusedError, match="cancelled"):
            launch.confirm()
        launch.close()
        assert [run.state for run in desk.runs()] == [RunState.CANCELLED, RunState.READY]

    def test_reaches_nobody_where_nobody_agreed(self, desk: ScheduleDesk) -> None:
        desk.add(DAILY + '[audience]\nwhere = { field = "first_name", equals = "Zed" }\n')
        desk.tick("2026-12-02T09:00", dispatch=True)
        [run] = desk.runs()
        assert (run.state, desk.occurrence(run.id).audience) == (RunState.FINISHED, 0)


class TestTime:
    def test_days_of_absence_fire_nothing_old(self, desk: ScheduleDesk) -> None:
        desk.add(DAILY)
        report = desk.tick("2026-12-05T09:30")
        assert (report.launched, report.skipped) == (1, 3)
        assert [state for _, state, _ in desk.occurrences()] == ["skipped"] * 3 + ["launched"]
        assert desk.alerts()["schedule.missed"].details["number"] == 3

    def test_a_clock_that_steps_back_fires_nothing_again(self, desk: ScheduleDesk) -> None:
        schedule_id = desk.add(DAILY)
        desk.tick("2026-12-02T09:00")
        desk.end_runs()
        assert desk.tick("2026-12-02T08:00").launched == 0
        assert desk.schedule(schedule_id).considered_through == at("2026-12-02T09:00")
        assert desk.tick("2026-12-02T09:00").launched == 0
        assert len(desk.occurrences()) == 1

    def test_an_occurrence_that_was_decided_on_is_never_decided_on_again(
        self, desk: ScheduleDesk
    ) -> None:
        schedule_id = desk.add(DAILY)
        desk.tick("2026-12-02T09:00")
        desk.end_runs()
        with desk.office.store.write() as session:
            get_schedule(session, schedule_id).considered_through = at("2026-12-01T12:00")
        report = desk.tick("2026-12-02T09:30")
        assert (report.launched, report.failed) == (0, [])
        assert desk.occurrences() == [("02 09:00", "launched", "")]

    def test_a_clock_that_jumps_ahead_passes_over_with_alerts(self, desk: ScheduleDesk) -> None:
        desk.add(DAILY)
        assert desk.tick("2027-12-02T08:00").skipped == 365
        assert desk.tick("2026-12-02T09:00").launched == 0
        assert desk.runs() == []
        assert desk.alerts()["schedule.missed"].details["number"] == 365

    def test_years_of_minutes_are_worked_through_in_pieces(self, desk: ScheduleDesk) -> None:
        desk.add('[schedule]\ncron = "* * * * *"\ntime_zone = "UTC"\nlate_by_minutes = 1\n')
        report = desk.tick("2026-12-02T12:00")
        assert (report.launched, report.skipped) == (1, 24 * 60 - 1)

    def test_after_the_last_occurrence_the_schedule_ends(self, desk: ScheduleDesk) -> None:
        schedule_id = desk.add(ONCE)
        desk.tick("2026-12-02T08:00")
        assert desk.schedule(schedule_id).state is ScheduleState.ACTIVE
        desk.tick("2026-12-02T09:00")
        assert desk.schedule(schedule_id).state is ScheduleState.ENDED
        assert desk.audited() == ["add", "launch", "end"]

    def test_an_expired_campaign_has_no_occurrence_any_more(self, desk: ScheduleDesk) -> None:
        schedule_id = desk.add(DAILY, expires_at=at("2026-12-03T08:00"))
        desk.tick("2026-12-02T09:00")
        assert desk.schedule(schedule_id).state is ScheduleState.ENDED


class TestWhoSends:
    @pytest.mark.parametrize("dialect", ["postgresql"])
    def test_where_workers_are_a_tick_leaves_the_sending_to_them(self, desk: ScheduleDesk) -> None:
        desk.add(DAILY)
        with desk.office.store.write() as session:
            enter(session, slots=4)
        report = desk.tick("2026-12-02T09:00", dispatch=True)
        assert (report.launched, report.sent) == (1, None)
        [run] = desk.runs()
        assert run.state is RunState.READY
        with desk.office.store.read() as session:
            jobs = session.scalar(text("SELECT count(*) FROM procrastinate_jobs"))
        assert jobs == 4

    def test_what_falls_due_while_a_tick_sends_goes_out_at_that_tick(
        self, desk: ScheduleDesk
    ) -> None:
        """A systemd timer starts no second tick while the first is still at it."""
        desk.add(ONCE)
        desk.add(ONCE.replace("09:00", "09:30"), name="later")
        desk.clock.at = at("2026-12-02T09:00")

        def stopping() -> bool:  # asked while the first run is sent
            if desk.runs():
                desk.clock.at = at("2026-12-02T09:30")
            return False

        report = tick(desk.office.context, dispatch=True, stopping=stopping)
        assert (report.launched, report.skipped, report.failed) == (2, 0, [])
        assert report.sent is not None
        assert report.sent.counts() == {"finished": 2}

    def test_a_tick_beside_one_that_still_sends_only_launches(self, desk: ScheduleDesk) -> None:
        desk.add(DAILY)
        with exclusively(desk.office.store, "sending"):
            report = desk.tick("2026-12-02T09:00", dispatch=True)
        assert (report.launched, report.sent) == (1, None)
        report = desk.tick(dispatch=True)
        assert report.sent is not None
        assert report.sent.counts() == {"finished": 1}

    def test_it_carries_on_whatever_has_work(self, desk: ScheduleDesk) -> None:
        launch = prepare_launch(desk.office.context, desk.office.email())
        launch.confirm()  # and then its process dies
        launch.provider.close()
        report = desk.tick(dispatch=True)
        assert report.sent is not None
        assert report.sent.endings.keys() == {launch.run_id}
        assert desk.office.counts(launch.run_id).handed_over == PEOPLE

    def test_a_run_that_cannot_be_sent_does_not_hold_up_the_others(
        self, desk: ScheduleDesk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        desk.add(DAILY, name="broken")
        desk.add(DAILY, name="sound")
        desk.tick("2026-12-02T09:00")
        broken, sound = (run.id for run in desk.runs())
        real = Carrier.carry_on

        def carry_on(carrier: Carrier, run_id: int, **how: Any) -> Ending:
            if run_id == broken:
                raise ZeroDivisionError
            return real(carrier, run_id, **how)

        monkeypatch.setattr(Carrier, "carry_on", carry_on)
        sent = desk.tick(dispatch=True).sent
        assert sent is not None
        assert sent.failed == {broken: "ZeroDivisionError"}
        assert sent.endings == {sound: Ending.FINISHED}


class TestManyTickers:
    def test_eight_at_once_make_one_run(self, desk: ScheduleDesk, database_url: str) -> None:
        desk.add(DAILY)
        desk.clock.at = at("2026-12-02T09:00")
        together, launched = Barrier(8), list[int]()

        def look() -> None:
            with own_context(desk, database_url) as context:
                together.wait()
                for _ in range(3):
                    launched.append(tick(context).launched)

        _at_once(8, look)
        assert sum(launched) == 1
        [run] = desk.runs()
        assert run.state is RunState.READY
        assert desk.occurrences() == [("02 09:00", "launched", "")]

    def test_nor_do_they_without_the_lock_that_keeps_them_apart(
        self, desk: ScheduleDesk, database_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sender.campaigns.scheduling.exclusively", _everybody)
        desk.add(DAILY)
        for day in (2, 3):
            desk.clock.at = at(f"2026-12-{day:02}T09:00")
            together = Barrier(4)

            def look(together: Barrier = together) -> None:
                with own_context(desk, database_url) as context:
                    together.wait()
                    tick(context)

            _at_once(4, look)
            desk.tick()  # two outboxes in one folder may have got into each other's way
            assert [run.state for run in desk.runs() if run.state.is_open] == [RunState.READY]
            desk.end_runs()
        assert len(desk.runs()) == 2
        assert [state for _, state, _ in desk.occurrences()] == ["launched"] * 2
        assert desk.alerts() == {}

    def test_one_that_dies_anywhere_leaves_one_run(
        self, desk: ScheduleDesk, database_url: str
    ) -> None:
        desk.add(DAILY)
        died = 0
        for day in range(2, 28):
            desk.clock.at = at(f"2026-12-{day:02}T09:00")
            with own_context(desk, database_url, commits=died) as context:
                lived = _lives_through(context)
            desk.tick(f"2026-12-{day:02}T09:05")
            opened = [run for run in desk.runs() if run.state.is_open]
            assert [run.state for run in opened] == [RunState.READY], died
            assert desk.occurrence(opened[0].id).state.value == "launched"
            assert desk.occurrences()[-1] == (f"{day:02} 09:00", "launched", "")
            desk.end_runs()
            if lived:
                break
            died += 1
        assert died > 5
        assert desk.alerts() == {}

    def test_one_that_comes_back_too_late_sends_nothing(
        self, desk: ScheduleDesk, database_url: str
    ) -> None:
        desk.add(DAILY)
        desk.clock.at = at("2026-12-02T09:00")
        with own_context(desk, database_url, commits=4) as context, pytest.raises(Killed):
            tick(context)
        assert [run.state for run in desk.runs()] == [RunState.PLANNING]
        assert desk.tick("2026-12-02T10:30").skipped == 1
        assert [run.state for run in desk.runs()] == [RunState.CANCELLED]
        assert desk.occurrences() == [("02 09:00", "skipped", "90 minutes late")]
        assert "schedule.missed" in desk.alerts()


@contextmanager
def _everybody(_store: Store, _name: str) -> Iterator[bool]:
    yield True


def _at_once(number: int, work: Any) -> None:
    threads = [Thread(target=work) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _lives_through(context: Context) -> bool:
    try:
        tick(context)
    except Killed:
        return False
    return True
