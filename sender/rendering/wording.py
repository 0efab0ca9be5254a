"""Finding names and ways out in text, whatever its punctuation, case and spacing."""

import re
import unicodedata

_WORD = re.compile("[\\w\ue000-\uf8ff]+")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")
_BRACES = re.compile(r"\{\{|\}\}|\{%|%\}|\{#|#\}")

WAY_OUT = re.compile(
    r"unsubscrib|\bopt(?:ing|ed)?[\s-]*(?:(?:me|you|yourself)\s+)?out\b"
    r"|\bremove me\b|\btake me off\b|\bstop (?:receiving|getting|sending)\b"
    r"|\bstop (?:these|our|all|your) (?:e-?mails|messages|texts|newsletters|mailings)\b"
    r"|\b(?:manage|update|change) (?:my |your )?(?:e-?mail )?(?:preferences|subscriptions?)\b"
    r"|\bno longer (?:wish|want) to (?:receive|hear|get)\b|dad-?danysgrifio"
)
_POINTING = re.compile(
    r"(?:please )?(?:(?:click|tap|press|go|follow|use|visit) )?(?:on )?"
    r"(?:here|(?:this |the )?(?:link|page|button)|below)\W*"
)
_MIXED_SCRIPTS = re.compile("[a-z][\u0370-\u04ff]|[\u0370-\u04ff][a-z]")
_ADDRESS = re.compile(r"https?://|mailto:|www\.|\S@\S")
_SIGNS_OF_AN_ADDRESS = ("@", "://", "mailto:", "www.")
"""Whatever `_ADDRESS` finds has one of these; most text has none, which is quicker to see."""


def words(text: str) -> str:
    """Return the words of a text, one space between and around: ` labour party `.

    Holes count as letters, so a name glued to a value is not the name.
    """
    plain = unicodedata.normalize("NFC", text).casefold()
    return f" {' '.join(_WORD.findall(plain))} "


def says(text_words: str, phrase: str) -> bool:
    """Whether words (from `words`) contain a phrase, whole words only; an empty one never."""
    wanted = words(phrase)
    return bool(wanted.strip()) and wanted in text_words


def plain_line(text: str) -> str:
    """Return text for matching: compatibility forms, no invisible characters, lower case."""
    return " ".join(_INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).lower().split())


def names_way_out(text: str) -> bool:
    """Whether the text speaks of unsubscribing or opting out."""
    return WAY_OUT.search(plain_line(text)) is not None


def has_braces(text: str) -> bool:
    """Whether braces of a template stand in the text."""
    return ("{" in text or "}" in text) and _BRACES.search(text) is not None


def is_counterfeit_link(link: str, surroundings: str, *, beside_real_one: bool) -> bool:
    """Whether a link that goes elsewhere claims to be the way out.

    Args:
        link: all that stands in the link, texts of pictures too.
        surroundings: the text of its paragraph.
        beside_real_one: whether that paragraph has the real link as well.
    """
    line = plain_line(link)
    if WAY_OUT.search(line) or _MIXED_SCRIPTS.search(line):
        return True
    points = _POINTING.fullmatch(line) is not None
    return points and not beside_real_one and names_way_out(surroundings)


def is_counterfeit_paragraph(paragraph: str, opt_out: str) -> bool:
    """Whether a paragraph of plain text names a way out and gives another address for it."""
    if opt_out and opt_out in paragraph:
        return False
    return _gives_address(paragraph.lower()) and names_way_out(paragraph)


def _gives_address(lower: str) -> bool:
    for sign in _SIGNS_OF_AN_ADDRESS:  # faster than any() of as many
        if sign in lower:
            return _ADDRESS.search(lower) is not None
    return False
