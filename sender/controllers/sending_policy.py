"""When, how often and how far a controller's runs may go. The latest row rules."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.controllers.brake_thresholds import BrakeThresholds
from sender.store.controllers import SendingPolicy as SendingPolicyRow
from sender.toml.day_minutes import clock_text


class WindowMinutes(NamedTuple):
    """Hours of the day, in minutes after midnight; `closes` is at most 1440 and not included."""

    opens: int
    closes: int

    def __str__(self) -> str:
        return f"{clock_text(self.opens)} to {clock_text(self.closes)}"


DEFAULT_MINUTES: Final = WindowMinutes(9 * 60, 20 * 60)
"""09:00 to 20:00; messages late at night were held against Penny Appeal in 2024."""


@dataclass(frozen=True, slots=True)
class FrequencyCap:
    """At most so many marketing messages to one person in so many days, of 24 hours each.

    Attributes:
        messages: at least 1.
        days: at least 1; the last so many days before each message, wherever a week begins.
        across_channels: whether messages of all channels count, or each channel for itself.
    """

    messages: int
    days: int
    across_channels: bool

    def __str__(self) -> str:
        days = "1 day" if self.days == 1 else f"{self.days} days"
        channels = "over all channels" if self.across_channels else "on each channel"
        return f"at most {self.messages} in {days} {channels}"


@dataclass(frozen=True, slots=True)
class SendingPolicy:
    """What holds for a controller's runs.

    Attributes:
        window: the sending hours, on each recipient's clock.
        caps: a message must keep every one of them.
        brake: at which shares a run pauses itself.
        two_person: whether whoever launches must not be who approved the text.
    """

    window: WindowMinutes = DEFAULT_MINUTES
    caps: tuple[FrequencyCap, ...] = ()
    brake: BrakeThresholds = field(default_factory=BrakeThresholds)
    two_person: bool = False

    def sentences(self) -> tuple[str, ...]:
        """Say what holds, one sentence for each member."""
        caps = "; ".join(str(cap) for cap in self.caps) or "none"
        brake = ", ".join(f"{name} {value:g}" for name, value in asdict(self.brake).items())
        approval = "by somebody else than who launches" if self.two_person else "not asked for"
        return (
            f"Sending hours: {self.window}.",
            f"Frequency caps: {caps}.",
            f"Brake: {brake}.",
            f"Approval: {approval}.",
        )


def load_policy(session: Session, controller_id: int) -> SendingPolicy:
    """Return what holds for the controller now; the defaults where it says nothing."""
    row = latest_row(session, controller_id)
    return SendingPolicy() if row is None else policy_of(row)


def policy_of(row: SendingPolicyRow) -> SendingPolicy:
    """Return what a row says, with the defaults where it says nothing."""
    return SendingPolicy(
        window=WindowMinutes(**row.window) if row.window else DEFAULT_MINUTES,
        caps=caps_of(row.frequency_caps),
        brake=replace(BrakeThresholds(), **(row.brake or {})),
        two_person=bool(row.two_person),
    )


def latest_row(session: Session, controller_id: int) -> SendingPolicyRow | None:
    """Return the row that rules, if the controller ever said anything."""
    query = (
        select(SendingPolicyRow)
        .where(SendingPolicyRow.controller_id == controller_id)
        .order_by(SendingPolicyRow.id.desc())
        .limit(1)
    )
    return session.scalar(query)


def caps_of(stored: dict[str, Any] | None) -> tuple[FrequencyCap, ...]:
    """Return the caps as they are kept in a row."""
    return tuple(FrequencyCap(**cap) for cap in (stored or {}).get("caps", ()))
