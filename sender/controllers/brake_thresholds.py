"""At what shares of its messages a run pauses itself."""

from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class BrakeThresholds:
    """A run of which more than this share goes wrong pauses itself until a person has looked.

    The members bear the names that the controller file gives them. A share is a percentage of the
    messages that the provider accepted, from 0 to 100; a run is paused above it, not at it.

    Attributes:
        least_accepted: messages that must have been accepted before shares are judged, at least 1.
        hard_bounce_percent: addresses that do not exist, or refuse for good.
        complaint_percent: people who called the message spam. Amazon SES reviews an account at
            0.1 % and may pause it at 0.5 %
            (https://docs.aws.amazon.com/ses/latest/dg/reputationdashboard-dg.html).
        opt_out_percent: people who opted out on this run's message.
        silence_minutes: without any event of the provider, where its account expects them; it
            tells of a webhook that is dead, so that opt-outs do not arrive either. At least 1.
    """

    least_accepted: int = 1000
    hard_bounce_percent: float = 5.0
    complaint_percent: float = 0.1
    opt_out_percent: float = 2.0
    silence_minutes: int = 15

    @property
    def silence(self) -> timedelta:
        """How long the provider may tell nothing."""
        return timedelta(minutes=self.silence_minutes)


def exceeds(count: int, accepted: int, percent: float) -> bool:
    """Whether `count` of `accepted` is more than `percent` of them, exactly."""
    return count * 100 > Fraction(str(percent)) * accepted
