"""Whom one occurrence of a schedule is for, where it goes by each person's own date."""

from datetime import date

from sender.campaigns.definition import CampaignDefinition
from sender.campaigns.schedule import Relative
from sender.contacts.filter import (
    AllOf,
    AnyOf,
    Attribute,
    Comparison,
    Filter,
    Has,
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
        day: of the run, `Run.audience_day`; None is right for a campaign without such an attribute,
            and for a look at one as a whole: then everybody with the attribute is in it.
    """
    where, name = definition.audience.where, date_attribute(definition)
    if name is None:
        return where
    own_date = Has(Attribute(name), present=True) if day is None else on_day(name, day)
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
