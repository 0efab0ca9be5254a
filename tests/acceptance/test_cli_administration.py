"""The administrator's commands as a user types them, on both databases."""

from pathlib import Path

import pytest

from tests.support.command_line import CONTROLLER_FILE, NOTICE_FILE, Desk

ANN = "ann@example.org"
PEOPLE = """\
external_ref,first_name,last_name,postcode,email,mobile,consent_purpose,consent_channel,\
consent_notice,consent_at,consent_method,consent_source
1,Ann,Okafor,RV1 1AA,ann@example.org,+447911123456,campaign-news,email,sign-up-form,\
2026-01-05,web-form,https://riverside.example.org/join
2,Bo,Lund,RV1 1AB,bo@example.org,,campaign-news,email,sign-up-form,2026-01-05,web-form,\
https://riverside.example.org/join
3,Cy,Mora,RV1 1AC,not an address,,,,,,,
"""


def record(desk: Desk, address: str = ANN, at: str = "2026-01-05", notice: str = "") -> None:
    desk.done(
        "consent", "record", address, "-c", "riverside", "--purpose", "campaign-news",
        "--notice", notice or "sign-up-form", "--method", "paper", "--source", "form 7",
        "--at", at,
    )  # fmt: skip


def events(desk: Desk, address: str = ANN) -> list[str]:
    document = desk.read("consent", "history", address, "-c", "riverside")
    return [one["what"] for one in document["events"]]


def blocks(desk: Desk, address: str = ANN) -> list[tuple[str, str, str]]:
    document = desk.read("suppress", "check", address, "-c", "riverside")
    return [(one["cause"], one["channel"], one["purpose"]) for one in document["blocks"]]


def test_controllers_and_notices_are_listed_and_shown(desk: Desk) -> None:
    [listed] = desk.read("controller", "list")["controllers"]
    assert (listed["slug"], listed["version"]) == ("riverside", 1)
    shown = desk.read("controller", "show", "riverside")
    assert [one["name"] for one in shown["sender_identities"]] == ["office", "texts"]
    [notice] = desk.read("notice", "list", "-c", "riverside")["notices"]
    assert notice["notice"] == "sign-up-form@1"
    assert "Riverside Association" in desk.done("controller", "list").out
    assert "+447700900001" in desk.done("controller", "show", "riverside").out
    assert "campaign-news" in desk.done("notice", "list", "-c", "riverside").out


def test_a_controller_is_updated_from_its_file(desk: Desk) -> None:
    text = CONTROLLER_FILE.replace("1 High Street", "5 Mill Lane")
    answer = desk.done("controller", "update", desk.write("riverside.toml", text))
    assert "version 2" in answer.out
    again = desk.read("controller", "update", "riverside.toml")
    assert (again["version"], again["done"]) == (2, [])


def test_a_changed_notice_is_a_new_version(desk: Desk) -> None:
    assert "Unchanged" in desk.done("notice", "add", "notice.toml").out
    desk.write("notice.toml", NOTICE_FILE.replace("by e-mail", "now and then by e-mail"))
    assert desk.read("notice", "add", "notice.toml")["version"] == 2


def test_a_yes_and_its_withdrawal_are_on_record(desk: Desk) -> None:
    record(desk, "Ann@Example.ORG")
    assert events(desk) == ["given"]
    desk.done("consent", "withdraw", ANN, "-c", "riverside", "--purpose", "campaign-news")
    assert events(desk) == ["given", "withdrawn"]
    assert blocks(desk) == []
    document = desk.read("consent", "history", ANN, "-c", "riverside")
    assert document["events"][0]["notice"] == "sign-up-form@1"
    assert {one["operator"] for one in document["events"]} == {"olive"}


def test_three_kinds_of_no_are_three_things(desk: Desk) -> None:
    for address in ("a@example.org", "b@example.org", "c@example.org"):
        record(desk, address)
    desk.done(
        "consent", "withdraw", "a@example.org", "-c", "riverside", "--purpose", "campaign-news"
    )
    desk.done("consent", "withdraw", "b@example.org", "-c", "riverside", "--channel")
    desk.done("consent", "withdraw", "c@example.org", "-c", "riverside", "--all")
    assert blocks(desk, "a@example.org") == []
    assert blocks(desk, "b@example.org") == [("opt_out", "email", "all")]
    assert blocks(desk, "c@example.org") == [("objection", "*", "all")]
    assert events(desk, "c@example.org") == ["given", "objected", "objection set"]


