"""`sender contacts import` on files of other systems, as a user types it, on both databases."""

import hmac

import pytest

from tests.support.command_line import CONTROLLER_FILE, Desk

EXPORT = """\
uuid,email,name,attributes,status,created_at,updated_at
u1,ann@example.org,Ann Archer,{},enabled,2026-03-04 10:20:30.5 +0000 UTC,
u2,bob@example.org,Bob Baker,{},blocklisted,2026-03-04 10:20:30 +0000 UTC,
"""
EVIDENCE = """\
[columns]
created_at = "consent_at"

[constants]
consent_purpose = "campaign-news"
consent_notice = "sign-up-form"
consent_method = "web-form"
consent_source = "https://riverside.example.org/join"
"""


def test_an_export_is_brought_in_with_its_evidence(desk: Desk) -> None:
    file, evidence = desk.write("export.csv", EXPORT), desk.write("evidence.toml", EVIDENCE)
    done = desk.read(
        "contacts", "import", file, "-c", "riverside", "--preset", "listmonk", "--map", evidence
    )
    assert done["counts"]["consents_recorded"] == 1
    assert done["counts"]["opt_outs_recorded"] == 1
    bob = desk.read("suppress", "check", "bob@example.org", "-c", "riverside")
    assert [one["cause"] for one in bob["blocks"]] == ["opt_out"]


def test_forms_of_rejected_rows_are_told(desk: Desk) -> None:
    file = desk.write("export.csv", EXPORT)
    evidence = desk.write("evidence.toml", EVIDENCE.replace("sign-up-form", "summer-fair"))
    command = ("contacts", "import", file, "-c", "riverside", "--preset", "listmonk")
    told = desk.read(*command, "--map", evidence, "--dry-run")
    [group] = told["rejected_forms"]
    assert (group["form"], group["first_day"], group["rows"]) == ("summer-fair", "2026-03-04", 1)
    assert "summer-fair" in desk.done(*command, "--map", evidence, "--dry-run").out


def test_people_without_consent_need_a_purpose_and_a_time(desk: Desk) -> None:
    file = desk.write("people.csv", "email\nann@example.org\n")
    command = ("contacts", "import", file, "-c", "riverside")
    assert desk.read(*command)["counts"]["rejected"] == 1
    assert desk.sender(*command, "--store", "canvassing").code == 2  # until when?
    assert desk.sender(*command, "--store", "canvassing", "--retain-until", "2020-01-01").code == 2
    assert desk.sender(*command, "--store", "canvassing", "--retain-until", "soon").code == 2
    kept = desk.read(*command, "--store", "canvassing", "--retain-until", "2099-01-01")
    assert kept["counts"]["created"] == 1


@pytest.mark.parametrize(
    "wrong", [("--preset", "x"), ("--country", "ZZ"), ("--map", "email"), ("--set", "email")]
)
def test_wrong_usage_is_told(desk: Desk, wrong: tuple[str, str]) -> None:
    file = desk.write("people.csv", "email\nann@example.org\n")
    answer = desk.sender("contacts", "import", file, "-c", "riverside", *wrong)
    assert answer.code == 2
    assert wrong[0].strip("-") in answer.err or wrong[1] in answer.err


def test_old_opt_outs_hold_at_every_controller_that_is_named(desk: Desk) -> None:
    other = CONTROLLER_FILE.replace('"riverside"', '"hillside"')
    desk.done("controller", "add", desk.write("hillside.toml", other))
    file = desk.write("old.csv", "email\nann@example.org\n")
    assert desk.sender("suppress", "import", file).code == 2
    assert desk.sender("suppress", "import", file, "-c", "riverside", "--all-controllers").code == 2
    assert desk.sender("suppress", "import", file, "-c", "riverside", "-c", "hilside").code == 1
    assert not blocked(desk, "riverside")
    done = desk.read("suppress", "import", file, "-c", "riverside", "-c", "hillside")
    assert {one["counts"]["created"] for one in done["controllers"].values()} == {1}
    assert blocked(desk, "riverside")
    assert blocked(desk, "hillside")
    again = desk.read("suppress", "import", file, "--all-controllers")
    assert {one["counts"]["unchanged"] for one in again["controllers"].values()} == {1}
    assert "hillside" in desk.done("suppress", "import", file, "--all-controllers").out


