"""A small notation for phrases, compiled to expressions that cannot blow up; pure.

    word        that word
    a/b         one of them; in a word of several, `_` stands for the space
    word?       that word or nothing
    {group}     one of a named group of words; `{group}?` is one or nothing
    ~3          up to three words of any kind, never over a clause
    #           a number
    < and >     the beginning and the end of the clause, polite words and names apart

No repetition stands inside another, and each has an upper bound: the work for a clause grows with
its length alone.
"""

import re
from collections.abc import Iterable, Mapping
from textwrap import dedent

from sender.inbound.recogniser import word_groups

MASK = "_"
"""Stands where a phrase was found to say something else; no rule reaches over it."""

_MOST_POLITE_WORDS = 6
_GOES_ON = re.compile(r"\n +")


class Phrases:
    """A set of phrases that are looked for together."""

    def __init__(self, phrases: Iterable[str]) -> None:
        alternatives = "|".join(_expression(phrase) for phrase in phrases)
        self._expression = re.compile(f"(?:{alternatives})")

    def found_in(self, clause: str) -> bool:
        """Return whether one of them stands in `clause`, which begins and ends with a space."""
        return self._expression.search(clause) is not None

    def masked(self, clause: str) -> str:
        """Return `clause` with each of them replaced by a mask."""
        return self._expression.sub(f"{MASK} ", clause)


def named(rules: Mapping[str, str]) -> dict[str, Phrases]:
    """Return rules by name; each comes as lines of phrases."""
    return {name: Phrases(lines(text)) for name, text in rules.items()}


def lines(text: str) -> list[str]:
    """Return the phrases of a text, one a line; a line that stands further in goes on with it."""
    joined = _GOES_ON.sub(" ", dedent(text)).replace("/ ", "/")
    return [line for line in joined.splitlines() if line]


def _expression(phrase: str) -> str:
    items = phrase.split()
    start = "" if items[0] == "<" else "(?<= )"
    return start + "".join(_item(item) for item in items)


def _item(item: str) -> str:
    if item == "<":
        return rf"^ {_polite()}"
    if item == ">":
        return rf"{_polite()}$"
    if item == "#":
        return r"[0-9]{1,15} "
    if item.startswith("~"):
        return rf"(?:[^ {MASK}]+ ){{0,{int(item[1:])}}}?"
    optional = "?" if item.endswith("?") else ""
    return f"(?:{_choice(item.rstrip('?'))} ){optional}"


def _choice(item: str) -> str:
    parts = [
        word_groups.GROUPS[p[1:-1]] if p[0] == "{" else (p.replace("_", " "),)
        for p in item.split("/")
    ]
    return f"(?:{'|'.join(re.escape(word) for part in parts for word in part)})"


def _polite() -> str:
    words = "|".join(re.escape(word) for word in word_groups.GROUPS["polite"])
    return rf"(?:(?:{words}) ){{0,{_MOST_POLITE_WORDS}}}"
