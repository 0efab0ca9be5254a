"""An e-mail's HTML as a tree, and the allow-list of its elements and attributes.

The input is what the HTML standard's parser and serialiser (inside css-inline) wrote, so tags
always pair and a strict reader sees the same tree as a browser.
"""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlsplit

from sender.rendering.refusal import Rule, broken
from sender.rendering.values import CONFIRM_HOLE, HOLE, OPT_OUT_HOLE, SOURCE_HOLE

VOID = frozenset({"br", "col", "hr", "img", "meta"})
BLOCKS = frozenset({
    "address", "article", "blockquote", "body", "br", "center", "dd", "div", "dl", "dt",
    "figcaption", "figure", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li",
    "main", "nav", "ol", "p", "pre", "section", "table", "tbody", "td", "tfoot", "th", "thead",
    "tr", "ul", "caption",
})  # fmt: skip
ELEMENTS = BLOCKS | VOID | frozenset({
    "a", "abbr", "b", "cite", "code", "colgroup", "del", "em", "head", "html", "i", "ins",
    "mark", "q", "s", "small", "span", "strong", "style", "sub", "sup", "time", "title", "u",
})  # fmt: skip
ATTRIBUTES = frozenset({
    "align", "alt", "aria-hidden", "aria-label", "bgcolor", "border", "cellpadding", "cellspacing",
    "charset", "class", "colspan", "content", "datetime", "dir", "height", "hidden", "href",
    "http-equiv", "id", "lang", "name", "rel", "role", "rowspan", "scope", "src", "start", "style",
    "target", "title", "type", "valign", "width", "xmlns",
})  # fmt: skip
_OWN_LINKS = {OPT_OUT_HOLE, CONFIRM_HOLE}
_META = frozenset({
    "viewport", "color-scheme", "supported-color-schemes", "format-detection", "description",
    "x-apple-disable-message-reformatting", "author", "robots",
})  # fmt: skip
_VALUE_ATTRIBUTES = frozenset({"alt", "title", "aria-label", "lang", "href", "src"})
_PREFIX_OF_VALUE = re.compile(r"https?://[^/?#\ue000-\uf8ff]+[/?#][^\ue000-\uf8ff]*[\ue000-\uf7ff]")


@dataclass(slots=True)
class Element:
    """One element; children are elements and text."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list["Element | str"] = field(default_factory=list)


def parse_tree(html: str) -> Element:
    """Read serialised HTML and refuse what is not on the allow-list.

    Raises:
        MessageRefused: an element, attribute or link that e-mails may not have.
    """
    reader = _Reader()
    reader.feed(html)
    reader.close()
    if len(reader.open) > 1:
        raise broken(Rule.ELEMENT, "An element is not closed.")
    return reader.open[0]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open = [Element("")]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        _refuse_element(element)
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if self.open[-1].tag != tag:
            raise broken(Rule.ELEMENT, "Elements overlap.")
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)

    def handle_comment(self, data: str) -> None:  # noqa: ARG002 - the base class names it
        raise broken(Rule.CONDITIONAL_COMMENT, "A comment is left in the message.")

    def handle_pi(self, data: str) -> None:  # noqa: ARG002 - the base class names it
        raise broken(Rule.ELEMENT, "A processing instruction is left in the message.")

    def unknown_decl(self, data: str) -> None:  # noqa: ARG002 - the base class names it
        raise broken(Rule.ELEMENT, "A declaration is left in the message.")


def _refuse_element(element: Element) -> None:
    if element.tag not in ELEMENTS:
        raise broken(Rule.ELEMENT, f"The element {_shown(element.tag)} is not available.")
    for name, value in element.attributes.items():
        if name not in ATTRIBUTES:
            raise broken(Rule.ATTRIBUTE, f"The attribute {_shown(name)} is not available.")
        if HOLE.search(value):
            _refuse_value_place(element.tag, name, value)
    if element.tag == "meta":
        _refuse_meta(element.attributes)
    for name in ("href", "src"):
        if name in element.attributes:
            _refuse_target(element.tag, name, element.attributes[name])


def _refuse_meta(attributes: dict[str, str]) -> None:
    equivalent = attributes.get("http-equiv", "").lower()
    name = attributes.get("name", "").lower()
    if equivalent not in {"", "content-type", "x-ua-compatible"} or (name and name not in _META):
        raise broken(Rule.ELEMENT, "A meta element does more than describe the message.")


def _refuse_value_place(tag: str, name: str, value: str) -> None:
    if name not in _VALUE_ATTRIBUTES:
        raise broken(Rule.VALUE_PLACE, f"A value stands in the attribute {_shown(name)}.")
    if OPT_OUT_HOLE in value and (value != OPT_OUT_HOLE or (tag, name) != ("a", "href")):
        raise broken(Rule.VALUE_PLACE, "The opt-out link is a link's whole address, or text.")
    if CONFIRM_HOLE in value and (value != CONFIRM_HOLE or (tag, name) != ("a", "href")):
        raise broken(Rule.VALUE_PLACE, "The confirm link is a link's whole address, or text.")
    if SOURCE_HOLE in value:
        raise broken(Rule.VALUE_PLACE, "The source of the details is said in the text.")
    if name in {"href", "src"} and value not in _OWN_LINKS and not _PREFIX_OF_VALUE.match(value):
        raise broken(
            Rule.VALUE_PLACE,
            "A value decides where a link goes.",
            remedy="Write scheme and host of the link out; values may follow them.",
        )


def _refuse_target(tag: str, name: str, value: str) -> None:
    if value in _OWN_LINKS:
        return
    value = HOLE.sub("x", value)
    schemes = {"https", "http"} if name == "src" else {"https", "http", "mailto", "tel"}
    try:
        parts = urlsplit(value)
        complete = bool(parts.hostname) if parts.scheme in {"https", "http"} else bool(parts.path)
    except ValueError:
        raise broken(Rule.LINK_TARGET, "The address of a link does not parse.") from None
    plain = value.isprintable() and value == value.strip()
    if tag not in {"a", "img"} or parts.scheme not in schemes or not complete or not plain:
        raise broken(
            Rule.LINK_TARGET,
            "A link has no complete https, mailto or tel address.",
            remedy="Write the whole address, with https://.",
        )


def _shown(name: str) -> str:
    return name if re.fullmatch(r"[a-z0-9:-]{1,40}", name) else "with an odd name"
