"""Values from the database on their way into a message: data, never template source.

A rendered skeleton holds each value as one private-use character (a hole). Which of three ranges
it lies in says where the value lands, and so how it is escaped.
"""

import re
import unicodedata
from functools import lru_cache
from urllib.parse import quote

from sender.rendering.refusal import Rule, broken, unrendered

MOST_VALUES = 2000
"""Values in one part of a message; three ranges of holes fit into the private-use area."""
LONGEST_VALUE = 2000
"""Characters. Longer values are data by mistake, and a page of them drowns the sender's name."""

TEXT_HOLES, ATTRIBUTE_HOLES, URL_HOLES = 0xE000, 0xE800, 0xF000
CONFIRM_HOLE, OPT_OUT_HOLE, SOURCE_HOLE = "\uf8fd", "\uf8fe", "\uf8ff"
HOLE = re.compile("[\ue000-\uf8ff]")
VALUE_HOLE = re.compile("[\ue000-\uf7ff]")

_PRIVATE_PLANES = 0xF0000
_MOST_MARKS_IN_A_ROW = 4
_CONTROLS_OF_DIRECTION = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class Literal(str):
    """Text of the run itself (controller, campaign, links): it stays in the skeleton as it is."""

    __slots__ = ()

    def upper(self) -> "Literal":
        """Keep being part of the skeleton through `| upper`."""
        return Literal(str.upper(self))

    def lower(self) -> "Literal":
        """Keep being part of the skeleton through `| lower`."""
        return Literal(str.lower(self))

    def strip(self, characters: str | None = None, /) -> "Literal":
        """Keep being part of the skeleton through `| trim`."""
        return Literal(str.strip(self, characters))


class Sample(str):
    """Stands for a field whose value is not known yet: text, list and mapping in one."""

    __slots__ = ()


def one_line(text: str) -> str:
    """Return clean text on one line.

    White space collapses to single spaces; control, direction-changing, private-use and
    half-surrogate characters, which could forge headers, turn the sender's name round or pose as
    holes, become a space or U+FFFD; more than four combining marks in a row are cut.
    """
    if text.isascii() and text.isprintable() and "  " not in text:
        return text.strip(" ")
    return _clean(text)


@lru_cache(maxsize=4096)
def _clean(text: str) -> str:
    kept: list[str] = []
    marks = 0
    for character in _CONTROLS_OF_DIRECTION.sub("", text):
        category = unicodedata.category(character)
        marks = marks + 1 if category in {"Mn", "Me"} else 0
        if marks <= _MOST_MARKS_IN_A_ROW:
            kept.append(_harmless(character, category))
    return " ".join("".join(kept).split())


def _harmless(character: str, category: str) -> str:
    if category in {"Cc", "Zs", "Zl", "Zp"}:
        return " "
    if category in {"Co", "Cs"} or ord(character) >= _PRIVATE_PLANES:
        return "\ufffd"
    return character


def as_text(value: object) -> str:
    """Return a value as clean text.

    Raises:
        MessageRefused: it is a list, mapping or truth value, or over 2,000 characters.
    """
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise unrendered(
            Rule.VALUE_NOT_TEXT,
            "A value is not text or a number.",
            remedy="Print one item of a list, or write out what true and false should say.",
        )
    text = value if isinstance(value, str) else str(value)
    if len(text) > LONGEST_VALUE:
        raise unrendered(
            Rule.VALUE_TOO_LONG,
            f"A value has more than {LONGEST_VALUE} characters.",
            remedy="Shorten it in the source, or write | truncate(…) behind it.",
        )
    return one_line(text)


def escape_text(value: str) -> str:
    """Escape for an HTML text node, as the HTML standard serialises text."""
    return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def escape_attribute(value: str) -> str:
    """Escape for a double-quoted HTML attribute."""
    return escape_text(value).replace('"', "&quot;")


def escape_url(value: str) -> str:
    """Escape for one component of a URL (RFC 3986, section 2.3): only unreserved stay."""
    return quote(value, safe="")


def refuse_private_use(text: str, where: str) -> None:
    """Raise MessageRefused when text of ours holds a character that could pose as a hole."""
    if HOLE.search(text):
        raise broken(Rule.PRIVATE_USE, f"{where} contains private-use characters.")