def test_a_yes_recorded_later_lifts_no_opt_out_and_says_so(desk: Desk) -> None:
    desk.done("consent", "withdraw", ANN, "-c", "riverside", "--channel", "--at", "2026-01-01")
    answer = desk.read(
        "consent", "record", ANN, "-c", "riverside", "--purpose", "campaign-news", "--notice",
        "sign-up-form@1", "--method", "paper", "--source", "form 8", "--at", "2026-02-01",
    )  # fmt: skip
    assert answer["still_blocked_by"] == ["opt_out"]
    assert blocks(desk) == [("opt_out", "email", "all")]


def test_withdrawing_needs_exactly_one_scope(desk: Desk) -> None:
    for options in ([], ["--all", "--channel"]):
        answer = desk.sender("consent", "withdraw", ANN, "-c", "riverside", *options)
        assert answer.code == 2
        assert "--purpose P, --channel or --all" in answer.err
    assert events(desk) == []


def test_a_letter_stops_everything_to_the_whole_person(desk: Desk) -> None:
    desk.done("contacts", "import", desk.write("people.csv", PEOPLE), "-c", "riverside")
    desk.done(
        "suppress", "add", ANN, "-c", "riverside", "--reason", "letter",
        "--received-on", "2026-03-01",
    )  # fmt: skip
    assert blocks(desk, "+447911123456") == [("objection", "*", "all")]
    [ann] = desk.read("contacts", "find", "okafor", "-c", "riverside")["contacts"]
    assert ann["objected_at"] == "2026-03-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--channel-only"], ("opt_out", "email", "all")),
        (["--purpose", "campaign-news"], ("opt_out", "email", "campaign-news")),
    ],
)
def test_a_phone_call_can_stop_less(
    desk: Desk, options: list[str], expected: tuple[str, str, str]
) -> None:
    desk.done(
        "suppress", "add", ANN, "-c", "riverside", "--reason", "phone",
        "--received-on", "2026-03-01", *options,
    )  # fmt: skip
    assert blocks(desk) == [expected]


def test_no_opt_out_lies_in_the_future(desk: Desk) -> None:
    answer = desk.sender(
        "suppress", "add", ANN, "-c", "riverside", "--reason", "phone",
        "--received-on", "2099-03-01",
    )  # fmt: skip
    assert (answer.code, blocks(desk)) == (1, [])


def test_people_are_imported_and_found_by_everything(desk: Desk) -> None:
    people = desk.write("people.csv", PEOPLE)
    rehearsed = desk.read("contacts", "import", people, "-c", "riverside", "--dry-run")
    assert rehearsed["dry_run"] is True
    assert desk.read("contacts", "find", ANN, "-c", "riverside")["contacts"] == []
    done = desk.read("contacts", "import", people, "-c", "riverside")
    assert done["counts"] == rehearsed["counts"]
    assert (done["counts"]["created"], done["counts"]["problems"]) == (2, 2)
    assert Path(done["rejects_file"]).is_file()
    for text in ("1", "okafor", "Ann Okafor", "rv11aa", "Ann@example.org", "+44 7911 123456"):
        found = desk.read("contacts", "find", text, "-c", "riverside")["contacts"]
        assert [one["name"] for one in found] == ["Ann Okafor"], text
    assert desk.read("contacts", "find", "%", "-c", "riverside")["contacts"] == []
    [batch] = desk.read("contacts", "batch", "list", "-c", "riverside")["batches"]
    assert (batch["file"], batch["operator"]) == ("people.csv", "olive")


def test_nobody_of_another_controller_is_found(desk: Desk) -> None:
    other = CONTROLLER_FILE.replace('"riverside"', '"hillside"')
    desk.done("controller", "add", desk.write("hillside.toml", other))
    desk.done("contacts", "import", desk.write("people.csv", PEOPLE), "-c", "riverside")
    for text in ("okafor", ANN):
        assert desk.read("contacts", "find", text, "-c", "hillside")["contacts"] == []
    assert desk.read("consent", "history", ANN, "-c", "hillside")["events"] == []


