"""The rejects file: what was not taken, why, how to mend it, and the row as it was."""

import csv
import itertools
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from sender.errors import FileError
from sender.imports.counts import RejectedForm
from sender.imports.csv_file import Record
from sender.imports.layout import REJECT_PREFIX
from sender.imports.problem import Problem
from sender.spreadsheet import harmless, unmarked

_TOLD = ("line", "column", "problem", "remedy", "form", "date")
_ADDED = tuple(f"{REJECT_PREFIX}{name}" for name in _TOLD)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MOST_FORMS = 10_000
"""More names of forms than this are no forms; their rows are told of together."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a row says that the person saw, and when; both as written."""

    form: str = ""
    day: str = ""


_NOTHING = Seen()


@dataclass(frozen=True, slots=True)
class Kept:
    """A rejects file up to the rows that are done; what follows is of rows that are not."""

    path: Path
    bytes: int


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
        self._forms: dict[str, tuple[str, str, int]] = {}
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

    def add(self, record: Record, problems: Sequence[Problem], seen: Seen = _NOTHING) -> None:
        """Write one line for each thing that is wrong with a row."""
        if problems and seen.form:
            self._group(seen)
        for problem in problems:
            told = [str(record.line), problem.column, problem.problem, problem.remedy]
            self._write([*told, seen.form, seen.day, *self._originals(record)])

    @property
    def groups(self) -> list[RejectedForm]:
        """The rows that tell of a consent, by form; the largest group first."""
        found = [
            RejectedForm(form, first, last, rows)
            for form, (first, last, rows) in self._forms.items()
        ]
        return sorted(found, key=lambda group: (-group.rows, group.form))

    def _group(self, seen: Seen) -> None:
        is_full = len(self._forms) >= _MOST_FORMS and seen.form not in self._forms
        form = "" if is_full else seen.form
        first, last, rows = self._forms.get(form, ("", "", 0))
        if _DAY.fullmatch(seen.day):  # one that cannot be read is no day of the form's
            first, last = min(first or seen.day, seen.day), max(last, seen.day)
        self._forms[form] = (first, last, rows + 1)

    def flush(self) -> Kept | None:
        """Bring everything written so far to the disk, and return how much that is."""
        if self._file is None or self.path is None:
            return None
        self._file.flush()
        os.fsync(self._file.fileno())
        return Kept(self.path, os.fstat(self._file.fileno()).st_size)

    def take_up(self, kept: Kept) -> None:
        """Go on with the file of an import that died, behind the rows that are done.

        If it is not there any more, or was shortened, another one is begun with the next reject.
        """
        try:
            file = kept.path.open("r+", encoding="utf-8", newline="")
        except OSError:
            return
        if kept.path.stat().st_size < kept.bytes:
            file.close()
            return
        file.truncate(kept.bytes)
        self._file, self.path = file, kept.path
        self._group_again(csv.DictReader(file))
        file.seek(0, os.SEEK_END)

    def _group_again(self, lines: Iterable[Mapping[str, str]]) -> None:
        last = ""
        for line in lines:
            number, form = line[f"{REJECT_PREFIX}line"], unmarked(line[f"{REJECT_PREFIX}form"])
            if form and number != last:
                self._group(Seen(form, unmarked(line[f"{REJECT_PREFIX}date"])))
            last = number

    def _originals(self, record: Record) -> list[str]:
        if len(record.cells) != len(self._header):
            return record.cells
        return [record.cells[place] for place in self._kept]

    def _write(self, cells: Iterable[str]) -> None:
        if self._file is None:
            self._file, self.path = _create(self._wanted)
            header = [self._header[place] for place in self._kept]
            csv.writer(self._file).writerow([*_ADDED, *map(harmless, header)])
        csv.writer(self._file).writerow([harmless(cell) for cell in cells])


def default_path(source: Path) -> Path:
    """Return where the rejects of a file go unless told otherwise: beside it."""
    return source.with_name(f"{source.stem}.rejects.csv")


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
