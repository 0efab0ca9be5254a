"""Who is held twice: for certain where it is one mailbox, by a hint where it is a name."""

from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from sender.contacts.twins import Likeness, find_twins
from sender.store.engine import Store
from sender.subjects.merge import merge_contacts
from tests.support.factory import NOW, Organisation, add_contact, add_point, establish
from tests.support.one_person import context_of


def people(session: Session, party: Organisation, *addresses: str) -> list[int]:
    """Add a contact for each address, and return their numbers."""
    contacts = [add_contact(session, party.controller) for _ in addresses]
    for contact, address in zip(contacts, addresses, strict=True):
        add_point(session, contact, address)
    return [contact.id for contact in contacts]


def test_gmail_spellings_of_one_mailbox_are_one(store: Store) -> None:
    with store.write() as session:
        party = establish(session)
        ids = people(
            session,
            party,
            "ann.okafor@gmail.com",
            "annokafor@gmail.com",
            "a.n.n.okafor+news@googlemail.com",
            "ann.okafo@gmail.com",
            "ann.okafor@example.org",
            "annokafor@example.org",
            "ann.okafor@notgmail.com",
        )
        elsewhere = establish(session, "hillside")
        people(session, elsewhere, "an.nokafor@gmail.com")
    with store.read() as session:
        (found,) = find_twins(session, party.id)
    assert (found.likeness, found.likeness.is_certain) == (Likeness.SAME_MAILBOX, True)
    assert [one.contact_id for one in found.contacts] == ids[:3]


def test_two_spellings_of_one_contact_are_no_twins(store: Store) -> None:
    with store.write() as session:
        party = establish(session)
        contact = add_contact(session, party.controller)
        add_point(session, contact, "ann.okafor@gmail.com")
        add_point(session, contact, "annokafor@gmail.com")
    with store.read() as session:
        assert list(find_twins(session, party.id)) == []


def test_a_name_and_postcode_are_a_hint_also_where_one_objected(store: Store) -> None:
    with store.write() as session:
        party = establish(session)
        names: dict[str, Any] = {"first_name": "Ann", "last_name": "Okafor"}
        homes: list[dict[str, Any]] = [
            {"postcode": "RV1 1AA"},
            {"postcode": "rv11aa", "objected_at": NOW, "external_ref": "crm-2"},
            {"postcode": "RV1 1AB"},
        ]
        ids = [add_contact(session, party.controller, **names, **home).id for home in homes]
        add_contact(session, party.controller, **names, postcode="RV1 1AA", erased_at=NOW)
        add_contact(session, party.controller)
        add_contact(session, party.controller)
    with store.read() as session:
        (found,) = find_twins(session, party.id)
    assert not found.likeness.is_certain
    assert [(one.contact_id, one.external_ref, one.objected) for one in found.contacts] == [
        (ids[0], None, False),
        (ids[1], "crm-2", True),
    ]


def test_whoever_was_merged_is_listed_no_more(store: Store, tmp_path: Path) -> None:
    with store.write() as session:
        party = establish(session)
        kept, other = people(session, party, "a.b@gmail.com", "ab@gmail.com")
    merge_contacts(context_of(store, tmp_path), "riverside", kept, other)
    with store.read() as session:
        assert list(find_twins(session, party.id)) == []
