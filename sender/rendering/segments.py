"""How many parts a text message has (3GPP TS 23.038, section 6.2.1, and TS 23.040, 9.2.3.24.1)."""

from dataclasses import dataclass
from enum import StrEnum

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = frozenset("\f^{}\\[~]|€")

GSM_SINGLE, GSM_PART = 160, 153
UCS2_SINGLE, UCS2_PART = 70, 67
_HIGHEST_BMP = 0xFFFF


class SmsEncoding(StrEnum):
    """The two alphabets of text messages."""

    GSM_7 = "GSM-7"
    UCS_2 = "UCS-2"


@dataclass(frozen=True, slots=True)
class SegmentCount:
    """The size of one text message.

    Attributes:
        encoding: UCS-2 as soon as one character is not in GSM 03.38.
        parts: billed parts, >= 1.
        units: septets (GSM-7) or UTF-16 code units (UCS-2), without padding and part headers.
    """

    encoding: SmsEncoding
    parts: int
    units: int


def count_segments(body: str) -> SegmentCount:
    """Count parts exactly: extension pairs and surrogate pairs never straddle two parts."""
    if not_gsm(body):
        widths = [2 if ord(character) > _HIGHEST_BMP else 1 for character in body]
        return _count(SmsEncoding.UCS_2, widths, UCS2_SINGLE, UCS2_PART)
    widths = [2 if character in _EXTENSION else 1 for character in body]
    return _count(SmsEncoding.GSM_7, widths, GSM_SINGLE, GSM_PART)


def not_gsm(body: str) -> frozenset[str]:
    """Return the characters that force UCS-2."""
    return frozenset(body) - _BASIC - _EXTENSION


def _count(encoding: SmsEncoding, widths: list[int], single: int, part: int) -> SegmentCount:
    units = sum(widths)
    parts = 1 if units <= single else _parts_of(widths, part)
    return SegmentCount(encoding, parts, units)


def _parts_of(widths: list[int], capacity: int) -> int:
    parts, free = 1, capacity
    for width in widths:
        if width > free:
            parts, free = parts + 1, capacity
        free -= width
    return parts
