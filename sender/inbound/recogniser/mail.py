"""What a person wrote themselves in an e-mail reply; pure.

The campaign that a reply quotes says "unsubscribe" itself, and disclaimers say "delete it": neither
is the person's wish. What may be the person's own is kept, because a lost opt-out is worse than a
line too many. Each line is looked at a bounded number of times.
"""

import re
from collections.abc import Iterator, Sequence

from sender.inbound.recogniser.decision import Recognised, recognise
from sender.vocabulary import ReplyMeaning

READ_CHARACTERS = 100_000
"""How much of an e-mail's text is looked at, quotes included."""

_LINES_OF_AN_INTRODUCTION = 4
_LONGEST_LINE = 500
_LINES_OF_A_HEADER = 5
_LONGEST_SENT_FROM = 80

_INTRODUCTION_BEGINS = re.compile(r"(?:On|Ar) ")
_DATE = re.compile(r"\b(?:\d{4}|\d{1,2}[:.]\d{2}|\d{1,2}/\d{1,2})\b")
_INTRODUCTION_ENDS = re.compile(r"\b(?:wrote|writes|ysgrifennodd\b[^:]{0,200}) ?:$")
_ADDRESS_AND_COLON = re.compile(r"[<\[(][^<>@\s]{1,64}@[^<>@\s]{1,255}[>\])][^:]{0,40}:$")
_CUT = re.compile(
    r"(?:-{2,} ?(?:Original Message|Forwarded message|Neges Wreiddiol|Neges wedi.i hanfon ymlaen)\b"
    r"|_{10,}$|Begin forwarded message:|-- ?$|\u2014 ?$)",
    re.IGNORECASE,
)
_HEADER = re.compile(
    r"\*?(From|Sent|Date|To|Subject|Cc|Oddi wrth|O|Anfonwyd|Dyddiad|At|Pwnc) ?:\*? ?\S",
    re.IGNORECASE,
)
_SENDERS = frozenset({"from", "oddi wrth", "o"})
_SENT_FROM = re.compile(
    r"(?:Sent (?:from|via|with) (?:my|Yahoo|Outlook|Mail|Samsung|Gmail|Proton|the)|Get Outlook for"
    r"|Anfonwyd o.{0,3} ?(?:fy|r)\b|Wedi.i anfon o)",
    re.IGNORECASE,
)
_DISCLAIMER = re.compile(
    r"\b(?:if you have received this (?:e-?mail|message|communication) (?:in error|by mistake)"
    r"|if you are not the (?:intended|named|correct) (?:recipient|addressee)"
    r"|this (?:e-?mail|message)(?: and any| \(and any|,? including any|,? together with any) "
    r"|this (?:e-?mail|message) (?:is|may be|may contain|contains) (?:strictly )?"
    r"(?:confidential|privileged|intended|information)"
    r"|the (?:information|contents?) (?:contained )?(?:in|of) this (?:e-?mail|message) "
    r"(?:is|are|may be) (?:strictly )?(?:confidential|privileged|intended)"
    r"|(?:confidentiality|privacy|legal) notice:|disclaimer:"
    r"|caution: ?(?:this|external)|this (?:e-?mail|message) originated (?:from )?outside"
    r"|(?:please )?(?:consider|think of) the environment before"
    r"|mae['\u2019 ]?r (?:e-?bost|neges) (?:hon|hwn)[^.]{0,60}\b[cg]?yfrinachol"
    r"|os nad chi yw(?:'r|\u2019r)? (?:derbynnydd|sawl)"
    r"|os (?:ydych|ydych chi) wedi derbyn y[r ]{1,2}(?:e-?bost|neges)[^.]{0,20} "
    r"(?:mewn|drwy|ar) gam)",
    re.IGNORECASE,
)
_REPLY_PREFIX = re.compile(
    r"(?:(?:re|fwd?|aw|sv|ymateb|ateb|yb) ?(?:\[\d{1,3}\])? ?: ?){1,5}", re.IGNORECASE
)
_OWN_SUBJECTS = frozenset({"unsubscribe", "unsubscribe me", "opt out", "optout", "remove me"})


def own_words(text: str) -> str:
    """Return what a person wrote in the plain text of an e-mail reply, without what they quote.

    Left out: lines quoted with `>`, "On … wrote:" and "Ar … ysgrifennodd …:" with what follows,
    Outlook's "From: … Sent: …" block with what follows, everything after a signature's `--`,
    "Sent from my …" and its kin, disclaimers. Answers below or between `>` lines are kept. Never
    raises. Empty where nothing is left.
    """
    lines = [line.strip() for line in text[:READ_CHARACTERS].replace("\ufeff", "").splitlines()]
    return _without_disclaimers("\n".join(_own_lines(lines))).strip()


