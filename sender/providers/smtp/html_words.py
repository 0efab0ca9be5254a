"""The words that a person typed into a mail that has only an HTML part; pure."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

_SILENT = frozenset({"script", "style", "head", "title", "blockquote", "template"})
"""Not shown, or a quotation."""

_QUOTES = ("gmail_quote", "yahoo_quoted", "moz-cite-prefix", "protonmail_quote")
"""Classes of the elements that mail programs wrap the message in that was answered."""

_REST_IS_QUOTE = frozenset({"divrplyfwdmsg", "appendonsend", "ms-outlook-mobile-reference-message"})
"""Ids in front of which Outlook's words end: what follows is the message that was answered."""

_VOID = frozenset({"br", "hr", "img", "input", "meta", "link", "wbr", "col", "area", "base"})
_BREAKS = frozenset({"br", "p", "div", "tr", "li", "h1", "h2", "h3", "h4", "table", "hr", "ul"})

_UNCLOSED = re.compile(r"<(?![^<>]*>)")
_DECLARATION = re.compile(r"<[!?][^<>]*>")


def words_of_html(html: str) -> str:
    """Return the text outside quotations, a line for each block."""
    reader = _Reader()
    reader.feed(_tame("".join(_outside_comments(html))))
    reader.close()
    lines = ("".join(reader.found).replace("\xa0", " ")).splitlines()
    return "\n".join(line for line in (" ".join(one.split()) for one in lines) if line)


def _outside_comments(html: str) -> Iterator[str]:
    place = 0
    while (begin := html.find("<!--", place)) >= 0:
        yield html[place:begin]
        end = html.find("-->", begin)
        place = end + 3 if end >= 0 else begin + 4  # one that never ends hides nothing
        if end < 0:
            break
    yield html[place:].replace("<!--", "")


def _tame(html: str) -> str:
    """Leave the library's parser nothing that it looks for the end of again and again."""
    return _DECLARATION.sub("", _UNCLOSED.sub("&lt;", html))


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._silent: list[str] = []
        self._over = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if (values.get("id") or "").lower() in _REST_IS_QUOTE:
            self._over = True
        classes = values.get("class") or ""
        quotes = any(name in classes for name in _QUOTES)
        inside = self._silent and tag == self._silent[0]
        if tag not in _VOID and (inside or (not self._silent and (tag in _SILENT or quotes))):
            self._silent.append(tag)
        if tag in _BREAKS:
            self.found.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if self._silent and tag == self._silent[-1]:
            self._silent.pop()
        if tag in _BREAKS:
            self.found.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._silent and not self._over:
            # A new line in the source is a space to the reader.
            self.found.append(" ".join(data.splitlines()) if data.strip() else " ")
