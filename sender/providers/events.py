"""What providers tell us, in one vocabulary; each provider's `events.py` turns its own into it.

Parsing is pure and never fails on what is new: unknown types, fields and values become an event of
the kind `unknown`, kept and counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sender.vocabulary import BlockCause, Channel, EventKind, ProviderName


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """One thing that happened to one message, or to one address.

    Attributes:
        kind: what happened.
        raw_type: the provider's own word for it, at most 64 characters.
        occurred_at: when, as the provider says; None if it does not.
        channel: of the address.
        address: the recipient in plain as the provider wrote it; used at once, never stored. None
            where the provider names none.
        delivery_id: ours, as it travelled with the message; None without one.
        run_id: ours, likewise.
        provider_message_id: the provider's name of the message; None without one.
        code: the provider's own code, such as `21610` or `Permanent/General`.
        block: the block that it calls for: BOUNCE or INVALID for an address that does not work,
            COMPLAINT for a complaint (which is an objection), OPT_OUT for the person's own no.
        transient: whether it is a bounce that may not happen again; three in a row count.
        sender: the From address or number of the message, where the provider tells it; says whose
            message it was when nothing else does.
    """

    kind: EventKind
    raw_type: str
    occurred_at: datetime | None
    channel: Channel
    address: str | None = None
    delivery_id: int | None = None
    run_id: int | None = None
    provider_message_id: str | None = None
    code: str = ""
    block: BlockCause | None = None
    transient: bool = False
    sender: str | None = None


@dataclass(frozen=True, slots=True)
class Notification:
    """One thing that a provider told us; it may be told again under the same name.

    Attributes:
        provider: which provider.
        name: the same whenever it is told again, at most 200 characters.
        raw_type: the provider's own word, at most 64 characters.
        events: one for each affected recipient, at least one.
        payload: what came, without addresses, names, subjects and texts.
    """

    provider: ProviderName
    name: str
    raw_type: str
    events: tuple[ProviderEvent, ...]
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PersonsReply:
    """What a person wrote back.

    Attributes:
        provider: through which provider.
        name: the same whenever it is told again, at most 200 characters.
        channel: of the address.
        address: whose words these are, normalised.
        to: the number, short code, messaging services or mailboxes that it was sent to; they say
            which controllers are meant.
        account_ids: the provider accounts that it came through, where that is known.
        delivery_id: the message that it answers, where that is known.
        body: the words.
        opt_out_type: what the provider itself made of it, such as `STOP`; None without that.
        occurred_at: when it was written, as the provider says; None if it does not.
    """

    provider: ProviderName
    name: str
    channel: Channel
    address: str
    to: tuple[str, ...]
    body: str
    account_ids: tuple[int, ...] = ()
    delivery_id: int | None = None
    opt_out_type: str | None = None
    occurred_at: datetime | None = None
