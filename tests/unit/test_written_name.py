"""Names as letters are signed."""

import pytest

from sender.contacts.written_name import WrittenName, read_name


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("Okafor", "", "okafor"),
        ("Mrs Okafor", "", "okafor"),
        ("A Okafor", "a", "okafor"),
        ("Mrs. A. Okafor", "a", "okafor"),
        ("A.B. Okafor", "a", "okafor"),
        ("Ann B Okafor", "ann", "okafor"),
        ("Okafor, A.", "a", "okafor"),
        ("Okafor, Mrs A", "a", "okafor"),
        ("Okafor,", "", "okafor"),
        ("J van der Berg", "j", "van der berg"),
        ("van der Berg, J", "j", "van der berg"),
        ("Dr", "", ""),
    ],
)
def test_a_signature_tells_how_the_names_begin(text: str, first: str, last: str) -> None:
    expected = WrittenName(first, last) if last else None
    assert read_name(text) == expected


def test_nothing_is_no_name() -> None:
    assert read_name(" . ") is None
