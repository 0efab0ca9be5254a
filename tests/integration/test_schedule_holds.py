"""What keeps an occurrence from going out, and who hears of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sender.campaigns import launch
from sender.campaigns.schedule_desk import resume_schedule
from sender.campaigns.scheduling import tick
from sender.delivery.runs import cancel
from sender.errors import ProviderError
from sender.store.engine import Store
from sender.vocabulary import Channel, RunState, ScheduleState
from tests.support.campaign_folder import LETTER, open_office
from tests.support.factory import OPERATOR
from tests.support.schedule_world import DAILY, Killed, ScheduleDesk, SetClock, at, own_context

PEOPLE = 30


@pytest.fixture
def desk(store: Store, tmp_path: Path) -> Iterator[ScheduleDesk]:
    clock = SetClock()
    with open_office(store, tmp_path, people=PEOPLE, clock=clock) as office:
        yield ScheduleDesk(office, clock)


def test_a_changed_file_holds_the_schedule(desk: ScheduleDesk) -> None:
    schedule_id = desk.add(DAILY)
    desk.office.write("letter.html", LETTER.replace("Saturday", "Sunday"))
    report = desk.tick("2026-12-02T09:00")
    assert (report.launched, report.held) == (0, [schedule_id])
    schedule = desk.schedule(schedule_id)
    assert schedule.state is ScheduleState.HELD
    assert "spring.toml was changed since it was approved" in (schedule.because or "")
    assert desk.occurrences()[0][:2] == ("02 09:00", "skipped")
    assert desk.alerts().keys() == {"schedule.held"}
    assert desk.runs() == []
    assert desk.tick("2026-12-03T09:00").launched == 0
    assert desk.audited() == ["add", "hold"]


def test_a_file_that_cannot_be_read_any_more_does_too(desk: ScheduleDesk) -> None:
    schedule_id = desk.add(DAILY)
    (desk.office.folder / "letter.html").unlink()
    assert desk.tick("2026-12-02T09:00").held == [schedule_id]


def test_where_the_file_is_not_the_approved_text_goes_out(desk: ScheduleDesk) -> None:
    desk.add(DAILY)
    (desk.office.folder / "spring.toml").unlink()
    (desk.office.folder / "letter.html").unlink()
    assert desk.tick("2026-12-02T09:00").launched == 1


def test_a_source_that_fails_holds_the_schedule_and_leaves_nothing(
    desk: ScheduleDesk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CRM_DATABASE_URL", f"sqlite:///{tmp_path / 'nowhere' / 'crm.sqlite3'}")
    desk.office.write("people.sql", "SELECT email FROM person\n")
    source = (
        '[audience.source]\nurl_env = "CRM_DATABASE_URL"\nquery = "people.sql"\naddress = "email"\n'
    )
    schedule_id = desk.add(DAILY + source)
    assert desk.tick("2026-12-02T09:00").held == [schedule_id]
    assert [run.state for run in desk.runs()] == [RunState.CANCELLED]
    assert "people.sql" in (desk.schedule(schedule_id).because or "")
    assert desk.alerts().keys() == {"schedule.held"}


def test_an_audience_that_changed_much_holds_the_schedule_until_somebody_looked(
    desk: ScheduleDesk,
) -> None:
    schedule_id = desk.add(DAILY)
    desk.tick("2026-12-02T09:00", dispatch=True)
    desk.office.add_people(Channel.EMAIL, 16, prefix="many")
    assert desk.tick("2026-12-03T09:00").held == [schedule_id]
    because = desk.schedule(schedule_id).because or ""
    assert "46 people may be written to; the last time it was 30." in because
    held = desk.runs()[-1]
    assert (held.state, desk.office.counts(held.id).planned) == (RunState.CANCELLED, 0)
    desk.clock.at = at("2026-12-03T10:00")
    resume_schedule(desk.office.context, schedule_id)
    assert desk.alerts() == {}
    assert desk.tick("2026-12-04T09:00").launched == 1


def test_more_people_than_the_file_allows_hold_the_schedule(desk: ScheduleDesk) -> None:
    schedule_id = desk.add(DAILY, max_recipients=PEOPLE)
    desk.office.add_people(Channel.EMAIL, 1, prefix="one-more")
    assert desk.tick("2026-12-02T09:00").held == [schedule_id]
    assert desk.office.deliveries() == 0


def test_a_template_that_fails_for_somebody_new_holds_the_schedule(desk: ScheduleDesk) -> None:
    desk.office.write("letter.html", "<p>Dear {{ recipient.first_name }}</p>\n")
    schedule_id = desk.add(DAILY)
    desk.office.add_people(Channel.EMAIL, 1, prefix="nameless", first_name=None)
    assert desk.tick("2026-12-02T09:00").held == [schedule_id]


def test_a_run_that_was_cancelled_before_it_was_let_go_stays_so(
    desk: ScheduleDesk, database_url: str
) -> None:
    desk.add(DAILY)
    desk.clock.at = at("2026-12-02T09:00")
    with own_context(desk, database_url, commits=4) as context, pytest.raises(Killed):
        tick(context)
    [run] = desk.runs()
    with desk.office.store.write() as session:
        cancel(session, run.id, now=desk.clock.now(), operator=OPERATOR)
    assert desk.tick().skipped == 1
    assert desk.occurrences() == [("02 09:00", "skipped", "its run was cancelled")]
    assert len(desk.runs()) == 1


def test_a_provider_that_is_away_is_tried_again(
    desk: ScheduleDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule_id = desk.add(DAILY)
    with monkeypatch.context() as away:
        away.setattr("sender.campaigns.launch.usable_capacity", _away)
        report = desk.tick("2026-12-02T09:00")
        assert (report.held, report.failed) == ([], [schedule_id])
        assert desk.alerts()["schedule.failed"].details["because"] == "The account is away."
        assert desk.tick("2026-12-02T09:01").failed == [schedule_id]
    assert desk.tick("2026-12-02T09:02").launched == 1
    assert desk.alerts() == {}


def test_until_it_is_too_late(desk: ScheduleDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.add(DAILY)
    monkeypatch.setattr("sender.campaigns.launch.usable_capacity", _away)
    desk.tick("2026-12-02T09:00")
    desk.tick("2026-12-02T10:01")
    why = "61 minutes late; The account is away."
    assert desk.occurrences() == [("02 09:00", "skipped", why)]
    assert desk.alerts()["schedule.missed"].details["because"] == why


def test_what_breaks_in_one_schedule_does_not_hold_up_the_others(
    desk: ScheduleDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = desk.add(DAILY, name="broken")
    desk.add(DAILY, name="sound")

    def prepare(context: Any, definition: Any, find: Any, **how: Any) -> Any:
        if definition.name == "broken":
            raise ZeroDivisionError
        return launch.prepare(context, definition, find, **how)

    with monkeypatch.context() as breaking:
        breaking.setattr("sender.campaigns.schedule_opening.prepare", prepare)
        report = desk.tick("2026-12-02T09:00")
    assert (report.launched, report.failed) == (1, [broken])
    assert desk.alerts()["schedule.failed"].details["because"] == "ZeroDivisionError"
    assert desk.tick("2026-12-02T09:01").launched == 1


def test_what_breaks_after_the_run_was_opened_is_carried_on(
    desk: ScheduleDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.add(DAILY)
    with monkeypatch.context() as breaking:
        breaking.setattr("sender.campaigns.launch.work_out", _break)
        desk.tick("2026-12-02T09:00")
    assert desk.tick("2026-12-02T09:01").launched == 1
    assert [run.state for run in desk.runs()] == [RunState.READY]


def _away(*_: object) -> None:
    raise ProviderError("The account is away.")


def _break(*_: object, **__: object) -> None:
    raise ZeroDivisionError
