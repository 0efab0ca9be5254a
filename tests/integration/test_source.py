"""Recipients pulled from a second real database, of the other kind than ours."""

import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import create_engine, func, make_url, select, text, update
from sqlalchemy.engine import URL

from sender.contacts.addresses import find_address_ids
from sender.delivery.source import SourceReport, stage_recipients
from sender.delivery.source_database import SourceError
from sender.errors import NotFoundError, RefusedError, SettingsError
from sender.store.campaigns import Run, SourceRefusal, StagedRecipient
from sender.store.engine import Store
from sender.store.keys import register_key
from sender.vocabulary import Channel, Reason
from tests.support.factory import (
    HASHER,
    NOW,
    Organisation,
    add_campaign,
    add_contact,
    add_point,
    add_run,
    establish,
)
from tests.support.import_world import FixedClock

SECRET = "hunter2"


@dataclass
class Pull:
    """Our database with one run, and the organisation's own database beside it."""

    store: Store
    source: URL
    organisation: Organisation
    run_id: int

    @property
    def url(self) -> str:
        return self.source.render_as_string(hide_password=False)

    def execute(self, *statements: str) -> None:
        engine = create_engine(self.source)
        with engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))
        engine.dispose()

    def insert(self, rows: list[dict[str, Any]]) -> None:
        engine = create_engine(self.source)
        with engine.begin() as connection:
            connection.execute(text("INSERT INTO person VALUES (:ref, :mail, :name, :age)"), rows)
        engine.dispose()

    def stage(
        self, sql: str = "SELECT mail, name, age FROM person", **changed: Any
    ) -> SourceReport:
        options: dict[str, Any] = {
            "run_id": self.run_id,
            "channel": Channel.EMAIL,
            "controller_id": self.organisation.id,
            "url": self.url,
            "query_sql": sql,
            "query_name": "audience.sql",
            "address_column": "mail",
            "erase_after": NOW + timedelta(days=30),
        } | changed
        return stage_recipients(self.store, HASHER, FixedClock(NOW), **options)

    def staged(self) -> dict[str | None, dict[str, Any]]:
        query = select(StagedRecipient.address, StagedRecipient.attributes)
        with self.store.read() as session:
            return {row.address: row.attributes for row in session.execute(query)}

    def refused(self) -> dict[Reason, int]:
        query = select(SourceRefusal.reason, SourceRefusal.count.label("number"))
        with self.store.read() as session:
            return {row.reason: row.number for row in session.execute(query)}


@pytest.fixture
def source(request: pytest.FixtureRequest, dialect: str) -> Iterator[URL]:
    """An empty database of the kind that ours is not."""
    other = "_postgres_databases" if dialect == "sqlite" else "_sqlite_databases"
    databases = request.getfixturevalue(other)
    url = databases.create_empty()
    yield make_url(url)
    databases.drop(url)


@pytest.fixture
def pull(store: Store, source: URL) -> Pull:
    with store.write() as session:
        register_key(session, HASHER, NOW)
        organisation = establish(session)
        _, version = add_campaign(session, organisation.controller)
        run = add_run(session, organisation, version)
    found = Pull(store, source, organisation, run.id)
    found.execute("CREATE TABLE person (ref TEXT, mail TEXT, name TEXT, age INTEGER)")
    return found


def person(
    mail: str | None, name: str = "Jo", age: int | None = 41, ref: str = "R"
) -> dict[str, Any]:
    return {"ref": ref, "mail": mail, "name": name, "age": age}


def test_rows_are_staged_by_normalised_address_with_attributes(pull: Pull) -> None:
    pull.insert([person(" Jo@Example.ORG"), person("mo@example.org", "Mo", None)])
    report = pull.stage()
    assert pull.staged() == {
        "jo@example.org": {"name": "Jo", "age": 41},
        "mo@example.org": {"name": "Mo", "age": None},
    }
    assert report == SourceReport(rows=2, staged=2, duplicates=0, refused={})
    with pull.store.read() as session:
        known = find_address_ids(session, HASHER, Channel.EMAIL, ["jo@example.org"])
        erase = session.scalars(select(StagedRecipient.erase_after)).first()
        assert set(known.values()) <= set(session.scalars(select(StagedRecipient.address_id)))
    assert erase == NOW + timedelta(days=30)


