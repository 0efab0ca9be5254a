"""Explain for one address whether a campaign may write to it: each rule and what it saw."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from sender.campaigns.definition import CampaignDefinition
from sender.campaigns.resolve import ResolvedBody, ResolvedCampaign, resolve
from sender.consent.person import load_person
from sender.consent.policy import Decision, Person, decide
from sender.consent.scopes import load_scope
from sender.contacts.addresses import find_address_ids
from sender.contacts.normalise import normalise
from sender.context import Context


@dataclass(frozen=True, slots=True)
class Explanation:
    """The decision of one controller on one address."""

    controller: str
    decision: Decision


_STRANGER = Person(
    has_address=True,
    objected=False,
    source=None,
    consent=None,
    consented_on_other_channel=False,
    consented_to_other_purpose=False,
    blocks=(),
)


def explain(
    context: Context, definition: CampaignDefinition, raw_address: str
) -> list[Explanation]:
    """Return the decision of the controller, and of each body that the campaign speaks for.

    All of them must allow it. An address that the ledgers do not know is judged as a stranger's.

    Raises:
        AddressRefused: it is no address of the campaign's channel.
        FileErrors: the file names something that is not there.
    """
    address = normalise(definition.channel, raw_address)
    now = context.clock.now()
    with context.store.read() as session:
        campaign = resolve(session, definition)
        ids = find_address_ids(session, context.hasher, definition.channel, [address])
        return [
            _explain(session, campaign, body, ids.get(address), now)
            for body in (campaign.own, *campaign.bodies)
        ]


def _explain(
    session: Session,
    campaign: ResolvedCampaign,
    body: ResolvedBody,
    address_id: int | None,
    now: datetime,
) -> Explanation:
    definition = campaign.definition
    scope = load_scope(
        session,
        controller_id=body.controller_id,
        channel=definition.channel,
        purpose_id=body.purpose.id,
        at=now,
        fresh_within_months=definition.fresh_within_months,
        instigates=body is campaign.own,
    )
    person = _STRANGER
    if address_id is not None:
        person = load_person(
            session,
            address_id=address_id,
            controller_id=body.controller_id,
            channel=definition.channel,
            purpose_id=body.purpose.id,
            has_address=True if definition.audience.source or body is not campaign.own else None,
        )
    return Explanation(body.slug, decide(person, scope))
