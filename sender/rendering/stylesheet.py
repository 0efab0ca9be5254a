"""The part of CSS that e-mails may use, as an allow-list.

What is not on it cannot hide anything. Rules that depend on the reader's screen stay in a style
element; the check looks at the message with and without each condition.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sender.rendering.refusal import Rule, broken
from sender.rendering.values import HOLE

MOST_CONDITIONS = 4
"""Every combination is looked at: 2 to the power of 4 messages per skeleton."""

PROPERTIES = frozenset({
    "background", "background-color", "border", "border-bottom", "border-bottom-color",
    "border-bottom-style", "border-bottom-width", "border-collapse", "border-color", "border-left",
    "border-left-color", "border-left-style", "border-left-width", "border-radius", "border-right",
    "border-right-color", "border-right-style", "border-right-width", "border-spacing",
    "border-style", "border-top", "border-top-color", "border-top-style", "border-top-width",
    "border-width", "box-sizing", "clear", "color", "color-scheme", "direction", "display", "float",
    "font", "font-family", "font-size", "font-style", "font-weight", "height", "hyphens",
    "letter-spacing", "line-height", "list-style", "list-style-type", "margin", "margin-bottom",
    "margin-left", "margin-right", "margin-top", "max-height", "max-width", "min-height",
    "min-width", "mso-hide", "mso-line-height-rule", "mso-padding-alt", "mso-table-lspace",
    "mso-table-rspace", "opacity", "outline", "overflow", "overflow-wrap", "padding",
    "padding-bottom", "padding-left", "padding-right", "padding-top", "supported-color-schemes",
    "table-layout", "text-align", "text-decoration", "text-indent", "text-transform",
    "vertical-align", "visibility", "white-space", "width", "word-break", "word-spacing",
    "word-wrap", "-ms-interpolation-mode", "-ms-text-size-adjust", "-webkit-font-smoothing",
    "-webkit-text-size-adjust",
})  # fmt: skip

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_SELECTOR = re.compile(r"[\w\s.#>+~,*-]*(?::(?:hover|active|visited|link|focus)\b[\w\s.#>+~,*-]*)*")
_PSEUDO = re.compile(r":(?:hover|active|visited|link|focus)\b")
_CONDITION = re.compile(r"[\w\s():,.-]+")
_VALUE = re.compile(r"[\w\s#%.,()'\"!/+-]+")
_FUNCTION = re.compile(r"([\w-]+)\s*\(")
_NEGATIVE = re.compile(r"(?:^|[\s,(])-\s*[\d.]")
_IMPORTANT = re.compile(r" ?! ?important$")
_BARE_PSEUDO = re.compile(r"(?<![\w*:-]):(?:hover|active|visited|link|focus)\b")
_POINTED_AT = "(pointer)"

Declarations = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class StyleRule:
    """One rule; `condition` is empty where it always holds."""

    condition: str
    selector: str
    declarations: str


@dataclass(frozen=True, slots=True)
class StyleSheet:
    """All rules of one message, in their order."""

    rules: tuple[StyleRule, ...]

    @property
    def conditions(self) -> tuple[str, ...]:
        """Each condition once."""
        return tuple(dict.fromkeys(rule.condition for rule in self.rules if rule.condition))

    @property
    def unconditional(self) -> str:
        """The rules to be inlined."""
        return "".join(f"{r.selector}{{{r.declarations}}}" for r in self.rules if not r.condition)

    @property
    def conditional(self) -> str:
        """The rules to be kept in a style element."""
        return "".join(_kept(rule) for rule in self.rules if rule.condition)

    def applying(self, conditions: Iterable[str]) -> str:
        """Return the conditional rules as they apply where all of `conditions` hold."""
        held = frozenset(conditions)
        return "".join(
            f"{_at_rest(r.selector)}{{{r.declarations}}}" for r in self.rules if r.condition in held
        )


def _at_rest(selector: str) -> str:
    return _PSEUDO.sub("", _BARE_PSEUDO.sub("*", selector))


def _kept(rule: StyleRule) -> str:
    plain = f"{rule.selector}{{{rule.declarations}}}"
    return plain if rule.condition == _POINTED_AT else f"{rule.condition}{{{plain}}}"


def parse_stylesheet(css: str) -> StyleSheet:
    """Read a style element.

    Raises:
        MessageRefused: something in it is not on the allow-list.
    """
    css = _COMMENT.sub(" ", css)
    if HOLE.search(css):
        raise broken(Rule.VALUE_PLACE, "A value stands in a style sheet.")
    if "\\" in css or "/*" in css or "<" in css:
        raise broken(Rule.STYLE, "A style sheet has escapes, open comments or markup.")
    sheet = StyleSheet(tuple(_rules(css)))
    if len(sheet.conditions) > MOST_CONDITIONS:
        raise broken(Rule.STYLE, f"More than {MOST_CONDITIONS} different @media conditions.")
    return sheet


def _rules(css: str, condition: str = "") -> Iterator[StyleRule]:
    rest = css.strip()
    while rest:
        head, brace, rest = rest.partition("{")
        head = " ".join(head.split())
        if not brace:
            raise broken(Rule.STYLE, "A style sheet ends in the middle of a rule.")
        if head.startswith("@"):
            block, rest = _block(rest)
            yield from _rules(block, _media(head, condition))
        else:
            declarations, brace, rest = rest.partition("}")
            if not brace:
                raise broken(Rule.STYLE, "A style sheet ends in the middle of a rule.")
            yield _rule(head, declarations, condition)
        rest = rest.strip()


def _media(head: str, outer: str) -> str:
    name, _, condition = head.partition(" ")
    if outer or name.lower() != "@media" or not _CONDITION.fullmatch(condition):
        raise broken(Rule.STYLE, "Of the at-rules, only plain @media is available.")
    return f"@media {condition.lower()}"


def _block(css: str) -> tuple[str, str]:
    depth = 1
    for position, character in enumerate(css):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return css[:position], css[position + 1 :]
    raise broken(Rule.STYLE, "A style sheet ends in the middle of a rule.")


def _rule(selector: str, declarations: str, condition: str) -> StyleRule:
    if not selector or not _SELECTOR.fullmatch(selector):
        raise broken(
            Rule.STYLE, "A selector is not made of elements, classes and ids.",
            remedy="Of the pseudo-classes, use :hover, :active, :visited, :link and :focus only.",
        )  # fmt: skip
    if _PSEUDO.search(selector):
        condition = condition or _POINTED_AT
    pairs = parse_declarations(declarations)
    return StyleRule(condition, selector, ";".join(f"{name}:{value}" for name, value in pairs))


def parse_declarations(style: str) -> Declarations:
    """Read the declarations of a rule or style attribute; names and values in lower case.

    Raises:
        MessageRefused: something in it is not on the allow-list.
    """
    if HOLE.search(style):
        raise broken(Rule.VALUE_PLACE, "A value stands in a style.")
    pairs = (_declaration(part) for part in _COMMENT.sub(" ", style).split(";"))
    return tuple(pair for pair in pairs if pair is not None)


def _declaration(part: str) -> tuple[str, str] | None:
    if not part.strip():
        return None
    name, colon, value = part.partition(":")
    name = name.strip().lower()
    value = _IMPORTANT.sub(" !important", " ".join(value.lower().split()))
    if not colon or name not in PROPERTIES:
        raise broken(Rule.STYLE, f"The style property {_shown(name)} is not available.")
    functions = set(_FUNCTION.findall(value))
    if not _VALUE.fullmatch(value) or functions - {"rgb", "rgba"}:
        raise broken(Rule.STYLE, f"The value of {name} is not plain.")
    if name.startswith(("margin", "padding", "border", "line-height")) and _NEGATIVE.search(value):
        raise broken(Rule.STYLE, f"{name} is negative, which moves text over other text.")
    return name, value


def _shown(name: str) -> str:
    return name if re.fullmatch(r"[a-z-]{1,40}", name) else "in one rule"
