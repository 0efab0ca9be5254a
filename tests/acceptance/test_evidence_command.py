"""`sender evidence` as a protection officer uses it: page, PDF, JSON, a day in the past, a run."""

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from sqlalchemy import update

from sender.evidence import pdf
from sender.evidence.consent_record import SCHEMA_VERSION
from sender.store.deliveries import Delivery
from sender.store.engine import Store, open_store
from tests.support.command_line import Desk, sit_down
from tests.support.factory import HASH_KEY
from tests.support.past_world import Past, Step

EVIDENCE = {"page": "the sign-up page <b>here</b>"}
HISTORY = [
    Step("yes", number=1),
    Step("send", number=1),
    Step("other purpose", body=1, number=1),
    Step("yes", body=1, number=1),
    Step("send", number=0),
    Step("object", age=timedelta(days=1)),
    Step("send", number=1),
]


@dataclass
class Case:
    """A desk over a database in which one person was written to twice and then objected."""

    desk: Desk
    store: Store
    past: Past
    address: str

    def evidence(self) -> Any:
        return self.desk.read("evidence", self.address, "-c", "riverside")


@pytest.fixture
def case(
    tmp_path: Path,
    sqlite_url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Case]:
    desk = sit_down(tmp_path, sqlite_url, capsys, monkeypatch)
    desk.done("db", "upgrade")
    store = open_store(sqlite_url)
    with store.write() as session:
        past = Past(session, evidence=EVIDENCE)
        past.live(HISTORY)
        address = past.points[0].address
        session.execute(
            update(Delivery)
            .where(Delivery.id == past.sent[0].delivery_id)
            .values(values={"first_name": "Ann"}, provider_message_id="ses-0001")
        )
    assert address is not None
    yield Case(desk, store, past, address)
    store.close()


def test_the_evidence_holds_messages_consents_decisions_and_opt_outs(case: Case) -> None:
    found = case.evidence()
    first, jointly, held_back = found["messages"]
    assert (first["campaign"], first["run_number"], first["version"]) == ("spring-appeal", 1, 1)
    assert first["provider_message_id"] == "ses-0001"
    assert first["values"] == {"first_name": "Ann"}
    [decision] = first["decisions"]
    assert decision["allowed"]
    assert decision["agrees"]
    relied_on = next(one for one in found["consents"] if one["event"] == decision["relied_on"])
    assert relied_on["wording"]["wording"] == "Yes, riverside may write to me."
    assert (relied_on["method"], relied_on["source"]) == (
        "web-form",
        "https://example.org/sign-up",
    )
    assert relied_on["personal"] == EVIDENCE
    assert [one["controller"] for one in jointly["decisions"]] == ["riverside", "candidate"]
    assert (held_back["dispatched_at"], held_back["reason"]) == (None, "objected")
    [objection] = found["opt_outs"]
    assert objection["took_effect_at"] > objection["occurred_at"]
    assert objection["last_message_before"] == jointly["dispatched_at"]
    assert objection["next_message_after"] is None


def test_another_bodys_evidence_stays_with_it(case: Case) -> None:
    theirs = [one for one in case.evidence()["consents"] if one["controller"] == "candidate"]
    assert [(one["personal"], one["personal_is"]) for one in theirs] == [(None, "elsewhere")]
    seen_there = case.desk.read("evidence", case.address, "-c", "candidate")
    assert [one["run_number"] for one in seen_there["messages"]] == [2]
    assert [one["values"] for one in seen_there["messages"]] == [None]


def test_after_an_erasure_it_answers_for_an_address_that_the_asker_supplies(case: Case) -> None:
    before = case.evidence()
    case.desk.done("subject", "erase", case.address, "-c", "riverside", "--yes")
    after = case.evidence()
    assert len(after["gone"]) == 3
    assert after["messages"][0]["values_are"] == "erased"
    assert {one["personal_is"] for one in after["consents"]} == {"erased", "elsewhere", "none"}
    for kept in ("message", "dispatched_at", "decisions", "message_hash"):
        assert [one[kept] for one in after["messages"]] == [one[kept] for one in before["messages"]]
    assert after["opt_outs"][0] == before["opt_outs"][0]
    assert [one["cause"] for one in after["opt_outs"]] == ["objection", "opt_out"]
    assert "Ann" not in str(after)


