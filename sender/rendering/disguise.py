"""Words that are written so that a program does not read them: letters of other alphabets, gaps.

Pure. Whoever disguises a word means it: what is found so is taken for the word.
"""

import re
import unicodedata
from typing import Final

from sender.rendering.wording import plain_line

_LOOKALIKES: Final = {
    "a": "\u0430\u03b1\u0251\u1d00",
    "b": "\u044c\u0299",
    "c": "\u0441\u03f2\u1d04",
    "d": "\u0501\u1d05",
    "e": "\u0435\u03b5\u0454\u1d07",
    "f": "\ua730\u0192",
    "g": "\u0261\u0262",
    "h": "\u04bb\u043d\u029c",
    "i": "\u0456\u03b9\u0131\u026a",
    "j": "\u0458\u03f3\u1d0a",
    "k": "\u043a\u03ba\u1d0b",
    "l": "\u04cf\u029f\u0142",
    "m": "\u043c\u1d0d",
    "n": "\u043f\u03b7\u0274",
    "o": "\u043e\u03bf\u03c3\u1d0f\u00f8",
    "p": "\u0440\u03c1\u1d18",
    "q": "\u051b\u01eb",
    "r": "\u0433\u0280",
    "s": "\u0455\ua731",
    "t": "\u0442\u03c4\u1d1b",
    "u": "\u03c5\u1d1c\u057d",
    "v": "\u0475\u03bd\u1d20",
    "w": "\u051d\u0461\u03c9\u1d21",
    "x": "\u0445\u03c7",
    "y": "\u0443\u03b3\u028f",
    "z": "\u1d22",
}
"""Cyrillic and Greek letters and small capitals that look like these, of Unicode's data on
confusable characters (UTS #39)."""
_ENCLOSED: Final = (0x1F150, 0x1F170, 0x1F1E6)
"""Where the white letters in black circles and squares, and those of flags, begin."""
_LETTERS: Final = {
    **{ord(like): letter for letter, alike in _LOOKALIKES.items() for like in alike},
    **{first + place: chr(ord("a") + place) for first in _ENCLOSED for place in range(26)},
    ord("\u2019"): "'",
}
_DROPPED: Final = frozenset({"Mn", "Me", "Cf"})
"""Categories of accents, and of characters that nobody sees."""

_AS_LETTERS: Final = str.maketrans("013457$@", "oieastsa")
_WITH_SIGNS: Final = re.compile(r"(?<![\w$@])[a-z0-9$@]*[0-9$@][a-z0-9$@]*")
_GAP: Final = r"[\s.\-_*~+,/|\u00b7\u2022]{1,3}"
_SPELT: Final = re.compile(rf"(?<!\w)\w(?:{_GAP}\w){{3,}}(?!\w)")
_BROKEN: Final = re.compile(r"(?<=[a-z])[._*~^()\[\]{}\u00b7\u2010\u2011-]+(?=[a-z])")
_TURNED_ROUND: Final = "\u202e"
"""What follows it is shown from right to left, Latin letters too (Unicode UAX #9)."""
_NO_LETTER: Final = re.compile(r"[\W_]+")
_STEM: Final = re.compile(r"votes?|donate|support|elect|pledge|join|give")


def plain_letters(text: str) -> str:
    """Return one line in small Latin letters, without accents and invisible characters."""
    bare = unicodedata.normalize("NFD", plain_line(text)).translate(_LETTERS)
    return "".join(one for one in bare if unicodedata.category(one) not in _DROPPED)


def unmasked(line: str) -> str:
    """Return a line with words put together again that stood in it as `v o t e`, `vo-te` or `v0te`.

    It may say more than the line did: to be looked at beside it, and for asks alone.
    """
    joined = _SPELT.sub(_spelt, line)
    return _WITH_SIGNS.sub(_read, _BROKEN.sub("", joined))


def shown_backwards(text: str) -> str:
    """Return a text letter by letter from its end, if a part of it is shown so; else nothing."""
    return text[::-1] if _TURNED_ROUND in text else ""


def _spelt(found: re.Match[str]) -> str:
    return _STEM.sub(r" \g<0> ", _NO_LETTER.sub("", found[0]))


def _read(found: re.Match[str]) -> str:
    word = found[0]
    return word.translate(_AS_LETTERS) if any("a" <= one <= "z" for one in word) else word
