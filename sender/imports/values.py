"""What the text of a cell means: times, numbers, yes and no, dates, words; pure."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeVar

from sender.contacts.filter import nearest
from sender.contacts.filter_literals import MAX_DIGITS, MAX_TEXT
from sender.imports.problem import CellRefusedError

JsonValue = str | int | float | bool

_TRUE: Final = frozenset({"true", "yes", "y", "1"})
_FALSE: Final = frozenset({"false", "no", "n", "0"})
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MOMENT: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(?:Z|[+-]\d{2}:?\d{2})?", re.ASCII
)
_NUMBER: Final = re.compile(r"[+-]?\d+(?:\.\d+)?", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_WRITE_ISO: Final = "Write 2026-05-07, or 2026-05-07 18:30, or 2026-05-07T18:30:00+01:00."
_WHICH_ORDER: Final = (
    f"{_WRITE_ISO} If the whole file has the day first, say --dates dmy; if the month, --dates mdy."
)
_SERIAL: Final = re.compile(r"\d{4,5}(?:\.\d+)?", re.ASCII)
_SPREADSHEET: Final = "A spreadsheet turned this date into a number of days."
_AS_TEXT: Final = "Format the column there as a date like 2026-05-07, and export the file again."

_MICROSECOND: Final = timedelta(microseconds=1)
_DAY: Final = timedelta(days=1)

W = TypeVar("W", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Moment:
    """A time as a file tells it: a whole local day, or an instant where both ends are one.

    Both ends are aware UTC and belong to it. A local time of the hour that comes twice in autumn is
    either of two instants: a yes counts from the first, a no until the second.
    """

    earliest: datetime
    latest: datetime


def moment(text: str, zone: tzinfo) -> Moment:
    """Return when the text says, in UTC; without an offset it is local time in `zone`.

    Only forms in which day and month cannot be mistaken for each other are taken.

    Raises:
        CellRefusedError: the text is of another form, or no such day exists.
    """
    try:
        if _DATE.fullmatch(text):
            return _whole_day(date.fromisoformat(text), zone)
        if _MOMENT.fullmatch(text):
            return _instant(datetime.fromisoformat(text), zone)
    except (ValueError, OverflowError):
        raise CellRefusedError("There is no such day or time.", _WRITE_ISO) from None
    if _SERIAL.fullmatch(text):
        raise CellRefusedError(_SPREADSHEET, _AS_TEXT)
    raise CellRefusedError("This could be read as more than one date, or as none.", _WHICH_ORDER)


def _instant(at: datetime, zone: tzinfo) -> Moment:
    local = at if at.tzinfo else at.replace(tzinfo=zone)
    both = [local.replace(fold=fold).astimezone(UTC) for fold in (0, 1)]
    return Moment(min(both), max(both))


def _whole_day(day: date, zone: tzinfo) -> Moment:
    first = datetime.combine(day, time(), zone).astimezone(UTC)
    after = datetime.combine(day + _DAY, time(), zone).astimezone(UTC)
    return Moment(first, after - _MICROSECOND)


def text_value(text: str) -> str:
    """Return the text of an attribute.

    Raises:
        CellRefusedError: it is longer than a filter could compare with.
    """
    if len(text) > MAX_TEXT:
        raise CellRefusedError(f"The text is longer than {MAX_TEXT} characters.", "Shorten it.")
    return text


def number_value(text: str) -> int | float:
    """Return a number that JSON and every database keep exactly.

    Raises:
        CellRefusedError: it is not a plain decimal number of at most 15 digits.
    """
    remedy = "Write 1200 or 12.5; declare reference numbers as text."
    if not _NUMBER.fullmatch(text):
        raise CellRefusedError("This is not a number.", remedy)
    number = Decimal(text)
    if len(text.lstrip("+-0").replace(".", "")) > MAX_DIGITS:
        raise CellRefusedError(f"The number has more than {MAX_DIGITS} digits.", remedy)
    return int(number) if number == number.to_integral_value() else float(number)


def boolean_value(text: str) -> bool:
    """Return yes or no.

    Raises:
        CellRefusedError: the text is neither.
    """
    word = text.lower()
    if word in _TRUE | _FALSE:
        return word in _TRUE
    raise CellRefusedError("This is neither yes nor no.", "Write true or false, yes or no, 1 or 0.")


def date_value(text: str) -> str:
    """Return a date as attributes hold it, e.g. `2026-05-07`.

    Raises:
        CellRefusedError: it is not one.
    """
    remedy = "Write it as 2026-05-07."
    if _SERIAL.fullmatch(text):
        raise CellRefusedError(_SPREADSHEET, _AS_TEXT)
    if not _DATE.fullmatch(text):
        raise CellRefusedError("This is not a date.", remedy)
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise CellRefusedError("There is no such day.", remedy) from None


ATTRIBUTE_TYPES: Final[dict[str, Callable[[str], JsonValue]]] = {
    "text": text_value,
    "number": number_value,
    "boolean": boolean_value,
    "date": date_value,
}
"""How a column `attr.name:type` is read."""


def line_of_text(text: str, longest: int) -> str:
    """Return text of one line and at most `longest` characters, runs of spaces made one.

    Raises:
        CellRefusedError: it is longer, or holds control characters, which could reach a header.
    """
    one_line = " ".join(text.split(" "))
    if _CONTROL.search(one_line):
        raise CellRefusedError(
            "There is a line break or control character.", "Write it on one line."
        )
    if len(one_line) > longest:
        raise CellRefusedError(f"The text is longer than {longest} characters.", "Shorten it.")
    return one_line


def word(text: str, words: type[W]) -> W:
    """Return the word of the vocabulary, whatever its case.

    Raises:
        CellRefusedError: it is none; the remedy names the nearest.
    """
    try:
        return words(text.lower())
    except ValueError:
        known = [one.value for one in words]
        raise CellRefusedError("This word is not known here.", did_you_mean(text, known)) from None


def did_you_mean(name: str, known: list[str]) -> str:
    """Return a remedy for a mistyped name: the nearest known one, or all of them."""
    near = nearest(name, known)
    if near is not None:
        return f"Did you mean {near}?"
    return f"Known here: {', '.join(sorted(known))}." if known else "None are known here yet."
