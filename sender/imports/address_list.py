"""The addresses in a list of opt-outs from another system, whatever its other columns."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sender.contacts.normalise import AddressRefusedError, normalise
from sender.errors import FileError
from sender.imports.csv_file import CsvFile, Record
from sender.imports.problem import Problem
from sender.spreadsheet import unmarked
from sender.vocabulary import Channel

_ANY: Final = None
_ADDRESS_COLUMNS: Final[dict[str, Channel | None]] = {
    "email": Channel.EMAIL,
    "e-mail": Channel.EMAIL,
    "email_address": Channel.EMAIL,
    "e-mail_address": Channel.EMAIL,
    "mobile": Channel.SMS,
    "mobile_number": Channel.SMS,
    "phone": Channel.SMS,
    "phone_number": Channel.SMS,
    "sms": Channel.SMS,
    "address": _ANY,
}
_TIME_COLUMN: Final = "opt_out_at"
_SOURCE_COLUMN: Final = "opt_out_source"


@dataclass(frozen=True, slots=True)
class AddressColumn:
    """A column of addresses, where it stands (0-based) and of which channel; None is either."""

    name: str
    place: int
    channel: Channel | None


@dataclass(frozen=True, slots=True)
class ListLayout:
    """How a list is read. Columns that are not known are of no concern to an opt-out.

    Attributes:
        addresses: where addresses stand.
        time_place: where the time of the opt-out stands, if it is told.
        source_place: where its source stands, if it is told.
        has_header: whether the first line holds names rather than an address.
    """

    addresses: tuple[AddressColumn, ...]
    time_place: int | None
    source_place: int | None
    has_header: bool


def list_layout(file: CsvFile, of_hashes: tuple[AddressColumn, ...] = ()) -> ListLayout:
    """Read the first line: names of columns, or the first address of a plain list.

    Args:
        file: the list.
        of_hashes: columns that are told by another name, because hashes stand in them.

    Raises:
        FileError: it is neither.
    """
    names = [name.lower().replace(" ", "_") for name in file.header]
    addresses = of_hashes + tuple(
        AddressColumn(name, place, _ADDRESS_COLUMNS[name])
        for place, name in enumerate(names)
        if name in _ADDRESS_COLUMNS
    )
    if addresses:
        return ListLayout(
            addresses, _place(names, _TIME_COLUMN), _place(names, _SOURCE_COLUMN), has_header=True
        )
    if len(file.header) == 1 and _is_address(file.header[0]):
        return ListLayout((AddressColumn("", 0, _ANY),), None, None, has_header=False)
    raise FileError(
        "No column holds addresses.",
        path=file.path,
        line=1,
        remedy="Name it email, mobile or address; or write one address a line and nothing else.",
    )


def addresses_of(
    record: Record, layout: ListLayout, only: Channel | None
) -> Iterator[tuple[Channel, str] | Problem]:
    """Yield the addresses of a record in their one spelling, and what is wrong with others.

    Where `only` is given, addresses in columns of another channel are passed over.
    """
    for column in layout.addresses:
        text = cell(record, column.place)
        if not text or (only and column.channel and column.channel is not only):
            continue
        channel = column.channel or only or _guess(text)
        try:
            yield channel, normalise(channel, text)
        except AddressRefusedError as error:
            yield Problem(column.name, error.problem, error.remedy)


def cell(record: Record, place: int | None) -> str:
    """Return a cell without the spaces around it; empty where the row or the file lacks it."""
    if place is None or place >= len(record.cells):
        return ""
    return unmarked(record.cells[place].strip())


def _place(names: list[str], wanted: str) -> int | None:
    return names.index(wanted) if wanted in names else None


def _guess(text: str) -> Channel:
    return Channel.EMAIL if "@" in text else Channel.SMS


def _is_address(text: str) -> bool:
    try:
        normalise(_guess(text), text)
    except AddressRefusedError:
        return False
    return True
