"""The encoding of a file is told by its first bytes or by the operator, never guessed."""

from pathlib import Path

import pytest

from sender.errors import FileError
from sender.imports.csv_file import Encoding, survey

TEXT = 'email|name\nzoe@example.org|"Zoë\nO\u2019Neill"\n'


@pytest.mark.parametrize(
    ("codec", "named"),
    [
        ("utf-8", None),
        ("utf-8-sig", None),
        ("utf-16", None),
        ("utf-8-sig", Encoding.UTF_8),
        ("utf-16", Encoding.UTF_16),
        ("cp1252", Encoding.WINDOWS_1252),
    ],
)
def test_letters_come_out_as_they_were_written(
    tmp_path: Path, codec: str, named: Encoding | None
) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(TEXT.encode(codec))
    file = survey(path, named)
    assert (file.header, file.delimiter) == (("email", "name"), "|")
    assert [one.cells for one in file.records()] == [["zoe@example.org", "Zoë\nO\u2019Neill"]]


@pytest.mark.parametrize(
    ("codec", "named", "remedy"),
    [
        ("cp1252", None, "--encoding windows-1252"),
        ("cp1252", Encoding.UTF_16, "CSV UTF-8"),
        ("utf-16-le", None, "CSV UTF-8"),
        ("utf-16", Encoding.WINDOWS_1252, "CSV UTF-8"),
        ("utf-16", Encoding.UTF_8, "CSV UTF-8"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_remedy(
    tmp_path: Path, codec: str, named: Encoding | None, remedy: str
) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(TEXT.encode(codec))
    with pytest.raises(FileError) as caught:
        survey(path, named)
    assert remedy in caught.value.remedy
    assert caught.value.line is not None


def test_bytes_that_windows_1252_leaves_free_are_told_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(b"email\nzo\x81@example.org\n")
    with pytest.raises(FileError) as caught:
        survey(path, Encoding.WINDOWS_1252)
    assert caught.value.line == 2
