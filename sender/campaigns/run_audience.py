"""Whom a run is about, as its pinned file and its occurrence say; read first where it has to be."""

import os
from datetime import timedelta

from sender.campaigns.audience import AudienceSource
from sender.campaigns.definition import CampaignDefinition
from sender.campaigns.refresh import contacts_of_run
from sender.campaigns.resolve import ResolvedCampaign
from sender.campaigns.schedule_audience import where_of
from sender.context import Context
from sender.delivery.audience import Audience, StagedAudience
from sender.delivery.runs import get_run
from sender.delivery.source import stage_recipients
from sender.errors import SettingsError
from sender.store.campaigns import Run


def audience_of_run(run: Run, definition: CampaignDefinition) -> Audience:
    """Return whom the run is about: contacts, or what was read from another database for it."""
    if definition.audience.source is not None:
        return StagedAudience(run.id)
    where = where_of(definition, run.audience_day)
    return contacts_of_run(run, where)


def read_audience(context: Context, campaign: ResolvedCampaign, run_id: int) -> Audience:
    """Return the run's audience; one from another database is read first, until it is planned.

    Raises:
        SettingsError: the variable that names the other database is not set.
        SourceError: that database cannot be read, or its rows cannot be meant.
    """
    source = campaign.definition.audience.source
    with context.store.read() as session:
        run = get_run(session, run_id)
    if source is not None and run.plan_ends_at is None:
        _stage(context, campaign, source, run_id)
    return audience_of_run(run, campaign.definition)


def _stage(
    context: Context, campaign: ResolvedCampaign, source: AudienceSource, run_id: int
) -> None:
    url = os.environ.get(source.url_env, "")
    if not url:
        raise SettingsError(
            f"{source.url_env} is not set; the campaign's audience comes from there.",
            remedy="Set it to the SQLAlchemy URL of the database to read from.",
        )
    retention = timedelta(days=context.settings.staging_retention_days)
    stage_recipients(
        context.store,
        context.hasher,
        context.clock,
        run_id=run_id,
        channel=campaign.definition.channel,
        controller_id=campaign.own.controller_id,
        url=url,
        query_name=source.query.name,
        query_sql=source.query.text,
        address_column=source.address,
        reference_column=source.reference,
        attribute_columns=source.attributes,
        erase_after=context.clock.now() + retention,
    )
