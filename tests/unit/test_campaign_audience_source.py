"""`[audience.source]` names a variable, a query and the column to know people by."""

from pathlib import Path

import pytest

from sender.campaigns.audience import AudienceSource
from sender.campaigns.definition import parse_campaign
from sender.campaigns.files import SourceText
from sender.toml.source import FileErrors

FILES = {"poll.txt": "Vote", "people.sql": "SELECT email FROM people"}
SMS = """\
name = "polling-day"
controller = "national"
channel = "sms"
purpose = "polling-day-reminder"
template = "poll.txt"
max_recipients = 500
[audience.source]
"""
URL = 'url_env = "CRM_DATABASE_URL"\n'
QUERY = 'query = "people.sql"\n'
ADDRESS = 'address = "email"\n'


def _source(text: str) -> AudienceSource | None:
    return parse_campaign(SMS + text, FILES, Path("poll.toml")).audience.source


def test_people_by_address_with_all_other_columns() -> None:
    assert _source(URL + QUERY + ADDRESS) == AudienceSource(
        "CRM_DATABASE_URL",
        SourceText("people.sql", "SELECT email FROM people"),
        address="email",
        reference=None,
        attributes=None,
    )


def test_people_by_reference_with_some_columns() -> None:
    source = _source(URL + QUERY + 'reference = "crm_id"\nattributes = ["ward", "first_name"]')
    assert source is not None
    assert (source.address, source.reference) == (None, "crm_id")
    assert source.attributes == ("ward", "first_name")


def test_no_column_is_different_from_every_column() -> None:
    source = _source(URL + QUERY + ADDRESS + "attributes = []")
    assert source is not None
    assert source.attributes == ()


@pytest.mark.parametrize(
    ("text", "line", "key", "words"),
    [
        (QUERY + ADDRESS, 7, "audience.source.url_env", "missing"),
        (URL + ADDRESS, 7, "audience.source.query", "missing"),
        (URL + QUERY, 7, "audience.source", "either `address` or `reference`"),
        (URL + QUERY + ADDRESS + 'reference = "id"', 7, "audience.source", "either"),
        (QUERY + ADDRESS + 'url_env = "sqlite:///x"', 10, "audience.source.url_env", "name"),
        (QUERY + ADDRESS + 'url_env = ""', 10, "audience.source.url_env", "not empty"),
        (URL + ADDRESS + 'query = "SELECT 1"', 10, "audience.source.query", "SELECT 1"),
        (URL + ADDRESS + 'query = "../x.sql"', 10, "audience.source.query", "inside"),
        (URL + QUERY + "address = 1", 10, "audience.source.address", "must be text"),
        (URL + QUERY + ADDRESS + 'attributes = ["a", ""]', 11, "audience.source.attributes[2]", ""),
        (URL + QUERY + ADDRESS + "password = 1", 11, "audience.source.password", "unknown"),
        (
            URL + QUERY + ADDRESS + '[audience]\nwhere = { field = "title", has = true }',
            12,
            "audience.where",
            "beside a source",
        ),
    ],
)
def test_what_cannot_be_meant(text: str, line: int, key: str, words: str) -> None:
    with pytest.raises(FileErrors) as caught:
        _source(text)
    errors = [error for error in caught.value.errors if error.key == key]
    assert [error.line for error in errors][:1] == [line]
    assert words in errors[0].problem


def test_a_url_in_the_file_is_refused_without_repeating_it() -> None:
    with pytest.raises(FileErrors) as caught:
        _source(QUERY + ADDRESS + 'url_env = "postgresql://crm:hunter2@db/crm"')
    assert "hunter2" not in str(caught.value)
    assert "keep it in the environment" in str(caught.value)
