"""The commands of schedules, as an operator types them and as cron runs them."""

import os
import signal
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from subprocess import PIPE, Popen
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import update

from sender.clock import SystemClock
from sender.store.engine import open_store
from sender.store.schedules import Schedule
from sender.vocabulary import DeliveryState
from tests.fakes.ses import SesFake
from tests.support.campaign_folder import (
    CREDENTIALS,
    LETTER,
    Office,
    environment,
    on_bulk_call,
    open_office,
)
from tests.support.command_line import Desk, sit_down
from tests.support.tracked import ROOT

PEOPLE = 120
EVERY_MINUTE = '[schedule]\ncron = "* * * * *"\ntime_zone = "Europe/London"\n'


@pytest.fixture
def ses() -> Iterator[SesFake]:
    with SesFake() as running:
        running.account.rate = 5_000.0
        yield running


@pytest.fixture
def office(database_url: str, tmp_path: Path, ses: SesFake) -> Iterator[Office]:
    store = open_store(database_url)
    with open_office(store, tmp_path, ses=ses, people=PEOPLE) as opened:
        opened.one_call_at_a_time()
        opened.file(more=EVERY_MINUTE)
        yield opened
    store.close()


@pytest.fixture
def desk(
    office: Office,
    database_url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Desk:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    return sit_down(tmp_path, database_url, capsys, monkeypatch)


def a_minute_passes(office: Office) -> None:
    """Let the schedule think that it was last looked at a minute ago."""
    with office.store.write() as session:
        session.execute(
            update(Schedule).values(considered_through=SystemClock().now() - timedelta(minutes=1))
        )


def test_from_the_file_to_the_people(desk: Desk, office: Office, ses: SesFake) -> None:
    said = desk.done("schedule", "add", "campaign.toml", "--yes").out
    assert "Approved as schedule 1." in said
    assert "People today" in said
    [line] = desk.read("schedule", "list")
    assert (line["schedule"], line["state"], line["campaign"]) == (1, "active", "spring")
    assert [one["people"] for one in line["next"]] == [PEOPLE] * 3
    a_minute_passes(office)
    document = desk.read("schedule", "tick")
    assert document["launched"] == 1
    assert document["sent"] == {"1": "finished"}
    assert len(ses.messages) == PEOPLE


@pytest.mark.parametrize("dialect", ["sqlite"])
class TestSaying:
    def test_nobody_there_to_say_yes_approves_nothing(self, desk: Desk) -> None:
        answer = desk.sender("schedule", "add", "campaign.toml")
        assert answer.code == 2
        assert "Let this text go out by itself at its times? Nobody is there" in answer.err
        assert desk.read("schedule", "list") == []
        assert "Nothing goes out by itself." in desk.done("schedule", "list").out

    def test_the_list_shows_local_time(self, desk: Desk) -> None:
        desk.done("schedule", "add", "campaign.toml", "--yes")
        zone = SystemClock().now().astimezone(ZoneInfo("Europe/London")).tzname()
        first, *others = desk.done("schedule", "list", "-c", "riverside").out.splitlines()[1:]
        assert first.startswith("1   spring    riverside   active")
        assert len(others) == 2
        assert all(f" {zone} " in row and row.endswith(str(PEOPLE)) for row in (first, *others))

    def test_a_list_for_nobody_is_not_taken_for_an_empty_one(self, desk: Desk) -> None:
        answer = desk.sender("schedule", "list", "-c", "riversde")
        assert answer.code == 1
        assert "Did you mean riverside?" in answer.err

    def test_pause_resume_and_remove(self, desk: Desk, office: Office) -> None:
        desk.done("schedule", "add", "campaign.toml", "--yes")
        assert desk.done("schedule", "pause", "1").out == "Schedule 1 is paused.\n"
        a_minute_passes(office)
        assert desk.read("schedule", "tick")["launched"] == 0
        assert desk.done("schedule", "resume", "1").out == "Schedule 1 is active.\n"
        assert desk.sender("schedule", "remove", "1").code == 2
        assert desk.read("schedule", "remove", "1", "--yes") == {"schedule": 1, "state": "removed"}
        assert desk.sender("schedule", "resume", "1").code == 1
        assert [one["state"] for one in desk.read("schedule", "list", "--all")] == ["removed"]

    def test_a_tick_that_fails_is_one_document_for_scripts(
        self, desk: Desk, office: Office
    ) -> None:
        desk.done("schedule", "add", "campaign.toml", "--yes")
        office.write("letter.html", LETTER.replace("Saturday", "Sunday"))
        a_minute_passes(office)
        answer = desk.sender("schedule", "tick", "--json")
        assert answer.code == 1
        assert answer.document["held"] == [1]
        assert answer.document["problems"] == ["1 schedule held: sender schedule list"]

    def test_a_hold_fails_the_tick_and_stands_in_the_list(self, desk: Desk, office: Office) -> None:
        desk.done("schedule", "add", "campaign.toml", "--yes")
        office.write("letter.html", LETTER.replace("Saturday", "Sunday"))
        a_minute_passes(office)
        answer = desk.sender("schedule", "tick")
        assert answer.code == 1
        assert "1 schedule held" in answer.err
        listed = desk.done("schedule", "list").out
        assert "campaign.toml was changed since it was approved" in listed
        assert [one["kind"] for one in desk.read("alert", "list")["alerts"]] == ["schedule.held"]

    def test_a_launch_points_to_the_schedule(self, desk: Desk) -> None:
        answer = desk.sender("campaign", "launch", "campaign.toml", "--yes")
        assert answer.code == 1
        assert "sender schedule add FILE" in answer.err


def test_a_tick_that_is_told_to_stop_leaves_the_rest_to_the_next(
    desk: Desk, office: Office, ses: SesFake, database_url: str, tmp_path: Path
) -> None:
    desk.done("schedule", "add", "campaign.toml", "--yes")
    a_minute_passes(office)
    ses.account.rate = 40.0  # so that there is a rest when the signal arrives
    with Popen(
        [sys.executable, "-c", "from sender.cli.app import main; main()", "schedule", "tick"],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment(tmp_path, database_url)},
        cwd=tmp_path,
        stdout=PIPE,
        stderr=PIPE,
    ) as ticking:
        on_bulk_call(ses, 1, lambda: ticking.send_signal(signal.SIGTERM))
        ticking.communicate(timeout=60)
    assert ticking.returncode == 130
    sent = len(ses.messages)
    assert 0 < sent < PEOPLE
    ses.account.rate = 5_000.0
    assert desk.read("schedule", "tick")["sent"] == {"1": "finished"}
    assert len(ses.messages) == PEOPLE
    assert office.counts(1).by_state == {DeliveryState.ACCEPTED: PEOPLE}
