"""`sender contacts check`, as a user types it."""

from pathlib import Path
from typing import Any

import pytest

from sender.store.engine import open_store
from sender.vocabulary import Channel
from tests.support.command_line import Desk, sit_down
from tests.support.factory import NOW, add_contact, add_point, establish


@pytest.fixture
def desk(
    tmp_path: Path,
    database_url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Desk:
    found = sit_down(tmp_path, database_url, capsys, monkeypatch)
    found.done("db", "upgrade")
    store = open_store(database_url)
    with store.write() as session:
        body, other = establish(session, "harbour"), establish(session, "other")
        ann: dict[str, Any] = {"first_name": "Ann", "last_name": "Okafor", "postcode": "RV1 1AA"}
        people: list[tuple[str, dict[str, Any]]] = [
            ("press@example.org", {"external_ref": "1", **ann}),
            ("ann@yopmail.com", {"external_ref": "2", **ann, "postcode": "rv11aa"}),
            ("bo@example.org", {"first_name": "Bo", "last_name": "Lund", "postcode": "RV1 1AA"}),
            ("cy@example.org", {"last_name": "Mora"}),
            ("dee@example.org", {"last_name": "Mora"}),
            ("info@example.org", {**ann, "objected_at": NOW}),
            ("sales@example.org", {**ann, "erased_at": NOW}),
        ]
        for address, columns in people:
            add_point(session, add_contact(session, body.controller, **columns), address)
        texter = add_contact(session, body.controller)
        add_point(session, texter, "+442079460000", channel=Channel.SMS)
        add_point(session, add_contact(session, other.controller, **ann), "office@example.org")
    store.close()
    return found


def test_it_counts_and_lists_what_is_to_be_doubted(desk: Desk) -> None:
    found = desk.read("contacts", "check", "-c", "harbour")
    assert found["addresses"] == 6, "whoever objected or was erased is left alone"
    assert found["flags"] == {"role_account": 1, "disposable_domain": 1, "no_texts": 1}
    assert [one["address"] for one in found["doubtful"]] == [
        "press@example.org", "ann@yopmail.com", "+442079460000",
    ]  # fmt: skip
    assert found["twin_groups"] == 1
    assert found["twins"][0]["external_refs"] == ["1", "2"]
    shown = desk.done("contacts", "check", "-c", "harbour").out
    assert "throw-away" in shown
    assert "Perhaps one person each" in shown


def test_it_counts_all_and_lists_as_many_as_are_wanted(desk: Desk) -> None:
    found = desk.read("contacts", "check", "-c", "harbour", "--limit", "0")
    assert (found["doubtful"], found["twins"], found["twin_groups"]) == ([], [], 1)
    assert sum(found["flags"].values()) == 3


def test_a_controller_that_is_not_there_is_refused(desk: Desk) -> None:
    assert desk.sender("contacts", "check", "-c", "harbor").code == 1
