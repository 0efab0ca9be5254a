"""What the providers' tests hold the results of a batch against."""

from collections.abc import Sequence

from sender.providers.base import Accepted, Deferred, DirectiveAction, Rejected, Result, Unknown
from sender.providers.outcome import Meaning

RESULT_OF: dict[Meaning, type[Accepted | Deferred | Rejected | Unknown]] = {
    Meaning.REJECTED: Rejected,
    Meaning.DEFERRED: Deferred,
    Meaning.UNKNOWN: Unknown,
    Meaning.STOP_RUN: Deferred,
    Meaning.DEFER_RUN: Deferred,
    Meaning.SLOW_DOWN: Deferred,
}
"""What each meaning of a provider's answer makes of a message."""

ACTION_OF = {
    Meaning.STOP_RUN: DirectiveAction.STOP,
    Meaning.DEFER_RUN: DirectiveAction.DEFER,
    Meaning.SLOW_DOWN: DirectiveAction.SLOW_DOWN,
}
"""What it asks of the run, if anything."""


def kinds(results: Sequence[Result]) -> list[type]:
    return [type(result) for result in results]
