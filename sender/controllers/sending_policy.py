"""When, how often and how far a controller's runs may go. The latest row rules."""

from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.controllers.brake_thresholds import BrakeThresholds
from sender.store.controllers import SendingPolicy as SendingPolicyRow


class WindowMinutes(NamedTuple):
    """Hours of the day, in minutes after midnight; `closes` is at most 1440 and not included."""

    opens: int
    closes: int


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


@dataclass(frozen=True, slots=True)
class SendingPolicy:
    """What holds for a controller's runs.

    Attributes:
        window: the sending hours, on each recipient's clock.
        caps: a message must keep every one of them.
        brake: at which shares a run pauses itself.
    """

    window: WindowMinutes = DEFAULT_MINUTES
    caps: tuple[FrequencyCap, ...] = ()
    brake: BrakeThresholds = field(default_factory=BrakeThresholds)


def load_policy(session: Session, controller_id: int) -> SendingPolicy:
    """Return what holds for the controller now; the defaults where it says nothing."""
    row = latest_row(session, controller_id)
    if row is None:
        return SendingPolicy()
    return SendingPolicy(
        window=WindowMinutes(**row.window) if row.window else DEFAULT_MINUTES,
        caps=caps_of(row.frequency_caps),
        brake=replace(BrakeThresholds(), **(row.brake or {})),
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
