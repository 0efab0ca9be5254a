"""The audience of a run, as its pinned file and its occurrence say."""

from sender.campaigns.definition import CampaignDefinition
from sender.campaigns.refresh import contacts_of_run
from sender.campaigns.schedule_audience import where_of
from sender.delivery.audience import Audience, StagedAudience
from sender.store.campaigns import Run


def audience_of_run(run: Run, definition: CampaignDefinition) -> Audience:
    """Return whom the run is about: contacts, or what was read from another database for it."""
    if definition.audience.source is not None:
        return StagedAudience(run.id)
    where = where_of(definition, run.audience_day)
    return contacts_of_run(run, where)
