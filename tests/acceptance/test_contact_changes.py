"""`sender contacts twins | merge | move | confirm-move`, as an operator types them."""

import re
from pathlib import Path

import pytest

from tests.support.command_line import Desk, sit_down

PEOPLE = """\
external_ref,first_name,last_name,postcode,email,consent_notice,consent_purpose,\
consent_channel,consent_at,consent_method,consent_source
crm-1,Ann,Okafor,RV1 1AA,ann.okafor@gmail.com,sign-up-form,campaign-news,email,\
2026-05-01,web-form,https://riverside.example.org/join
crm-2,Anne,Okafor,RV1 1AA,annokafor@gmail.com,sign-up-form,campaign-news,email,\
2026-05-01,web-form,https://riverside.example.org/join
"""


@pytest.fixture
def desk(
    sqlite_url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Desk:
    monkeypatch.setenv("SENDER_OUTBOX", str(tmp_path / "outbox"))
    desk = sit_down(tmp_path, sqlite_url, capsys, monkeypatch)
    desk.set_up()
    desk.done("contacts", "import", desk.write("people.csv", PEOPLE), "-c", "riverside")
    desk.done("contacts", "batch", "approve", "1", "-c", "riverside", "--yes")
    return desk


def blocked(desk: Desk, address: str) -> bool:
    return bool(desk.read("suppress", "check", address, "-c", "riverside")["blocked"])


def test_twins_are_found_tried_and_merged(desk: Desk) -> None:
    (twins,) = desk.read("contacts", "twins", "-c", "riverside")["twins"]
    assert twins["likeness"] == "same_mailbox"
    kept, other = (str(one["contact_id"]) for one in twins["contacts"])
    opted_out = ("--reason", "letter", "--received-on", "2026-05-02", "--channel-only")
    desk.done("suppress", "add", "annokafor@gmail.com", "-c", "riverside", *opted_out)

    merge = ("contacts", "merge", kept, other, "-c", "riverside")
    tried = desk.read(*merge, "--dry-run")
    (stricter,) = tried["merged"]["stricter"]
    assert (stricter["contact"], stricter["reason"]) == (int(kept), "suppressed")
    assert not blocked(desk, "ann.okafor@gmail.com")
    assert desk.sender(*merge).code == 2  # nobody said yes
    shown = desk.done(*merge, "--yes").out
    assert "opted out" in shown
    assert "first_name" in shown
    assert blocked(desk, "ann.okafor@gmail.com")
    assert desk.read("contacts", "twins", "-c", "riverside") == {"twins": []}
    (found,) = desk.read("contacts", "find", "crm-2", "-c", "riverside")["contacts"]
    assert found["external_ref"] == "crm-1"
    assert desk.sender(*merge, "--yes").code == 1
    desk.done("db", "check")


def test_the_next_import_of_the_twin_is_the_persons_own(desk: Desk) -> None:
    addresses = ("ann.okafor@gmail.com", "annokafor@gmail.com")
    desk.done("contacts", "merge", *addresses, "-c", "riverside", "--yes")
    letter = ("--reason", "letter", "--received-on", "2026-05-02")
    desk.done("suppress", "add", addresses[0], "-c", "riverside", *letter)
    again = desk.write("again.csv", "external_ref,email\ncrm-2,anne@example.org\n")
    counts = desk.read("contacts", "import", again, "-c", "riverside")
    assert counts["counts"]["merged"] == 1, counts
    (found,) = desk.read("contacts", "find", "crm-2", "-c", "riverside")["contacts"]
    assert found["external_ref"] == "crm-1"
    assert set(found["addresses"]) == {*addresses, "anne@example.org"}
    assert blocked(desk, "anne@example.org")


def test_a_changed_address_is_told_of_and_confirmed(desk: Desk) -> None:
    opened = ("request", "open", "rectification", "-c", "riverside", "--received-on", "2026-05-03")
    request = desk.read(*opened, "--address", "ann.okafor@gmail.com")["request"]["id"]
    move = ("contacts", "move", "ann.okafor@gmail.com", "ann@example.com", "-c", "riverside")
    told = desk.read(*move, "--request", str(request))["moved"]
    assert told["waiting"] == ["campaign-news"]
    assert blocked(desk, "ann.okafor@gmail.com")
    (mail,) = (desk.folder / "outbox").rglob("-*.eml")
    text = mail.read_text(encoding="utf-8")
    code = re.search(r"your code is ([0-9A-Z]{8})", text)
    assert code is not None
    confirm = ("contacts", "confirm-move", "ann@example.com")
    wrong = desk.sender(*confirm, "WRONG234", "-c", "riverside")
    assert (wrong.code, "Tries left: 4" in wrong.err) == (1, True)
    done = desk.read(*confirm, code[1], "-c", "riverside", "--by", "email")
    assert done == {"confirmed": True, "purposes": ["campaign-news"]}
    assert not blocked(desk, "ann@example.com")
    page = desk.done("consent", "history", "ann@example.com", "-c", "riverside").out
    assert "address-move" in page
    desk.done("db", "check")


def test_a_number_is_no_new_e_mail_address(desk: Desk) -> None:
    move = ("contacts", "move", "ann.okafor@gmail.com", "+447911123456", "-c", "riverside")
    answer = desk.sender(*move)
    assert (answer.code, "no change of one address" in answer.err) == (2, True)
