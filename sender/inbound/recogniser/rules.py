"""The rules in the order in which they are asked: what covers, what stops, what may; pure."""

from collections.abc import Iterable, Mapping
from functools import cache

from sender.inbound.recogniser import doubts_english, other_uses_english, stops_english, welsh
from sender.inbound.recogniser.phrases import Phrases, lines, named

Rules = Mapping[str, Phrases]


@cache
def other_uses() -> Phrases:
    """Return the phrases that use the words of a stop for something else."""
    return Phrases(lines(other_uses_english.OTHER_USES) + lines(welsh.OTHER_USES))


@cache
def stops() -> Rules:
    """Return the phrases that ask for no more, wherever they stand."""
    return named({**stops_english.STOPS, **welsh.STOPS})


@cache
def stops_alone() -> Rules:
    """Return the phrases that ask for no more when they are the whole message."""
    return named({**stops_english.STOPS_ALONE, **welsh.STOPS_ALONE})


@cache
def doubts() -> Rules:
    """Return the phrases that may be a wish to be left alone, wherever they stand."""
    return named({**doubts_english.DOUBTS, **welsh.DOUBTS})


@cache
def doubts_alone() -> Rules:
    """Return the phrases that may be that wish when they are the whole message."""
    return named({**doubts_english.DOUBTS_ALONE, **welsh.DOUBTS_ALONE})


def first(rules: Rules, clauses: Iterable[str]) -> str:
    """Return the name of the first rule with a phrase in one of `clauses`; empty if none."""
    held = tuple(clauses)
    return next((name for name, phrases in rules.items() if any(map(phrases.found_in, held))), "")
