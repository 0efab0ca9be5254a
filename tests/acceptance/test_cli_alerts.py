"""Alerts as an operator types them, on both databases."""

import pytest

from sender.clock import SystemClock
from sender.store.alert_book import raise_alert
from sender.store.engine import Store
from tests.fakes.http import Answer, HttpFake, Request
from tests.support.command_line import Desk


class Receiver(HttpFake):
    def respond(self, request: Request) -> Answer:
        del request
        return Answer(200, b"ok")


def happen(store: Store) -> None:
    with store.write() as session:
        details = {"because": "13 complaints."}
        raise_alert(session, "run.paused", "run 1", now=SystemClock().now(), details=details)


def test_what_stands_is_listed(desk: Desk, store: Store) -> None:
    assert "Nothing needs anybody." in desk.done("alert", "list").out
    happen(store)
    happen(store)
    shown = desk.done("alert", "list").out
    assert "run.paused" in shown
    assert "13 complaints." in shown
    [listed] = desk.read("alert", "list")["alerts"]
    assert (listed["subject"], listed["times"], listed["told"]) == ("run 1", 2, [])


def test_a_resolved_one_is_listed_on_demand_and_named_in_the_audit_trail(
    desk: Desk, store: Store
) -> None:
    happen(store)
    [listed] = desk.read("alert", "list")["alerts"]
    answer = desk.done("alert", "resolve", str(listed["id"]))
    assert "Resolved by olive: run.paused, run 1." in answer.out
    assert desk.read("alert", "list")["alerts"] == []
    [resolved] = desk.read("alert", "list", "--all")["alerts"]
    assert resolved["resolved_at"]
    again = desk.sender("alert", "resolve", str(listed["id"]))
    assert (again.code, "--all" in again.err) == (1, True)


def test_an_unknown_alert_is_said(desk: Desk) -> None:
    answer = desk.sender("alert", "resolve", "7")
    assert answer.code == 1
    assert "sender alert list" in answer.err


def test_a_test_goes_every_way(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENDER_ALERT_EMAILS", "olive@example.com")
    monkeypatch.setenv("SENDER_ALERT_ACCOUNT", "local-outbox")
    with Receiver() as receiver:
        monkeypatch.setenv("SENDER_ALERT_WEBHOOK_URL", receiver.url)
        tried = desk.read("alert", "test")["ways"]
    assert [one["problem"] for one in tried] == ["", ""]
    assert b"olive" in receiver.requests[0].body
    [mail] = (desk.folder / "outbox").rglob("*.eml")
    assert "olive@example.com" in mail.read_text("utf-8")
    assert desk.read("alert", "list")["alerts"] == []


def test_a_test_that_fails_somewhere_exits_1(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = desk.sender("alert", "test")
    assert (nobody.code, "SENDER_ALERT_WEBHOOK_URL" in nobody.out) == (1, True)
    monkeypatch.setenv("SENDER_ALERT_EMAILS", "olive@example.com")
    answer = desk.sender("alert", "test")
    assert answer.code == 1
    assert "SENDER_ALERT_ACCOUNT" in answer.out


def test_doctor_says_whether_anybody_would_hear(desk: Desk, store: Store) -> None:
    happen(store)
    said = desk.sender("doctor").out
    assert "Nobody is told" in said
    assert "alert run.paused: run 1" in said
