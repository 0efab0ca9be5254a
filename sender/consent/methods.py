"""Methods that are no act of consent, by the words that people and lists use for them; pure."""

import re
from typing import Final

CASEWORK_METHOD: Final = "casework"
"""What people write to their representative for help is no consent either (guidance ¶28)."""

_BETWEEN: Final = re.compile(r"[^a-z]+")
_NO_ACTS: Final = frozenset(
    {
        "pre ticked",
        "preticked",
        "pre ticked box",
        "pre checked",
        "default",
        "opt out",
        "opt out box",
        "not opted out",
        "soft opt in",
        "bundled",
        "terms",
        "terms and conditions",
        "condition",
        "purchase",
        "purchased",
        "customer",
        "order",
        "sale",
        "bought",
        "bought list",
        "donor",
        "interaction",
        "engagement",
        "open",
        "opened",
        "click",
        "clicked",
        "visit",
        "follower",
        "like",
        "member",
        "membership",
        "attendance",
        "attended",
        "inferred",
        "implied",
        "assumed",
        "presumed",
        "silence",
        "legitimate interest",
        "legitimate interests",
    }
)
_STARTS: Final = ("inferred", "implied", "assumed", "presumed", "pre ticked", "preticked")


def is_no_answer(text: str) -> bool:
    """Return whether a text only fills a cell, as exports and forms do where nothing is known.

    Who relies on consent has to show how and where it was given (UK GDPR Article 7(1)).
    """
    words = _MARKS.sub(" ", text.lower()).strip()
    return words in _NO_ANSWERS or not any(character.isalnum() for character in text)


_MARKS: Final = re.compile(r"[^a-z0-9]+")
_NO_ANSWERS: Final = frozenset(
    {"n a", "none", "null", "nil", "unknown", "not known", "not recorded", "unspecified", "tbc"}
)


def is_no_act(method: str) -> bool:
    """Return whether a method is silence, a box ticked beforehand, or inferred from something else.

    Consent is a clear, separate act (guidance ¶24-25, ¶55). What somebody bought, joined, opened or
    visited is none. A whole method has to be such a word: a `donation-form` that asked is an act.
    """
    words = _BETWEEN.sub(" ", method.lower()).strip()
    return words in _NO_ACTS or words.startswith(_STARTS)
