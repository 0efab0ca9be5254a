"""Read a name as people sign letters: with a title, with initials, or the last name first. Pure."""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_TITLES: Final = frozenset(
    {"mr", "mrs", "ms", "miss", "mx", "dr", "prof", "sir", "dame", "lord", "lady", "rev", "cllr"}
)
_UNMARKED: Final = str.maketrans(
    {"ł": "l", "đ": "d", "ð": "d", "ø": "o", "\u0131": "i", "æ": "ae", "œ": "oe", "-": " "}
    | dict.fromkeys("'`\u2018\u2019\u02bc\u00b4")
)
"""Letters that do not fall into a letter and a mark; apostrophes go, a hyphen is a space."""


def plain_name(text: str) -> str:
    """Return a name as it is compared: `Şahin`, `ŞAHİN` and `Sahin` are one, so are O'Neill's.

    In small letters without accents and apostrophes: a letter is signed as its writer likes, and
    databases differ on which small letter belongs to a capital one.
    """
    if text.isascii():
        return " ".join(text.lower().translate(_UNMARKED).split())
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    bare = "".join(one for one in apart if not unicodedata.combining(one))
    return " ".join(bare.translate(_UNMARKED).split())


@dataclass(frozen=True, slots=True)
class WrittenName:
    """What a signature tells, as `plain_name` writes it.

    Attributes:
        first: how the first name begins: an initial, or all of it; empty if it is not told.
        last: how the last name begins.
    """

    first: str
    last: str


def read_name(text: str) -> WrittenName | None:
    """Return what a signature tells; None where it is no name.

    `Mrs A. B. Okafor`, `A.B. Okafor` and `Okafor, A.` are all `a` and `okafor`.
    """
    last, comma, first = text.partition(",")
    words = _words(f"{first} {last}" if comma else text)
    if not words:
        return None
    if comma:
        names = _words(last)
        return WrittenName(words[0] if len(words) > len(names) else "", " ".join(names))
    first_name, *rest = words
    while len(rest) > 1 and len(rest[0]) == 1:  # further initials
        rest = rest[1:]
    return WrittenName(first_name, " ".join(rest)) if rest else WrittenName("", first_name)


def _words(text: str) -> list[str]:
    words = plain_name(text.replace(".", " ")).split()
    return words[1:] if words and words[0] in _TITLES else words


def signed_as(text: str) -> Callable[[str, str], bool]:
    """Return what tells of a first and a last name, empty if unknown, whether they may sign so.

    A name may be given in part from its beginning. The text is read once, for any number of people.
    """
    wanted, name = plain_name(text), read_name(text)

    def may_sign(first_name: str, last_name: str) -> bool:
        first, last = plain_name(first_name), plain_name(last_name)
        if wanted and (last.startswith(wanted) or f"{first} {last}".startswith(wanted)):
            return True
        return name is not None and last.startswith(name.last) and first.startswith(name.first)

    return may_sign
