"""A small notation for phrases, compiled to expressions that cannot blow up; pure.

    word        that word
    a/b         one of them; in a word of several, `_` stands for the space
    word?       that word or nothing
    {group}     one of a named group of words; `{group}?` is one or nothing
    ~3          up to three words of any kind, never over a clause
    #           a number
    < and >     the beginning and the end of the clause, polite words and names apart

No repetition stands inside another, and each has an upper bound: the work for a clause grows with
its length alone. They are compared with clauses that `marked` has prepared.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from textwrap import dedent

from sender.inbound.recogniser import word_groups

MASK = "_"
"""Stands where a phrase was found to say something else; no rule reaches over it."""

_GOES_ON = re.compile(r"\n +")
_POLITE = frozenset(tuple(words.split()) for words in word_groups.GROUPS["polite"])
_POLITE_BACKWARDS = frozenset(phrase[::-1] for phrase in _POLITE)
_MOST_WORDS = max(map(len, _POLITE))


class Phrases:
    """A set of phrases that are looked for together."""

    def __init__(self, phrases: Iterable[str]) -> None:
        alternatives = "|".join(_expression(phrase) for phrase in phrases)
        self._expression = re.compile(f"(?<= )(?:{alternatives})")

    def found_in(self, clause: str) -> bool:
        """Return whether one of them stands in a marked clause."""
        return self._expression.search(clause) is not None

    def masked(self, clause: str) -> str:
        """Return a marked clause with each of them replaced by a mask."""
        return self._expression.sub(f"{MASK} ", clause)


def marked(clause: str) -> str:
    """Return ` word word ` with `<` where only polite words come before, `>` where only after.

    A repetition of polite words in each phrase would say the same and take seconds to compile.
    """
    words = clause.split()
    begins = _after_politeness(words, _POLITE)
    ends = {len(words) - place for place in _after_politeness(words[::-1], _POLITE_BACKWARDS)}
    pieces = (
        f"{'<' * (place in begins)}{word}{'>' * (place + 1 in ends)} "
        for place, word in enumerate(words)
    )
    return f" {''.join(pieces)}"


def words_of(clause: str) -> list[str]:
    """Return the words of a marked clause, masks among them."""
    return [word.strip("<>") for word in clause.split()]


def named(rules: Mapping[str, str]) -> dict[str, Phrases]:
    """Return rules by name; each comes as lines of phrases."""
    return {name: Phrases(lines(text)) for name, text in rules.items()}


def lines(text: str) -> list[str]:
    """Return the phrases of a text, one a line; a line that stands further in goes on with it."""
    joined = _GOES_ON.sub(" ", dedent(text)).replace("/ ", "/")
    return [line for line in joined.splitlines() if line]


def _after_politeness(words: Sequence[str], polite: frozenset[tuple[str, ...]]) -> set[int]:
    """Return the places that are reached from the first word over polite words alone."""
    reached = {0}
    for place in range(len(words)):
        if place in reached:
            lengths = range(1, _MOST_WORDS + 1)
            reached |= {place + n for n in lengths if tuple(words[place : place + n]) in polite}
    return reached


def _expression(phrase: str) -> str:
    return "".join(map(_item, phrase.split()))


def _item(item: str) -> str:
    if item == "<":
        return "(?=<)"
    if item == ">":
        return "(?<=> )"
    if item == "#":
        return "<?[0-9]{1,15}>? "
    if item.startswith("~"):
        return rf"(?:[^ {MASK}]+ ){{0,{int(item[1:])}}}?"
    optional = "?" if item.endswith("?") else ""
    return f"(?:<?{_choice(item.rstrip('?'))}>? ){optional}"


def _choice(item: str) -> str:
    parts = [
        word_groups.GROUPS[part[1:-1]] if part[0] == "{" else (part.replace("_", " "),)
        for part in item.split("/")
    ]
    words = (re.escape(word).replace(r"\ ", ">? <?") for part in parts for word in part)
    return f"(?:{'|'.join(words)})"
