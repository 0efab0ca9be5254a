"""What people do with schedules: approve, pause, resume, remove, and look what is to come."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from sender.campaigns.check import check
from sender.campaigns.schedule_desk import (
    add_schedule,
    look_over,
    pause_schedule,
    remove_schedule,
    resume_schedule,
)
from sender.campaigns.schedule_listing import list_schedules
from sender.campaigns.scheduling import tick
from sender.delivery.restored import OpenRuns
from sender.errors import NotFoundError, ProviderError, RefusedError, SenderError
from sender.store.campaigns import CampaignVersion
from sender.store.engine import Store
from sender.toml.source import FileErrors
from sender.vocabulary import Channel, OccurrenceState, RunState, ScheduleState
from tests.support.campaign_folder import LETTER, open_office
from tests.support.factory import OPERATOR
from tests.support.schedule_world import (
    DAILY,
    ONCE,
    Killed,
    ScheduleDesk,
    SetClock,
    at,
    own_context,
)

PEOPLE = 25
OWN_DATES = (
    '[schedule]\ndays_before = 14\nattribute = "ends"\ntime = "09:00"\n'
    'time_zone = "Europe/London"\n'
)


@pytest.fixture
def desk(store: Store, tmp_path: Path) -> Iterator[ScheduleDesk]:
    clock = SetClock()
    with open_office(store, tmp_path, people=PEOPLE, clock=clock) as office:
        yield ScheduleDesk(office, clock)


class TestApproving:
    def test_pins_the_text_by_its_hash(self, desk: ScheduleDesk) -> None:
        schedule = desk.schedule(desk.add(DAILY))
        definition = look_over(desk.office.context, Path(schedule.file_path)).definition
        assert schedule.content_hash == definition.files.content_hash
        assert schedule.state is ScheduleState.ACTIVE
        assert schedule.considered_through == desk.clock.now()
        assert Path(schedule.file_path).is_absolute()

    def test_looking_alone_changes_nothing(self, desk: ScheduleDesk) -> None:
        approval = look_over(desk.office.context, desk.file(DAILY))
        assert [(f"{one.due_at:%d %H:%M}", one.people) for one in approval.next] == [
            ("02 09:00", PEOPLE),
            ("03 09:00", PEOPLE),
            ("04 09:00", PEOPLE),
        ]
        assert list_schedules(desk.office.context) == []

    def test_what_was_looked_over_is_approved_and_nothing_else(self, desk: ScheduleDesk) -> None:
        approval = look_over(desk.office.context, desk.file(DAILY))
        desk.office.write("letter.html", LETTER.replace("Saturday", "Sunday"))
        schedule_id = approval.approve()
        assert desk.schedule(schedule_id).content_hash == approval.definition.files.content_hash
        assert desk.tick("2026-12-02T09:00").held == [schedule_id]

    def test_again_gives_the_standing_schedule_the_new_text(self, desk: ScheduleDesk) -> None:
        first = desk.add(DAILY)
        before = desk.schedule(first)
        again = desk.add(DAILY, subject="Another")
        after = desk.schedule(again)
        assert again == first
        assert after.version_id != before.version_id
        assert desk.audited() == ["add", "approve"]
        with desk.office.store.read() as session:
            assert session.scalar(select(func.count()).select_from(CampaignVersion)) == 2
        desk.tick("2026-12-02T09:00")
        [run] = desk.runs()
        assert run.version_id == after.version_id

    def test_again_lifts_a_hold(self, desk: ScheduleDesk) -> None:
        schedule_id = desk.add(DAILY)
        changed = desk.file(DAILY, subject="Another")
        desk.tick("2026-12-02T09:00")
        assert desk.alerts().keys() == {"schedule.held"}
        assert add_schedule(desk.office.context, changed) == schedule_id
        assert desk.schedule(schedule_id).state is ScheduleState.ACTIVE
        assert desk.alerts() == {}
        assert desk.tick("2026-12-02T09:01").launched == 0
        assert desk.tick("2026-12-03T09:00").launched == 1

    def test_again_does_not_wake_one_that_somebody_paused(self, desk: ScheduleDesk) -> None:
        schedule_id = desk.add(DAILY)
        pause_schedule(desk.office.context, schedule_id)
        desk.add(DAILY, subject="Another")
        assert desk.schedule(schedule_id).state is ScheduleState.PAUSED

    def test_again_sends_nothing_of_what_was_due_before(self, desk: ScheduleDesk) -> None:
        desk.add(DAILY)
        desk.clock.at = at("2026-12-02T09:10")
        desk.add(DAILY.replace("0 9", "0,5 9"))
        assert desk.tick("2026-12-02T09:11").launched == 0
        assert desk.occurrences() == [("02 09:00", "skipped", "a new text was approved")]

    def test_after_its_end_is_another_schedule(self, desk: ScheduleDesk) -> None:
        first = desk.add(ONCE)
        desk.tick("2026-12-02T09:00", dispatch=True)
        second = desk.add(ONCE.replace("12-02", "12-04"))
        assert second != first
        assert desk.tick("2026-12-04T09:00").launched == 1
        assert [state for _, state, _ in desk.occurrences()] == ["launched"] * 2

    @pytest.mark.parametrize(
        ("more", "changed", "words"),
        [
            ("", {}, "schedule: is missing"),
            (ONCE.replace("2026-12-02", "2026-11-02"), {}, "has no occurrence to come"),
            (DAILY, {"expires_at": at("2026-12-02T08:00")}, "has no occurrence to come"),
            (DAILY, {"sender": "nobody"}, "has no sender identity 'nobody'"),
            (DAILY, {"max_recipients": 24}, "is 24; 25 people would be written to today"),
            (OWN_DATES, {}, "no contact of riverside has the attribute 'ends'"),
            (DAILY, {"fresh_within_months": 100}, "looser than the policy"),
        ],
    )
    def test_is_refused(
        self, desk: ScheduleDesk, more: str, changed: dict[str, Any], words: str
    ) -> None:
        with pytest.raises(FileErrors, match=words):
            desk.add(more, **changed)
        assert list_schedules(desk.office.context) == []

    def test_of_a_broken_template_is_refused(self, desk: ScheduleDesk) -> None:
        desk.office.write("letter.html", "<p>{{ recipient.no_such_field }}</p>")
        with pytest.raises(SenderError, match="no_such_field"):
            desk.add(DAILY)

    def test_through_an_account_that_cannot_send_is_refused(
        self, desk: ScheduleDesk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def away(*_: object) -> None:
            raise ProviderError("The account is away.")

        monkeypatch.setattr("sender.campaigns.schedule_desk.usable_capacity", away)
        with pytest.raises(ProviderError):
            desk.add(DAILY)

    def test_before_anybody_spoke_of_old_opt_outs_is_refused(
        self, store: Store, tmp_path: Path
    ) -> None:
        clock = SetClock()
        with (
            open_office(store, tmp_path, clock=clock, declared=False) as office,
            pytest.raises(RefusedError, match="opt-outs that riverside received"),
        ):
            ScheduleDesk(office, clock).add(DAILY)


class TestPausing:
    def test_lets_nothing_go_out_until_it_is_resumed(self, desk: ScheduleDesk) -> None:
        context, schedule_id = desk.office.context, desk.add(DAILY)
        assert pause_schedule(context, schedule_id) is ScheduleState.PAUSED
        assert desk.tick("2026-12-03T09:00").launched == 0
        desk.clock.at = at("2026-12-03T09:10")
        assert resume_schedule(context, schedule_id) is ScheduleState.ACTIVE
        assert desk.tick("2026-12-03T09:11").launched == 0
        why = "the schedule was paused"
        assert desk.occurrences() == [("02 09:00", "skipped", why), ("03 09:00", "skipped", why)]
        assert desk.alerts() == {}
        assert desk.tick("2026-12-04T09:00").launched == 1
        assert desk.audited() == ["add", "pause", "resume", "launch"]

    def test_one_that_is_being_opened_stops_it(self, desk: ScheduleDesk, database_url: str) -> None:
        schedule_id = desk.add(DAILY)
        _die_opening(desk, database_url)
        pause_schedule(desk.office.context, schedule_id)
        assert [run.state for run in desk.runs()] == [RunState.CANCELLED]
        assert desk.occurrences() == [("02 09:00", "skipped", "the schedule was paused")]

    def test_while_the_run_is_prepared_stops_it(
        self, desk: ScheduleDesk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        schedule_id = desk.add(DAILY)
        _before_the_yes(monkeypatch, lambda: pause_schedule(desk.office.context, schedule_id))
        report = desk.tick("2026-12-02T09:00")
        assert (report.launched, report.held, report.failed) == (0, [], [])
        assert [run.state for run in desk.runs()] == [RunState.CANCELLED]
        assert desk.schedule(schedule_id).state is ScheduleState.PAUSED

    def test_leaves_a_run_that_was_let_go(self, desk: ScheduleDesk) -> None:
        schedule_id = desk.add(DAILY)
        desk.tick("2026-12-02T09:00")
        pause_schedule(desk.office.context, schedule_id)
        assert [run.state for run in desk.runs()] == [RunState.READY]

    def test_of_what_is_not_there_or_over_is_refused(self, desk: ScheduleDesk) -> None:
        with pytest.raises(NotFoundError, match="no schedule 77"):
            pause_schedule(desk.office.context, 77)
        schedule_id = desk.add(ONCE)
        desk.tick("2026-12-02T09:00")
        with pytest.raises(RefusedError, match="is ended"):
            resume_schedule(desk.office.context, schedule_id)


class TestRemoving:
    def test_keeps_its_history_and_lets_it_be_added_anew(self, desk: ScheduleDesk) -> None:
        context, first = desk.office.context, desk.add(DAILY)
        desk.tick("2026-12-02T09:00")
        assert remove_schedule(context, first) is ScheduleState.REMOVED
        assert desk.tick("2026-12-03T09:00").launched == 0
        assert list_schedules(context) == []
        assert [line.schedule_id for line in list_schedules(context, ended=True)] == [first]
        assert desk.add(DAILY) != first
        assert len(desk.occurrences()) == 1

    def test_of_one_that_is_being_opened_cancels_its_run(
        self, desk: ScheduleDesk, database_url: str
    ) -> None:
        schedule_id = desk.add(DAILY)
        _die_opening(desk, database_url)
        remove_schedule(desk.office.context, schedule_id)
        assert [run.state for run in desk.runs()] == [RunState.CANCELLED]


def test_a_new_text_while_the_old_one_is_being_opened_goes_out_next_time(
    desk: ScheduleDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.add(DAILY)
    changed = look_over(desk.office.context, desk.file(DAILY))
    with monkeypatch.context() as meanwhile:
        _before_the_yes(meanwhile, changed.approve)
        desk.tick("2026-12-02T09:00")
    assert [run.state for run in desk.runs()] == [RunState.CANCELLED]
    assert desk.occurrences() == [("02 09:00", "skipped", "a new text was approved")]
    assert desk.tick("2026-12-03T09:00").launched == 1


def test_a_restored_backups_schedules_wait_for_a_person(
    desk: ScheduleDesk, database_url: str
) -> None:
    schedule_id = desk.add(DAILY)
    _die_opening(desk, database_url)
    with desk.office.store.write() as session:
        OpenRuns(desk.clock.now(), OPERATOR, without_record=False).hold(session)
    desk.tick("2026-12-02T09:05")
    assert desk.schedule(schedule_id).because == "restored from a backup"
    assert [run.state for run in desk.runs()] == [RunState.PLANNING]
    assert desk.tick("2026-12-03T09:00").launched == 0
    resume_schedule(desk.office.context, schedule_id)
    assert [run.state for run in desk.runs()] == [RunState.CANCELLED]
    assert desk.tick("2026-12-04T09:00").launched == 1


class TestListing:
    def test_says_when_in_local_time_and_for_how_many(self, desk: ScheduleDesk) -> None:
        desk.add('[schedule]\ncron = "30 8 * * 1"\ntime_zone = "America/New_York"\n')
        [line] = list_schedules(desk.office.context, "riverside")
        assert [one.due_at.isoformat() for one in line.next] == [
            "2026-12-07T08:30:00-05:00",
            "2026-12-14T08:30:00-05:00",
            "2026-12-21T08:30:00-05:00",
        ]
        assert [one.people for one in line.next] == [PEOPLE] * 3
        with pytest.raises(NotFoundError, match="no controller elsewhere"):
            list_schedules(desk.office.context, "elsewhere")

    def test_counts_each_days_own_people(self, desk: ScheduleDesk) -> None:
        for number, day in ((3, 16), (4, 18)):
            ends = {"ends": f"2026-12-{day}"}
            desk.office.add_people(Channel.EMAIL, number, prefix=f"on{day}-", attributes=ends)
        desk.add(OWN_DATES)
        [line] = list_schedules(desk.office.context)
        assert [one.people for one in line.next] == [3, 0, 4]
        desk.tick("2026-12-02T09:00")
        [run] = desk.runs()
        assert desk.occurrence(run.id).audience == 3

    def test_says_what_became_of_the_last_one(self, desk: ScheduleDesk) -> None:
        desk.add(DAILY)
        desk.tick("2026-12-03T09:00")
        [line] = list_schedules(desk.office.context)
        assert line.last is not None
        assert (line.last.state, line.last.run_id) == (OccurrenceState.LAUNCHED, 1)
        assert line.next[0].due_at == at("2026-12-04T09:00")

    def test_a_schedule_whose_sender_is_gone_says_so(self, desk: ScheduleDesk) -> None:
        schedule_id = desk.add(DAILY)
        with desk.office.store.write() as session:
            identity = desk.office.organisation.identities[Channel.EMAIL]
            session.merge(identity).retired_at = desk.clock.now()
        [line] = list_schedules(desk.office.context)
        assert "no sender identity" in (line.because or "")
        assert desk.tick("2026-12-02T09:00").held == [schedule_id]


def test_a_check_of_such_a_file_goes_through(desk: ScheduleDesk) -> None:
    assert check(desk.office.context, desk.office.email(DAILY)).errors == ()


def _die_opening(desk: ScheduleDesk, database_url: str) -> None:
    desk.clock.at = at("2026-12-02T09:00")
    with own_context(desk, database_url, commits=4) as context, pytest.raises(Killed):
        tick(context)
    assert [run.state for run in desk.runs()] == [RunState.PLANNING]


def _before_the_yes(monkeypatch: pytest.MonkeyPatch, act: object) -> None:
    """Let somebody step in when the run is prepared and its plan worked out."""
    from sender.campaigns import launch  # noqa: PLC0415 - patched below

    def prepare(*arguments: object, **how: object) -> object:
        prepared = launch.prepare(*arguments, **how)  # type: ignore[arg-type]  # handed on
        act()  # type: ignore[operator]  # a function without arguments
        return prepared

    monkeypatch.setattr("sender.campaigns.schedule_opening.prepare", prepare)