def recognise_mail(subject: str, text: str) -> Recognised:
    """Return what an e-mail reply means by its subject (decoded) and its plain text.

    A wish for no more in either wins. A subject with `Re:` or the like is the campaign's own
    words, and counts only if all of the rest is "unsubscribe", "opt out" or "remove me". Never
    START: anybody can write a From line, and "yes" answers whatever the campaign asked. A text of
    which nothing is their own is DOUBTFUL: the answer may stand below an unmarked quote.
    """
    own = own_words(text)
    by_text, by_subject = recognise(own), _of_subject(subject)
    if text.strip() and not own and by_subject.meaning is ReplyMeaning.OTHER:
        return Recognised(ReplyMeaning.DOUBTFUL, "nothing-own")
    if by_subject.meaning is ReplyMeaning.STOP or by_text.meaning is ReplyMeaning.OTHER:
        return by_subject
    return Recognised(ReplyMeaning.OTHER, "none") if _starts(by_text) else by_text


def _of_subject(subject: str) -> Recognised:
    said = " ".join(subject[:_LONGEST_LINE].split())
    prefix = _REPLY_PREFIX.match(said)
    rest = said[prefix.end() :] if prefix else said
    if prefix and rest.strip(" .!\"'").casefold() not in _OWN_SUBJECTS:
        return Recognised(ReplyMeaning.OTHER, "subject-of-ours")
    meant = recognise(rest)
    return Recognised(ReplyMeaning.OTHER, "none") if _starts(meant) else meant


def _starts(meant: Recognised) -> bool:
    return meant.meaning is ReplyMeaning.START


def _own_lines(lines: Sequence[str]) -> Iterator[str]:
    index = 0
    while index < len(lines):
        line = lines[index]
        if _CUT.match(line) or _is_header_block(lines, index):
            return
        if length := _introduction_length(lines, index):
            index += length
            if not _quoted_next(lines, index):
                return
            continue
        if not line.startswith((">", "|>")) and not _is_sent_from(line):
            yield line
        index += 1


def _introduction_length(lines: Sequence[str], index: int) -> int:
    """Return over how many lines "On … wrote:" stands at `index`; 0 if it does not."""
    joined = ""
    for length, line in enumerate(lines[index : index + _LINES_OF_AN_INTRODUCTION], start=1):
        if not line or (joined and _begins_introduction(line)):
            return 0
        joined = f"{joined} {line[:_LONGEST_LINE]}".strip()
        if _introduces(joined):
            return length
        if not _begins_introduction(joined):
            return 0
    return 0


def _introduces(line: str) -> bool:
    tail = line[-_LONGEST_LINE:]
    if not line.endswith(":"):
        return False
    if _INTRODUCTION_ENDS.search(tail):
        return "@" in tail or _begins_introduction(line)
    return _begins_introduction(line) and _ADDRESS_AND_COLON.search(tail) is not None


def _begins_introduction(line: str) -> bool:
    return bool(_INTRODUCTION_BEGINS.match(line)) and bool(_DATE.search(line))


def _is_sent_from(line: str) -> bool:
    return len(line) <= _LONGEST_SENT_FROM and _SENT_FROM.match(line) is not None


def _quoted_next(lines: Sequence[str], index: int) -> bool:
    return next((line.startswith(">") for line in lines[index:] if line), False)


def _is_header_block(lines: Sequence[str], index: int) -> bool:
    """Return whether Outlook's header begins at `index`: a sender, then another field soon."""
    first = _HEADER.match(lines[index])
    if first is None or first[1].casefold() not in _SENDERS:
        return False
    following = lines[index + 1 : index + _LINES_OF_A_HEADER]
    return any(_HEADER.match(line) for line in following)


def _without_disclaimers(text: str) -> str:
    """Return `text` up to a disclaimer; one that comes before everything else is a banner."""
    kept: list[str] = []
    for paragraph in text.split("\n\n"):
        found = _DISCLAIMER.search(paragraph)
        if found is None:
            kept.append(paragraph)
            continue
        kept.append(paragraph[: found.start()])
        if any(part.strip() for part in kept):
            break
    return "\n\n".join(kept)
