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


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Şahin", ["Élodie Şahin"]),
        ("ŞAHİN", ["Élodie Şahin"]),
        ("Ms E. Sahin", ["Élodie Şahin"]),
        ("żak, ł.", ["ŁUKASZ ŻAK"]),
        ("Lukasz Zak", ["ŁUKASZ ŻAK"]),
        ("O'Neill", ["Siân O\u2019Neill-Smith"]),
        ("Sian ONeill Smith", ["Siân O\u2019Neill-Smith"]),
        ("Élo", ["Élodie Şahin"]),
        ("Madonna", ["Madonna"]),
        ("\u2019", []),
    ],
)
def test_no_accent_and_no_capital_hides_a_writer(store: Store, text: str, found: list[str]) -> None:
    """Whoever is not found cannot object by letter (guidance ¶72)."""
    with store.write() as session:
        body = establish(session, "riverside")
        for first, last in (
            ("Élodie", "Şahin"),
            ("ŁUKASZ", "ŻAK"),
            ("Siân", "O\u2019Neill-Smith"),
            (None, "Madonna"),
        ):
            add_contact(session, body.controller, first_name=first, last_name=last, postcode=None)
        people = find_people(session, body.id, text, limit=50)
    assert [person.name for person in people] == found
