"""After a freeze: what a controller's operators can no longer do, as they would try it (¶84-86)."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from sender.campaigns.launch import prepare_launch
from sender.store.engine import open_store
from sender.store.schedules import Schedule
from tests.support.campaign_folder import Office, open_office
from tests.support.command_line import CONTROLLER_FILE, Desk, sit_down
from tests.support.every_command import every_command
from tests.support.factory import add_declaration, establish

ASKS = '[audience]\nexpiring_within = "110w"\n'
LETTER = '<p>Shall we go on? <a href="{{ confirm_url }}">Yes, go on</a></p>\n'
ANOTHER = LETTER.replace("go on?", "write on?")
EVERY_MINUTE = '[schedule]\ncron = "* * * * *"\ntime_zone = "Europe/London"\n'
NOTICE = """\
controller = "riverside"
slug = "{slug}"
wording = "Yes, Riverside Association may send me campaign news by e-mail."
channels = ["email"]
purposes = ["campaign-news"]
controllers = ["riverside"]
privacy_notice_url = "https://riverside.example.org/privacy"
shown_from = {shown_from}
signed_off_by = "Pat Promoter"
"""
PEOPLE = """\
email,consent_purpose,consent_channel,consent_notice,consent_at,consent_method,consent_source
person0@example.org,campaign-news,email,sign-up-form,{at},web-form,join page
person1@example.org,campaign-news,email,sign-up-form,{at},web-form,join page
"""


@pytest.fixture
def office(database_url: str, tmp_path: Path) -> Iterator[Office]:
    store = open_store(database_url)
    with open_office(store, tmp_path, people=3) as opened:
        opened.write("letter.html", LETTER)
        opened.file(more=ASKS)
        yield opened
    store.close()


@pytest.fixture
def desk(
    office: Office,
    database_url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Desk:
    del office
    return sit_down(tmp_path, database_url, capsys, monkeypatch)


def freeze(desk: Desk, slug: str = "riverside") -> datetime:
    said = desk.read("controller", "freeze", slug, "--reason", "A new party", "--yes")
    return datetime.fromisoformat(said["frozen_at"])


def refused_as_renewal(desk: Desk, *command: str) -> None:
    said = desk.sender(*command)
    assert said.code == 1
    assert "audience.expiring_within" in said.err
    assert "¶84-86" in said.err


def why(desk: Desk, office: Office, number: int) -> str | None:
    """Return why one of the people may not be written to; None: they may."""
    office.write("plain.html", "<p>Come along.</p>\n")
    office.file(template="plain.html")
    [one] = desk.read("explain", f"person{number}@example.org", "--campaign", "campaign.toml")
    reason = one["reason"]
    assert reason is None or isinstance(reason, str)
    return reason


@pytest.mark.parametrize(
    "command",
    [
        ("campaign", "check", "campaign.toml"),
        ("campaign", "preview", "campaign.toml"),
        ("campaign", "approve", "campaign.toml", "--yes"),
        ("campaign", "launch", "campaign.toml", "--dry-run"),
        ("campaign", "launch", "campaign.toml", "--yes"),
    ],
)
def test_a_frozen_controller_asks_nobody_to_renew(desk: Desk, command: tuple[str, ...]) -> None:
    assert desk.read("campaign", "check", "campaign.toml")["recipients"] == 3
    freeze(desk)
    refused_as_renewal(desk, *command)
    assert desk.read("campaign", "status") == []


def test_a_renewal_that_was_under_way_is_neither_amended_nor_resumed(
    desk: Desk, office: Office
) -> None:
    launch = prepare_launch(office.context, office.email(ASKS))
    launch.confirm()
    launch.close()
    desk.done("campaign", "pause", str(launch.run_id))
    freeze(desk)
    office.write("letter.html", ANOTHER)
    refused_as_renewal(desk, "campaign", "amend", str(launch.run_id), "campaign.toml", "--yes")
    refused_as_renewal(desk, "campaign", "resume", str(launch.run_id), "--yes")
    assert list(office.context.settings.outbox.rglob("*.eml")) == []
    desk.done("campaign", "cancel", str(launch.run_id), "--yes")


def test_a_renewal_that_goes_by_itself_is_paused_then_held_and_never_added_again(
    desk: Desk, office: Office
) -> None:
    office.file(more=ASKS + EVERY_MINUTE)
    desk.done("schedule", "add", "campaign.toml", "--yes")
    assert desk.read("controller", "freeze", "riverside", "--reason", "A new party", "--yes")[
        "paused_schedules"
    ] == [1]
    refused_as_renewal(desk, "schedule", "add", "campaign.toml", "--yes")
    desk.done("schedule", "resume", "1")
    with office.store.write() as session:
        before = office.context.clock.now() - timedelta(minutes=1)
        session.execute(update(Schedule).values(considered_through=before))
    desk.sender("schedule", "tick")
    [line] = desk.read("schedule", "list")
    assert line["state"] == "held"
    assert "¶84-86" in line["because"]
    assert list(office.context.settings.outbox.rglob("*.eml")) == []


def test_a_frozen_body_is_not_spoken_for(desk: Desk, office: Office) -> None:
    with office.store.write() as session:
        add_declaration(session, establish(session, "jones").controller)
    office.write("plain.html", "<p>Come along.</p>\n")
    office.file(template="plain.html", on_behalf_of=["jones"])
    desk.done("campaign", "launch", "campaign.toml", "--dry-run")
    freeze(desk, "jones")
    for command in (["check"], ["launch", "--yes"]):
        said = desk.sender("campaign", command[0], "campaign.toml", *command[1:])
        assert (said.code, "on_behalf_of[1]: jones is frozen" in said.err) == (1, True)
        assert "¶84-86" in said.err


def test_the_evidence_of_a_day_before_the_freeze_still_answers(desk: Desk, office: Office) -> None:
    before = office.context.clock.now()
    freeze(desk)
    asked = ["evidence", "person0@example.org", "--campaign", "campaign.toml", "--at"]
    assert desk.read(*asked, before.isoformat())[0]["allowed"] is True


def test_no_command_lifts_a_freeze() -> None:
    words = ("unfreeze", "thaw", "release", "lift", "renew")
    assert [one for one in every_command() if any(word in one for word in words)] == []


def test_nothing_that_is_done_in_bulk_lets_anybody_in_again(desk: Desk, office: Office) -> None:
    frozen_at = freeze(desk)
    path = desk.write("riverside.toml", CONTROLLER_FILE)
    assert desk.sender("controller", "add", path).code == 1
    desk.done("controller", "update", path)
    desk.done("controller", "declare", "riverside", "--opt-outs", "none-exist")
    since = (frozen_at - timedelta(days=90)).isoformat()
    desk.done("notice", "add", desk.write("old.toml", NOTICE.format(slug="old", shown_from=since)))
    before, after = frozen_at - timedelta(days=1), office.context.clock.now()
    for name, at, notice in (
        ("before.csv", before, "old"),
        ("after.csv", after, "old"),
        ("wording.csv", after, "sign-up-form"),
    ):
        text = PEOPLE.format(at=at.isoformat()).replace("sign-up-form", notice)
        report = desk.read("contacts", "import", desk.write(name, text), "-c", "riverside")
        assert report["counts"]["consents_recorded"] == 0
        assert "¶84-86" in Path(report["rejects_file"]).read_text(encoding="utf-8")
        desk.done("contacts", "batch", "approve", str(report["batch"]), "-c", "riverside", "--yes")
        assert {why(desk, office, number) for number in range(3)} == {"controller_frozen"}
    freeze(desk)
    assert why(desk, office, 0) == "controller_frozen"


def test_each_comes_back_by_an_act_after_the_freeze_under_a_later_wording(
    desk: Desk, office: Office
) -> None:
    record = [
        "-c", "riverside", "--purpose", "campaign-news", "--method", "paper", "--source", "form 1",
    ]  # fmt: skip
    frozen_at = freeze(desk)
    for slug, shown_from in (("then", frozen_at), ("later", frozen_at + timedelta(microseconds=1))):
        text = NOTICE.format(slug=slug, shown_from=shown_from.isoformat())
        desk.done("notice", "add", desk.write(f"{slug}.toml", text))
    acted = office.context.clock.now().isoformat()
    for number, notice in ((0, "sign-up-form"), (1, "then"), (2, "later")):
        desk.done(
            "consent", "record", f"person{number}@example.org", *record,
            "--notice", notice, "--at", acted,
        )  # fmt: skip
    assert [why(desk, office, number) for number in range(3)] == [
        "controller_frozen",
        "controller_frozen",
        None,
    ]
    report = desk.read("campaign", "launch", "campaign.toml", "--yes")
    assert report["people"] == {"accepted": 1, "skipped": 2}
