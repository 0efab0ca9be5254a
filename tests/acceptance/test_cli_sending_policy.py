"""`sender controller show` says when, how often and how far a controller's runs may go."""

from pathlib import Path

import pytest

from tests.support.command_line import CONTROLLER_FILE, Desk, sit_down

POLICY = '[window]\nfrom = "10:00"\nto = "18:00"\n[[frequency_cap]]\nmessages = 2\ndays = 7\n'


@pytest.fixture
def desk(
    tmp_path: Path,
    sqlite_url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Desk:
    found = sit_down(tmp_path, sqlite_url, capsys, monkeypatch)
    found.set_up()
    return found


def test_the_policy_is_shown_to_people_and_scripts(desk: Desk) -> None:
    shown = desk.read("controller", "show", "riverside")
    assert shown["sending_hours"] == "09:00 to 20:00"
    assert shown["frequency_caps"] == []
    assert shown["brake"]["complaint_percent"] == 0.1
    desk.done("controller", "update", desk.write("riverside.toml", CONTROLLER_FILE + POLICY))
    shown = desk.read("controller", "show", "riverside")
    assert shown["sending_hours"] == "10:00 to 18:00"
    assert shown["frequency_caps"] == [{"messages": 2, "days": 7, "across_channels": False}]
    text = desk.done("controller", "show", "riverside").out
    assert "10:00 to 18:00" in text
    assert "Frequency caps" in text
    assert "Complaint percent" in text
