"""Read a CSV file of any size as records with line numbers; refuse early what cannot be read.

The whole file is surveyed before the first row is taken, so that a broken file brings in nothing.
"""

import csv
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sender.errors import FileError

DELIMITERS = (",", ";", "\t")
_LONGEST_HEADER = 50_000
_BOM = "\ufeff"
_SAVE_AGAIN = 'Save it again as "CSV UTF-8".'


@dataclass(frozen=True, slots=True)
class Record:
    """One record; `line` is where it begins (1-based), as an editor shows it."""

    line: int
    cells: list[str]


@dataclass(frozen=True, slots=True)
class CsvFile:
    """A file that was read to its end once.

    Attributes:
        path: where it lies.
        sha256: of its bytes.
        delimiter: comma, semicolon or tab, as the first line shows.
        header: the cells of the first line, trimmed.
        rows: how many records follow it; blank lines are none.
    """

    path: Path
    sha256: bytes
    delimiter: str
    header: tuple[str, ...]
    rows: int

    def records(self, *, with_header: bool = False) -> Iterator[Record]:
        """Yield the records, after the header unless that is wanted too.

        Raises:
            FileError: the file changed since it was surveyed and cannot be read now.
        """
        records = _records(self.path, self.delimiter)
        if not with_header:
            next(records, None)
        yield from records


def survey(path: Path) -> CsvFile:
    """Read the file to its end without keeping it.

    Raises:
        FileError: it is missing, empty, not UTF-8 (names the line), or its quoting is broken.
    """
    digest = hashlib.sha256()
    delimiter = _delimiter(path)
    records = _records(path, delimiter, digest.update)
    first = next(records, None)
    if first is None:
        raise FileError("The file is empty.", path=path, remedy="It needs a line of column names.")
    rows = sum(1 for _ in records)
    header = tuple(cell.strip() for cell in first.cells)
    return CsvFile(path, digest.digest(), delimiter, header, rows)


def _delimiter(path: Path) -> str:
    first = next((line for line in _lines(path) if line.strip()), "")
    return max(DELIMITERS, key=lambda delimiter: _width(first[:_LONGEST_HEADER], delimiter))


def _width(line: str, delimiter: str) -> int:
    return len(next(csv.reader([line], delimiter=delimiter), []))


def _records(
    path: Path, delimiter: str, see: Callable[[bytes], None] | None = None
) -> Iterator[Record]:
    reader = csv.reader(_lines(path, see), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            if not _is_blank(cells):
                yield Record(line, cells)
            line = reader.line_num + 1
    except csv.Error as error:
        raise FileError(
            f"The quoting is broken ({error}).",
            path=path,
            line=line,
            remedy='Put cells with quotes or line breaks in "…", and write a quote as "".',
        ) from None


def _is_blank(cells: Sequence[str]) -> bool:
    return not any(cell and not cell.isspace() for cell in cells)


def _lines(path: Path, see: Callable[[bytes], None] | None = None) -> Iterator[str]:
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                if see is not None:
                    see(raw)
                yield _decoded(raw, path, number)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise FileError(f"The file cannot be read: {reason}.", path=path) from None


def _decoded(raw: bytes, path: Path, number: int) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise FileError(
            f"Byte {error.start + 1} is not UTF-8.", path=path, line=number, remedy=_SAVE_AGAIN
        ) from None
    if "\0" in text:
        raise FileError("There is a NUL byte.", path=path, line=number, remedy=_SAVE_AGAIN)
    return text.removeprefix(_BOM) if number == 1 else text
