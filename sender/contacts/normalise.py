"""One spelling for each address, because consent and blocks are matched by it; pure.

Two spellings of one address that came out differently would let a block miss its person, so both
normalisers are idempotent and fold everything that mail systems and networks fold.
"""

import re
import unicodedata
from enum import StrEnum
from functools import cache

import phonenumbers
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

from sender.errors import SenderError
from sender.vocabulary import Channel

DEFAULT_REGION = "GB"
"""Where a number without a country code is taken to be (ISO 3166-1)."""


class AddressRefusal(StrEnum):
    """Why an address cannot be written to."""

    EMPTY = "empty"
    MALFORMED = "malformed"
    SPREADSHEET = "spreadsheet"
    NOT_POSSIBLE = "not_possible"
    NOT_MOBILE = "not_mobile"


_WORDS: dict[AddressRefusal, tuple[str, str]] = {
    AddressRefusal.EMPTY: ("The address is empty.", "Give an address or leave the person out."),
    AddressRefusal.MALFORMED: (
        "This is not an address that a message could be sent to.",
        "Correct it: an e-mail address reads name@domain, a number +44 and its digits.",
    ),
    AddressRefusal.SPREADSHEET: (
        "A spreadsheet turned this number into another one (as in 4.47E+11).",
        "Format the column as text and export the numbers again from where they came.",
    ),
    AddressRefusal.NOT_POSSIBLE: (
        "No number has this length or country code.",
        "Correct it; numbers from abroad need + and their country code.",
    ),
    AddressRefusal.NOT_MOBILE: (
        "This number cannot take text messages.",
        "Give a mobile number, or leave the cell empty.",
    ),
}


class AddressRefusedError(SenderError):
    """An address that cannot be meant. It never carries the address.

    Attributes:
        code: why.
    """

    def __init__(self, code: AddressRefusal) -> None:
        problem, remedy = _WORDS[code]
        super().__init__(problem, remedy=remedy)
        self.code = code


def normalise(channel: Channel, raw: str, region: str = DEFAULT_REGION) -> str:
    """Return the one spelling of an address of this channel.

    Raises:
        AddressRefusedError: it cannot be one.
    """
    return normalise_email(raw) if channel is Channel.EMAIL else normalise_number(raw, region)


def normalise_email(raw: str) -> str:
    """Return the address in lower case, its domain in ASCII (IDNA 2008, RFC 5891).

    RFC 5321 (section 2.4) lets a host tell upper from lower case before the @; none that matters
    does, and a person who opted out as Jo@ must not be written to as jo@. Addresses of offices
    (info@) are addresses. The domain is not looked up. A local part outside ASCII (RFC 6531) is
    refused, because no provider here delivers to it.

    Raises:
        AddressRefusedError: it cannot be an e-mail address.
    """
    text = _visible(raw).replace(" ", "")
    if not text:
        raise AddressRefusedError(AddressRefusal.EMPTY)
    lowered = text.lower()
    if _is_plain_email(lowered):
        return lowered
    return _email_by_library(text)


def normalise_number(raw: str, region: str = DEFAULT_REGION) -> str:
    """Return the number as E.164, e.g. `+447911123456`.

    A possible number of a range that the numbering plan does not list yet passes: ranges are newer
    than libraries, and the network says so if nobody is there.

    Args:
        raw: as people write it, with or without country code.
        region: the country (ISO 3166-1) of a number without a country code.

    Raises:
        AddressRefusedError: it cannot be a number that takes text messages.
    """
    text = _DASHES.sub("-", _visible(raw)).removeprefix("'")  # as spreadsheets mark text
    if not text:
        raise AddressRefusedError(AddressRefusal.EMPTY)
    if _SPREADSHEET_NUMBER.fullmatch(text):
        raise AddressRefusedError(AddressRefusal.SPREADSHEET)
    if not _NUMBER.fullmatch(text):
        raise AddressRefusedError(AddressRefusal.MALFORMED)
    return _plain_british_mobile(text, region) or _number_by_library(text, region)


_SPREADSHEET_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?[eE][+-]?\d+|\d{6,}[.,]0*")
_NUMBER = re.compile(r"\+?[\d ().,/-]+", re.ASCII)
_DASHES = re.compile("[\u2010-\u2015\u2212]")
_SEPARATORS = re.compile(r"[ ().,/-]+")
_INVISIBLE = {"Cf", "Cc", "Zl", "Zp"}
_SIMPLE = re.compile(r"[!-~]*")


def _visible(raw: str) -> str:
    """Fold compatible characters (NFKC) and drop what cannot be seen, with outer spaces."""
    if _SIMPLE.fullmatch(raw):
        return raw
    text = _without_invisible(unicodedata.normalize("NFKC", raw.replace("\t", " ")))
    # What was dropped may have kept a letter from its accent.
    return unicodedata.normalize("NFKC", text).strip()


def _without_invisible(text: str) -> str:
    return "".join(char for char in text if unicodedata.category(char) not in _INVISIBLE)


_ATOM = r"[a-z0-9_+'-]+"
_LABEL = r"(?!..--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_PLAIN_EMAIL = re.compile(
    rf"(?=[^@]{{1,64}}@)(?=.{{3,254}}\Z){_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+([a-z]{{2,63}})"
)
"""Addresses that the library passes unchanged, at a thirtieth of its cost; a test compares them."""


def _is_plain_email(text: str) -> bool:
    match = _PLAIN_EMAIL.fullmatch(text)
    return match is not None and match.group(1) not in SPECIAL_USE_DOMAIN_NAMES


def _email_by_library(text: str) -> str:
    try:
        valid = validate_email(text, check_deliverability=False, allow_smtputf8=False, strict=True)
    except EmailNotValidError:
        raise AddressRefusedError(AddressRefusal.MALFORMED) from None
    return f"{valid.local_part}@{valid.ascii_domain}".lower()


@cache
def _british_mobile() -> re.Pattern[str]:
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(DEFAULT_REGION)
    assert metadata is not None
    assert metadata.mobile is not None
    return re.compile(rf"(?:\+44|0044|0)({metadata.mobile.national_number_pattern})")


def _plain_british_mobile(text: str, region: str) -> str | None:
    """Return the commonest kind of number at a fiftieth of the library's cost, by its own data."""
    if region != DEFAULT_REGION:
        return None
    match = _british_mobile().fullmatch(_SEPARATORS.sub("", text))
    return None if match is None else f"+44{match.group(1)}"


def _number_by_library(text: str, region: str) -> str:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        raise AddressRefusedError(AddressRefusal.NOT_POSSIBLE) from None
    possible = phonenumbers.is_possible_number_with_reason(number)
    if possible != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise AddressRefusedError(AddressRefusal.NOT_POSSIBLE)
    if phonenumbers.number_type(number) not in _TAKES_TEXT:
        raise AddressRefusedError(AddressRefusal.NOT_MOBILE)
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


_TAKES_TEXT = frozenset(
    {
        phonenumbers.PhoneNumberType.MOBILE,
        phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE,
        phonenumbers.PhoneNumberType.UNKNOWN,
    }
)
