"""`[window]`, `[[frequency_cap]]` and `[brake]` of a controller file: the policy of sending."""

from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, StrictBool, ValidationInfo, field_validator

from sender.toml.day_minutes import day_minutes
from sender.toml.model import Table, refused

MOST_CAPS: Final = 5


def _opening(value: object) -> int:
    minutes = day_minutes(value)
    if minutes is None:
        raise refused("must be a time from 00:00 to 23:59.", 'Write for example "09:00".')
    return minutes


def _closing(value: object) -> int:
    minutes = day_minutes(value, as_end=True)
    if minutes is None:
        raise refused("must be a time from 00:00 to 24:00.", 'Write for example "20:00".')
    return minutes


class WindowEntry(Table):
    """The sending hours, on each recipient's own clock."""

    opens: Annotated[int, BeforeValidator(_opening), Field(alias="from")]
    closes: Annotated[int, BeforeValidator(_closing), Field(alias="to")]

    @field_validator("closes")
    @classmethod
    def _after_the_opening(cls, value: int, info: ValidationInfo) -> int:
        if value <= info.data.get("opens", -1):
            raise refused("must be later than `from`.", "A window does not cross midnight.")
        return value


class FrequencyCapEntry(Table):
    """At most so many marketing messages to one person in so many days."""

    messages: Annotated[int, Field(ge=1, le=100)]
    days: Annotated[int, Field(ge=1, le=366)]
    across_channels: StrictBool = False


Percent = Annotated[float, Field(allow_inf_nan=False)]


class BrakeEntry(Table):
    """Thresholds at which a run pauses itself; the bounds keep a typing error from unmaking it.

    The names are those of `BrakeThresholds`.
    """

    least_accepted: Annotated[int, Field(ge=50, le=10_000)] | None = None
    hard_bounce_percent: Annotated[Percent, Field(ge=0.5, le=10)] | None = None
    complaint_percent: Annotated[Percent, Field(ge=0.01, le=0.5)] | None = None
    opt_out_percent: Annotated[Percent, Field(ge=0.1, le=10)] | None = None
    silence_minutes: Annotated[int, Field(ge=5, le=240)] | None = None


class SendingPolicyTables(Table):
    """The tables of a controller file that say when, how often and how far its runs may go."""

    window: WindowEntry | None = None
    frequency_caps: Annotated[tuple[FrequencyCapEntry, ...], Field(alias="frequency_cap")] = ()
    brake: BrakeEntry | None = None
    two_person: StrictBool = False

    @field_validator("frequency_caps")
    @classmethod
    def _few_and_different(
        cls, value: tuple[FrequencyCapEntry, ...]
    ) -> tuple[FrequencyCapEntry, ...]:
        if len(value) > MOST_CAPS:
            raise refused(f"has more than {MOST_CAPS} caps.", "Keep the stricter ones.")
        seen: set[tuple[int, bool]] = set()
        for cap in value:
            if (cap.days, cap.across_channels) in seen:
                raise refused(f"has one for {cap.days} days twice.", "Keep the stricter one.")
            seen.add((cap.days, cap.across_channels))
        return value

    def policy_columns(self) -> dict[str, Any]:
        """Return the columns of a row of `sending_policy`; None where the file says nothing."""
        caps = [cap.model_dump() for cap in self.frequency_caps]
        return {
            "window": self.window and self.window.model_dump(),
            "frequency_caps": {"caps": caps} if caps else None,
            "brake": (self.brake and self.brake.model_dump(exclude_none=True)) or None,
            "two_person": self.two_person or None,
        }
