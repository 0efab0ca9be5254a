"""The row of an outcome table: what one of a provider's codes means here."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from sender.providers.base import (
    Deferred,
    Directive,
    DirectiveAction,
    NotStarted,
    Rejected,
    Result,
    Unknown,
)
from sender.vocabulary import BlockCause

BRIEFLY = timedelta(seconds=10)
"""After throttling: long enough for any per-second rate to have room again."""
A_MINUTE = timedelta(minutes=1)
"""After a connection failed or a service said that it is closing."""
A_WHILE = timedelta(minutes=5)
"""After a temporary refusal of one message; greylisting usually lets pass after 5 minutes."""
AN_HOUR = timedelta(hours=1)
"""After a daily quota: these count the last 24 hours, so some room comes back every hour."""


class Meaning(StrEnum):
    """What a provider's answer means for the message and for its run."""

    REJECTED = "rejected"
    DEFERRED = "deferred"
    UNKNOWN = "unknown"
    STOP_RUN = "stop the run"
    DEFER_RUN = "defer the run"
    SLOW_DOWN = "slow down"


_ACTIONS = {
    Meaning.STOP_RUN: DirectiveAction.STOP,
    Meaning.DEFER_RUN: DirectiveAction.DEFER,
    Meaning.SLOW_DOWN: DirectiveAction.SLOW_DOWN,
}

_GRAVITY = (DirectiveAction.SLOW_DOWN, DirectiveAction.DEFER, DirectiveAction.STOP)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one code means.

    A code that stops, defers or slows a run says at the same time that the message was not taken.

    Attributes:
        meaning: what it means.
        detail: one sentence for people, without personal data.
        source: the page or section that says so.
        remedy: what a person can do, for codes that concern the run.
        delay: how long the message or the run waits.
        block: the block that it sets on the address.
    """

    meaning: Meaning
    detail: str
    source: str
    remedy: str = ""
    delay: timedelta = timedelta(0)
    block: BlockCause | None = None

    def result(self, code: str) -> Result:
        """Return what became of the message that was answered with `code`."""
        if self.meaning is Meaning.REJECTED:
            return Rejected(code=code, detail=self.detail, block=self.block)
        if self.meaning is Meaning.UNKNOWN:
            return Unknown(code=code)
        return Deferred(delay=self.delay, code=code)

    def directive(self, code: str) -> Directive | None:
        """Return what `code` means for the run, if anything."""
        action = _ACTIONS.get(self.meaning)
        if action is None:
            return None
        delay = None if action is DirectiveAction.STOP else self.delay
        return Directive(
            action=action, code=code, remedy=f"{self.detail} {self.remedy}".strip(), delay=delay
        )


def gravest(first: Directive | None, second: Directive | None) -> Directive | None:
    """Return the graver of two directives; of equals, the first."""
    if first is None or second is None:
        return first or second
    return max((first, second), key=lambda directive: _GRAVITY.index(directive.action))


UNREACHABLE = Outcome(
    Meaning.DEFER_RUN,
    "The provider could not be reached; no part of the request was sent.",
    "RFC 9110, section 9.2.2",
    remedy="Check the network, the endpoint and the provider's status page.",
    delay=A_MINUTE,
)
"""Refused connections, unknown hosts and failed TLS handshakes."""

UNANSWERED = Outcome(
    Meaning.UNKNOWN,
    "The request was sent, and no answer that can be understood came back.",
    "RFC 9110, section 9.2.2",
)
"""Time-outs, resets and nonsense after the first byte of the request was written."""

NOT_STARTED = NotStarted()
