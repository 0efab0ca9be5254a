"""`sender contacts batch`: look at a file's consents, let them count, take them back."""

from pathlib import Path

import pytest

from tests.support.case import Case, supporter
from tests.support.command_line import sit_down


@pytest.fixture
def case(
    tmp_path: Path,
    database_url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Case:
    desk = sit_down(tmp_path, database_url, capsys, monkeypatch)
    desk.set_up()
    return Case(desk)


def states(case: Case) -> list[str]:
    return [one["state"] for one in case.desk.read("contacts", "batch", "list", "-c", "riverside")[
        "batches"
    ]]  # fmt: skip


def test_a_batch_is_looked_at_approved_and_revoked(case: Case) -> None:
    case.brings_in(supporter("ann"), approves=False)
    assert states(case) == ["awaits approval"]
    shown = case.desk.done("contacts", "batch", "show", "1", "-c", "riverside").out
    assert "ann@example.org" in shown
    assert "sign-up-form@1" in shown
    asked = case.desk.sender("contacts", "batch", "approve", "1", "-c", "riverside")
    assert (asked.code, "--yes" in asked.err) == (2, True)
    case.desk.done("contacts", "batch", "approve", "1", "-c", "riverside", "--yes")
    assert states(case) == ["approved"]
    because = ("--because", "the form was pre-ticked", "--yes")
    case.desk.done("contacts", "batch", "revoke", "1", "-c", "riverside", *because)
    assert states(case) == ["revoked"]
    assert case.why_not("ann@example.org", case.campaign()) == "invalidated"


def test_somebody_else_approves_where_there_is_somebody_else(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = [word for role in ("prepare", "approve", "launch", "data", "officer")
                  for word in ("--role", role)]  # fmt: skip
    mary = case.desk.read("operator", "add", "mary", *everything)["token"]
    monkeypatch.setenv("SENDER_OPERATOR_TOKEN", mary)
    case.brings_in(supporter("ann"))  # she is alone, and has all roles
    olga = case.desk.read("operator", "add", "olga", "--role", "approve")["token"]
    case.brings_in(supporter("bo"), approves=False)
    approve = ("contacts", "batch", "approve", "2", "-c", "riverside", "--yes")
    refused = case.desk.sender(*approve)
    assert "somebody else has to approve it" in refused.err
    monkeypatch.setenv("SENDER_OPERATOR_TOKEN", olga)
    case.desk.done(*approve)
