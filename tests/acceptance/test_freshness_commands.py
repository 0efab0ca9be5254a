"""`sender consent expiring` and `forecast` as a user types them."""

import csv
from io import StringIO

import pytest

from tests.support.command_line import Desk

PEOPLE = """\
external_ref,first_name,last_name,email,consent_purpose,consent_channel,consent_notice,\
consent_at,consent_method,consent_source
1,=Ann,Okafor,ann@example.org,campaign-news,email,sign-up-form,2026-01-05,web-form,join page
2,Bo,Lund,bo@example.org,campaign-news,email,sign-up-form,2026-01-05,web-form,join page
"""


@pytest.fixture
def people(desk: Desk) -> Desk:
    for address in ("ann@example.org", "bo@example.org"):
        desk.done("contacts", "import", desk.write("people.csv", PEOPLE), "-c", "riverside")
        desk.done(
            "consent", "record", address, "-c", "riverside", "--purpose", "campaign-news",
            "--notice", "sign-up-form", "--method", "paper", "--source", "form", "--at",
            "2026-02-01",
        )  # fmt: skip
    return desk


def test_a_forecast_is_a_table_and_a_document(people: Desk) -> None:
    asked = ("consent", "forecast", "-c", "riverside", "--months", "36")
    document = people.read(*asked)
    [email] = [one for one in document["forecasts"] if one["now"]]
    assert (email["purpose"], email["channel"], email["now"]) == ("campaign-news", "email", 2)
    assert [month["contactable"] for month in email["months"]][-1] == 0
    assert sum(month["lost"] for month in email["months"]) == 2
    lines = people.done(*asked).out.splitlines()
    assert "campaign-news by email" in lines[0]
    assert len(lines) == 1 + 1 + 36
    narrowed = people.read(*asked, "--purpose", "campaign-news", "--channel", "sms")
    assert [one["channel"] for one in narrowed["forecasts"]] == ["sms"]


def test_nobody_to_write_to_is_said(desk: Desk) -> None:
    assert "Nobody" in desk.done("consent", "forecast", "-c", "riverside").out
    assert desk.sender("consent", "forecast", "-c", "riverside", "--months", "0").code == 2
    assert desk.sender("consent", "forecast", "-c", "riverside", "--purpose", "x").code == 1


def test_what_expires_is_a_table_a_document_and_a_harmless_csv(people: Desk) -> None:
    asked = ("consent", "expiring", "-c", "riverside", "--within", "500w")
    document = people.read(*asked)
    assert [one["because"] for one in document["people"]] == ["stale", "stale"]
    assert document["people"][0]["until"] == "2028-02-01T00:00:00+00:00"
    assert "2028-02-01" in people.done(*asked).out
    rows = list(csv.DictReader(StringIO(people.done(*asked, "--csv").out)))
    assert [row["person"] for row in rows] == ["'=Ann Okafor", "Bo Lund"]
    assert people.read("consent", "expiring", "-c", "riverside", "--within", "1d")["total"] == 0


@pytest.mark.parametrize("within", ["0d", "60 days", "9999d", "2m", "-1"])
def test_a_time_that_cannot_be_meant_is_refused(desk: Desk, within: str) -> None:
    answer = desk.sender("consent", "expiring", "-c", "riverside", f"--within={within}")
    assert answer.code == 2


def test_csv_and_json_are_not_both(desk: Desk) -> None:
    answer = desk.sender("consent", "expiring", "-c", "riverside", "--csv", "--json")
    assert answer.code == 2
