"""What outlives an erasure names no address."""

import pytest

from sender.contacts.unaddressed import without_addresses


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("mail from ann.o+x@example.org, 5 May", "mail from [address], 5 May"),
        (
            "https://x.example/join?e=ann%40example.org&f=2",
            "https://x.example/join?e=[address]&f=2",
        ),
        ("call to +44 7911 123456", "call to [address]"),
        ("text from 07911 123456.", "text from [address]."),
        ("text from 07911-123-456", "text from [address]"),
        ("https://x.example/?m=%2B447911123456", "https://x.example/?m=[address]"),
        ("Ann@Example.ORG", "[address]"),
    ],
)
def test_addresses_go(text: str, kept: str) -> None:
    assert without_addresses(text) == kept


@pytest.mark.parametrize(
    "text",
    [
        "form 1204",
        "box 7, sheet 2026-05-07",
        "https://riverside.example.org/join?utm=07",
        "scan 20260507091500 page 3",
        "paper @ the fair",
        "ref 0712345678901234",
        "",
    ],
)
def test_everything_else_stays(text: str) -> None:
    assert without_addresses(text) == text
