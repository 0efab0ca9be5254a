"""Which text of an e-mail a reader provably sees.

Conservative on purpose: whatever styles an element in a way that is not known to leave its text
readable makes the text count as hidden. Only identity, imprint, source and opt-out need to be
seen; all other text may be styled freely.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from sender.rendering import colour as colours
from sender.rendering.colour import Colour, contrast, parse_colour
from sender.rendering.stylesheet import parse_declarations
from sender.rendering.tree import BLOCKS, Element

SMALLEST_TEXT_PX = 9.0
LOWEST_CONTRAST = 3.0
"""WCAG 2.2 asks for 4.5 (the sample layouts keep it); under 3 even large print fails."""
WIDEST_PX, NARROWEST_PX, NARROWEST_PERCENT, LARGEST_GAP_PX = 800.0, 120.0, 30.0, 120.0

_LENGTH = re.compile(r"([\d.]+)(px|pt|em|rem|%|)")
_PIXELS = {"px": 1.0, "pt": 4 / 3, "": 1.0, "rem": 16.0}
_FONT_SIZES = {"small": 13.0, "medium": 16.0, "large": 18.0, "x-large": 24.0, "x-small": 10.0}
_SIGNS_ONLY = re.compile(r"dings|symbol|blank|barcode|icon|emoji|marlett|redact", re.IGNORECASE)
_FONT = re.compile(
    r"(?:(?:normal|italic|bold|[1-9]00) )*([\d.]+(?:px|pt|em|rem|%))(?: ?/ ?([\w.%]+))? ([^\d].*)"
)
_STRUCK = frozenset({"del", "s"})


@dataclass(frozen=True, slots=True)
class State:
    """How text looks at one place: seen at all, its size in px, its colours."""

    seen: bool
    font_px: float
    ink: Colour | None
    paper: Colour | None
    dark_canvas: bool

    @property
    def readable(self) -> bool:
        """Whether text here can be made out."""
        canvas = colours.DARK_CANVAS if self.dark_canvas else colours.WHITE
        default = colours.WHITE if self.dark_canvas else colours.BLACK
        enough = contrast(self.ink or default, self.paper or canvas) >= LOWEST_CONTRAST
        return self.seen and self.font_px >= SMALLEST_TEXT_PX and enough


@dataclass(frozen=True, slots=True)
class Run:
    """One stretch of text, in reading order; an edge stands between two blocks."""

    text: str
    seen: bool
    link: Element | None = None
    is_edge: bool = False


def text_runs(root: Element, *, dark_canvas: bool) -> Iterator[Run]:
    """Yield all text of the body, with whether it is seen.

    Args:
        root: the tree, with style attributes as they apply.
        dark_canvas: look with a dark default background and light default text.
    """
    start = State(seen=True, font_px=16.0, ink=None, paper=None, dark_canvas=dark_canvas)
    yield from _runs(root, start, None)


def _runs(element: Element, state: State, link: Element | None) -> Iterator[Run]:
    if element.tag in {"head", "style", "title"}:
        return
    state = _enter(element, state)
    link = element if element.tag == "a" else link
    edge = element.tag in BLOCKS
    if edge:
        yield Run("\n", seen=True, is_edge=True)
    for child in element.children:
        if isinstance(child, str):
            yield Run(child, state.readable, link)
        else:
            yield from _runs(child, state, link)
    if edge:
        yield Run("\n", seen=True, is_edge=True)
    elif element.tag == "img":
        yield Run(" ", seen=True, link=link)


def _enter(element: Element, state: State) -> State:
    state = _presentation(element, state)
    if element.tag == "a" and "href" in element.attributes:
        state = replace(state, ink=colours.DARK_LINK if state.dark_canvas else colours.LINK_BLUE)
    declarations = parse_declarations(element.attributes.get("style", ""))
    names = [name for name, _ in declarations]
    if len(set(names)) < len(names):  # which one a mail program takes is not certain
        state = replace(state, seen=False)
    for name, value in sorted(declarations, key=_font_size_first):
        state = _apply(name, value.removesuffix(" !important"), state)
    return state


def _font_size_first(declaration: tuple[str, str]) -> bool:
    return declaration[0] not in {"font", "font-size"}


def _presentation(element: Element, state: State) -> State:
    attributes = element.attributes
    hidden = "hidden" in attributes or attributes.get("aria-hidden", "false") != "false"
    odd = hidden or element.tag in _STRUCK or attributes.get("dir", "ltr") != "ltr"
    if odd or not _fits(attributes.get("width", "auto")):
        state = replace(state, seen=False)
    if element.tag in {"small", "sub", "sup"}:
        state = replace(state, font_px=state.font_px * 0.83)
    if "bgcolor" in attributes:
        paper = parse_colour(attributes["bgcolor"])
        state = replace(state, paper=paper, seen=state.seen and paper is not None)
    return state


def _apply(name: str, value: str, state: State) -> State:
    if name in _CHANGES:
        return _CHANGES[name](value, state)
    harmless = _HARMLESS.get(name)
    if harmless is None or harmless(value, state):
        return state
    return replace(state, seen=False)


def _ink(value: str, state: State) -> State:
    if value in {"inherit", "currentcolor"}:
        return state
    ink = parse_colour(value)
    return replace(state, ink=ink, seen=state.seen and ink is not None)


def _paper(value: str, state: State) -> State:
    if value in {"transparent", "none", "inherit"}:
        return state
    paper = parse_colour(value)
    return replace(state, paper=paper, seen=state.seen and paper is not None)


def _font_size(value: str, state: State) -> State:
    size = _FONT_SIZES.get(value)
    if size is None:
        size = _pixels(value, state.font_px, percent_of=state.font_px)
    if value in {"inherit", "100%", "1em"}:
        return state
    return replace(state, font_px=size if size is not None else 0.0)


def _font(value: str, state: State) -> State:
    found = _FONT.fullmatch(value)
    if not found or _SIGNS_ONLY.search(found[3]):
        return replace(state, seen=False)
    state = _font_size(found[1], state)
    return state if found[2] is None else _apply("line-height", found[2], state)


_CHANGES: dict[str, Callable[[str, State], State]] = {
    "color": _ink,
    "background-color": _paper,
    "background": _paper,
    "font-size": _font_size,
    "font": _font,
}


def _pixels(value: str, font_px: float, *, percent_of: float | None = None) -> float | None:
    found = _LENGTH.fullmatch(value)
    if not found or found[1].count(".") > 1 or found[1] == ".":
        return None
    number, unit = float(found[1]), found[2]
    if unit == "%":
        return None if percent_of is None else number * percent_of / 100
    return number * (font_px if unit == "em" else _PIXELS[unit])


def _one_of(*values: str) -> Callable[[str, State], bool]:
    return lambda value, _: value in values


def _fits(value: str) -> bool:
    if value in {"auto", "none", "inherit"}:
        return True
    if value.endswith("%"):
        share = _pixels(value, 16, percent_of=100)
        return share is not None and NARROWEST_PERCENT <= share <= 100  # noqa: PLR2004 - per cent
    pixels = _pixels(value, 16)
    return pixels is not None and NARROWEST_PX <= pixels <= WIDEST_PX


def _small_gaps(value: str, state: State) -> bool:
    gaps = [_pixels(part, state.font_px) for part in value.split() if part != "auto"]
    return all(gap is not None and gap <= LARGEST_GAP_PX for gap in gaps)


def _small_least(value: str, state: State) -> bool:
    return value in {"auto", "100%", "inherit"} or _small_gaps(value, state)


def _small_spacing(value: str, state: State) -> bool:
    if value == "normal":
        return True
    size = _pixels(value.removeprefix("-"), state.font_px)
    return size is not None and size <= (1.0 if value.startswith("-") else 3.0)


def _roomy(value: str, state: State) -> bool:
    if value in {"normal", "inherit"}:
        return True
    if re.fullmatch(r"[\d.]+", value):
        value += "em"
    height = _pixels(value, state.font_px, percent_of=state.font_px)
    return height is not None and 0.9 * state.font_px <= height <= 5 * state.font_px


def _thin(value: str, state: State) -> bool:
    widths = (_pixels(part, state.font_px) for part in value.split())
    return all(width is None or width <= LARGEST_GAP_PX for width in widths)


def _letters(value: str, _state: State) -> bool:
    return not _SIGNS_ONLY.search(value)


_BORDERS = (
    "border", "border-bottom", "border-left", "border-right", "border-spacing", "border-top",
            "border-width", "border-bottom-width", "border-left-width", "border-right-width",
            "border-top-width", "outline")  # fmt: skip
_HARMLESS: dict[str, Callable[[str, State], bool]] = {
    **dict.fromkeys(_BORDERS, _thin),
    "direction": _one_of("ltr"),
    "display": _one_of("block", "inline", "inline-block", "table", "table-row", "table-cell",
                       "list-item", "table-row-group", "table-header-group", "table-footer-group"),
    "float": _one_of("none", "left", "right"),
    "font-family": _letters,
    "height": _one_of("auto", "100%"),
    "max-height": _one_of("none"),
    "min-height": _small_least,
    "letter-spacing": _small_spacing,
    "line-height": _roomy,
    "margin": _small_gaps,
    "margin-bottom": _small_gaps,
    "margin-left": _small_gaps,
    "margin-right": _small_gaps,
    "margin-top": _small_gaps,
    "padding": _small_gaps,
    "padding-bottom": _small_gaps,
    "padding-left": _small_gaps,
    "padding-right": _small_gaps,
    "padding-top": _small_gaps,
    "max-width": lambda value, _: _fits(value),
    "min-width": _small_least,
    "mso-hide": _one_of("none"),
    "opacity": _one_of("1"),
    "overflow": _one_of("visible"),
    "table-layout": _one_of("auto"),
    "text-decoration": _one_of("none", "underline"),
    "text-indent": _small_gaps,
    "visibility": _one_of("visible"),
    "white-space": _one_of("normal", "pre-line", "pre-wrap"),
    "width": lambda value, _: _fits(value),
    "word-spacing": _small_spacing,
}  # fmt: skip
