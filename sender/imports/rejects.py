"""The rejects file: what was not taken, why, how to mend it, and the row as it was."""

import csv
import itertools
import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from sender.errors import FileError
from sender.imports.csv_file import Record
from sender.imports.layout import REJECT_PREFIX
from sender.imports.problem import Problem

_ADDED = tuple(f"{REJECT_PREFIX}{name}" for name in ("line", "column", "problem", "remedy"))
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters that make a spreadsheet run a cell (OWASP, CSV injection)."""


class RejectsFile:
    """Written next to the import; made only when there is something to reject.

    The file holds personal data: only its owner may read it. It never takes another file's place:
    where the name is taken, a number is added.

    Args:
        wanted: where to write.
        header: the columns of the file that is brought in.

    Attributes:
        path: the file that was written; None as long as there is none.
    """

    def __init__(self, wanted: Path, header: Iterable[str]) -> None:
        self._wanted = wanted
        self._header = tuple(header)
        self._kept = [
            place
            for place, name in enumerate(self._header)
            if not name.lower().startswith(REJECT_PREFIX)
        ]
        self._file: TextIO | None = None
        self.path: Path | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, record: Record, problems: Iterable[Problem]) -> None:
        """Write one line for each thing that is wrong with a row."""
        for problem in problems:
            told = [str(record.line), problem.column, problem.problem, problem.remedy]
            self._write([*told, *self._originals(record)])

    def flush(self) -> None:
        """Hand everything written so far to the operating system."""
        if self._file is not None:
            self._file.flush()

    def _originals(self, record: Record) -> list[str]:
        if len(record.cells) != len(self._header):
            return record.cells
        return [record.cells[place] for place in self._kept]

    def _write(self, cells: Iterable[str]) -> None:
        if self._file is None:
            self._file, self.path = _create(self._wanted)
            header = [self._header[place] for place in self._kept]
            csv.writer(self._file).writerow([*_ADDED, *header])
        csv.writer(self._file).writerow([_neutral(cell) for cell in cells])


def default_path(source: Path) -> Path:
    """Return where the rejects of a file go unless told otherwise: beside it."""
    return source.with_name(f"{source.stem}.rejects.csv")


def _neutral(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _create(wanted: Path) -> tuple[TextIO, Path]:
    for path in _names(wanted):
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise FileError(
                f"The rejects cannot be written: {reason}.",
                path=path,
                remedy="Choose another place with --rejects.",
            ) from None
        return open(descriptor, "w", encoding="utf-8", newline=""), path  # noqa: PTH123 # a descriptor
    raise AssertionError  # the names never end


def _names(wanted: Path) -> Iterable[Path]:
    yield wanted
    for number in itertools.count(2):
        yield wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}")
