"""`sender contacts batch`: look at a file's consents, let them count, take them back."""

import io
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from sender.store.audit import AuditEvent
from sender.store.engine import open_store
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


APPROVE = ("contacts", "batch", "approve", "1", "-c", "riverside")


class Terminal(io.StringIO):
    """A person who answers."""

    def isatty(self) -> bool:
        return True


def said_of_approval(url: str) -> dict[str, Any]:
    store = open_store(url)
    query = select(AuditEvent.details).where(AuditEvent.action == "contacts.batch.approve")
    with store.read() as session:
        details: dict[str, Any] = session.scalars(query).one()
    store.close()
    return details


def test_an_approval_by_a_script_brings_the_sample_along_and_is_told_apart(
    case: Case, database_url: str
) -> None:
    case.brings_in(supporter("ann"), approves=False)
    shown = case.desk.read("contacts", "batch", "show", "1", "-c", "riverside")
    answer = case.desk.read(*APPROVE, "--yes")
    assert {name: answer[name] for name in ("sample", "warnings", "consents")} == {
        name: shown[name] for name in ("sample", "warnings", "consents")
    }
    assert answer["sample"][0]["address"] == "ann@example.org"
    assert said_of_approval(database_url)["sample_not_shown"] is True


def test_an_approval_at_a_terminal_is_on_record_without_such_a_remark(
    case: Case, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    case.brings_in(supporter("ann"), approves=False)
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    assert "ann@example.org" in case.desk.done(*APPROVE).out
    assert "sample_not_shown" not in said_of_approval(database_url)