def test_old_opt_outs_are_imported_exported_and_declared(desk: Desk) -> None:
    listed = desk.write("old.csv", "email\nann@example.org\nzed@example.org\n")
    desk.done("contacts", "import", desk.write("people.csv", PEOPLE), "-c", "riverside")
    assert desk.read("suppress", "import", listed, "-c", "riverside")["counts"]["created"] == 2
    desk.done("controller", "declare", "riverside", "--opt-outs", "imported")
    assert blocks(desk, "zed@example.org") == [("opt_out", "email", "all")]
    desk.done("suppress", "export", "-c", "riverside", "--to", "blocks.csv")
    lines = (desk.folder / "blocks.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("address,key_hash")
    assert sorted(line.partition(",")[0] for line in lines[1:]) == ["", ANN]
    assert desk.sender("suppress", "export", "-c", "riverside", "--to", "blocks.csv").code == 2
    assert desk.done("suppress", "export", "-c", "riverside").out.splitlines() == lines
    assert len(desk.read("suppress", "export", "-c", "riverside")["blocks"]) == 2


def test_a_yes_that_soon_is_too_old_is_listed_before_it_is(desk: Desk) -> None:
    people = PEOPLE.replace("2026-01-05", "2024-12-01", 1)
    desk.done("contacts", "import", desk.write("people.csv", people), "-c", "riverside")
    desk.done("contacts", "batch", "approve", "1", "-c", "riverside", "--yes")
    far = desk.read("consent", "expiring", "-c", "riverside", "--days", "3650")
    assert far["total"] == len(far["people"]) > 0
    counted = desk.read("consent", "expiring", "-c", "riverside", "--days", "3650", "--counts")
    assert (counted["total"], counted["people"]) == (far["total"], [])
    desk.done("consent", "withdraw", "bo@example.org", "-c", "riverside", "--channel")
    fewer = desk.read("consent", "expiring", "-c", "riverside", "--days", "3650")
    assert fewer["total"] == far["total"] - 1
    assert "bo@example.org" not in [one["address"] for one in fewer["people"]]


def test_a_freeze_is_asked_for_twice(desk: Desk) -> None:
    unasked = desk.sender("controller", "freeze", "riverside", "--reason", "Merged")
    assert unasked.code == 2
    assert "--yes" in unasked.err
    assert desk.read("controller", "show", "riverside")["frozen_since"] is None
    desk.done("controller", "freeze", "riverside", "--reason", "Merged", "--yes")
    assert desk.read("controller", "show", "riverside")["frozen_since"] is not None


def test_a_test_address_waits_for_its_code(desk: Desk) -> None:
    desk.done("controller", "test-address", "add", "riverside", ANN)
    [listed] = desk.read("controller", "test-address", "list", "riverside")["test_addresses"]
    assert (listed["address"], listed["confirmed"]) == (ANN, None)
    wrong = desk.sender("controller", "test-address", "confirm", "riverside", ANN, "WRONG234")
    assert wrong.code == 1
    assert "Tries left: 4" in wrong.err


def test_a_doctor_finds_a_sound_installation_well_and_says_what_is_not(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = desk.read("doctor", "--providers")
    assert found["healthy"] is True
    assert "account local-outbox (outbox)" in [one["what"] for one in found["findings"]]
    monkeypatch.setenv("SENDER_PUBLIC_URL", "http://out.example.org")
    monkeypatch.setenv("SENDER_TOKEN_KEYS", "1:abc")
    ill = desk.sender("doctor")
    assert ill.code == 1
    assert "XX  public address" in ill.out
    assert "XX  token keys" in ill.out


def test_a_doctor_names_the_credential_that_is_missing(desk: Desk) -> None:
    twilio = CONTROLLER_FILE.replace(
        '[[account]]\nname = "local-outbox"',
        '[[account]]\nname = "texting"\nprovider = "twilio"\nkey_variable = "T_SID"\n'
        'secret_variable = "T_TOKEN"\n\n[[account]]\nname = "local-outbox"',
    ).replace(
        'display_name = "Riverside"\naccount = "local-outbox"',
        'display_name = "Riverside"\naccount = "texting"',
    )
    desk.done("controller", "update", desk.write("riverside.toml", twilio))
    answer = desk.sender("doctor")
    assert answer.code == 1
    assert "T_SID is not set" in answer.out
