"""The commands of campaigns, as an operator uses them: what they say, and their exit codes."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sender.store.engine import open_store
from sender.vocabulary import Channel, RunState
from tests.fakes.ses import SesFake, error_answer
from tests.support.campaign_folder import (
    CREDENTIALS,
    LETTER,
    Office,
    on_bulk_call,
    open_office,
    written_to,
)
from tests.support.command_line import Desk, sit_down
from tests.support.factory import block

ADDRESS = re.compile(r"[\w.+-]+@(?!riverside\b)[\w.-]+|\+44\d+")


@pytest.fixture
def ses() -> Iterator[SesFake]:
    with SesFake() as running:
        running.account.rate = 5_000.0
        yield running


@pytest.fixture
def office(database_url: str, tmp_path: Path, ses: SesFake) -> Iterator[Office]:
    store = open_store(database_url)
    with open_office(store, tmp_path, ses=ses, people=100, texters=3) as opened:
        opened.one_call_at_a_time()
        opened.file()
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
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    return sit_down(tmp_path, database_url, capsys, monkeypatch)


class Keyboard(io.StringIO):
    """Somebody sits there and types."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("dialect", ["sqlite"])
class TestAsking:
    def test_nobody_there_to_say_yes_is_wrong_usage(
        self, desk: Desk, office: Office, ses: SesFake
    ) -> None:
        answer = desk.sender("campaign", "launch", "campaign.toml")
        assert answer.code == 2
        assert "Send to 100 people now? Nobody is there to answer. Add --yes." in answer.err
        assert "To be written to  100" in answer.out
        assert "Come along" in answer.out
        assert (ses.messages, office.open_runs(), office.deliveries()) == ([], [], 0)

    def test_a_no_sends_nothing(
        self, desk: Desk, office: Office, ses: SesFake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sys.stdin", Keyboard("n\n"))
        answer = desk.sender("campaign", "launch", "campaign.toml")
        assert answer.code == 2
        assert "Nothing was done." in answer.err
        assert (ses.messages, office.open_runs(), office.deliveries()) == ([], [], 0)
        assert office.run(1).state is RunState.CANCELLED

    def test_a_yes_sends(self, desk: Desk, ses: SesFake, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.stdin", Keyboard("y\n"))
        desk.done("campaign", "launch", "campaign.toml")
        assert len(ses.messages) == 100

    def test_a_dry_run_leaves_nothing(self, desk: Desk, office: Office, ses: SesFake) -> None:
        answer = desk.done("campaign", "launch", "campaign.toml", "--dry-run")
        assert "Dry run: nothing was planned or sent." in answer.out
        document = desk.read("campaign", "launch", "campaign.toml", "--dry-run")
        assert (document["recipients"], document["refused"]) == (100, {})
        assert (ses.messages, office.open_runs(), office.deliveries()) == ([], [], 0)


def test_launch_status_and_report(desk: Desk, office: Office, ses: SesFake) -> None:
    with office.store.write() as session:
        refused = office.addresses[Channel.EMAIL][0]
        block(session, office.ids[refused], controller=office.organisation.controller)
    launched = desk.read("campaign", "launch", "campaign.toml", "--yes")
    assert launched["state"] == "finished"
    assert launched["people"] == {"accepted": 99, "skipped": 1}
    assert len(ses.messages) == 99

    lines = desk.read("campaign", "status")
    assert [(line["run"], line["state"]) for line in lines] == [(1, "finished")]
    assert lines[0]["people"] == {"accepted": 99, "skipped": 1}
    assert lines == desk.read("campaign", "status", "1", "--watch")
    assert lines == desk.read("campaign", "status", "--controller", "riverside")
    typo = desk.sender("campaign", "status", "--controller", "riversde")
    assert (typo.code, typo.err) == (
        1,
        "There is no controller riversde. Did you mean riverside?\n",
    )
    assert "finished" in desk.done("campaign", "status").out

    report = desk.done("campaign", "report", "1", "--csv", "run.csv")
    assert "Handed over  99" in report.out
    assert "¶" in report.out
    text = (office.folder / "run.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 100
    assert [row["reason"] for row in rows if row["state"] == "skipped"] == ["suppressed"]
    assert not ADDRESS.search(text)
    assert "Pat" not in text
    document = desk.read("campaign", "report", "1")
    assert document["domains"] == {"example.org": 99}
    assert (document["audience"], document["versions"]) == (100, {"1": 99})

    again = desk.sender("campaign", "launch", "campaign.toml", "--yes", "--json")
    assert again.code == 1
    assert again.document["error"]["type"] == "RefusedError"
    assert "was sent already" in again.document["error"]["problem"]


def test_pause_amend_and_resume(desk: Desk, office: Office, ses: SesFake) -> None:
    said: list[int] = []

    def pause() -> None:
        from sender.cli.app import run  # noqa: PLC0415  # in the fake's thread, as another process

        said.append(run(["campaign", "pause", "1"]))

    on_bulk_call(ses, 1, pause)
    answer = desk.done("campaign", "launch", "campaign.toml", "--yes")
    assert said == [0]
    assert "Run 1 is paused. Carry it on with: sender campaign resume 1" in answer.err
    assert len(ses.messages) == 50

    office.write("letter.html", LETTER.replace("Saturday", "Sunday"))
    unasked = desk.sender("campaign", "amend", "1", "campaign.toml")
    assert unasked.code == 2
    assert "+<p>Dear {{ recipient.first_name | default('friend') }}, come along on Sun" in (
        unasked.err
    )
    edited = desk.sender("campaign", "launch", "campaign.toml", "--yes")
    assert (edited.code, "sender campaign amend 1 FILE" in edited.err) == (1, True)
    assert desk.read("campaign", "amend", "1", "campaign.toml", "--yes")["version"] == 2
    same = desk.done("campaign", "amend", "1", "campaign.toml", "--yes")
    assert "The text is the same; nothing was changed." in same.out
    resumed = desk.read("campaign", "resume", "1", "--yes")
    assert resumed["versions"] == {"1": 50, "2": 50}
    assert max(written_to(ses).values()) == 1
    assert len(ses.messages) == 100


@pytest.mark.parametrize("dialect", ["sqlite"])
class TestAnswers:
    def test_a_stop_of_the_provider_is_one_document_for_scripts(
        self, desk: Desk, ses: SesFake
    ) -> None:
        suspended = error_answer(400, "AccountSuspendedException", "Suspended.")
        ses.script.extend([None, suspended])
        answer = desk.sender("campaign", "launch", "campaign.toml", "--yes", "--json")
        assert (answer.code, answer.document["state"]) == (1, "stopped")
        assert "AccountSuspendedException" in answer.document["because"]

    def test_a_stop_of_the_provider_fails_and_says_how_to_go_on(
        self, desk: Desk, ses: SesFake
    ) -> None:
        suspended = error_answer(400, "AccountSuspendedException", "Suspended.")
        ses.script.extend([None, suspended])
        answer = desk.sender("campaign", "launch", "campaign.toml", "--yes")
        assert answer.code == 1
        assert "Run 1 stopped: AccountSuspendedException" in answer.err
        assert "sender campaign resume 1" in answer.err
        desk.done("campaign", "launch", "campaign.toml", "--yes")
        assert sorted(written_to(ses).values()) == [1] * 100

    def test_cancel(self, desk: Desk, office: Office, ses: SesFake) -> None:
        ses.script.extend([None, error_answer(400, "AccountSuspendedException", "Suspended.")])
        desk.sender("campaign", "launch", "campaign.toml", "--yes")
        assert desk.sender("campaign", "cancel", "1").code == 2
        assert desk.read("campaign", "cancel", "1", "--yes") == {"run": 1, "state": "cancelled"}
        assert desk.sender("campaign", "cancel", "1", "--yes").code == 1
        assert desk.sender("campaign", "resume", "1", "--yes").code == 1
        assert office.counts(1).pending == 0

    def test_a_run_that_is_not_there(self, desk: Desk) -> None:
        for command in ("status", "pause", "report"):
            answer = desk.sender("campaign", command, "77")
            assert (answer.code, "There is no run 77." in answer.err) == (1, True)

    def test_check_says_everything_that_is_wrong_with_its_line(
        self, desk: Desk, office: Office
    ) -> None:
        assert "No errors." in desk.done("campaign", "check", "campaign.toml").out
        office.write("letter.html", "<p>Hello</p>\n<p>{{ recipient.nickname }}</p>")
        answer = desk.sender("campaign", "check", "campaign.toml")
        assert answer.code == 1
        assert re.search(r"letter\.html:2: .*nickname", answer.out)
        assert "1 error found." in answer.err
        scripted = desk.sender("campaign", "check", "campaign.toml", "--json")
        assert (scripted.code, len(scripted.document["errors"])) == (1, 1)
        office.file(controller="riversid", purpose="news")
        answer = desk.sender("campaign", "check", "campaign.toml")
        assert answer.code == 1
        assert "campaign.toml:2: controller: there is no controller 'riversid'." in answer.err
        office.file(subjet="x", max_recipients="many")
        answer = desk.sender("campaign", "check", "campaign.toml")
        assert "campaign.toml:5: max_recipients" in answer.err
        assert "campaign.toml:8: subjet: is unknown here. Did you mean `subject`?" in answer.err

    def test_check_counts_parts_and_people(self, desk: Desk, office: Office) -> None:
        office.file(Channel.SMS)
        document = desk.read("campaign", "check", "campaign.toml")
        assert (document["recipients"], document["segments"]) == (3, 3)
        assert document["errors"] == []

    def test_preview(self, desk: Desk, office: Office, ses: SesFake) -> None:
        address = office.addresses[Channel.EMAIL][5]
        shown = desk.read("campaign", "preview", "campaign.toml", "--to", address)
        assert shown["to_address"] == address
        assert "List-Unsubscribe" in dict(shown["headers"])
        desk.done("campaign", "preview", "campaign.toml", "--html", "out.html")
        assert "come along" in (office.folder / "out.html").read_text(encoding="utf-8")
        assert ses.messages == []
        with office.store.write() as session:
            block(session, office.ids[address], controller=office.organisation.controller)
        refused = desk.sender("campaign", "preview", "campaign.toml", "--to", address)
        assert refused.code == 1
        assert "riverside may not write to this address" in refused.err
        assert "¶" in refused.err
        assert address not in refused.err
        stranger = desk.sender("campaign", "preview", "campaign.toml", "--to", "who@example.org")
        assert (stranger.code, "who@example.org" in stranger.err) == (1, False)

    def test_explain(self, desk: Desk, office: Office) -> None:
        address = office.addresses[Channel.EMAIL][5]
        allowed = desk.done("explain", address, "--campaign", "campaign.toml")
        assert "riverside may write" in allowed.out
        stranger = desk.read("explain", "who@example.org", "--campaign", "campaign.toml")
        assert [(one["controller"], one["allowed"], one["reason"]) for one in stranger] == [
            ("riverside", False, "no_consent")
        ]
        assert stranger[0]["paragraph"].startswith("¶")
        rules = [step["rule"] for step in stranger[0]["steps"]]
        assert len(rules) == len(set(rules)) > 3
        assert desk.sender("explain", "nonsense", "--campaign", "campaign.toml").code == 1
