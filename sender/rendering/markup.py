"""From a rendered template to the HTML that is sent: comments out, styles inlined."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, combinations

from css_inline import CSSInliner

from sender.rendering.holes import place_holes
from sender.rendering.refusal import Rule, broken
from sender.rendering.stylesheet import StyleSheet, parse_stylesheet
from sender.rendering.tree import Element, parse_tree

_NORMALISER = CSSInliner(
    load_remote_stylesheets=False,
    inline_style_tags=False,
    keep_style_tags=True,
    keep_link_tags=True,
)
_TOKEN = re.compile(
    r"<!--(?P<comment>.*?)-->"
    r'|<style(?:"[^"]*"|[^">])*>(?P<css>.*?)</style>'
    r'|<(?P<tag>[a-zA-Z!/?](?:"[^"]*"|[^">])*)>'
    r"|[^<]+|<",
    re.DOTALL,
)
_RAW_TEXT = re.compile(
    r"/?(?:script|xmp|iframe|noembed|noframes|noscript|plaintext|textarea|template|svg|math)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class View:
    """The message as one kind of mail program shows it."""

    tree: Element
    dark_canvas: bool


@dataclass(frozen=True, slots=True)
class Markup:
    """The HTML to be sent, its tree, and every view of it."""

    html: str
    tree: Element
    views: tuple[View, ...]


def prepare(rendered: str) -> Markup:
    """Normalise, strip comments, inline styles and list the views to be checked.

    Raises:
        MessageRefused: something in it is not on the allow-lists.
    """
    bare, sheet = _separate(_NORMALISER.inline(rendered))
    inlined = place_holes(_inliner(sheet.unconditional).inline(bare))
    tree = parse_tree(inlined)
    if parse_tree(_NORMALISER.inline(inlined)) != tree:
        raise broken(Rule.ELEMENT, "Mail programs could read the HTML in different ways.")
    html = inlined
    if sheet.conditional:
        html = inlined.replace("</head>", f"<style>{sheet.conditional}</style></head>", 1)
    return Markup(html, tree, tuple(_views(inlined, tree, sheet)))


def _separate(html: str) -> tuple[str, StyleSheet]:
    """Return the HTML without comments and style elements, and the styles."""
    kept: list[str] = []
    css: list[str] = []
    for token in _TOKEN.finditer(html):
        if token["comment"] is not None:
            _refuse_conditional(token["comment"])
        elif token["css"] is not None:
            css.append(token["css"])
        else:
            _refuse_raw_text(token["tag"])
            kept.append(token[0])
    return "".join(kept), parse_stylesheet("\n".join(css))


def _refuse_conditional(comment: str) -> None:
    if "[if" in comment.lower() or "endif" in comment.lower():
        raise broken(
            Rule.CONDITIONAL_COMMENT,
            "A conditional comment shows Outlook something that the check cannot see.",
            remedy="Remove it; other comments are stripped from the message.",
        )


def _refuse_raw_text(tag: str | None) -> None:
    """Refuse elements whose content is no markup before anything reads it as markup."""
    if tag and (found := _RAW_TEXT.match(tag)):
        name = found[0].strip("/").lower()
        raise broken(Rule.ELEMENT, f"The element {name} is not available.")


@lru_cache(maxsize=64)
def _inliner(css: str) -> CSSInliner:
    return CSSInliner(load_remote_stylesheets=False, keep_link_tags=True, extra_css=css)


def _views(html: str, tree: Element, sheet: StyleSheet) -> Iterator[View]:
    canvases = (False, True) if _may_be_dark(tree, sheet) else (False,)
    subsets = chain.from_iterable(
        combinations(sheet.conditions, size) for size in range(len(sheet.conditions) + 1)
    )
    for conditions in subsets:
        applied = sheet.applying(conditions)
        shown = parse_tree(_inliner(applied).inline(html)) if applied else tree
        for dark in canvases:
            yield View(shown, dark)


def _may_be_dark(tree: Element, sheet: StyleSheet) -> bool:
    """Whether the message asks mail programs for their dark canvas."""
    declared = [rule.declarations for rule in sheet.rules if "color-scheme" in rule.declarations]
    declared += _declared_schemes(tree)
    return any("dark" in text for text in declared)


def _declared_schemes(element: Element) -> Iterator[str]:
    attributes = element.attributes
    if "color-scheme" in attributes.get("name", "").lower():
        yield attributes.get("content", "").lower()
    if "color-scheme" in attributes.get("style", "").lower():
        yield attributes["style"].lower()
    for child in element.children:
        if isinstance(child, Element):
            yield from _declared_schemes(child)
