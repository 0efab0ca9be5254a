"""What commands print: tables for people, or one JSON document for scripts.

    out = Output(as_json=json_output)
    out.show({"runs": rows}, Facts([("Run", 7)]), Listing(["Reason", "People"], [["stale", 12]]))
    out.note("A hint for people, on stderr; silent with --json.")
    out.confirm("Send 1,204 messages?", yes=yes)      # UsageError if nobody is there to answer
    with out.progress("Importing", total=rows) as advance:
        advance(500)                                  # bar on a terminal, silent elsewhere

Documents may hold dates, enums, paths, bytes and dataclasses, written as `json_ready` says.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, is_dataclass
from datetime import UTC, date, datetime
from enum import IntEnum, StrEnum
from pathlib import Path
from types import ModuleType, NoneType
from typing import Any, Final, Protocol

from sender.errors import UsageError


class Advance(Protocol):
    """Moves a progress bar."""

    def __call__(self, amount: int, total: int | None = None) -> None:
        """Say how much more was done, and how much there is in all once that is known."""
        ...


@dataclass(frozen=True, slots=True)
class Facts:
    """A few named values, one under the other; None and empty values are left out."""

    pairs: Sequence[tuple[str, object]]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """A table. Whole numbers stand on the right; `empty` is said when there are no rows."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    title: str = ""
    empty: str = "None."


Part = str | Facts | Listing


@dataclass(frozen=True, slots=True)
class Output:
    """Where a command's answer goes: one document with `as_json`, else text for people."""

    as_json: bool = field(kw_only=True)

    def show(self, document: Any, *parts: Part) -> None:
        """Print the document for scripts, or the parts for people."""
        if self.as_json:
            print_json(document)
            return
        draw = _terminal().draw if sys.stdout.isatty() else _draw_plainly
        for place, part in enumerate(parts):
            if place and not (isinstance(part, str) and isinstance(parts[place - 1], str)):
                sys.stdout.write("\n")
            draw(part)

    def note(self, text: str) -> None:
        """Tell people something beside the answer, on stderr."""
        if not self.as_json:
            sys.stderr.write(text + "\n")

    def confirm(self, question: str, *, yes: bool) -> None:
        """Return if the operator agrees.

        Raises:
            UsageError: nobody can be asked and `--yes` was not given, or the answer was no.
        """
        if yes:
            return
        if self.as_json or not sys.stdin.isatty():
            raise UsageError(f"{question} Nobody is there to answer.", remedy="Add --yes.")
        sys.stderr.write(f"{question} [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
            raise UsageError("Nothing was done.")

    @contextmanager
    def progress(self, label: str, total: int | None = None) -> Iterator[Advance]:
        """Show a bar with rate and time left while the block runs, if a terminal is there.

        Args:
            label: what is being done.
            total: how much there is to do; None is not known.
        """
        if self.as_json or not sys.stderr.isatty():
            yield _stand_still
            return
        with _terminal().bar(label, total) as advance:
            yield advance


def print_json(document: Any) -> None:
    """Write one JSON document to stdout."""
    sys.stdout.write(
        json.dumps(document, default=json_ready, ensure_ascii=False, indent=2, sort_keys=False)
    )
    sys.stdout.write("\n")


def json_ready(value: object) -> Any:
    """Return what JSON can hold for a value that it cannot.

    Times are ISO 8601 in UTC, bytes hexadecimal, enums their word (numbered ones in lower case).
    """
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, set | frozenset | tuple):
        return sorted(value) if isinstance(value, set | frozenset) else list(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def plain(value: object) -> str:
    """Return a value as people read it in a table; None is empty."""
    for kind, worded in _WORDED:
        if isinstance(value, kind):
            return worded(value)
    return str(value)


def _several(values: Iterable[object]) -> str:
    return ", ".join(plain(value) for value in values)


# bool before int, and enums before what they are made of: the first that fits is taken.
_WORDED: Final[tuple[tuple[type, Callable[[Any], str]], ...]] = (
    (NoneType, lambda _: ""),
    (bool, lambda value: "yes" if value else "no"),
    (datetime, lambda value: f"{value.astimezone(UTC):%Y-%m-%d %H:%M}Z"),
    (IntEnum, lambda value: str(value.name).lower()),
    (StrEnum, str),
    (int, lambda value: f"{value:,}"),
    (list, _several),
    (tuple, _several),
)


def mapping_rows(counts: Mapping[Any, int]) -> list[tuple[str, int]]:
    """Return the rows of a table of counts, largest first."""
    return sorted(((plain(key), count) for key, count in counts.items()), key=_largest_first)


def _largest_first(row: tuple[str, int]) -> tuple[int, str]:
    return (-row[1], row[0])


def _stand_still(amount: int, total: int | None = None) -> None:
    del amount, total


def _terminal() -> ModuleType:
    # Rich takes a tenth of a second to import; only terminals pay for it.
    from sender.cli import terminal  # noqa: PLC0415  # see above

    return terminal


def is_number(value: object) -> bool:
    """Whether a cell stands on the right."""
    return isinstance(value, int) and not isinstance(value, bool | IntEnum)


def shown(facts: Facts) -> list[tuple[str, str]]:
    """Return the pairs that have a value, as text."""
    pairs = [(name, plain(value)) for name, value in facts.pairs]
    return [(name, text) for name, text in pairs if text]


# Plain text: nothing is cut off or wrapped, so that other programs can read it.


def _draw_plainly(part: Part) -> None:
    for line in _plain_lines(part):
        sys.stdout.write(line.rstrip() + "\n")


def _plain_lines(part: Part) -> Iterator[str]:
    if isinstance(part, str):
        yield part
        return
    if part.title:
        yield part.title
    if isinstance(part, Facts):
        pairs = shown(part)
        width = max((len(name) for name, _ in pairs), default=0)
        yield from (f"{name:<{width}}  {text}" for name, text in pairs)
    elif not part.rows:
        yield part.empty
    else:
        yield from _aligned(part)


def _aligned(listing: Listing) -> Iterator[str]:
    table = [list(listing.columns), *[[plain(cell) for cell in row] for row in listing.rows]]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    right = right_columns(listing)
    for cells in table:
        yield "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(cells, widths, right, strict=True)
        )


def right_columns(listing: Listing) -> list[bool]:
    """Whether each column holds numbers only."""
    columns: Iterable[Sequence[object]] = zip(*listing.rows, strict=True)
    return [all(cell is None or is_number(cell) for cell in column) for column in columns]
