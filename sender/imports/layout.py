"""Which column of a contacts file is which, as its first line says."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sender.contacts.filter_language import ATTRIBUTE_NAME
from sender.errors import FileError
from sender.imports.csv_file import CsvFile, Record
from sender.imports.values import ATTRIBUTE_TYPES, JsonValue, did_you_mean
from sender.vocabulary import Channel

PERSON_COLUMNS: Final = {
    "external_ref": 200,
    "title": 64,
    "first_name": 200,
    "last_name": 200,
    "postcode": 16,
    "locale": 16,
    "time_zone": 64,
    "source": 32,
    "source_detail": 500,
}
"""Columns about the person, with the most characters that each may hold."""

ADDRESS_COLUMNS: Final = {"email": Channel.EMAIL, "mobile": Channel.SMS}

CONSENT_COLUMNS: Final = (
    "consent_purpose",
    "consent_channel",
    "consent_notice",
    "consent_at",
    "consent_method",
    "consent_source",
    "consent_until",
)
OPT_OUT_COLUMNS: Final = ("opt_out", "opt_out_at", "opt_out_source")
KNOWN_COLUMNS: Final = (*PERSON_COLUMNS, *ADDRESS_COLUMNS, *CONSENT_COLUMNS, *OPT_OUT_COLUMNS)

ATTRIBUTE_PREFIX: Final = "attr."
REJECT_PREFIX: Final = "reject."
"""Columns that a rejects file adds; a mended rejects file can be brought in as it is."""


@dataclass(frozen=True, slots=True)
class AttributeColumn:
    """One column of attributes: its name in the file, the attribute's own, and how to read it."""

    column: str
    name: str
    place: int
    read: Callable[[str], JsonValue]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each known column stands (0-based)."""

    header: tuple[str, ...]
    places: dict[str, int]
    has_consent: bool
    attributes: tuple[AttributeColumn, ...]

    def cell(self, record: Record, column: str) -> str:
        """Return a cell without the spaces around it; empty where the file lacks the column."""
        if column not in self.places:
            return ""
        return record.cells[self.places[column]].strip()


def layout_of(file: CsvFile) -> Layout:
    """Read the first line.

    Raises:
        FileError: a column is unknown (with the nearest name), stands there twice, is an attribute
            of an unknown type, or nothing tells who a row is about.
    """
    names = [column_name(name) for name in file.header]
    known = {name: place for place, name in enumerate(names) if name in KNOWN_COLUMNS}
    attributes = [
        _attribute(file, name, place)
        for place, name in enumerate(file.header)
        if names[place].startswith(ATTRIBUTE_PREFIX)
    ]
    for place, name in enumerate(names):
        _require_known(file, name, place)
    _require_once(file, [name for name in names if name] + [each.name for each in attributes])
    if not known.keys() & {"external_ref", *ADDRESS_COLUMNS}:
        raise _header_error(
            file, "", "No column says who a row is about.", "Add email, mobile or external_ref."
        )
    has_consent = not known.keys().isdisjoint(CONSENT_COLUMNS)
    return Layout(file.header, known, has_consent, tuple(attributes))


def column_name(written: str) -> str:
    """Return a column's name without regard to case and spaces."""
    lowered = written.lower()
    return lowered if lowered.startswith(ATTRIBUTE_PREFIX) else lowered.replace(" ", "_")


def _attribute(file: CsvFile, written: str, place: int) -> AttributeColumn:
    name, colon, kind = written[len(ATTRIBUTE_PREFIX) :].rpartition(":")
    if not colon:
        name, kind = kind, "text"
    if not ATTRIBUTE_NAME.fullmatch(name):
        raise _header_error(
            file,
            written,
            "This cannot be the name of an attribute.",
            "Use at most 100 letters A to Z, digits, spaces or _ . : / -.",
        )
    if kind.lower() not in ATTRIBUTE_TYPES:
        remedy = did_you_mean(kind, list(ATTRIBUTE_TYPES))
        raise _header_error(file, written, f"{kind} is no type of attribute.", remedy)
    return AttributeColumn(written, name, place, ATTRIBUTE_TYPES[kind.lower()])


def _require_known(file: CsvFile, name: str, place: int) -> None:
    if name in KNOWN_COLUMNS or name.startswith(ATTRIBUTE_PREFIX):
        return
    written = file.header[place]
    if not written:
        raise _header_error(file, "", f"Column {place + 1} has no name.", "Name it or remove it.")
    near = did_you_mean(name, list(KNOWN_COLUMNS))
    remedy = f"{near} Data of your own: attr.{written}. Or say which it is: --map '{written}=…'."
    raise _header_error(file, written, "This column is not known.", remedy)


def _require_once(file: CsvFile, names: list[str]) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise _header_error(file, twice, "This column stands here twice.", "Remove one of them.")


def _header_error(file: CsvFile, key: str, problem: str, remedy: str) -> FileError:
    return FileError(problem, path=file.path, line=1, key=key, remedy=remedy)
