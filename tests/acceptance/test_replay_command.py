"""An operator restores a backup: told at once, told what to do, and told what was done."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sender.store.engine import Store, open_store
from tests.support.backups import backup_of
from tests.support.command_line import Desk, sit_down

ANN = "ann@example.org"


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


@pytest.fixture
def store(sqlite_url: str) -> Iterator[Store]:
    opened = open_store(sqlite_url)
    yield opened
    opened.close()


def lose_an_opt_out(desk: Desk, store: Store) -> None:
    with backup_of(store) as backup:
        desk.done(
            "suppress", "add", ANN, "-c", "riverside", "--reason", "phone",
            "--received-on", "2026-05-07",
        )  # fmt: skip
        backup.restore()


def journal_finding(desk: Desk) -> dict[str, str]:
    findings = desk.sender("doctor", "--json").document["findings"]
    return next(one for one in findings if one["what"] == "journal")


def test_doctor_and_check_tell_that_the_database_is_behind(desk: Desk, store: Store) -> None:
    assert "begins with the first opt-out" in journal_finding(desk)["detail"]
    lose_an_opt_out(desk, store)
    finding = journal_finding(desk)
    assert finding["health"] == "broken"
    assert "behind its journal" in finding["detail"]
    assert "sender suppress replay" in finding["remedy"]
    checked = desk.sender("db", "check", "--json")
    assert checked.code == 1
    assert [fault["table"] for fault in checked.document["faults"]] == ["journal"]


def test_a_replay_says_what_it_did(desk: Desk, store: Store) -> None:
    lose_an_opt_out(desk, store)
    assert desk.read("suppress", "check", ANN, "-c", "riverside")["blocked"] is False
    looked = desk.done("suppress", "replay", "--dry-run")
    assert "Nothing was changed." in looked.out
    done = desk.read("suppress", "replay")
    assert (done["journals"], done["noes"], done["held_runs"]) == (1, 1, [])
    assert desk.read("suppress", "check", ANN, "-c", "riverside")["blocked"] is True
    assert "lacks nothing" in desk.done("suppress", "replay").out
    assert desk.done("db", "check").code == 0
    assert "holds all of" in journal_finding(desk)["detail"]
    assert ANN not in (desk.folder / "opt-outs.journal").read_text(encoding="utf-8")


def test_a_journal_that_is_off_is_pointed_out(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENDER_JOURNAL", "off")
    assert journal_finding(desk)["health"] == "attention"
    refused = desk.sender("suppress", "replay")
    assert (refused.code, "SENDER_JOURNAL is off" in refused.err) == (1, True)


def test_another_database_s_journal_is_refused_at_once(
    desk: Desk, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lose_an_opt_out(desk, store)
    monkeypatch.setenv("SENDER_DATABASE_URL", f"sqlite:///{tmp_path}/other.sqlite3")
    desk.done("db", "upgrade")
    refused = desk.sender("suppress", "check", ANN, "-c", "riverside")
    assert (refused.code, "belongs to another database" in refused.err) == (1, True)
