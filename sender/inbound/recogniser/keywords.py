"""The providers' own keywords, and the exact answers that release a block or ask for help; pure."""

import unicodedata
from itertools import product

from sender.inbound.recogniser import word_groups
from sender.vocabulary import ReplyMeaning

_EXACT = {
    ReplyMeaning.STOP: "STOP STOPALL UNSUBSCRIBE CANCEL END QUIT REVOKE OPTOUT",
    ReplyMeaning.START: "START YES UNSTOP",
    ReplyMeaning.HELP: "HELP INFO",
}
_BY_WORD = {word: meaning for meaning, words in _EXACT.items() for word in words.split()}

_START_WORDS = ("start", "yes", "unstop", "cychwyn", "dechrau", "ailddechrau")
_HELP_WORDS = ("help", "info", "information", "cymorth", "gwybodaeth")
_POLITE = ("", *word_groups.GROUPS["polite_only"])
_HARMLESS = frozenset(".!,\"'\u2018\u2019\u201c\u201d- \n\r\t")
_LONGEST = 64


def exact_keyword(body: str) -> ReplyMeaning | None:
    """Return what Twilio's own list makes of `body`, None if it is not on it.

    Twilio takes single-word messages only, in any case: "STOP" but not "STOP PLEASE"
    (help.twilio.com, "Twilio support for opt-out keywords"). To these it answers and blocks or
    releases by itself. What it does with space around the word is not documented; it counts as
    the word here, so that at worst a confirmation is missing and never sent twice.
    """
    word = body.strip()
    return _BY_WORD.get(word.upper()) if len(word) <= _LONGEST else None


def released_or_asked(body: str) -> ReplyMeaning | None:
    """Return START or HELP if `body` is that word, alone or with "please" or "thanks"; else None.

    START releases a block, so nothing is guessed: no typing errors, no signs, no question.
    """
    text = unicodedata.normalize("NFKC", body[: _LONGEST + 1]).casefold()
    if len(text) > _LONGEST:
        return None
    words = " ".join("".join(" " if c in _HARMLESS else c for c in _unaccented(text)).split())
    if words in _START:
        return ReplyMeaning.START
    return ReplyMeaning.HELP if words.replace("?", "").strip() in _HELP else None


def _with_politeness(words: tuple[str, ...]) -> frozenset[str]:
    together = product(_POLITE, words, _POLITE)
    return frozenset(" ".join(part for part in parts if part) for parts in together)


def _unaccented(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(c for c in decomposed if not unicodedata.combining(c))


_START = _with_politeness(_START_WORDS)
_HELP = _with_politeness(_HELP_WORDS)
