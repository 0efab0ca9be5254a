"""A skeleton cut at its holes, ready to be filled for one recipient after another."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sender.rendering.values import (
    ATTRIBUTE_HOLES,
    HOLE,
    OPT_OUT_HOLE,
    SOURCE_HOLE,
    TEXT_HOLES,
    URL_HOLES,
    VALUE_HOLE,
    escape_attribute,
    escape_text,
    escape_url,
)

Escape = Callable[[str], str]

_TAG = re.compile(r'<[a-zA-Z/](?:"[^"]*"|[^">])*>')
_URL_ATTRIBUTE = re.compile(r' (?:href|src)="[^"]*"')
_RANGE = ATTRIBUTE_HOLES - TEXT_HOLES
_NEITHER_VALUE = -1, -2


@dataclass(frozen=True, slots=True)
class Pieces:
    """Literal text with holes between.

    Attributes:
        literals: one more than there are holes.
        holes: (index of the value, its escape); indices -1 and -2 mean opt-out link and source.
    """

    literals: tuple[str, ...]
    holes: tuple[tuple[int, Escape], ...]

    def fill(self, values: Sequence[str], opt_out_url: str, source: str) -> str:
        """Return the text for one recipient."""
        filled = [self.literals[0]]
        for literal, (index, escape) in zip(self.literals[1:], self.holes, strict=True):
            if index >= 0:
                value = values[index]
            else:
                value = opt_out_url if index == _NEITHER_VALUE[0] else source
            filled += (escape(value), literal)
        return "".join(filled)


def cut_markup(html: str) -> Pieces:
    """Cut HTML whose holes were placed by `place_holes`."""
    return _cut(html, (escape_text, escape_attribute, escape_url), special=escape_attribute)


def cut_plain(text: str) -> Pieces:
    """Cut plain text; only values inside addresses of links are escaped."""
    return _cut(text, (str, str, escape_url), special=str)


def _cut(text: str, escapes: Sequence[Escape], *, special: Escape) -> Pieces:
    return Pieces(
        tuple(HOLE.split(text)),
        tuple(_hole(character, escapes, special) for character in HOLE.findall(text)),
    )


def _hole(character: str, escapes: Sequence[Escape], special: Escape) -> tuple[int, Escape]:
    if character in {OPT_OUT_HOLE, SOURCE_HOLE}:
        return _NEITHER_VALUE[character == SOURCE_HOLE], special
    place, index = divmod(ord(character) - TEXT_HOLES, _RANGE)
    return index, escapes[place]


def place_holes(html: str) -> str:
    """Move holes inside tags into the range of their place.

    Args:
        html: as the HTML standard serialises it: attributes in double quotes.
    """
    return _TAG.sub(lambda tag: _place_in_tag(tag[0]), html)


def _place_in_tag(tag: str) -> str:
    if not VALUE_HOLE.search(tag):
        return tag
    tag = _URL_ATTRIBUTE.sub(lambda found: _shift(found[0], URL_HOLES), tag)
    return _shift(tag, ATTRIBUTE_HOLES)


def _shift(text: str, base: int) -> str:
    return "".join(
        chr(ord(character) - TEXT_HOLES + base)
        if TEXT_HOLES <= ord(character) < ATTRIBUTE_HOLES
        else character
        for character in text
    )
