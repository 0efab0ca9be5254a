"""The hours in which a campaign may go out, on the controller's own clock; pure."""

from datetime import UTC, datetime, tzinfo

from sender.campaigns.schedule import SendingWindow


def closes_at(window: SendingWindow, zone: tzinfo, now: datetime) -> datetime | None:
    """Return the moment at which the window that is open now closes; None when it is shut.

    Args:
        window: times of day, the end not included; it never crosses midnight.
        zone: the controller's time zone. On a day that skips or repeats an hour, the times are
            what the clocks on the wall show, the first time that they show it.
        now: aware UTC.
    """
    local = now.astimezone(zone)
    if not window.opens <= local.time() < window.closes:
        return None
    return datetime.combine(local.date(), window.closes, tzinfo=zone).astimezone(UTC)
