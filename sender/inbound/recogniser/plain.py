"""From what a person typed to plain words, in clauses; pure.

People write "STOPPP", "S T O P", "ѕтор" with foreign letters, "f**k off", a stop sign or a smart
quote. All of them come out as the same few words here, so that the rules need one spelling.
"""

import re
import unicodedata
from dataclasses import dataclass
from itertools import groupby

from sender.inbound.recogniser import spelling

READ_CHARACTERS = 2_000
"""How much of a body is read. Its size is thereby the bound of all work on it."""

STOP_SIGNS = frozenset("🛑⛔🚫📵🔕")
"""Signs that say stop when nothing else is said."""

NO_SIGNS = frozenset("👎🖕✋🤚🖐❌✖🙅🙄😡🤬")
"""Signs that may say no when nothing else is said."""

_WRAPPED_LINE = 55
"""A line at least as long goes on in the next one: e-mail programs wrap near 72 characters."""

_BREAKS = frozenset(".!?;:,…\u2014\u2013()[]{}|\n")
_IN_WORDS = frozenset("'$@*")
_QUOTES = dict.fromkeys(map(ord, "\u2018\u2019\u201b\u02bc\u02b9\u2032\u0060\u00b4\uff07"), "'")
_REGIONAL_A, _REGIONAL_Z = 0x1F1E6, 0x1F1FF
_LETTER_BLOCKS = (0x1F150, 0x1F170)  # white on black, in circles and in squares
_LOOKALIKES = str.maketrans(
    {
        **dict(zip("авсеһніјкмопрѕтухԛԝ", "abcehhijkmoppstyxqw", strict=True)),
        **dict(zip("αβεζηικμνοπρςστυχω", "abeznikmvoppsstuxw", strict=True)),
        **dict(zip("ıłøđ", "ilod", strict=True)),
    }
)
_MARK_CATEGORIES = frozenset({"Mn", "Me", "Cf"})
_WELSH_CLITIC = re.compile(r"'(?=[rn]\b)")
_LETTER_DOT = re.compile(r"\b(\w)[.,](?=\w\b)")  # s.t.o.p is one word in pieces


@dataclass(frozen=True, slots=True)
class Plain:
    """The words of a message, in plain small letters with a space at both ends.

    Attributes:
        clauses: ` word word ` each. A clause ends at punctuation; whether it ends with its line or
            at a dash nobody knows, so both readings are among them.
        whole: all words, as if nothing parted them.
    """

    clauses: tuple[str, ...]
    whole: str


def plain(body: str) -> Plain:
    """Return the words of `body`.

    Addresses of web pages are left out: they name "unsubscribe" without asking for it.
    """
    lines = [_without_links(line) for line in _folded(readable(body)).splitlines()]
    parted = "".join(map(_ended, lines)).replace(" - ", ".")
    by_line, through = _split(parted), _split(" ".join(lines))
    return Plain(tuple(dict.fromkeys(by_line + through)), _spaced(" ".join(through).split()))


def readable(body: str) -> str:
    """Return the beginning of `body` that is read at all."""
    return body.lstrip()[:READ_CHARACTERS]


def signs(body: str) -> frozenset[str]:
    """Return the symbols in a body that has no letter and no digit; else none."""
    read = _folded(readable(body))
    if any(character.isalnum() for character in read):
        return frozenset()
    return frozenset(c for c in read if unicodedata.category(c) in {"So", "Sm"})


def _folded(text: str) -> str:
    """Return `text` in small plain letters; one character may become many, so it is cut again."""
    text = text.translate(_QUOTES).replace("🛑", " stop ")
    text = unicodedata.normalize("NFKC", "".join(map(_enclosed, text))).casefold()
    text = unicodedata.normalize("NFKD", text[: 2 * READ_CHARACTERS])[: 2 * READ_CHARACTERS]
    text = "".join(c for c in text if unicodedata.category(c) not in _MARK_CATEGORIES)
    return _LETTER_DOT.sub(r"\1 ", _WELSH_CLITIC.sub(" ", text.translate(_LOOKALIKES)))


def _enclosed(character: str) -> str:
    """Return the letter inside a flag, circle or square that NFKC does not open."""
    code = ord(character)
    if _REGIONAL_A <= code <= _REGIONAL_Z:
        return chr(ord("a") + code - _REGIONAL_A)
    for first in _LETTER_BLOCKS:
        if first <= code < first + 26:
            return chr(ord("a") + code - first)
    return character


def _split(text: str) -> list[str]:
    pieces = groupby(text, key=lambda character: character in _BREAKS)
    parts = ("".join(characters) for is_break, characters in pieces if not is_break)
    found = (spelling.plain_words(_words(part)) for part in parts)
    return [_spaced(words) for words in found if words]


def _spaced(words: list[str]) -> str:
    return f" {' '.join(words)} "


def _ended(line: str) -> str:
    return line + (" " if len(line) >= _WRAPPED_LINE else "\n")


def _without_links(line: str) -> str:
    return " ".join(filter(_is_no_link, line.split()))


def _is_no_link(word: str) -> bool:
    return "://" not in word and not word.startswith("www.")


def _words(clause: str) -> list[str]:
    kept = "".join(
        c if c.isalnum() or c in _IN_WORDS else " " for c in clause.replace("&", " and ")
    )
    return kept.split()
