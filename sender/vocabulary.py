"""The words of the field, as used in code, tables, commands and reports.

Every value is stored as it is written here; renaming one is a migration.
"""

from enum import IntEnum, StrEnum

EVERY = 0
"""In blocks: every controller, or every purpose."""

EVERY_CHANNEL = "*"
"""In blocks: every channel."""


class Channel(StrEnum):
    """A way to reach somebody by electronic mail in the sense of guidance ¶50."""

    EMAIL = "email"
    SMS = "sms"


class ControllerKind(StrEnum):
    """What sort of legal entity instigates messages (guidance ¶9)."""

    PARTY = "party"
    ASSOCIATION = "association"
    CANDIDATE = "candidate"
    REPRESENTATIVE = "representative"
    CAMPAIGNER = "campaigner"
    CHARITY = "charity"
    OTHER = "other"

    @property
    def needs_imprint(self) -> bool:
        """Whether e-mail must carry the electoral imprint (Elections Act 2022, Part 6)."""
        return self not in {ControllerKind.CHARITY, ControllerKind.OTHER}


class ConsentKind(StrEnum):
    """What one consent event says."""

    REQUESTED = "requested"
    GIVEN = "given"
    RECONFIRMED = "reconfirmed"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    OBJECTED = "objected"
    INVALIDATED = "invalidated"

    @property
    def is_affirmative(self) -> bool:
        """Whether it is a person's clear affirmative act."""
        return self in {ConsentKind.GIVEN, ConsentKind.RECONFIRMED}

    @property
    def is_negative(self) -> bool:
        """Whether it is a no, which wins ties."""
        return self in {
            ConsentKind.REFUSED,
            ConsentKind.WITHDRAWN,
            ConsentKind.OBJECTED,
            ConsentKind.INVALIDATED,
        }


class ConsentFlaw(StrEnum):
    """Why a recorded yes is no consent to this controller, channel or purpose."""

    NONE = "none"
    CASEWORK = "casework"
    THIRD_PARTY = "third_party"
    CHANNEL_NOT_NAMED = "channel_not_named"
    PURPOSE_NOT_NAMED = "purpose_not_named"


class ContactSource(StrEnum):
    """Where a contact's details came from."""

    DIRECT = "direct"
    CASEWORK = "casework"
    THIRD_PARTY = "third_party"


class BlockCause(IntEnum):
    """Why an address is blocked; where several apply, the lowest number is reported."""

    OBJECTION = 1
    COMPLAINT = 2
    OPT_OUT = 3
    BOUNCE = 4
    INVALID = 5
    HOLD = 6

    @property
    def set_by_person(self) -> bool:
        """Whether only an explicit new act of the person releases it."""
        return self <= BlockCause.OPT_OUT


class SuppressionAct(StrEnum):
    """Whether a suppression event sets or releases a block."""

    SET = "set"
    RELEASE = "release"


class Reason(StrEnum):
    """Why a person is not written to, or why a message was not handed over."""

    CONTROLLER_FROZEN = "controller_frozen"
    NO_SENDER_IDENTITY = "no_sender_identity"
    OBJECTED = "objected"
    SUPPRESSED = "suppressed"
    BOUNCED = "bounced"
    INVALID_ADDRESS = "invalid_address"
    HELD = "held"
    NO_CONSENT = "no_consent"
    WRONG_CHANNEL = "wrong_channel"
    WRONG_PURPOSE = "wrong_purpose"
    ONLY_REQUESTED = "only_requested"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    INVALIDATED = "invalidated"
    CASEWORK = "casework"
    THIRD_PARTY = "third_party"
    ENDED = "ended"
    STALE = "stale"

    RENDERING = "rendering"
    RENDERED_CHECK = "rendered_check"
    TOO_MANY_SEGMENTS = "too_many_segments"
    EXPIRED = "expired"
    OUTSIDE_WINDOW = "outside_window"
    FREQUENCY_CAP = "frequency_cap"
    CANCELLED = "cancelled"
    ALREADY_SENT = "already_sent"
    ERASED = "erased"


class DeliveryState(StrEnum):
    """A delivery's life; see docs/data-model.md for the moves between states."""

    PENDING = "pending"
    DISPATCHING = "dispatching"
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    FAILED = "failed"
    REJECTED = "rejected"
    SKIPPED = "skipped"

    @property
    def rank(self) -> int:
        """The order in which states may follow each other; it only rises."""
        return _DELIVERY_RANK[self]


_DELIVERY_RANK = {
    DeliveryState.PENDING: 0,
    DeliveryState.DISPATCHING: 1,
    DeliveryState.UNKNOWN: 2,
    DeliveryState.ACCEPTED: 3,
    DeliveryState.DELIVERED: 4,
    DeliveryState.FAILED: 4,
    DeliveryState.REJECTED: 4,
    DeliveryState.SKIPPED: 4,
}


class EventKind(StrEnum):
    """What a provider, or a person through it, says of a message: one vocabulary for all."""

    SENT = "sent"
    DELIVERED = "delivered"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    REJECTED = "rejected"
    FAILED = "failed"
    OPTED_OUT = "opted_out"
    OPTED_IN = "opted_in"
    OPENED = "opened"
    CLICKED = "clicked"
    UNKNOWN = "unknown"


class Arrival(StrEnum):
    """How a notification reached us."""

    WEBHOOK = "webhook"
    MAILBOX = "mailbox"
    RECONCILE = "reconcile"


class ReplyMeaning(StrEnum):
    """What a person's reply to a message says."""

    STOP = "stop"
    START = "start"
    HELP = "help"
    DOUBTFUL = "doubtful"
    """May be a no: further messages wait until a person has looked."""
    OTHER = "other"


class RunState(StrEnum):
    """The life of one launch."""

    PLANNING = "planning"
    READY = "ready"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    STOPPED = "stopped"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    FINISHED = "finished"

    @property
    def is_open(self) -> bool:
        """Whether the run may still send."""
        return self not in {RunState.CANCELLED, RunState.FINISHED}


class CampaignKind(StrEnum):
    """What a campaign claims to be; every kind needs consent for its own purpose."""

    MARKETING = "marketing"
    RESEARCH = "research"
    SERVICE = "service"


class Priority(StrEnum):
    """Whether a run waits its turn at its provider account, or goes first."""

    NORMAL = "normal"
    URGENT = "urgent"


class ScheduleState(StrEnum):
    """The life of a schedule."""

    ACTIVE = "active"
    PAUSED = "paused"
    HELD = "held"
    """Something changed since the text was approved; nothing goes out until a person has looked."""
    ENDED = "ended"
    """It has no further occurrence."""
    REMOVED = "removed"


class OccurrenceState(StrEnum):
    """What became of one occurrence of a schedule."""

    OPENING = "opening"
    """Its run is being prepared."""
    LAUNCHED = "launched"
    SKIPPED = "skipped"


class ProviderName(StrEnum):
    """The providers that ship with the sender, one folder each."""

    OUTBOX = "outbox"
    SMTP = "smtp"
    SES = "ses"
    TWILIO = "twilio"


class OptOutStyle(StrEnum):
    """How an SMS says the way out."""

    REPLY = "reply"
    LINK = "link"
    BOTH = "both"
