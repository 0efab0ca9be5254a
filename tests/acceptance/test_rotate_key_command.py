"""An operator rotates the key of the address hashes: told what to do, at every step."""

from pathlib import Path

import pytest

from tests.support.command_line import Desk, sit_down
from tests.support.factory import HASH_KEY

ANN = "ann@example.org"
ANN_AGREED = """\
first_name,email,consent_purpose,consent_channel,consent_notice,consent_at,consent_method,\
consent_source
Ann,ann@example.org,campaign-news,email,sign-up-form,2026-01-05,web-form,https://example.org/join
"""
SECOND, THIRD = "02" * 32, "03" * 32
FIRST = HASH_KEY.hex()


@pytest.fixture
def desk(
    tmp_path: Path,
    sqlite_url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Desk:
    found = sit_down(tmp_path, sqlite_url, capsys, monkeypatch)
    found.set_up()
    found.done(
        "suppress", "add", ANN, "-c", "riverside", "--reason", "letter",
        "--received-on", "2026-05-07",
    )  # fmt: skip
    return found


def is_blocked(desk: Desk) -> bool:
    return bool(desk.read("suppress", "check", ANN, "-c", "riverside")["blocked"])


def test_somebody_who_said_no_stays_suppressed_when_imported_after_each_rotation(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = desk.write("people.csv", ANN_AGREED)
    old_list = desk.write("old.csv", f"email\n{ANN}\n")
    for keys in (f"{SECOND},{FIRST}", f"{THIRD},{SECOND},{FIRST}"):
        monkeypatch.setenv("SENDER_HASH_KEY", keys)
        done = desk.read("db", "rotate-key")
        assert done == {"keys": 1, "addresses": 1}  # the imports made no second one
        assert is_blocked(desk)
        desk.done("contacts", "import", people, "-c", "riverside")
        desk.done("suppress", "import", old_list, "-c", "riverside")
        assert is_blocked(desk)
        assert desk.done("db", "check").code == 0
    assert desk.read("db", "rotate-key") == {"keys": 0, "addresses": 0}


def test_a_new_key_in_front_is_refused_with_what_to_do_until_it_is_rotated(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENDER_HASH_KEY", f"{SECOND},{FIRST}")
    refused = desk.sender("suppress", "check", ANN, "-c", "riverside")
    assert refused.code == 1
    assert "Run: sender db rotate-key" in refused.err
    finding = key_finding(desk)
    assert (finding["health"], finding["remedy"]) == ("broken", "Run: sender db rotate-key")
    said = desk.done("db", "rotate-key").out
    assert "1 hash of addresses" in said
    assert "Keep the older keys too." in said
    assert "already" in desk.done("db", "rotate-key").out
    assert "and 1 before it" in key_finding(desk)["detail"]


@pytest.mark.parametrize("keys", [FIRST, SECOND, f"{FIRST},{SECOND}"])
def test_after_a_rotation_every_command_refuses_all_but_the_whole_ring(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, keys: str
) -> None:
    monkeypatch.setenv("SENDER_HASH_KEY", f"{SECOND},{FIRST}")
    desk.done("db", "rotate-key")
    monkeypatch.setenv("SENDER_HASH_KEY", keys)
    for command in (
        ("suppress", "check", ANN, "-c", "riverside"),
        ("db", "check"),
        ("db", "upgrade"),
        ("db", "rotate-key"),
        ("suppress", "replay"),
    ):
        answer = desk.sender(*command)
        assert (answer.code, "SENDER_HASH_KEY" in answer.err) == (1, True), command
    assert SECOND not in answer.err
    assert FIRST not in answer.err


def key_finding(desk: Desk) -> dict[str, str]:
    findings = desk.sender("doctor", "--json").document["findings"]
    return next(one for one in findings if one["what"] == "key of the database")
