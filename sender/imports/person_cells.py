"""What a row says about the person and their addresses."""

import re
from collections.abc import Callable
from functools import cache
from typing import Any, Final
from zoneinfo import available_timezones

from sender.contacts.normalise import DEFAULT_REGION, AddressRefusedError, normalise
from sender.imports.csv_file import Record
from sender.imports.layout import ADDRESS_COLUMNS, PERSON_COLUMNS, Layout
from sender.imports.problem import CellRefusedError, Problem
from sender.imports.values import JsonValue, did_you_mean, line_of_text, word
from sender.store.erased_references import is_kept
from sender.vocabulary import Channel, ContactSource

_LOCALE: Final = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")


def read_fields(record: Record, layout: Layout, problems: list[Problem]) -> dict[str, Any]:
    """Return the cells about the person that are filled in, as columns of `contact`."""
    fields: dict[str, Any] = {}
    for column, longest in PERSON_COLUMNS.items():
        text = layout.cell(record, column)
        if not text:
            continue
        try:
            one_line = text if text.isalnum() else line_of_text(text, longest)
            fields[column] = _MEANING.get(column, _as_it_is)(_bounded(one_line, longest))
        except CellRefusedError as error:
            problems.append(error.at(column))
    if fields.get("source") is ContactSource.THIRD_PARTY and "source_detail" not in fields:
        problems.append(_WHO_PASSED_THEM_ON)
    return fields


def read_attributes(
    record: Record, layout: Layout, problems: list[Problem]
) -> dict[str, JsonValue]:
    """Return the attributes that are filled in, each of its declared type."""
    attributes: dict[str, JsonValue] = {}
    for each in layout.attributes:
        text = record.cells[each.place].strip()
        if not text:
            continue
        try:
            attributes[each.name] = each.read(text)
        except CellRefusedError as error:
            problems.append(error.at(each.column))
    return attributes


def read_addresses(
    record: Record, layout: Layout, country: str | None, problems: list[Problem]
) -> dict[Channel, str]:
    """Return the row's addresses in their one spelling.

    A number that lost its first zero or its + in a spreadsheet could be another country's: it is
    taken where its country is named, and where the row tells of an opt-out, which is not to be
    lost. So is an e-mail address with a space between two letters: `jo bloggs@` may be joined or
    have lost a point.
    """
    addresses: dict[Channel, str] = {}
    for column, channel in ADDRESS_COLUMNS.items():
        text = layout.cell(record, column)
        if not text:
            continue
        if _lost_its_first(text) and not (country or layout.cell(record, "opt_out")):
            problems.append(Problem(column, *_WHICH_COUNTRY))
            continue
        try:
            address = normalise(channel, text, country or DEFAULT_REGION)
        except AddressRefusedError as error:
            problems.append(Problem(column, error.problem, error.remedy))
            continue
        if channel is Channel.EMAIL and _TORN.search(text) and not layout.cell(record, "opt_out"):
            problems.append(Problem(column, *_WHICH_MAILBOX))
            continue
        addresses[channel] = address
    return addresses


_TORN: Final = re.compile(r"[^\s@.]\s+[^\s@.]")
_WHICH_MAILBOX: Final = (
    "There is a space inside the address: it could be more than one mailbox.",
    "Write it without the space, or with what should stand there.",
)
_BARE_NUMBER: Final = re.compile(r"[1-9][\d ]{6,14}", re.ASCII)
_WHICH_COUNTRY: Final = (
    "The number has neither a country code nor a first zero, as spreadsheets leave them.",
    "Write it with + or 0; or, if all such numbers of the file are of one country: --country GB.",
)


def _lost_its_first(text: str) -> bool:
    return _BARE_NUMBER.fullmatch(text) is not None


_WHO_PASSED_THEM_ON = Problem(
    "source_detail",
    "The details came from a third party that is not named.",
    "Name it: the first message has to tell people who passed their details on (guidance ¶76-77).",
)


def _bounded(text: str, longest: int) -> str:
    if len(text) > longest:
        raise CellRefusedError(f"The text is longer than {longest} characters.", "Shorten it.")
    return text


def _as_it_is(text: str) -> str:
    return text


def _source(text: str) -> ContactSource:
    return word(text.replace("-", "_").replace(" ", "_"), ContactSource)


def _locale(text: str) -> str:
    if not _LOCALE.fullmatch(text):
        raise CellRefusedError("This is not a language.", "Write en, en-GB or cy.")
    return text.replace("_", "-")


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _time_zone(text: str) -> str:
    if text not in _zones():
        near = did_you_mean(text, list(_zones()))
        remedy = near if near.startswith("Did") else "Write it as Europe/London."
        raise CellRefusedError("There is no such time zone.", remedy)
    return text


def _reference(text: str) -> str:
    if is_kept(text):
        raise CellRefusedError(
            "This is what is kept of an erased person's reference, and none of yours.",
            "Write the reference as your own records have it.",
        )
    return text


_MEANING: Final[dict[str, Callable[[str], Any]]] = {
    "external_ref": _reference,
    "source": _source,
    "locale": _locale,
    "time_zone": _time_zone,
}
