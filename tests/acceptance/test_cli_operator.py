"""Operators at the command line: a token each, and a role for every command."""

import pytest

from sender.operators.permissions import ACCESS, Nobody, access_of, row_of
from sender.operators.roles import Role
from tests.support.command_line import CONTROLLER_FILE, Desk
from tests.support.every_command import every_command

CAMPAIGN = """\
name = "spring"
controller = "riverside"
channel = "email"
purpose = "campaign-news"
subject = "Come along"
template = "letter.html"
max_recipients = 10
[window]
from = "00:00"
to = "24:00"
"""


@pytest.fixture
def desk(desk: Desk) -> Desk:
    desk.write("letter.html", "<p>Come along on Saturday.</p>\n")
    desk.write("spring.toml", CAMPAIGN)
    return desk


def enter(desk: Desk, name: str, *options: str) -> str:
    token = desk.read("operator", "add", name, *options)["token"]
    assert isinstance(token, str)
    return token


def test_the_table_has_every_command() -> None:
    assert [command for command in every_command() if row_of(command) is None] == []


def test_the_table_has_no_row_that_rules_no_command() -> None:
    assert ACCESS.keys() - {row_of(command) for command in every_command()} == set()


def test_what_runs_as_a_service_is_listed_here_too() -> None:
    services = {command for command in every_command() if access_of(command) is Nobody.SERVICE}
    assert services == {
        "db check", "db upgrade", "demo", "doctor", "inbound mailbox", "reconcile",
        "schedule tick", "status", "web", "worker",
    }  # fmt: skip


def test_a_command_that_is_not_listed_takes_an_officer() -> None:
    assert access_of("teleport everybody") == frozenset({Role.OFFICER})


def test_without_operators_nothing_is_asked(desk: Desk) -> None:
    assert desk.read("operator", "list") == {"operators": []}
    desk.done("contacts", "find", "Ann", "-c", "riverside")


def test_from_the_first_operator_on_every_command_asks_for_a_token(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = enter(desk, "olive", "--role", "officer", "--role", "data")
    for command in (["contacts", "find", "Ann", "-c", "riverside"], ["operator", "list"]):
        refused = desk.sender(*command)
        assert (refused.code, "SENDER_OPERATOR_TOKEN" in refused.err) == (1, True)
    desk.done("status")
    desk.done("db", "check")
    monkeypatch.setenv("SENDER_OPERATOR_TOKEN", token)
    desk.done("contacts", "find", "Ann", "-c", "riverside")
    assert desk.read("operator", "list")["operators"][0]["name"] == "olive"


def test_the_audit_trail_has_the_name_of_the_token(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENDER_OPERATOR_TOKEN", enter(desk, "olive", "--role", "officer"))
    signed = desk.read(
        "--operator", "somebody", "controller", "declare", "riverside", "--opt-outs", "none-exist"
    )
    assert signed["operator"] == "olive"


def test_a_role_is_for_its_controllers(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    other = CONTROLLER_FILE.replace('"riverside"', '"hilltop"').replace("00001", "00002")
    desk.done("controller", "add", desk.write("hilltop.toml", other))
    olive = enter(desk, "olive", "--role", "officer")
    monkeypatch.setenv("SENDER_OPERATOR_TOKEN", olive)
    ben = enter(desk, "ben", "--role", "data", "--role", "launch", "-c", "hilltop")
    monkeypatch.setenv("SENDER_OPERATOR_TOKEN", ben)
    desk.done("contacts", "find", "Ann", "-c", "hilltop")
    for command in (
        ["contacts", "find", "Ann", "-c", "riverside"],
        ["campaign", "launch", "spring.toml", "--dry-run"],
        ["controller", "update", "hilltop.toml"],
        ["operator", "add", "dan", "--role", "data"],
        ["suppress", "replay"],
    ):
        refused = desk.sender(*command)
        assert (refused.code, "ben may not do this" in refused.err) == (1, True), command


def test_revoking_is_asked_about_and_holds(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    olive = enter(desk, "olive", "--role", "officer")
    monkeypatch.setenv("SENDER_OPERATOR_TOKEN", olive)
    ben = enter(desk, "ben", "--role", "data")
    assert desk.sender("operator", "revoke", "ben").code == 2
    assert desk.read("operator", "revoke", "ben", "--yes")["paused_schedules"] == []
    monkeypatch.setenv("SENDER_OPERATOR_TOKEN", ben)
    assert "was revoked" in desk.sender("notice", "list", "-c", "riverside").err


def test_two_people_approve_and_launch(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.done("controller", "declare", "riverside", "--opt-outs", "none-exist")
    desk.write("riverside.toml", "two_person = true\n" + CONTROLLER_FILE)
    desk.done("controller", "update", "riverside.toml")
    assert desk.read("controller", "show", "riverside")["two_person"] is True
    olive = enter(desk, "olive", *[f"--role={role}" for role in Role])
    monkeypatch.setenv("SENDER_OPERATOR_TOKEN", olive)
    ben = enter(desk, "ben", "--role", "launch")
    approved = desk.read("campaign", "approve", "spring.toml", "--yes")
    assert len(approved["sha256"]) == 64
    refused = desk.sender("campaign", "launch", "spring.toml", "--yes")
    assert "olive approved this text" in refused.err
    monkeypatch.setenv("SENDER_OPERATOR_TOKEN", ben)
    desk.done("campaign", "launch", "spring.toml", "--yes")


def test_an_approver_sees_what_an_approval_lifts(desk: Desk) -> None:
    desk.write("survey.toml", CAMPAIGN.replace('"spring"', '"survey"\nkind = "research"'))
    assert "--reason" in desk.sender("campaign", "approve", "survey.toml", "--yes").err
    shown = desk.done("campaign", "approve", "survey.toml", "--reason", "A study", "--yes").out
    assert "sign-ups" in shown
    assert "come along" in shown
