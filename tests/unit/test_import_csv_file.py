"""Files are read to their end before the first row is taken, and lines are counted as people do."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.errors import FileError
from sender.imports.csv_file import survey


def written(folder: Path, content: bytes) -> Path:
    path = folder / "file.csv"
    path.write_bytes(content)
    return path


def test_lines_are_those_of_an_editor(tmp_path: Path) -> None:
    file = survey(written(tmp_path, b'a,b\n"x\ny",1\n\n  ,\nz,2\n'))
    assert [(one.line, one.cells) for one in file.records()] == [
        (2, ["x\ny", "1"]),
        (6, ["z", "2"]),
    ]
    assert file.rows == 2


@pytest.mark.parametrize(
    ("first", "delimiter"),
    [(b"a,b;c,d", ","), (b"a;b;c", ";"), (b"a\tb\tc,d", "\t"), (b"a", ","), (b'"a,b";c;d', ";")],
)
def test_separator_is_the_one_that_makes_most_columns(
    tmp_path: Path, first: bytes, delimiter: str
) -> None:
    assert survey(written(tmp_path, first)).delimiter == delimiter


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"a\n\xff\n", 2),
        (b"a\nb\0\n", 2),
        (b'a,b\n1,"x" y\n', 2),
        (b"a\n1\r2\n", 2),
        (b"a,b\r1,2\r3,4\r", 1),
        (b"a\n" + b"x" * 200_000, 2),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(
    tmp_path: Path, content: bytes, line: int
) -> None:
    with pytest.raises(FileError) as caught:
        survey(written(tmp_path, content))
    assert caught.value.line == line
    assert caught.value.remedy


@pytest.mark.parametrize("content", [b"a,b\r1,2\r3,4\r", b"a\n1\r2\n"])
def test_lines_that_end_as_on_an_old_macintosh_are_told_as_that(
    tmp_path: Path, content: bytes
) -> None:
    with pytest.raises(FileError, match="carriage return"):
        survey(written(tmp_path, content))


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)


@given(st.lists(st.lists(cells, min_size=2, max_size=2), max_size=5), st.sampled_from(",;\t"))
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], delimiter: str
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerows([["first", "second"], *rows])
    path = written(tmp_path_factory.mktemp("csv"), text.getvalue().encode())
    full = [row for row in rows if any(cell and not cell.isspace() for cell in row)]
    assert [one.cells for one in survey(path).records()] == full
