"""Nothing that may hold a person's data is forgotten when they ask for it, or for its end."""

import pytest
from sqlalchemy import JSON, Column, LargeBinary, String, Table

from sender.store.portable import table_of
from sender.store.tables import metadata
from sender.subjects.export import shown_columns
from sender.subjects.holdings import HOLDINGS, MACHINERY

HELD = {holding.model.__tablename__: holding for holding in HOLDINGS}

ROOTS = {"address", "contact"}
POINTERS = {"address_id", "contact_id", "delivery_id"}
"""Columns that point at a person, also where the database was not told so."""

ABOUT_NOBODY = {
    "address": "the keyed hash and its number, which stay so that a no holds for good",
}

NOT_PERSONAL = {
    "attributes": "emptied to an empty document",
    "channel": "a word of the vocabulary",
    "kind": "a word of the vocabulary",
    "code": "the provider's code, without text",
    "provider_code": "the provider's code, without text",
    "provider_message_id": "the provider's number of a message: late complaints come by it",
    "name": "the provider's name of a notification, a number or a hash",
    "raw_type": "a word of the provider's",
    "source": "where a record came from",
    "method": "how an act reached us",
    "operator": "who recorded it, of the controller's staff",
    "opened_by": "who recorded it, of the controller's staff",
    "closed_by": "who recorded it, of the controller's staff",
    "confirmed_by": "who recorded it, of the controller's staff",
    "decided_by": "who recorded it, of the controller's staff",
    "lawful_basis": "always consent",
    "suppression_event_ids": "numbers of events",
    "purpose_ids": "numbers of purposes",
    "action": "what was done",
    "details": "what was done, without personal data; those are in the payload",
    "outcome": "a word of the vocabulary",
    "state": "a word of the vocabulary",
    "reason": "a word of the vocabulary",
    "status": "a word of the vocabulary",
    "flaw": "a word of the vocabulary",
    "act": "a word of the vocabulary",
    "meaning": "a word of the vocabulary",
    "decided_as": "a word of the vocabulary",
    "provider": "a word of the vocabulary",
    "arrived_by": "a word of the vocabulary",
}


def points_at_a_person(table: Table) -> bool:
    targets = {key.column.table.name for key in table.foreign_keys}
    return bool(targets & {*ROOTS, *HELD} or set(table.columns.keys()) & POINTERS)


def holds_text(column: "Column[object]") -> bool:
    kind = getattr(column.type, "impl", column.type)
    return isinstance(kind, String | JSON | LargeBinary) and not column.foreign_keys


@pytest.mark.parametrize("name", sorted(metadata.tables))
def test_every_table_that_points_at_a_person_is_shown(name: str) -> None:
    if points_at_a_person(metadata.tables[name]):
        assert name in HELD or name in ABOUT_NOBODY, f"{name} needs a Holding, or a reason"


@pytest.mark.parametrize("name", sorted(HELD))
def test_every_column_is_shown_or_guards_history(name: str) -> None:
    columns = set(metadata.tables[name].columns.keys())
    assert columns == {*shown_columns(HELD[name].model), *(columns & MACHINERY)}


@pytest.mark.parametrize("name", sorted(HELD))
def test_every_text_is_erased_or_not_personal(name: str) -> None:
    holding = HELD[name]
    texts = {column.name for column in table_of(holding.model).columns if holds_text(column)}
    left = set() if holding.removed else texts - {*holding.emptied, *NOT_PERSONAL, *MACHINERY}
    assert left == set()


def test_what_is_emptied_is_there() -> None:
    for name, holding in HELD.items():
        assert set(holding.emptied) <= set(metadata.tables[name].columns.keys())
