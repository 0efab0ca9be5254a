"""A skeleton cut at its holes, ready to be filled for one recipient after another."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sender.rendering.values import (
    ATTRIBUTE_HOLES,
    CONFIRM_HOLE,
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
from sender.suppression.links import confirm_url_of

Escape = Callable[[str], str]

_TAG = re.compile(r'<[a-zA-Z/](?:"[^"]*"|[^">])*>')
_URL_ATTRIBUTE = re.compile(r' (?:href|src)="[^"]*"')
_RANGE = ATTRIBUTE_HOLES - TEXT_HOLES
_NO_VALUES = {OPT_OUT_HOLE: -1, SOURCE_HOLE: -2, CONFIRM_HOLE: -3}


@dataclass(frozen=True, slots=True)
class Pieces:
    """Literal text with holes between.

    Attributes:
        literals: one more than there are holes.
        holes: (index of the value, its escape); indices below 0 mean opt-out link, source
            and confirm link, as `_NO_VALUES` says.
    """

    literals: tuple[str, ...]
    holes: tuple[tuple[int, Escape], ...]

    def fill(self, values: Sequence[str], opt_out_url: str, source: str) -> str:
        """Return the text for one recipient."""
        filled = [self.literals[0]]
        for literal, (index, escape) in zip(self.literals[1:], self.holes, strict=True):
            value = values[index] if index >= 0 else _of_run(index, opt_out_url, source)
            filled += (escape(value), literal)
        return "".join(filled)


def _of_run(index: int, opt_out_url: str, source: str) -> str:
    if index == _NO_VALUES[CONFIRM_HOLE]:
        return confirm_url_of(opt_out_url)
    return opt_out_url if index == _NO_VALUES[OPT_OUT_HOLE] else source


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
    if character in _NO_VALUES:
        return _NO_VALUES[character], special
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
