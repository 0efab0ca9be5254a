"""What every provider is to the dispatcher: a batch in, one result per message out.

The dispatcher knows no provider's codes. Each provider folder turns them, by a table in its
`outcomes.py`, into the few results and directives below.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from sender.rendering.message import RenderedMessage
from sender.vocabulary import BlockCause, Channel, ProviderName


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One rendered message, marked `dispatching` in the ledger.

    Attributes:
        delivery_id: the delivery; travels with the message, so that events find it again.
        run_id: its run; travels with the message too.
        controller_slug: the controller that instigates the message.
        message: what to send.
        expires_at: after this the provider must not deliver it any more (aware UTC), because a
            provider's queue outlives a STOP.
    """

    delivery_id: int
    run_id: int
    controller_slug: str
    message: RenderedMessage
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider took the message; `provider_message_id` names it there."""

    provider_message_id: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """The provider refused this message for good.

    Attributes:
        code: the provider's own code.
        detail: what the code means, without personal data.
        block: the block that the refusal sets on the address, if it says something about it.
    """

    code: str
    detail: str
    block: BlockCause | None = None


@dataclass(frozen=True, slots=True)
class Deferred:
    """The provider clearly did not take the message; it may be offered again after `delay`."""

    delay: timedelta
    code: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """The provider may or may not have taken the message: never offered again by itself."""

    code: str


@dataclass(frozen=True, slots=True)
class NotStarted:
    """No request was begun for this message."""


Result = Accepted | Rejected | Deferred | Unknown | NotStarted


class DirectiveAction(StrEnum):
    """What the whole run should do."""

    STOP = "stop"
    """Nothing more can be sent until a person has mended something."""
    DEFER = "defer"
    """Nothing more can be sent for `delay`."""
    SLOW_DOWN = "slow_down"
    """The rate was too high; go on after `delay`, more slowly."""


@dataclass(frozen=True, slots=True)
class Directive:
    """Something that the provider's answer means for the whole run.

    Attributes:
        action: what to do.
        code: the provider's own code.
        remedy: what a person can do about it.
        delay: how long to wait; None for STOP.
    """

    action: DirectiveAction
    code: str
    remedy: str
    delay: timedelta | None = None


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The outcome of one batch.

    Attributes:
        results: one per message, in the order of the batch.
        directive: the gravest directive met, or None.
        calls: how many provider requests were begun.
    """

    results: tuple[Result, ...]
    directive: Directive | None = None
    calls: int = 0


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the account allows now.

    Attributes:
        rate_per_second: messages per second, > 0.
        remaining_today: messages left in the provider's daily quota; None is unlimited.
        sandbox: whether the account reaches verified recipients only.
        sending_enabled: whether the provider would accept messages at all.
        detail: one line for people.
        daily_quota: messages in 24 hours in all, of which some are left; None is unlimited or not
            told.
    """

    rate_per_second: float
    remaining_today: int | None
    sandbox: bool
    sending_enabled: bool
    detail: str
    daily_quota: int | None = None


class Provider(Protocol):
    """A way out. Safe to use from several threads at once."""

    @property
    def name(self) -> ProviderName:
        """Which provider this is."""
        ...

    @property
    def channels(self) -> frozenset[Channel]:
        """The channels that it carries."""
        ...

    @property
    def batch_limit(self) -> int:
        """The most messages that one `send` takes, >= 1."""
        ...

    @property
    def messages_per_call(self) -> int:
        """The most messages that one request to the provider carries, >= 1."""
        ...

    @property
    def concurrency(self) -> int:
        """How many `send` calls are worth making at the same time, >= 1."""
        ...

    def capacity(self) -> Capacity:
        """Ask the provider what the account allows.

        Raises:
            ProviderError: credentials are refused or the provider cannot be reached.
        """
        ...

    def send(self, batch: Sequence[Outgoing], start_before: float) -> BatchResult:
        """Hand messages over, each at most once.

        Args:
            batch: at most `batch_limit` messages of one sender.
            start_before: monotonic seconds of the provider's clock; a message whose request has
                not begun by then comes back as `NotStarted`.

        Returns:
            One result per message. Provider errors are results, never exceptions.
        """
        ...

    def close(self) -> None:
        """Close connections and files; the provider is not used afterwards."""
        ...
