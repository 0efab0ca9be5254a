"""Does a message that claims to be research or service advertise? Pure: text in, flags out.

What claims to be research and is in reality meant to gain support, now or later, is direct
marketing (guidance ¶18, ¶19). Flagged too much is put right by `kind = "marketing"`, flagged too
little is not: every word of voting, giving and supporting is an ask unless it stands in a wording
that is known to be none.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from html import unescape
from typing import Final
from urllib.parse import unquote

from sender.rendering.disguise import plain_letters, shown_backwards, unmasked
from sender.rendering.kind_words import (
    ASKS,
    CLAIM,
    KNOWN_NAMES,
    NAME,
    NO_ASKS,
    PROMOTIONAL_LINK,
    SOFT,
)
from sender.rendering.tree import BLOCKS


class Element(StrEnum):
    """An element of marketing."""

    VOTES = "votes"
    MONEY = "money"
    SUPPORT = "support"
    MENTIONS = "mentions"
    """Voting, giving or supporting is spoken of, and not asked for."""
    SIGN_UPS = "sign-ups"
    PROMOTION = "promotion"
    NAMES = "names"
    """A candidate's or party's name beside a policy claim."""
    LINKS = "links"


FINAL: Final = frozenset({Element.VOTES, Element.MONEY, Element.SUPPORT})
"""No approval lifts these."""


@dataclass(frozen=True, slots=True, order=True)
class Flag:
    """One hit.

    Attributes:
        element: what it is.
        words: the words that were found, in small letters; a link without what follows its host.
    """

    element: Element
    words: str

    @property
    def is_final(self) -> bool:
        """Whether no approval lifts it."""
        return self.element in FINAL


@dataclass(frozen=True, slots=True)
class Own:
    """What every message of a controller must show anyhow; it is not held against the message.

    Attributes:
        names: of the controller, of bodies it speaks for, of its sender.
        phrases: postal addresses and the imprint.
        links: addresses that it must give: the notice, its website, the way out.
    """

    names: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    links: tuple[str, ...] = ()


_URL: Final = re.compile(
    r"(?:https?://|www\.|mailto:|tel:|sms:)[^\s<>\"'\]]+"
    r"|(?<![@\w.-])(?:[a-z0-9-]+\.)+[a-z]{2,24}/[^\s<>\"'\]]*",
    re.IGNORECASE,
)
_ADDRESS: Final = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_SENTENCE: Final = re.compile(r"[^.!?;•|]+(?:[.!?;•|]+(?=\S)[^.!?;•|]*)*[.!?;•|]*")
_PARAGRAPH: Final = re.compile(r"\n\s*\n")
_WORDS_OF_A_LINK: Final = re.compile(r"[^a-z0-9]+")


_NOTHING_OWN: Final = Own()


def lint(text: str, own: Own = _NOTHING_OWN) -> tuple[Flag, ...]:
    """Return every element of marketing in a text, each wording once.

    Args:
        text: the words of a message, or of a template.
        own: what is not held against it.
    """
    links = [link for link in links_in(text) if link not in own.links]
    plain = _ADDRESS.sub(" ", _URL.sub(" ", text))
    flags: set[Flag] = set()
    for line in _lines(plain, own):
        flags.update(flag for sentence in _sentences(line) for flag in _judge(sentence))
        flags |= _finals(unmasked(line))
    for line in _lines(shown_backwards(plain), own):
        flags |= _finals(line)
    for link in links:
        bare = unquote(link).lower()
        flags |= set(_judge(_WORDS_OF_A_LINK.sub(" ", bare)))
        if PROMOTIONAL_LINK.search(bare):
            flags.add(Flag(Element.LINKS, _host(link)))
    return tuple(sorted(flags))


def lint_html(html: str, own: Own = _NOTHING_OWN) -> tuple[Flag, ...]:
    """Return every element of marketing in HTML, or in the words of a template of it.

    Of the text without any gap where a tag stood, however it may be styled, asks alone count: it
    runs sentences together.
    """
    flags = {flag for text in texts_of_html(html) for flag in lint(text, own)}
    run_together = _URL.sub(" ", unescape(_TAG.sub("", _without_styles(html))))
    for line in _lines(run_together, own, glued=True):
        flags |= _finals(line)
    return tuple(sorted(flags))


def links_in(text: str) -> frozenset[str]:
    """Return every link in a text, without the punctuation behind it."""
    return frozenset(found.rstrip(".,;:!?)") for found in _URL.findall(unescape(text)))


def texts_of_html(html: str) -> tuple[str, str]:
    """Return the words of HTML twice: with inline elements closed up, and with a space for each.

    So neither `do<b>nate</b>` nor two buttons side by side hide a word. Tips and the texts of
    pictures count; styles do not.
    """
    bare = _without_styles(html)
    told = "\n\n".join(found[1] or found[2] for found in _TOLD.findall(bare))
    return tuple(  # type: ignore[return-value]  # two are asked for
        unescape(_TAG.sub("\n\n", _INLINE.sub(gap, bare)) + "\n\n" + told) for gap in ("", " ")
    )


def _without_styles(html: str) -> str:
    return _STYLE.sub(" ", _COMMENT.sub("", html))


_COMMENT: Final = re.compile(r"<!--.*?-->", re.DOTALL)
_STYLE: Final = re.compile(r"<(style|script)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
_INLINE: Final = re.compile(rf"</?(?!(?:{'|'.join(sorted(BLOCKS))})\b)[a-z][^>]*>", re.IGNORECASE)
_TAG: Final = re.compile(r"<[^>]*>")
_TOLD: Final = re.compile(
    r"""\b(?:alt|title|aria-label|href|src)\s*=\s*(?:(["'])(.*?)\1|([^\s"'>]+))""",
    re.DOTALL | re.IGNORECASE,
)


def _lines(text: str, own: Own, *, glued: bool = False) -> Iterator[str]:
    names = _any_of(own.names, glued=glued)
    phrases = _any_of(own.phrases, glued=glued)
    for paragraph in _PARAGRAPH.split(text):
        line = plain_letters(paragraph)
        if phrases is not None:
            line = phrases.sub(" ", line)
        if names is not None:
            line = names.sub(f" {NAME} ", line)
        yield line


def _sentences(line: str) -> Iterator[str]:
    yield from (" ".join(one.split()) for one in _SENTENCE.findall(line))


def _finals(line: str) -> set[Flag]:
    return {flag for one in _sentences(line) for flag in _judge(one) if flag.is_final}


def _any_of(phrases: Iterable[str], *, glued: bool) -> re.Pattern[str] | None:
    """Return what finds any of the phrases, the longest first; None where there are none.

    Args:
        phrases: as they are written.
        glued: whether other words may stand right before and behind one.
    """
    plain = sorted({plain_letters(one) for one in phrases if one.strip()}, key=len, reverse=True)
    if not plain:
        return None
    any_of = f"(?:{'|'.join(map(re.escape, plain))})"
    return re.compile(any_of if glued else rf"(?<!\w){any_of}(?!\w)")


def _judge(sentence: str) -> Iterator[Flag]:
    rest = sentence
    for pattern in NO_ASKS:
        for found in pattern.finditer(rest):
            yield Flag(Element.MENTIONS, found[0].strip())
        rest = pattern.sub(" … ", rest)
    for word, pattern in ASKS.items():
        yield from (Flag(Element(word), found[0]) for found in pattern.finditer(rest))
    for word, pattern in SOFT.items():
        yield from (Flag(Element(word), found[0]) for found in pattern.finditer(rest))
    named = KNOWN_NAMES.search(sentence)
    claim = CLAIM.search(sentence)
    if named and claim:
        yield Flag(Element.NAMES, f"{_shown(named[0])} … {claim[0]}")


def _shown(name: str) -> str:
    return "the sender's name" if name == NAME else name


def _host(link: str) -> str:
    return link.lower().partition("://")[2].partition("/")[0] or link.lower().partition("/")[0]
