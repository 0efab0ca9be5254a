"""Refresh campaigns: they ask people to reconfirm while their consent still counts (guidance ¶57).

A file with `[audience] expiring_within` is one. Its message carries `{{ confirm_url }}`.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from sender.campaigns.resolve import ResolvedCampaign
from sender.consent.scopes import load_scope
from sender.contacts.filter import Filter
from sender.delivery.audience import ContactAudience, Expiring
from sender.store.campaigns import Run


def contacts_of(
    session: Session, campaign: ResolvedCampaign, where: Filter | None, now: datetime
) -> ContactAudience:
    """Return the contacts that the campaign would be for now, without a run."""
    expiring = _expiring(session, campaign, now)
    return ContactAudience(campaign.own.controller_id, campaign.definition.channel, where, expiring)


def contacts_of_run(run: Run, where: Filter | None) -> ContactAudience:
    """Return the contacts that a run is for."""
    return ContactAudience(run.controller_id, run.channel, where, _expiring_of_run(run))


def narrow_run(session: Session, run: Run, campaign: ResolvedCampaign, now: datetime) -> None:
    """Note on a run that is being opened whose consent it asks about; tests ask about nobody's."""
    within = campaign.definition.audience.expiring_within
    expiring = _expiring(session, campaign, now)
    if within is None or expiring is None or run.is_test:
        return
    run.expiring_days = within.days
    run.expiring_fresh_after = expiring.fresh_after
    run.expiring_stale_by = expiring.stale_by
    run.expiring_ended_by = expiring.ended_by


def _expiring(session: Session, campaign: ResolvedCampaign, now: datetime) -> Expiring | None:
    definition = campaign.definition
    within = definition.audience.expiring_within
    if within is None:
        return None
    scope = load_scope(
        session,
        controller_id=campaign.own.controller_id,
        channel=definition.channel,
        purpose_id=campaign.own.purpose.id,
        at=now,
        fresh_within_months=definition.fresh_within_months,
        instigates=False,
    )
    stale_by = replace(scope, at=now + within).fresh_after
    return Expiring(scope.purpose_id, scope.fresh_after, stale_by, now, now + within)


def _expiring_of_run(run: Run) -> Expiring | None:
    days, fresh_after = run.expiring_days, run.expiring_fresh_after
    stale_by, ended_by = run.expiring_stale_by, run.expiring_ended_by
    if days is None or fresh_after is None or stale_by is None or ended_by is None:
        return None
    began = ended_by - timedelta(days=days)
    return Expiring(run.purpose_id, fresh_after, stale_by, began, ended_by)
