"""Read a CSV file of any size as records with line numbers; refuse early what cannot be read.

The whole file is surveyed before the first row is taken, so that a broken file brings in nothing.
"""

import codecs
import csv
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from sender.errors import FileError

DELIMITERS = (",", ";", "\t", "|")
_LONGEST_HEADER = 50_000
_BOM = "\ufeff"
_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Encoding(StrEnum):
    """How the text of a file is written as bytes; the names are Python's codecs."""

    UTF_8 = "utf-8"
    UTF_16 = "utf-16"
    WINDOWS_1252 = "windows-1252"


_SAVE_AGAIN: Final = {
    Encoding.UTF_8: 'Save it again as "CSV UTF-8"; or, if it is an older file of a Windows '
    "program and names look right with it, say --encoding windows-1252.",
    Encoding.UTF_16: 'Save it again as "CSV UTF-8".',
    Encoding.WINDOWS_1252: 'It is of another encoding: save it again as "CSV UTF-8".',
}


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
        encoding: as its first bytes or the operator say.
        delimiter: comma, semicolon, tab or bar, as the first line shows.
        header: the cells of the first line, trimmed.
        rows: how many records follow it; blank lines are none.
    """

    path: Path
    sha256: bytes
    encoding: Encoding
    delimiter: str
    header: tuple[str, ...]
    rows: int

    def records(self, *, with_header: bool = False) -> Iterator[Record]:
        """Yield the records, after the header unless that is wanted too.

        Raises:
            FileError: the file changed since it was surveyed and cannot be read now.
        """
        records = _records(self.path, self.encoding, self.delimiter)
        if not with_header:
            next(records, None)
        yield from records


def survey(path: Path, encoding: Encoding | None = None) -> CsvFile:
    """Read the file to its end without keeping it.

    UTF-8 and UTF-16 are told by their first bytes, and UTF-8 also by every byte after them. An
    encoding with one byte a letter fits any bytes, right or wrong: it is taken only where it is
    named.

    Raises:
        FileError: it is missing, empty, of another encoding (names the line), or its quoting is
            broken.
    """
    encoding = encoding or _marked(path)
    delimiter = _delimiter(path, encoding)
    records = _records(path, encoding, delimiter)
    first = next(records, None)
    if first is None:
        raise FileError("The file is empty.", path=path, remedy="It needs a line of column names.")
    rows = sum(1 for _ in records)
    header = tuple(cell.strip() for cell in first.cells)
    return CsvFile(path, _digest(path), encoding, delimiter, header, rows)


def _marked(path: Path) -> Encoding:
    try:
        with path.open("rb") as file:
            is_utf_16 = file.read(2) in _UTF_16_MARKS
    except OSError as error:
        raise _unreadable(path, error) from None
    return Encoding.UTF_16 if is_utf_16 else Encoding.UTF_8


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _delimiter(path: Path, encoding: Encoding) -> str:
    first = next((line for line in _lines(path, encoding) if line.strip()), "")
    return max(DELIMITERS, key=lambda delimiter: _width(first[:_LONGEST_HEADER], delimiter))


def _width(line: str, delimiter: str) -> int:
    try:
        return len(next(csv.reader([line], delimiter=delimiter), []))
    except csv.Error:  # told with its line when the records are read
        return 0


def _records(path: Path, encoding: Encoding, delimiter: str) -> Iterator[Record]:
    reader = csv.reader(_lines(path, encoding), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            if not _is_blank(cells):
                yield Record(line, cells)
            line = reader.line_num + 1
    except csv.Error as error:
        if "new-line character" in str(error):
            raise FileError(
                "There is a carriage return without a line feed.",
                path=path,
                line=line,
                remedy=_SAVE_AGAIN[Encoding.UTF_16],
            ) from None
        raise FileError(
            f"The quoting is broken ({error}).",
            path=path,
            line=line,
            remedy='Put cells with quotes or line breaks in "…", and write a quote as "".',
        ) from None


def _is_blank(cells: Sequence[str]) -> bool:
    return not any(cell and not cell.isspace() for cell in cells)


def _lines(path: Path, encoding: Encoding) -> Iterator[str]:
    read = _wide_lines if encoding is Encoding.UTF_16 else _narrow_lines
    try:
        for number, text in enumerate(read(path, encoding), start=1):
            if "\0" in text:
                raise FileError(
                    "There is a NUL byte.", path=path, line=number, remedy=_SAVE_AGAIN[encoding]
                )
            yield text.removeprefix(_BOM) if number == 1 else text
    except OSError as error:
        raise _unreadable(path, error) from None


def _narrow_lines(path: Path, encoding: Encoding) -> Iterator[str]:
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            try:
                yield raw.decode(encoding)
            except UnicodeDecodeError as error:
                problem = f"Byte {error.start + 1} is not {_NAMES[encoding]}."
                remedy = _SAVE_AGAIN[encoding]
                raise FileError(problem, path=path, line=number, remedy=remedy) from None


def _wide_lines(path: Path, encoding: Encoding) -> Iterator[str]:
    number = 0
    try:
        with path.open(encoding=encoding, newline="\n") as file:
            for number, text in enumerate(file, start=1):  # noqa: B007 # told where it ends
                yield text
    except UnicodeError:  # also where it has no mark of its byte order
        problem = f"This is not {_NAMES[encoding]}."
        remedy = _SAVE_AGAIN[encoding]
        raise FileError(problem, path=path, line=number + 1, remedy=remedy) from None


_NAMES: Final = {
    Encoding.UTF_8: "UTF-8",
    Encoding.UTF_16: "UTF-16",
    Encoding.WINDOWS_1252: "Windows-1252",
}


def _unreadable(path: Path, error: OSError) -> FileError:
    reason = error.strerror or type(error).__name__
    return FileError(f"The file cannot be read: {reason}.", path=path)