def blocked(desk: Desk, slug: str) -> bool:
    return bool(desk.read("suppress", "check", "ann@example.org", "-c", slug)["blocked"])


def test_hashes_of_another_system_are_held_until_the_address_comes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLD_SYSTEM_KEY", "a key of the old system")
    listed = hmac.new(b"a key of the old system", b"ann@example.org", "sha256").hexdigest()
    file = desk.write("hashes.csv", f"email_hash,opt_out_at\n{listed},2024-05-07\n")
    command = ("suppress", "import", file, "-c", "riverside", "--hash", "hmac-sha256")
    assert desk.sender(*command).code == 2  # which key?
    told = desk.read(*command, "--hash-key-env", "OLD_SYSTEM_KEY")
    assert told["counts"]["opt_outs_recorded"] == 1
    assert not blocked(desk, "riverside")
    people = desk.write("people.csv", "email\nann@example.org\n")
    kept = ("--store", "canvassing", "--retain-until", "2099-01-01")
    desk.done("contacts", "import", people, "-c", "riverside", *kept)
    assert blocked(desk, "riverside")


@pytest.mark.parametrize(
    "wrong",
    [
        ("--hash", "sha512"),
        ("--hash-key-env", "OLD_SYSTEM_KEY"),
        ("--hash", "sha256", "--hash-key-env", "OLD_SYSTEM_KEY"),
    ],
)
def test_a_way_of_hashing_that_cannot_be_meant_is_refused(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, wrong: tuple[str, ...]
) -> None:
    monkeypatch.setenv("OLD_SYSTEM_KEY", "a key of the old system")
    file = desk.write("hashes.csv", "email_hash\n" + "0" * 64 + "\n")
    assert desk.sender("suppress", "import", file, "-c", "riverside", *wrong).code == 2


def test_who_adds_a_controller_is_told_that_lists_for_all_do_not_hold_there_yet(desk: Desk) -> None:
    file = desk.write("old.csv", "email\nann@example.org\n")
    desk.done("suppress", "import", file, "--all-controllers")
    other = CONTROLLER_FILE.replace('"riverside"', '"hillside"')
    added = desk.done("controller", "add", desk.write("hillside.toml", other))
    assert "sender suppress import FILE -c hillside" in added.out
    assert not blocked(desk, "hillside")
    desk.done("suppress", "import", file, "-c", "hillside")
    assert blocked(desk, "hillside")


def test_a_list_for_one_purpose_stops_that_purpose_at_each_controller_or_at_none(
    desk: Desk,
) -> None:
    other = CONTROLLER_FILE.replace('"riverside"', '"hillside"').replace("campaign-news", "events")
    desk.done("controller", "add", desk.write("hillside.toml", other))
    file = desk.write("old.csv", "email\nann@example.org\n")
    command = ("suppress", "import", file, "--purpose", "campaign-news")
    answer = desk.sender(*command, "-c", "riverside", "-c", "hillside")
    assert answer.code == 1
    assert "purpose campaign-news of controller hillside" in answer.err
    assert not blocked(desk, "riverside")
    desk.done(*command, "-c", "riverside")
    found = desk.read("suppress", "check", "ann@example.org", "-c", "riverside")
    assert [one["purpose"] for one in found["blocks"]] == ["campaign-news"]


def test_hashes_for_one_purpose_are_refused(desk: Desk) -> None:
    file = desk.write("hashes.csv", "email_hash\n" + "0" * 64 + "\n")
    command = ("suppress", "import", file, "-c", "riverside", "--hash", "sha256")
    answer = desk.sender(*command, "--purpose", "campaign-news")
    assert answer.code == 2
    assert "stops more, never less" in answer.err
    assert desk.sender(*command).code == 0
