"""What a person's reply means: the one question that everything inbound asks; pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from sender.inbound.recogniser import rules, word_groups
from sender.inbound.recogniser.keywords import exact_keyword, released_or_asked
from sender.inbound.recogniser.phrases import MASK, marked, words_of
from sender.inbound.recogniser.plain import NO_SIGNS, STOP_SIGNS, Plain, plain, signs
from sender.inbound.recogniser.spelling import is_slip_for_stop
from sender.vocabulary import ReplyMeaning

_STOP_WORDS = frozenset(word_groups.GROUPS["stop_word"])
_MESSAGE_WORDS = frozenset(word_groups.GROUPS["message_word"])


@dataclass(frozen=True, slots=True)
class Recognised:
    """The meaning of a reply.

    Attributes:
        meaning: what follows from it.
        rule: the short stable name of the rule that decided; nothing of what the person wrote.
    """

    meaning: ReplyMeaning
    rule: str


def recognise(body: str, *, opt_out_type: str | None = None) -> Recognised:
    """Return what a reply means. Never raises; reads the first 2,000 characters.

    A wish for no more wins over everything else in the message, whatever the provider made of it:
    in doubt STOP rather than DOUBTFUL rather than OTHER. START is exact, because it releases.

    Args:
        body: what the person wrote, as it came; of an e-mail, `mail.own_words` of it.
        opt_out_type: Twilio's `OptOutType` (STOP, START, HELP; any case), where it sent one.
            STOP is believed at once, START and HELP unless the words ask for no more.
    """
    said = (opt_out_type or "").strip().upper()
    if said == ReplyMeaning.STOP.upper():
        return Recognised(ReplyMeaning.STOP, "provider")
    read = _read(body)
    if said in {"START", "HELP"} and read.meaning is not ReplyMeaning.STOP:
        return Recognised(ReplyMeaning(said.lower()), "provider")
    return read


def _read(body: str) -> Recognised:
    if exact_keyword(body) is ReplyMeaning.STOP:
        return Recognised(ReplyMeaning.STOP, "exact")
    if exact := released_or_asked(body):
        return Recognised(exact, "exact")
    if shown := signs(body):
        return _shown(shown)
    return _worded(plain(body))


def _shown(shown: frozenset[str]) -> Recognised:
    if shown & STOP_SIGNS:
        return Recognised(ReplyMeaning.STOP, "sign")
    if shown & NO_SIGNS:
        return Recognised(ReplyMeaning.DOUBTFUL, "sign")
    return Recognised(ReplyMeaning.OTHER, "none")


def _worded(said: Plain) -> Recognised:
    masked = [rules.other_uses().masked(marked(clause)) for clause in said.clauses]
    alone = [marked(said.whole)]
    if rule := rules.first(rules.stops(), masked) or rules.first(rules.stops_alone(), alone):
        return Recognised(ReplyMeaning.STOP, rule)
    if is_slip_for_stop(said.whole.strip()):
        return Recognised(ReplyMeaning.STOP, "slip")
    if rule := rules.first(rules.doubts(), masked) or rules.first(rules.doubts_alone(), alone):
        return Recognised(ReplyMeaning.DOUBTFUL, rule)
    if rule := _left_over(words_of(" ".join(masked))):
        return Recognised(ReplyMeaning.DOUBTFUL, rule)
    return Recognised(ReplyMeaning.OTHER, "none")


def _left_over(words: Sequence[str]) -> str:
    """Return the rule for a stop word that no phrase explained; empty if there is none."""
    distinct = set(words) - set(word_groups.GROUPS["polite"])
    if distinct & _STOP_WORDS and distinct & _MESSAGE_WORDS:
        return "stop-and-message"
    rest = distinct - {"stop"}
    if (
        "stop" in distinct
        and len(rest) <= 1
        and "the" not in words
        and not any(map(_is_cause, rest))
    ):
        return "stop-unexplained"
    return ""


def _is_cause(word: str) -> bool:
    return word.endswith("ing") or word == MASK or word in word_groups.GROUPS["cause"]
