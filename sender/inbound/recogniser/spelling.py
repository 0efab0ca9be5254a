"""One spelling for a word: short forms, disguises, drawn-out letters, slips of the finger; pure."""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

_SHORT_FORMS = {
    short: long
    for long, shorts in {
        "please": "pls plz plse plis plez pleas pleese",
        "thanks": "thx tnx thnx thks thanx tx ty",
        "you": "u ya yu",
        "your": "ur yr",
        "are": "r",
        "text": "txt",
        "texts": "txts",
        "texting": "txting txtin textin texing",
        "texted": "txted",
        "message": "msg mesage messege",
        "messages": "msgs mesages messeges",
        "messaging": "msging",
        "number": "no. nr num nmbr numba numer",
        "dont": "dnt don't doent",
        "any more": "anymore",
        "no one": "noone nobody",
        "off": "of",
        "fuck": "fck fuk fk fuq phuck",
        "stop": "stpo sotp tsop tspo stopp sstop sttop stoop syop dtop stoip stiop stpop ctop",
        "stop please": "stopplease pleasestop plsstop stoppls stopnow",
        "stop texting": "stoptexting stoptxting stoptexts stopmessaging stopsending",
        "unsubscribe": "unsub",
        "opt out": "optout",
        "people": "ppl",
        "remove": "rmv remov remve romove rmove",
        "fuck off": "fuckoff fuckof",
        "piss off": "pissoff",
        "about": "abt",
        "received": "recieved",
        "receive": "recieve",
        "not": "nt",
    }.items()
    for short in shorts.split()
    if short not in {"of", "no."}  # words of their own
}
_LEET = str.maketrans("013457$@", "oieastsa")
_DISGUISED = frozenset(
    {"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "optout", "remove", "delete"}
    | {"fuck", "off", "piss", "no", "please"}
)
_LONG_RUN = re.compile(r"(.)\1{2,}")
_UNSUBSCRIBE = ("unsubscribe", "unsubscribed", "unsubscribing", "unsubscription")
_CLOSE_ENOUGH = 0.82
_REAL_WORDS_BESIDE_STOP = frozenset({"top", "shop", "step", "atop"})
_FEWEST_SPELLED_OUT = 3


def plain_words(words: Sequence[str]) -> list[str]:
    """Return `words` in one spelling each; letters written apart are put together."""
    plain = (_plain_word(word) for word in _joined(words))
    return " ".join(plain).split()


def is_slip_for_stop(word: str) -> bool:
    """Return whether `word` is "stop" with one letter too many, too few, wrong or swapped."""
    if word in _REAL_WORDS_BESIDE_STOP or not word.isascii():
        return False
    return any(word in near for near in _near("stop"))


def _near(word: str) -> tuple[frozenset[str], ...]:
    letters = "abcdefghijklmnopqrstuvwxyz"
    cuts = [(word[:i], word[i:]) for i in range(len(word) + 1)]
    return (
        frozenset(a + b[1:] for a, b in cuts if b),
        frozenset(a + b[1] + b[0] + b[2:] for a, b in cuts if len(b) > 1),
        frozenset(a + c + b[1:] for a, b in cuts if b for c in letters),
        frozenset(a + c + b for a, b in cuts for c in letters),
    )


def _joined(words: Sequence[str]) -> list[str]:
    """Return the words, with "s t o p" and "sto p" as one."""
    joined: list[str] = []
    run: list[str] = []
    for word in [*words, ""]:
        if len(word) == 1:
            run.append(word)
            continue
        together = "".join(run)
        joined += [together] if len(run) >= _FEWEST_SPELLED_OUT else run
        run = []
        joined.append(word)
    return _mended(joined[:-1])


def _mended(words: list[str]) -> list[str]:
    mended: list[str] = []
    for word in words:
        if mended and 1 in {len(word), len(mended[-1])} and mended[-1] + word == "stop":
            mended[-1] = "stop"
        else:
            mended.append(word)
    return mended


def _plain_word(word: str) -> str:
    word = word.strip("*'").replace("'", "")
    if "*" in word:
        return _uncensored(word)
    word = _SHORT_FORMS.get(word, word)
    disguised = word.translate(_LEET)
    if disguised != word and _undrawn(disguised) in _DISGUISED:
        return _undrawn(disguised)
    word = _undrawn(word.replace("$", " ").replace("@", " ").strip())
    return "unsubscribe" if _is_unsubscribe(word) else _SHORT_FORMS.get(word, word)


def _uncensored(word: str) -> str:
    """Return the swear word behind the stars; which one does not matter to the rules."""
    return {"f": "fuck", "b": "fuck", "c": "bastard", "t": "bastard", "w": "bastard"}.get(
        word[0], word.replace("*", " ")
    )


def _undrawn(word: str) -> str:
    """Return the word without drawn-out letters: "stopppp", "pleaseee", "offf"."""
    single = _LONG_RUN.sub(r"\1", word)
    return single if single in _DISGUISED else _LONG_RUN.sub(r"\1\1", word)


def _is_unsubscribe(word: str) -> bool:
    if not (word.startswith("u") and 8 <= len(word) <= 14):  # noqa: PLR2004 - lengths of its slips
        return False
    return any(SequenceMatcher(None, word, form).ratio() > _CLOSE_ENOUGH for form in _UNSUBSCRIBE)
