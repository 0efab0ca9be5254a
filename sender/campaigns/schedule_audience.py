"""Whom one occurrence of a schedule is for, where it goes by each person's own date."""

from datetime import date

from sender.campaigns.definition import CampaignDefinition
from sender.campaigns.resolve import file_error
from sender.campaigns.schedule import Relative
from sender.contacts.filter import (
    AllOf,
    AnyOf,
    Attribute,
    Comparison,
    Filter,
    Operator,
    StartsWith,
)


def date_attribute(definition: CampaignDefinition) -> str | None:
    """Return the attribute that holds each person's date, if the schedule goes by one."""
    schedule = definition.schedule
    return schedule.attribute if isinstance(schedule, Relative) else None


def where_of(definition: CampaignDefinition, day: date | None) -> Filter | None:
    """Return the filter of the campaign's contacts, narrowed to those whose own date is the day.

    Args:
        definition: a campaign whose audience is the controller's contacts.
        day: `Run.audience_day`, or the day of an occurrence.

    Raises:
        FileErrors: the schedule goes by each person's own date, and there is no day: whoever
            launches such a file by hand would write to everybody who has a date.
    """
    where, name = definition.audience.where, date_attribute(definition)
    if name is None:
        return where
    if day is None:
        raise file_error(
            definition,
            ("schedule", "attribute"),
            "says that each day has its own people; only the schedule writes to them.",
            "Add it with: sender schedule add FILE; or take the [schedule] out to write to all.",
        )
    own_date = on_day(name, day)
    return own_date if where is None else AllOf((where, own_date))


def on_day(name: str, day: date) -> Filter:
    """Return the filter of those whose attribute is this day: a date, or a date with a time.

    The day of a date with a time is the one that is written, whatever zone stands behind it.
    """
    attribute = Attribute(name)
    return AnyOf(
        (
            Comparison(attribute, Operator.EQUALS, day),
            StartsWith(attribute, f"{day.isoformat()}T"),
            StartsWith(attribute, f"{day.isoformat()} "),
        )
    )
