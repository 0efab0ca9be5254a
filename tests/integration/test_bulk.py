"""Many rows are written by another way than few, and are the same rows."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from sender.store import bulk
from sender.store.addresses import Address
from sender.store.base import Base
from sender.store.bulk import MANY, insert_many
from sender.store.campaigns import StagedRecipient
from sender.store.consents import ConsentState
from sender.store.contacts import Contact
from sender.store.engine import Store
from sender.store.portable import insert_missing, insert_rows, table_of, upsert
from sender.vocabulary import Channel, ConsentFlaw, ConsentKind, ContactSource
from tests.support.factory import (
    NOW,
    add_campaign,
    add_run,
    address_id_of,
    establish,
    record_consent,
)

NUMBER = MANY + 7
SUMMER_TIME = timezone(timedelta(hours=1))


def contact(controller_id: int, number: int) -> dict[str, Any]:
    """Return a row with each kind of value: words, text of all sorts, JSON, times, nothing."""
    odd = number % 2
    return {
        "controller_id": controller_id,
        "external_ref": f"R{number}",
        "title": None,
        "first_name": "Zoë\t\\N\n\"'" if odd else None,
        "last_name": "; DROP TABLE contact; --",
        "postcode": "",
        "locale": None,
        "time_zone": None,
        "attributes": {"ward": "Ä\\b", "age": number, "member": bool(odd), "list": [1, None]},
        "source": ContactSource.THIRD_PARTY if odd else ContactSource.DIRECT,
        "source_detail": None,
        "source_told_at": None,
        "retained_for": None,
        "retain_until": date(2027, 5, 7) if odd else None,
        "objected_at": datetime(2026, 5, 7, 10, 0, 0, number, SUMMER_TIME) if odd else None,
        "created_at": NOW,
        "updated_at": datetime(2026, 1, 1, tzinfo=UTC),
        "erased_at": None,
    }


def stored(session: Session, model: type[Base]) -> list[dict[str, Any]]:
    table = table_of(model)
    rows = session.execute(select(table).order_by(*table.primary_key.columns)).mappings()
    return [dict(row) for row in rows]


def test_many_rows_are_what_few_would_be(store: Store) -> None:
    with store.write() as session:
        controller_id = establish(session).id
        rows = [contact(controller_id, number) for number in range(NUMBER)]
        ids = insert_rows(session, Contact, rows)
        expected = [{**row, "id": row_id} for row, row_id in zip(rows, ids, strict=True)]
        assert stored(session, Contact) == expected


def test_rows_that_are_there_are_left_and_the_others_written(store: Store) -> None:
    rows = [
        {"channel": Channel.EMAIL, "key_hash": number.to_bytes(32, "big")}
        for number in range(NUMBER)
    ]
    with store.write() as session:
        insert_missing(session, Address, rows[:3])
        before = stored(session, Address)
        insert_missing(session, Address, [*rows, *rows])
        after = stored(session, Address)
    assert after[:3] == before
    assert {row["key_hash"] for row in after} == {row["key_hash"] for row in rows}
    assert len(after) == NUMBER


def test_rows_that_are_there_are_overwritten(store: Store) -> None:
    with store.write() as session:
        party = establish(session)
        ids = [address_id_of(session, f"p{number}@example.org") for number in range(NUMBER)]
        event_id = record_consent(session, party, ids[0])
        states = [
            {
                "controller_id": party.id,
                "purpose_id": party.purpose.id,
                "address_id": address_id,
                "status": ConsentKind.WITHDRAWN,
                "event_id": event_id,
                "last_affirmative_at": None,
                "ends_at": NOW,
                "flaw": ConsentFlaw.NONE,
                "notice_shown_from": None,
            }
            for address_id in ids
        ]
        upsert(session, ConsentState, states, ("controller_id", "purpose_id", "address_id"))
        assert stored(session, ConsentState) == states


def test_documents_are_kept_in_rows_that_may_be_there(store: Store) -> None:
    with store.write() as session:
        party = establish(session)
        run = add_run(session, party, add_campaign(session, party.controller)[1])
        ids = [address_id_of(session, f"p{number}@example.org") for number in range(NUMBER)]
        rows = [
            {
                "run_id": run.id,
                "address_id": address_id,
                "address": f"p{number}@example.org",
                "attributes": {"name": "Zoë", "n": number},
                "erase_after": NOW,
            }
            for number, address_id in enumerate(ids)
        ]
        insert_missing(session, StagedRecipient, rows)
        found = stored(session, StagedRecipient)
        assert [row["attributes"] for row in found] == [row["attributes"] for row in rows]


def test_an_error_quotes_no_value(store: Store) -> None:
    with store.write() as session:
        controller_id = establish(session).id
    rows = [contact(controller_id, number) for number in range(NUMBER)]
    rows[-1]["external_ref"] = rows[0]["external_ref"] = "A secret reference"
    with pytest.raises(IntegrityError) as told, store.write() as session:
        insert_many(session, table_of(Contact), rows)
    assert "secret" not in str(told.value)
    assert "secret" not in repr(told.value)
    rows[-1]["created_at"] = None
    with pytest.raises(DBAPIError) as missing, store.write() as session:
        insert_many(session, table_of(Contact), rows)
    assert "secret" not in str(missing.value)


def test_few_rows_take_the_usual_way(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "_copy", None)
    with store.write() as session:
        controller_id = establish(session).id
        insert_many(session, table_of(Contact), [contact(controller_id, 1)])
        insert_many(session, table_of(Contact), [])
        assert len(stored(session, Contact)) == 1
