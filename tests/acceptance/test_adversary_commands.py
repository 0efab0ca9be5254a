"""What an erasure and a role are worth when somebody goes round them, by commands."""

import pytest

from sender.store.engine import Store
from tests.support.backups import backup_of
from tests.support.command_line import CONTROLLER_FILE, Desk
from tests.support.factory import HASH_KEY
from tests.support.held import where_found

ANN = "ann@example.org"
COLUMNS = (
    "first_name,email,mobile,consent_purpose,consent_channel,consent_notice,consent_at,"
    "consent_method,consent_source\n"
)
ANN_AGREED = (
    COLUMNS + "Annabel,ann@example.org,+447911123456,campaign-news,email,sign-up-form,2026-01-05,"
    "web-form,https://example.org/join\n"
)
TWO_KEYS = f"{'02' * 32},{HASH_KEY.hex()}"
CAMPAIGN = """\
name = "spring"
controller = "riverside"
channel = "email"
purpose = "campaign-news"
subject = "Come along"
template = "letter.html"
max_recipients = 10
"""
SHARED = CONTROLLER_FILE.replace('"riverside"', '"hilltop"').replace("00001", "00002")


def bring_ann(desk: Desk) -> None:
    people = desk.write("people.csv", ANN_AGREED)
    batch = desk.read("contacts", "import", people, "-c", "riverside")["batch"]
    desk.done("contacts", "batch", "approve", str(batch), "-c", "riverside", "--yes")


def is_blocked(desk: Desk) -> bool:
    return bool(desk.read("suppress", "check", ANN, "-c", "riverside")["blocked"])


def places(store: Store) -> set[str]:
    """Return the columns in which Ann is found in plain."""
    with store.read() as session:
        return where_found(session, "Annabel", ANN, "+447911123456")


def test_whoever_was_erased_stays_erased_through_a_restored_backup_and_a_rotation(
    desk: Desk, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring_ann(desk)
    with backup_of(store) as backup:
        desk.done("subject", "erase", ANN, "-c", "riverside", "--yes")
        again = desk.read("contacts", "import", desk.folder / "people.csv", "-c", "riverside")
        assert again["counts"]["rejected"] == 1
        desk.done("consent", "withdraw", ANN, "-c", "riverside", "--channel")
        backup.restore()
    assert places(store)
    assert desk.read("suppress", "replay", "--dry-run")["erased_again"] == 0
    assert places(store)
    assert desk.read("suppress", "replay")["erased_again"] == 2
    assert places(store) == set()
    assert desk.read("suppress", "replay")["erased_again"] == 0
    monkeypatch.setenv("SENDER_HASH_KEY", TWO_KEYS)
    desk.done("db", "rotate-key")
    later = desk.read("contacts", "import", desk.write("b.csv", ANN_AGREED), "-c", "riverside")
    assert later["counts"]["rejected"] == 1
    assert is_blocked(desk)
    assert places(store) == set()
    desk.done("db", "check")


def test_rotating_the_key_takes_an_officer_like_every_command_of_the_table(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = desk.read("operator", "add", "olive", "--role", "officer")["token"]
    monkeypatch.setenv("SENDER_HASH_KEY", TWO_KEYS)
    assert "SENDER_OPERATOR_TOKEN" in desk.sender("db", "rotate-key").err
    monkeypatch.setenv("SENDER_HASH_KEY", HASH_KEY.hex())
    monkeypatch.setenv("SENDER_OPERATOR_TOKEN", token)
    ben = desk.read("operator", "add", "ben", "--role", "data")["token"]
    monkeypatch.setenv("SENDER_HASH_KEY", TWO_KEYS)
    monkeypatch.setenv("SENDER_OPERATOR_TOKEN", ben)
    assert "ben may not do this" in desk.sender("db", "rotate-key").err
    monkeypatch.setenv("SENDER_OPERATOR_TOKEN", token)
    assert desk.read("db", "rotate-key")["keys"] == 1


def test_an_officer_of_one_controller_does_not_say_where_anothers_messages_go(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.done("controller", "add", desk.write("hilltop.toml", SHARED))
    olive = desk.read("operator", "add", "olive", "--role", "officer")["token"]
    monkeypatch.setenv("SENDER_OPERATOR_TOKEN", olive)
    ben = desk.read("operator", "add", "ben", "--role", "officer", "-c", "hilltop")["token"]
    monkeypatch.setenv("SENDER_OPERATOR_TOKEN", ben)
    desk.write("hilltop.toml", SHARED.replace("Pat Promoter", "Sam Promoter"))
    desk.done("controller", "update", "hilltop.toml")
    elsewhere = 'provider = "outbox"\noptions = {folder = "mine"}'
    desk.write("hilltop.toml", SHARED.replace('provider = "outbox"', elsewhere))
    assert "ben may not do this" in desk.sender("controller", "update", "hilltop.toml").err
    monkeypatch.setenv("SENDER_OPERATOR_TOKEN", olive)
    desk.done("controller", "update", "hilltop.toml")


def test_speaking_for_another_body_takes_the_role_there_too(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.done("controller", "add", desk.write("hilltop.toml", SHARED))
    olive = desk.read("operator", "add", "olive", "--role", "officer")["token"]
    monkeypatch.setenv("SENDER_OPERATOR_TOKEN", olive)
    ben = desk.read("operator", "add", "ben", "--role", "launch", "-c", "riverside")["token"]
    monkeypatch.setenv("SENDER_OPERATOR_TOKEN", ben)
    desk.write("letter.html", "<p>Come along on Saturday.</p>\n")
    desk.write("spring.toml", CAMPAIGN)
    assert "may not do this" not in desk.sender("campaign", "launch", "spring.toml", "--yes").err
    desk.write("spring.toml", CAMPAIGN + 'on_behalf_of = ["hilltop"]\n')
    for command in (
        ["campaign", "launch", "spring.toml", "--yes"],
        ["schedule", "add", "spring.toml", "--yes"],
        ["explain", ANN, "--campaign", "spring.toml"],
    ):
        assert "ben may not do this" in desk.sender(*command).err, command
