"""People are found by what a letter tells of them."""

import pytest

from sender.contacts.find import find_people
from sender.store.engine import Store
from tests.support.factory import add_contact, establish


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Mrs A. Okafor", ["Ann Okafor", "Azra Okafor"]),
        ("Okafor, A.", ["Ann Okafor", "Azra Okafor"]),
        ("Ann Okafor", ["Ann Okafor"]),
        ("okaf", ["Ann Okafor", "Azra Okafor", "Ben Okafor"]),
        ("J van der Berg", ["Jo van der Berg"]),
        ("RV1", ["Ann Okafor", "Ben Okafor"]),
        ("rv1 1", ["Ann Okafor"]),
        ("RV1 2BB", ["Ben Okafor"]),
        ("rv12bb", ["Ben Okafor"]),
        ("RV", []),
        ("%", []),
        ("_ Okafor", []),
        ("", []),
    ],
)
def test_a_letter_finds_its_writer(store: Store, text: str, found: list[str]) -> None:
    with store.write() as session:
        body, other = establish(session, "riverside"), establish(session, "candidate")
        for first, last, postcode in (
            ("Ann", "Okafor", "RV1 1AA"),
            ("Azra", "Okafor", None),
            ("Ben", "Okafor", "RV12BB"),
            ("Jo", "van der Berg", "ZZ9 9ZZ"),
        ):
            add_contact(
                session, body.controller, first_name=first, last_name=last, postcode=postcode
            )
        add_contact(session, other.controller, first_name="Ann", last_name="Okafor")
        people = find_people(session, body.id, text, limit=50)
    assert [person.name for person in people] == found
