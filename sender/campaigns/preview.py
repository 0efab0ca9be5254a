"""Show what somebody would receive, without sending it."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.campaigns.definition import CampaignDefinition
from sender.campaigns.explain import explain
from sender.campaigns.message import (
    CampaignRenderer,
    make_renderer,
)
from sender.campaigns.plan import Cost, Size, cost_of, measure, sample_recipients
from sender.campaigns.refresh import contacts_of
from sender.campaigns.resolve import ResolvedCampaign, resolve
from sender.consent.policy import Scope
from sender.consent.scopes import load_scope
from sender.contacts.addresses import find_address_ids
from sender.contacts.normalise import normalise
from sender.context import Context
from sender.delivery.audience import ContactAudience
from sender.delivery.planning import first_allowed, forecast
from sender.errors import RefusedError
from sender.rendering.message import RenderedMessage
from sender.store.contacts import ContactPoint
from sender.suppression.links import opt_out_links
from sender.vocabulary import Channel


@dataclass(frozen=True, slots=True)
class Preview:
    """One person's message, with a link that stops nothing.

    Attributes:
        message: the message.
        size: for SMS, what the messages amount to over the whole audience.
        cost: of these parts, if the account's price is known.
    """

    message: RenderedMessage
    size: Size | None = None
    cost: Cost | None = None


def preview(
    context: Context, definition: CampaignDefinition, raw_address: str | None = None
) -> Preview:
    """Render the message of the given person, or of the first who may be written to.

    Raises:
        RefusedError: the person may not be written to, or nobody may: a preview would use their
            details for marketing all the same (guidance ¶72); or the audience comes from elsewhere,
            which only a launch reads.
        FileErrors: the file names something that is not there.
        MessageRefused: the message breaks a rule.
    """
    if definition.audience.source is not None:
        raise RefusedError(
            "The audience of this campaign is pulled from another database at launch.",
            remedy="See its first message with: sender campaign launch FILE --dry-run",
        )
    if raw_address is not None:
        _require_allowed(context, definition, raw_address)
    links = opt_out_links(context.settings)
    with context.store.read() as session:
        campaign = resolve(session, definition)
        key = _point_id(session, context, campaign, raw_address)
        audience = ContactAudience(campaign.own.controller_id, definition.channel)
        recipient = sample_recipients(session, audience, [key], links.preview)[0]
        renderer = make_renderer(campaign)
        message = renderer.render(recipient)
        if definition.channel is not Channel.SMS:
            return Preview(message)
        size = _size(session, context, campaign, renderer, links.preview)
    return Preview(message, size, cost_of(campaign.account, size.segments))


def _size(
    session: Session,
    context: Context,
    campaign: ResolvedCampaign,
    renderer: CampaignRenderer,
    preview_url: str,
) -> Size:
    definition = campaign.definition
    audience = contacts_of(session, campaign, definition.audience.where, context.clock.now())
    scopes = scopes_of_campaign(session, context, campaign)
    recipients = forecast(session, scopes, audience)[None]
    return measure(
        session, renderer, scopes, audience, recipients=recipients, preview_url=preview_url
    )


def _require_allowed(context: Context, definition: CampaignDefinition, raw_address: str) -> None:
    for explanation in explain(context, definition, raw_address):
        decision = explanation.decision
        if not decision.allowed:
            raise RefusedError(
                f"{explanation.controller} may not write to this address: {decision.sentence} "
                f"({decision.paragraph})",
                remedy="See: sender explain ADDRESS --campaign FILE",
            )


def _point_id(
    session: Session, context: Context, campaign: ResolvedCampaign, raw_address: str | None
) -> int:
    definition, controller_id = campaign.definition, campaign.own.controller_id
    if raw_address is None:
        where, now = definition.audience.where, context.clock.now()
        audience = contacts_of(session, campaign, where, now)
        keys = first_allowed(session, scopes_of_campaign(session, context, campaign), audience, 1)
        if not keys:
            raise RefusedError(
                "Nobody in the audience may be written to.",
                remedy="See the reasons with: sender campaign launch FILE --dry-run",
            )
        return keys[0]
    address = normalise(definition.channel, raw_address)
    ids = find_address_ids(session, context.hasher, definition.channel, [address])
    return session.scalars(
        select(ContactPoint.id).where(
            ContactPoint.controller_id == controller_id,
            ContactPoint.address_id == ids[address],
        )
    ).one()


def scopes_of_campaign(
    session: Session, context: Context, campaign: ResolvedCampaign
) -> list[Scope]:
    """Return what the campaign would ask of the policy now, without a run."""
    return [
        load_scope(
            session,
            controller_id=body.controller_id,
            channel=campaign.definition.channel,
            purpose_id=body.purpose.id,
            at=context.clock.now(),
            fresh_within_months=campaign.definition.fresh_within_months,
            instigates=body is campaign.own,
        )
        for body in (campaign.own, *campaign.bodies)
    ]
