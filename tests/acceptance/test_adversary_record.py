"""Commands that would have the record say what is not so: they are refused, or say it plainly."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright
from sqlalchemy import select, update

from sender.store.consents import ConsentState
from sender.store.contacts import Contact
from sender.store.engine import open_store
from sender.vocabulary import ConsentKind
from tests.support.case import AGREED, Case, person, supporter
from tests.support.command_line import NOTICE_FILE, sit_down
from tests.support.held import where_found

ANN = "ann@example.org"
HERE = ("-c", "riverside")


@pytest.fixture
def case(
    tmp_path: Path,
    database_url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Case:
    desk = sit_down(tmp_path, database_url, capsys, monkeypatch)
    desk.set_up()
    return Case(desk)


def record(case: Case, **options: str) -> Any:
    told = {
        "purpose": "campaign-news",
        "notice": "sign-up-form",
        "method": "paper",
        "source": "form 7",
        "at": "2026-05-07",
    }
    words = [word for name, text in (told | options).items() for word in (f"--{name}", text)]
    return case.desk.sender("consent", "record", ANN, *HERE, *words)


def evidence(case: Case) -> Any:
    return case.desk.read("evidence", ANN, *HERE)


def validity(case: Case) -> list[str]:
    [found] = evidence(case)["consent_records"]
    return [event["validity_duration"] for event in found["events"]]


def may(case: Case, at: datetime) -> bool:
    asked = ("--at", at.isoformat(), "--purpose", "campaign-news")
    [decision] = case.desk.read("evidence", ANN, *HERE, *asked)
    allowed: bool = decision["allowed"]
    return allowed


@pytest.mark.parametrize("method", ["membership", "Pre-ticked box", "purchase", "casework"])
def test_an_operator_cannot_record_a_yes_that_is_none(case: Case, method: str) -> None:
    answer = record(case, method=method)
    assert answer.code == 1
    assert "no act by which anybody consents" in answer.err
    assert record(case).code == 0


def test_a_name_inside_another_word_is_no_name(case: Case) -> None:
    wording = "Yes, our Riverside Associations Network may write to me with campaign news."
    words = NOTICE_FILE.replace(
        "Yes, Riverside Association may send me campaign news by e-mail and text message.", wording
    )
    assert words != NOTICE_FILE
    answer = case.desk.sender("notice", "add", case.desk.write("near.toml", words))
    assert answer.code == 1
    assert "does not name" in answer.err


def test_the_record_of_a_yes_says_from_when_until_when_it_counts(case: Case) -> None:
    before = datetime.now(UTC)
    case.brings_in(supporter("ann"), approves=False)
    assert validity(case) == ["P0D"]
    waiting = datetime.now(UTC)
    page = case.desk.folder / "ann.html"
    case.desk.done("evidence", ANN, *HERE, "--html", page)
    assert "nobody has approved the import" in page.read_text()
    case.desk.done("contacts", "batch", "approve", "1", *HERE, "--yes")
    assert validity(case) == ["P24M"]
    approved = datetime.now(UTC)
    case.desk.done("contacts", "batch", "revoke", "1", *HERE, "--because", "a bad form", "--yes")
    assert validity(case) == ["P0D"]
    moments = (before, waiting, approved, datetime.now(UTC))
    assert [may(case, at) for at in moments] == [False, False, True, False]


def test_what_was_true_on_a_day_does_not_change_with_later_rules(case: Case) -> None:
    case.brings_in(supporter("ann"))
    then = datetime.now(UTC)
    assert may(case, then)
    case.desk.done("purpose", "close", "campaign-news", *HERE, "--reason", "done", "--yes")
    case.desk.done("suppress", "add", ANN, *HERE, "--reason", "letter", "--received-on",
                   "2026-05-08")  # fmt: skip
    case.desk.done("subject", "erase", ANN, *HERE, "--yes")
    assert may(case, then)
    assert not may(case, datetime.now(UTC))


def test_an_erasure_ends_a_yes_that_waits_behind_an_older_no(case: Case) -> None:
    case.brings_in(supporter("ann"), approves=False)
    withdraw = ("consent", "withdraw", ANN, *HERE, "--purpose", "campaign-news")
    case.desk.done(*withdraw, "--at", "2025-01-01")
    case.desk.done("subject", "erase", ANN, *HERE, "--yes")
    case.desk.done("contacts", "batch", "approve", "1", *HERE, "--yes")
    assert states() == [ConsentKind.WITHDRAWN]


def test_an_address_in_the_words_of_an_act_does_not_outlive_an_erasure(case: Case) -> None:
    """How and where somebody acted is chained, and cannot be emptied afterwards."""
    link = "https://riverside.example.org/join?e=ann%40example.org"
    case.brings_in({**supporter("ann"), "consent_source": link})
    case.brings_in(person("ann") | {"opt_out": "purpose:campaign-news", "opt_out_source": ANN})
    assert record(case, source=f"e-mail from {ANN}", method=f"mail by {ANN}").code == 0
    case.desk.done("consent", "withdraw", ANN, *HERE, "--all", "--source", f"mail of {ANN}")
    case.desk.done("subject", "erase", ANN, *HERE, "--yes")
    store = open_store(os.environ["SENDER_DATABASE_URL"])
    with store.read() as session:
        found = where_found(session, ANN, "ann%40example.org")
    store.close()
    assert found == set()


def states() -> list[ConsentKind]:
    store = open_store(os.environ["SENDER_DATABASE_URL"])
    with store.read() as session:
        found = list(session.scalars(select(ConsentState.status)))
    store.close()
    return found


def test_people_whose_yes_names_somebody_else_are_not_kept_for_ever(case: Case) -> None:
    """A yes that names another channel is none, and does not outlast the day that was given."""
    text_only = NOTICE_FILE.replace("sign-up-form", "text-form").replace(
        'channels = ["email", "sms"]', 'channels = ["sms"]'
    )
    case.desk.done("notice", "add", case.desk.write("text-form.toml", text_only))
    flawed = {**AGREED, "consent_notice": "text-form"}
    lines = [",".join(("email", "first_name", *flawed)),
             ",".join((ANN, "Ann", *flawed.values())),
             ",".join(("bo@example.org", "Bo", *AGREED.values()))]  # fmt: skip
    path = case.desk.write("people.csv", "\n".join(lines) + "\n")
    kept = ("--store", "canvassing", "--retain-until", "2027-05-07")
    case.desk.done("contacts", "import", path, *HERE, *kept)
    case.desk.done("contacts", "batch", "approve", "1", *HERE, "--yes")
    store = open_store(os.environ["SENDER_DATABASE_URL"])
    with store.write() as session:
        day = datetime.now(UTC).date() - timedelta(days=1)
        session.execute(update(Contact).values(retain_until=day))
    store.close()
    rules = case.desk.read("retention", "apply")["rules"]
    assert {one["rule"]: one["rows"] for one in rules}["people"] == {"riverside": 1}
    found = [
        case.desk.read("contacts", "find", one, *HERE)["contacts"]
        for one in (ANN, "bo@example.org")
    ]
    assert [[one["name"] for one in people] for people in found] == [[""], ["Bo"]]


HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>\"'>{{7*7}}"


def test_nothing_that_people_wrote_runs_on_the_page_of_evidence(case: Case, chromium: Path) -> None:
    wording = f"Yes, Riverside Association may write to me. {HOSTILE}".replace('"', "")
    words = NOTICE_FILE.replace("sign-up-form", "hostile").replace(
        "Yes, Riverside Association may send me campaign news by e-mail and text message.", wording
    )
    case.desk.done("notice", "add", case.desk.write("hostile.toml", words))
    cells = {**AGREED, "consent_notice": "hostile", "consent_source": HOSTILE}
    case.brings_in({**person("ann"), "last_name": HOSTILE, "external_ref": HOSTILE, **cells})
    path = case.desk.folder / "ann.html"
    case.desk.done("evidence", ANN, *HERE, "--html", path)
    asked: list[str] = []
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = running.new_page()
        page.on("dialog", lambda dialog: asked.append(dialog.message))
        page.on("dialog", lambda dialog: dialog.dismiss())
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        found = page.evaluate("document.querySelectorAll('script, img, [onerror]').length")
        seen = page.inner_text("main")
        running.close()
    assert (asked, found) == ([path.as_uri()], 0)
    assert seen.count(HOSTILE.replace('"', "")) >= 1
    assert seen.count(HOSTILE) >= 3