def test_it_answers_after_a_change_of_the_key(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    before = case.evidence()
    monkeypatch.setenv("SENDER_HASH_KEY", f"{'ab' * 32},{HASH_KEY.hex()}")
    case.desk.done("db", "rotate-key")
    after = case.evidence()
    assert after["principal_id"] != before["principal_id"]
    assert (
        after["consent_records"][0]["record_header"]["record_id"]
        == (before["consent_records"][0]["record_header"]["record_id"])
    )
    for kept in ("messages", "consents", "opt_outs"):
        assert after[kept] == before[kept]


def test_an_address_nobody_heard_of_has_no_evidence(case: Case) -> None:
    found = case.desk.read("evidence", "nobody@example.org", "-c", "riverside")
    assert found["principal_id"] == ""
    assert found["messages"] == found["consents"] == found["opt_outs"] == []
    path = case.desk.folder / "nobody.html"
    case.desk.done("evidence", "nobody@example.org", "-c", "riverside", "--html", path)
    assert "Nothing is on record" in path.read_text()


def test_the_page_is_whole_escaped_and_its_owners_alone(case: Case) -> None:
    path = case.desk.folder / "ann.html"
    case.desk.done("evidence", case.address, "-c", "riverside", "--html", path)
    page = path.read_text(encoding="utf-8")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "the sign-up page &lt;b&gt;here" in page
    assert page.count("The decision made again agrees.") == 3
    assert "Yes, riverside may write to me." in page
    assert "http" not in page.replace("https://example.org/sign-up", "").replace(
        "https://riverside.example.org/privacy", ""
    ).replace("https://candidate.example.org/privacy", "")


@pytest.mark.usefixtures("chromium")
def test_the_pdf_is_printed_by_chromium(case: Case) -> None:
    path = case.desk.folder / "ann.pdf"
    case.desk.done("evidence", case.address, "-c", "riverside", "--pdf", path)
    assert path.read_bytes().startswith(b"%PDF-")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("width", [320, 390, 800])
def test_the_page_fits_a_phone(case: Case, browser: Browser, width: int) -> None:
    path = case.desk.folder / "why.html"
    case.desk.done("evidence", case.address, "-c", "riverside", "--html", str(path))
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(path.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == width
    rule = page.locator("td", has_text="controller freeze").first
    assert rule.evaluate("cell => cell.getClientRects()[0].height") < 70  # words stay whole
    page.close()


def test_without_chromium_the_error_names_the_page(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pdf, "_find_browser", lambda: None)
    answer = case.desk.sender("evidence", case.address, "-c", "riverside", "--pdf", "ann.pdf")
    assert answer.code == 1
    assert "--html" in answer.err


MANDATORY = {
    "record_header": {"schema_version", "record_id", "pii_principal_id"},
    "pii_processing": {"privacy_notice", "language", "purposes"},
    "purposes": {
        "purpose",
        "pii_information",
        "pii_controllers",
        "storage_locations",
        "retention_period",
        "jurisdiction",
        "recipient_third_parties",
        "withdrawal_method",
    },
    "party_identification": {
        "party_id",
        "party_address",
        "party_name",
        "party_contact",
        "party_type",
    },
    "events": {"event_time", "validity_duration", "entity_id", "event_type", "event_state"},
}
"""The mandatory fields of ISO/IEC TS 27560:2023, by section."""


def test_consent_records_have_every_mandatory_field_of_the_standard(case: Case) -> None:
    found = case.evidence()
    [record] = found["consent_records"]
    processing = record["pii_processing"]
    sections = {
        "record_header": [record["record_header"]],
        "pii_processing": [processing],
        "purposes": processing["purposes"],
        "party_identification": record["party_identification"],
        "events": record["events"],
    }
    for name, items in sections.items():
        for item in items:
            assert MANDATORY[name] <= item.keys()
            assert all(item[field] not in (None, "") for field in MANDATORY[name])
    assert record["record_header"]["schema_version"] == SCHEMA_VERSION
    assert record["record_header"]["pii_principal_id"] == found["principal_id"]
    assert [one["event_state"] for one in record["events"]] == ["ConsentGiven", "ConsentWithdrawn"]
    assert [one["validity_duration"] for one in record["events"]] == ["P24M", "P0D"]


def test_a_day_in_the_past_is_asked_by_purpose(case: Case) -> None:
    sent, _, refused = case.past.sent
    ask = ["evidence", case.address, "-c", "riverside", "--purpose", "campaign-news", "--at"]
    [then] = case.desk.read(*ask, sent.at.isoformat())
    assert (then["allowed"], then["consent_event"]) == (True, 1)
    [later] = case.desk.read(*ask, refused.at.isoformat())
    assert (later["allowed"], later["reason"]) == (False, "objected")
    [before] = case.desk.read(*ask, "2026-01-01")
    assert before["reason"] == "no_sender_identity"


def test_questions_that_cannot_be_meant_are_refused(case: Case) -> None:
    for arguments in (
        [],
        [case.address],
        [case.address, "--run", "1"],
        [case.address, "-c", "riverside", "--at", "2126-01-01", "--purpose", "campaign-news"],
        [case.address, "-c", "riverside", "--at", "2026-01-01"],
        ["--run", "1", "--by", "shoe-size"],
    ):
        assert case.desk.sender("evidence", *arguments).code == 2, arguments


def test_a_runs_messages_are_counted_by_what_they_relied_on(case: Case) -> None:
    jointly, refused = case.past.sent[1:]
    found = case.desk.read("evidence", "--run", str(jointly.run_id), "--by", "notice,source")
    assert (found["sent"], found["held_back"]) == (1, 0)
    expected = {"notice": "sign-up-form@1", "source": "https://example.org/sign-up", "messages": 1}
    assert found["bases"] == [
        {"controller": "candidate", **expected},
        {"controller": "riverside", **expected},
    ]
    none = case.desk.read("evidence", "--run", str(refused.run_id))
    assert (none["sent"], none["held_back"], none["bases"]) == (0, 1, [])
