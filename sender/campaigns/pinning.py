"""Keep the exact text of every campaign version, and read a campaign again from what was kept."""

from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.campaigns.definition import CampaignDefinition, parse_campaign
from sender.store.campaigns import Campaign, CampaignVersion


def find_campaign(session: Session, controller_id: int, name: str) -> Campaign | None:
    """Return the campaign of this controller and name, locked against other launches."""
    return session.scalar(
        select(Campaign)
        .where(Campaign.controller_id == controller_id, Campaign.name == name)
        .with_for_update()
    )


def pin(
    session: Session,
    campaign: Campaign,
    definition: CampaignDefinition,
    *,
    now: datetime,
    operator: str,
) -> CampaignVersion:
    """Keep the definition's exact text as a version of the campaign; the same text is kept once."""
    latest = session.scalars(
        select(CampaignVersion)
        .where(CampaignVersion.campaign_id == campaign.id)
        .order_by(CampaignVersion.version.desc())
    ).all()
    for version in latest:
        if version.content_hash == definition.files.content_hash:
            return version
    version = CampaignVersion(
        campaign_id=campaign.id,
        version=latest[0].version + 1 if latest else 1,
        content_hash=definition.files.content_hash,
        files=definition.files.as_json(),
        recorded_at=now,
        operator=operator,
    )
    session.add(version)
    session.flush()
    return version


def read_pinned(version: CampaignVersion) -> CampaignDefinition:
    """Return the campaign as it was when this version was kept."""
    campaign = version.files["campaign"]
    return parse_campaign(campaign["text"], version.files["files"], Path(campaign["name"]))
