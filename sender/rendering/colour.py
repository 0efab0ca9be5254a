"""Colours of style sheets, and whether text can be told from its background."""

import re

Colour = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)
LINK_BLUE: Colour = (0, 0, 238)
DARK_CANVAS: Colour = (18, 18, 18)
DARK_LINK: Colour = (158, 158, 255)

_NAMED: dict[str, Colour] = {
    "aqua": (0, 255, 255), "black": BLACK, "blue": (0, 0, 255), "crimson": (220, 20, 60),
    "darkblue": (0, 0, 139), "darkgray": (169, 169, 169), "darkgreen": (0, 100, 0),
    "darkgrey": (169, 169, 169), "darkred": (139, 0, 0), "dimgray": (105, 105, 105),
    "dimgrey": (105, 105, 105), "fuchsia": (255, 0, 255), "gold": (255, 215, 0),
    "gray": (128, 128, 128), "green": (0, 128, 0), "grey": (128, 128, 128),
    "indigo": (75, 0, 130), "ivory": (255, 255, 240), "lightgray": (211, 211, 211),
    "lightgrey": (211, 211, 211), "lime": (0, 255, 0), "maroon": (128, 0, 0),
    "midnightblue": (25, 25, 112), "navy": (0, 0, 128), "olive": (128, 128, 0),
    "orange": (255, 165, 0), "purple": (128, 0, 128), "red": (255, 0, 0),
    "royalblue": (65, 105, 225), "silver": (192, 192, 192), "slategray": (112, 128, 144),
    "snow": (255, 250, 250), "steelblue": (70, 130, 180), "teal": (0, 128, 128),
    "white": WHITE, "whitesmoke": (245, 245, 245), "yellow": (255, 255, 0),
}  # fmt: skip
_HEX = re.compile(r"#([0-9a-f]{3}|[0-9a-f]{6})")
_RGB = re.compile(
    r"rgba?\( *(\d{1,3}) *[, ] *(\d{1,3}) *[, ] *(\d{1,3}) *(?:[,/] *1(?:\.0+)?)? *\)"
)


def parse_colour(text: str) -> Colour | None:
    """Return an opaque colour, or None where the text is none that is known."""
    text = text.strip().lower()
    if found := _HEX.fullmatch(text):
        digits = found[1] if len(found[1]) > 3 else "".join(digit * 2 for digit in found[1])  # noqa: PLR2004 - #rgb
        return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)
    if found := _RGB.fullmatch(text):
        red, green, blue = (min(int(part), 255) for part in found.groups())
        return red, green, blue
    return _NAMED.get(text)


def contrast(one: Colour, other: Colour) -> float:
    """Return the contrast ratio, 1 to 21 (WCAG 2.2, definition of contrast ratio)."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: Colour) -> float:
    red, green, blue = (_linear(channel / 255) for channel in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4  # noqa: PLR2004 - sRGB