@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_same_address_twice_is_staged_once_in_and_across_batches(
    pull: Pull, batch_size: int
) -> None:
    pull.insert(
        [person("jo@example.org"), person("JO@example.org", "Joanna"), person("x@example.org")]
    )
    report = pull.stage("SELECT mail, name FROM person ORDER BY name", batch_size=batch_size)
    assert (report.rows, report.staged, report.duplicates) == (3, 2, 1)


@pytest.mark.parametrize("batch_size", [1, 100])
def test_rows_without_a_usable_address_are_counted(pull: Pull, batch_size: int) -> None:
    pull.insert([person(None), person("  "), person("nope"), person("jo@example.org")])
    report = pull.stage(batch_size=batch_size)
    assert report.refused == {Reason.INVALID_ADDRESS: 3}
    assert pull.refused() == {Reason.INVALID_ADDRESS: 3}
    assert report.rows == report.staged + report.duplicates + sum(report.refused.values())


def test_references_are_looked_up_among_the_controllers_own_contacts(pull: Pull) -> None:
    with pull.store.write() as session:
        controller = pull.organisation.controller
        jo = add_contact(session, controller, external_ref="7")
        add_point(session, jo, "old@example.org")
        add_point(session, jo, "new@example.org")
        add_point(session, jo, "+447400123456", channel=Channel.SMS)
        gone = add_contact(session, controller, external_ref="8")
        add_point(session, gone, "gone@example.org", erased=True)
        stranger = add_contact(
            session, establish(session, "elsewhere").controller, external_ref="9"
        )
        add_point(session, stranger, "stranger@example.org")
    pull.insert([person(None, ref=ref) for ref in ("7", "7", "8", "9", "10")])
    options: dict[str, Any] = {"address_column": None, "reference_column": "ref"}
    report = pull.stage("SELECT CAST(ref AS INTEGER) AS ref, name FROM person", **options)
    assert pull.staged() == {"new@example.org": {"name": "Jo"}}
    assert report.refused == {Reason.NO_CONSENT: 3}
    assert report.duplicates == 1
    by_text = pull.stage("SELECT ref FROM person", **options, channel=Channel.SMS)
    assert (by_text.staged, pull.staged()) == (1, {"+447400123456": {}})


def test_staging_begins_anew_when_called_again(pull: Pull) -> None:
    pull.insert([person("jo@example.org"), person("nope")])
    pull.stage()
    pull.execute("DELETE FROM person")
    pull.insert([person("mo@example.org")])
    pull.stage()
    assert list(pull.staged()) == ["mo@example.org"]
    assert pull.refused() == {}


def test_nobody_joins_once_planning_began(pull: Pull) -> None:
    pull.insert([person("jo@example.org")])
    pull.stage()
    with pull.store.write() as session:
        session.execute(update(Run).values(plan_ends_at=5))
    with pytest.raises(RefusedError, match="Planning has begun"):
        pull.stage()
    assert list(pull.staged()) == ["jo@example.org"]


def test_only_named_columns_become_attributes(pull: Pull) -> None:
    pull.insert([person("jo@example.org")])
    pull.stage(attribute_columns=("age",))
    assert pull.staged() == {"jo@example.org": {"age": 41}}
    pull.stage(attribute_columns=())
    assert pull.staged() == {"jo@example.org": {}}


@pytest.mark.parametrize("changed", [{"address_column": "male"}, {"attribute_columns": ("nane",)}])
def test_missing_column_comes_with_the_nearest(pull: Pull, changed: dict[str, Any]) -> None:
    with pytest.raises(SourceError, match=r"audience\.sql.*no column .*Did you mean (mail|name)\?"):
        pull.stage(**changed)


def test_two_columns_of_one_name_are_refused(pull: Pull) -> None:
    with pytest.raises(SourceError, match="two columns mail"):
        pull.stage("SELECT mail, name AS mail FROM person")


