"""What somebody filled into a form: the addresses and ticks that it amounts to, or what is wrong.

Pure. Every problem depends on what was typed alone, never on whether anybody knows the address.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import phonenumbers

from sender.contacts.normalise import AddressRefusal, AddressRefusedError, normalise
from sender.signup.open_form import Box, OpenForm
from sender.vocabulary import Channel

LONGEST_ADDRESS: Final = 320
_MOBILE: Final = frozenset(
    {phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE}
)
_NEW_RANGE: Final = re.compile(r"\+447[1-57-9][0-9]{8}")
"""Numbers of mobiles (070 are personal numbers, 076 pagers) that the library may not list yet."""

_COUNTRY_CODE: Final = 44
"""Of the United Kingdom, the Channel Islands and the Isle of Man. A public form that texts any
number of the world is soon used to text dear ones, at the controller's cost."""


class Problem(StrEnum):
    """Why what was filled in cannot be taken."""

    NOTHING_TICKED = "nothing-ticked"
    ADDRESS_MISSING = "address-missing"
    ADDRESS_MALFORMED = "address-malformed"
    NOT_MOBILE = "not-mobile"
    FROM_ABROAD = "from-abroad"
    NOT_TICKED = "not-ticked"
    """There is an address, and no tick for it."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A form as it was filled in.

    Attributes:
        addresses: as typed, by channel.
        ticked: the values of the boxes.
    """

    addresses: Mapping[Channel, str] = field(repr=False)
    ticked: frozenset[str]


@dataclass(frozen=True, slots=True)
class Entry:
    """One address, and what was ticked for it."""

    channel: Channel
    address: str = field(repr=False)
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class Examined:
    """What a form amounts to: entries, or problems by channel; None is about the whole form."""

    entries: tuple[Entry, ...] = ()
    problems: Mapping[Channel | None, Problem] = field(default_factory=dict)


def examine(offered: OpenForm, filled: Filled) -> Examined:
    """Return the entries of a form; none at all where something is wrong."""
    problems: dict[Channel | None, Problem] = {}
    entries: list[Entry] = []
    for channel in offered.channels:
        found = _examine(channel, offered.of(channel), filled)
        if isinstance(found, Problem):
            problems[channel] = found
        elif found is not None:
            entries.append(found)
    if problems:
        return Examined(problems=problems)
    if not entries:
        return Examined(problems={None: Problem.NOTHING_TICKED})
    return Examined(tuple(entries))


def read_mobile(typed: str) -> str:
    """Return a mobile number as E.164.

    Raises:
        AddressRefusedError: it is no number that takes text messages.
    """
    number = normalise(Channel.SMS, typed)
    kind = phonenumbers.number_type(phonenumbers.parse(number))
    is_new = kind == phonenumbers.PhoneNumberType.UNKNOWN and _NEW_RANGE.fullmatch(number)
    if kind not in _MOBILE and not is_new:
        raise AddressRefusedError(AddressRefusal.NOT_MOBILE)
    return number


def _examine(channel: Channel, boxes: tuple[Box, ...], filled: Filled) -> Entry | Problem | None:
    typed = filled.addresses.get(channel, "").strip()
    ticked = tuple(box for box in boxes if box.value in filled.ticked)
    if not typed:
        return Problem.ADDRESS_MISSING if ticked else None
    address = _read(channel, typed)
    if isinstance(address, Problem):
        return address
    return Entry(channel, address, ticked) if ticked else Problem.NOT_TICKED


def _read(channel: Channel, typed: str) -> str | Problem:
    if len(typed) > LONGEST_ADDRESS:
        return Problem.ADDRESS_MALFORMED
    try:
        if channel is Channel.EMAIL:
            return normalise(channel, typed)
        number = read_mobile(typed)
    except AddressRefusedError as error:
        is_other = error.code is AddressRefusal.NOT_MOBILE
        return Problem.NOT_MOBILE if is_other else Problem.ADDRESS_MALFORMED
    abroad = phonenumbers.parse(number).country_code != _COUNTRY_CODE
    return Problem.FROM_ABROAD if abroad else number
