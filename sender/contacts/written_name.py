"""Read a name as people sign letters: with a title, with initials, or the last name first. Pure."""

from dataclasses import dataclass
from typing import Final

_TITLES: Final = frozenset(
    {"mr", "mrs", "ms", "miss", "mx", "dr", "prof", "sir", "dame", "lord", "lady", "rev", "cllr"}
)


@dataclass(frozen=True, slots=True)
class WrittenName:
    """What a signature tells, in lower case.

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
    words = text.lower().replace(".", " ").split()
    return words[1:] if words and words[0] in _TITLES else words