def test_percent_and_colon_are_what_they_are_in_sql(pull: Pull) -> None:
    pull.insert([person("jo@example.org", "100%"), person("mo@example.org", ":x")])
    pull.stage("SELECT mail, name FROM person WHERE name LIKE '100%' OR name = ':x';\n-- 5% :y\n")
    assert len(pull.staged()) == 2


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO person (mail) VALUES ('x@example.org') RETURNING mail",
        "DELETE FROM person",
        "WITH gone AS (DELETE FROM person RETURNING mail) SELECT mail FROM gone",
        "DROP TABLE person",
        "SELECT mail FROM person; DROP TABLE person",
        "SELECT mail FROM person; COMMIT; BEGIN READ WRITE; DROP TABLE person",
        "CREATE TABLE copied AS SELECT mail FROM person",
    ],
)
def test_query_cannot_write(pull: Pull, sql: str) -> None:
    pull.insert([person("jo@example.org")])
    with pytest.raises(SourceError, match=r"audience\.sql"):
        pull.stage(sql)
    pull.stage()
    assert list(pull.staged()) == ["jo@example.org"]


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_function_that_writes_is_stopped_by_the_read_only_transaction(pull: Pull) -> None:
    pull.insert([person("jo@example.org")])
    pull.execute(
        "CREATE FUNCTION sneak() RETURNS text LANGUAGE sql AS "
        "$$ DELETE FROM person RETURNING mail $$"
    )
    with pytest.raises(SourceError, match="25006"):
        pull.stage("SELECT sneak() AS mail")
    assert pull.stage().staged == 1


def test_errors_of_the_source_name_the_file_and_tell_no_data(pull: Pull) -> None:
    with pytest.raises(SourceError, match=r"audience\.sql: .*nobody"):
        pull.stage("SELECT mail FROM nobody")
    with pytest.raises(SourceError) as caught:
        pull.stage("SELECT mail FRM person")
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_value_in_a_database_error_is_not_told(pull: Pull) -> None:
    pull.insert([person(f"{SECRET}@example.org")])
    with pytest.raises(SourceError) as caught:
        pull.stage("SELECT CAST(mail AS INTEGER) AS mail FROM person")
    assert SECRET not in str(caught.value)
    assert "22P02" in str(caught.value)


def test_source_that_is_not_there_is_told_without_its_password(pull: Pull) -> None:
    for url in (f"postgresql://me:{SECRET}@127.0.0.1:1/crm", "sqlite:////nowhere/crm.sqlite3"):
        with pytest.raises(SourceError, match="cannot be reached") as caught:
            pull.stage(url=url)
        assert SECRET not in str(caught.value)
    for url in (f"{SECRET} is no URL", f"mysql://me:{SECRET}@host/crm"):
        with pytest.raises(SettingsError) as refused:
            pull.stage(url=url)
        assert SECRET not in str(refused.value)


@pytest.mark.parametrize("dialect", ["postgresql"])
def test_missing_sqlite_file_is_not_made(pull: Pull) -> None:
    missing = pull.source.set(database=f"{pull.source.database}-missing")
    with pytest.raises(SourceError):
        pull.stage(url=missing.render_as_string())


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_values_of_the_source_become_json(pull: Pull) -> None:
    pull.insert([person("jo@example.org")])
    pull.stage(
        "SELECT mail, DATE '2026-05-07' AS day, 12.50::numeric AS gift, true AS member, "
        "TIMESTAMPTZ '2026-05-07 09:00+01' AS at, ARRAY['a'] AS tags, '{\"a\": 1}'::json AS more "
        "FROM person"
    )
    at = datetime(2026, 5, 7, 8, tzinfo=UTC).isoformat()
    assert pull.staged()["jo@example.org"] == {
        "day": "2026-05-07",
        "gift": 12.5,
        "member": True,
        "at": at,
        "tags": ["a"],
        "more": {"a": 1},
    }


def test_value_that_no_template_can_show_is_refused(pull: Pull, dialect: str) -> None:
    pull.insert([person("jo@example.org")])
    blob = "'\\x00'::bytea" if dialect == "sqlite" else "X'00'"
    with pytest.raises(SourceError, match="column photo holds"):
        pull.stage(f"SELECT mail, {blob} AS photo FROM person")


def test_run_that_is_not_there_and_rows_that_may_not_stay_are_refused(pull: Pull) -> None:
    with pytest.raises(NotFoundError):
        pull.stage(run_id=99_999)
    with pytest.raises(RefusedError):
        pull.stage(erase_after=NOW)


def test_memory_does_not_grow_with_the_audience(pull: Pull) -> None:
    def peak(people: int) -> int:
        pull.execute("DELETE FROM person")
        pull.insert([person(f"p{number}@example.org") for number in range(people)])
        tracemalloc.start()
        pull.stage(batch_size=250)
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(250)  # fills caches
    assert peak(4_000) < 2 * peak(500)
    with pull.store.read() as session:
        assert session.scalar(select(func.count()).select_from(StagedRecipient)) == 500
