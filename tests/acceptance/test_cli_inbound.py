"""Mail and the providers' own records, taken in by typing a command, on both databases."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sender.clock import SystemClock
from tests.fakes.twilio import TwilioFake
from tests.support.command_line import CONTROLLER_FILE, Desk

STOP = b"""\
From: Ann Okafor <ann@example.org>
To: office@riverside.example.org
Subject: Re: Your local newsletter
Date: Thu, 07 May 2026 10:00:00 +0100
Message-ID: <reply-1@example.org>

Please take me off your list.
"""
VACATION = STOP.replace(b"<reply-1@", b"<reply-2@").replace(
    b"Subject:", b"Auto-Submitted: yes\nSubject:"
)
NUMBER = "+447700900001"


@pytest.fixture
def desk(desk: Desk, tmp_path: Path) -> Desk:
    for name in ("new", "cur", "tmp"):
        (tmp_path / "Maildir" / name).mkdir(parents=True)
    return desk


@pytest.fixture
def twilio(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[TwilioFake]:
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", "AC" + "0" * 32)
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "tokenEXAMPLE")
    with TwilioFake() as fake:
        account = f'provider = "twilio"\nendpoint_url = "{fake.url}"\n'
        text = CONTROLLER_FILE.replace(
            'display_name = "Riverside"\naccount = "local-outbox"',
            'display_name = "Riverside"\naccount = "texting"',
        )
        text += f'\n[[account]]\nname = "texting"\n{account}'
        desk.done("controller", "update", desk.write("riverside.toml", text))
        yield fake


def drop(desk: Desk, name: str, raw: bytes) -> None:
    (desk.folder / "Maildir" / "new" / name).write_bytes(raw)


def causes(desk: Desk, address: str) -> list[str]:
    found = desk.read("suppress", "check", address, "-c", "riverside")
    return [one["cause"] for one in found["blocks"]]


def test_a_mailbox_is_read_once(desk: Desk) -> None:
    drop(desk, "1", STOP)
    drop(desk, "2", VACATION)
    first = desk.done("inbound", "mailbox", "Maildir")
    assert "stop" in first.out
    assert causes(desk, "ann@example.org") == ["opt_out"]
    again = desk.read("inbound", "mailbox", "Maildir", "--all")
    assert (again["again"], again["replies"], again["unread"]) == (2, {}, {})
    assert list((desk.folder / "Maildir" / "new").iterdir()) == []


def test_messages_can_be_left_unseen(desk: Desk) -> None:
    drop(desk, "1", STOP)
    found = desk.read("inbound", "mailbox", "Maildir", "--keep")
    assert found["replies"] == {"stop": 1}
    assert [path.name for path in (desk.folder / "Maildir" / "new").iterdir()] == ["1"]


def test_what_cannot_be_read_is_named_and_the_rest_is_taken_in(desk: Desk) -> None:
    drop(desk, "1", b"Subject: from nobody\n\nSTOP\n")
    drop(desk, "2", STOP)
    answer = desk.sender("inbound", "mailbox", "Maildir")
    assert answer.code == 1
    assert "no author" in answer.out
    assert "example.org" not in answer.out + answer.err
    assert causes(desk, "ann@example.org") == ["opt_out"]
    assert desk.sender("inbound", "mailbox", "Maildir", "--json").document["unread"].keys() == {"1"}


def test_a_folder_that_is_no_maildir_is_refused(desk: Desk) -> None:
    answer = desk.sender("inbound", "mailbox", "elsewhere")
    assert answer.code == 1
    assert "no maildir" in answer.err


def test_reconcile_says_what_a_dead_webhook_missed(desk: Desk, twilio: TwilioFake) -> None:
    at = SystemClock().now() - timedelta(hours=1)
    twilio.note(body="STOP", to=NUMBER, from_="+447911123456", at=at)
    answer = desk.done("reconcile")
    assert "texting" in answer.out
    assert "Missed by webhook" in answer.out
    assert causes(desk, "+447911123456") == ["opt_out"]
    [again] = desk.read("reconcile", "--account", "texting")["accounts"]
    assert (again["looked_at"], again["missed"], again["opt_outs"]) == (1, {}, 0)
    [early] = desk.read("reconcile", "--since", "2026-01-01")["accounts"]
    assert datetime.fromisoformat(early["since"]) == datetime(2026, 1, 1, tzinfo=UTC)


def test_reconcile_fails_if_an_account_cannot_be_asked(desk: Desk, twilio: TwilioFake) -> None:
    twilio.known_token = "another"
    answer = desk.sender("reconcile")
    assert answer.code == 1
    assert "texting" in answer.err
    [found] = desk.sender("reconcile", "--json").document["accounts"]
    assert found["problems"]


def test_without_an_account_that_keeps_a_record_there_is_nothing_to_ask(desk: Desk) -> None:
    assert "No account" in desk.done("reconcile").out
    refused = desk.sender("reconcile", "--account", "local-outbox")
    assert refused.code == 1
    assert "local-outbox" in refused.err


def test_a_letter_stops_a_person_who_is_not_known(desk: Desk) -> None:
    desk.done(
        "suppress", "add", "zed@example.org", "-c", "riverside",
        "--reason", "letter", "--received-on", "2026-05-07",
    )  # fmt: skip
    assert causes(desk, "zed@example.org") == ["objection"]
