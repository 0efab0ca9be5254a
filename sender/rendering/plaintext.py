"""The text part of an e-mail, from the tree of its HTML part."""

import re
from collections.abc import Callable

from sender.rendering.stylesheet import parse_declarations
from sender.rendering.tree import BLOCKS, Element
from sender.rendering.values import ATTRIBUTE_HOLES, TEXT_HOLES, URL_HOLES

_SPACE = re.compile(r"[ \t\n\r\f\xa0]+")
_APART = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table", "blockquote",
                    "section", "footer", "header", "hr", "dl", "pre"})  # fmt: skip
_NOT_SHOWN = {("display", "none"), ("visibility", "hidden"), ("mso-hide", "all"),
              ("max-height", "0"), ("max-height", "0px"), ("opacity", "0"),
              ("font-size", "0"), ("font-size", "0px"), ("font-size", "1px")}  # fmt: skip
_RULE = "-" * 40


def to_plain_text(root: Element) -> str:
    """Return what the HTML shows as lines of text, addresses of links in angle brackets.

    Angle brackets around addresses: RFC 3986, appendix C.
    """
    writer = _Writer()
    _write(root, writer)
    return writer.finish()


class _Writer:
    def __init__(self) -> None:
        self._lines: list[str] = []
        self._line: list[str] = []

    def text(self, text: str) -> None:
        self._line.append(text)

    def end_line(self) -> None:
        line = _SPACE.sub(" ", "".join(self._line)).strip()
        self._line = []
        if line:
            self._lines.append(line)

    def end_paragraph(self) -> None:
        self.end_line()
        if self._lines and self._lines[-1]:
            self._lines.append("")

    def finish(self) -> str:
        self.end_paragraph()
        return "\n".join(self._lines).strip("\n") + "\n"


def _write(element: Element, writer: _Writer) -> None:
    if element.tag in {"head", "style", "title"} or _is_hidden(element):
        return
    end = _ending(element.tag, writer)
    end()
    if element.tag == "li":
        writer.text("- ")
    elif element.tag == "hr":
        writer.text(_RULE)
    elif element.tag == "img":
        writer.text(_as_text(element.attributes.get("alt", "")))
    for child in element.children:
        if isinstance(child, str):
            writer.text(child)
        else:
            _write(child, writer)
    if element.tag == "a":
        _write_address(element, writer)
    end()


def _ending(tag: str, writer: _Writer) -> Callable[[], None]:
    if tag in _APART:
        return writer.end_paragraph
    return writer.end_line if tag in BLOCKS else lambda: None


def _is_hidden(element: Element) -> bool:
    declarations = parse_declarations(element.attributes.get("style", ""))
    plain = {(name, value.removesuffix(" !important")) for name, value in declarations}
    return "hidden" in element.attributes or bool(plain & _NOT_SHOWN)


def _write_address(link: Element, writer: _Writer) -> None:
    target = link.attributes.get("href", "")
    bare = target.removeprefix("mailto:").removeprefix("tel:")
    if target and _content(link) not in {target, bare}:
        writer.text(f" <{bare}>")


def _content(element: Element) -> str:
    parts = (child if isinstance(child, str) else _content(child) for child in element.children)
    return "".join(parts).strip()


def _as_text(attribute: str) -> str:
    """Move the holes of an attribute that becomes text into the range of text."""
    moved = range(ATTRIBUTE_HOLES, URL_HOLES)
    return "".join(
        chr(ord(character) - ATTRIBUTE_HOLES + TEXT_HOLES) if ord(character) in moved else character
        for character in attribute
    )
