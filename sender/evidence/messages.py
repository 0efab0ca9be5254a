"""The messages to one address, each with the decision at its dispatch, made again."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.evidence.names import Names
from sender.evidence.past import decide_then, questions_of_run
from sender.evidence.records import DecisionThen, Held, Message
from sender.store.campaigns import Campaign, CampaignVersion, Run
from sender.store.controllers import ProviderAccount, SenderIdentity
from sender.store.deliveries import Delivery, DeliveryReliance


@dataclass(frozen=True, slots=True)
class _Sent:
    delivery: Delivery
    run: Run
    campaign: Campaign
    identity: SenderIdentity
    account: ProviderAccount
    version: CampaignVersion | None


def messages_of(
    session: Session, names: Names, controller_id: int, address_id: int
) -> tuple[Message, ...]:
    """Return the controller's messages, those sent on its behalf by others too, in their order."""
    on_behalf = select(DeliveryReliance.delivery_id).where(
        DeliveryReliance.delivery_id == Delivery.id,
        DeliveryReliance.controller_id == controller_id,
    )
    query = (
        select(Delivery, Run, Campaign, SenderIdentity, ProviderAccount, CampaignVersion)
        .join(Run, Run.id == Delivery.run_id)
        .join(Campaign, Campaign.id == Run.campaign_id)
        .join(SenderIdentity, SenderIdentity.id == Run.sender_identity_id)
        .join(ProviderAccount, ProviderAccount.id == SenderIdentity.provider_account_id)
        .outerjoin(CampaignVersion, CampaignVersion.id == Delivery.version_id)
        .where(
            Delivery.address_id == address_id,
            (Run.controller_id == controller_id) | on_behalf.exists(),
        )
        .order_by(Delivery.id)
    )
    rows = session.execute(query).all()
    return tuple(_message(session, names, controller_id, _Sent(*row)) for row in rows)


def relied_on(session: Session, delivery: Delivery, run: Run) -> dict[int, int | None]:
    """Return the consent event that the ledger recorded at the dispatch, by controller."""
    found: dict[int, int | None] = {run.controller_id: delivery.consent_event_id}
    rows = session.execute(
        select(DeliveryReliance.controller_id, DeliveryReliance.consent_event_id).where(
            DeliveryReliance.delivery_id == delivery.id,
            DeliveryReliance.dispatched_at == delivery.dispatched_at,
        )
    )
    return found | {row.controller_id: row.consent_event_id for row in rows}


def _decisions(session: Session, names: Names, sent: _Sent) -> tuple[DecisionThen, ...]:
    at = sent.delivery.dispatched_at
    if at is None or sent.run.is_test:
        return ()
    recorded = relied_on(session, sent.delivery, sent.run)
    # It was at hand, or there would have been no message; it may since have been erased.
    questions = questions_of_run(session, sent.run, sent.delivery.address_id, at, has_address=True)
    found = []
    for question in questions:
        decision = decide_then(session, question)
        event_id = recorded.get(question.controller_id)
        found.append(
            DecisionThen(
                controller=names.controller(question.controller_id),
                allowed=decision.allowed,
                reason=decision.refusal,
                sentence=decision.sentence,
                paragraph=decision.paragraph,
                consent_event=decision.consent_event_id,
                relied_on=event_id,
                agrees=decision.allowed and decision.consent_event_id == event_id,
                steps=decision.steps,
            )
        )
    return tuple(found)


def _message(session: Session, names: Names, controller_id: int, sent: _Sent) -> Message:
    delivery, run = sent.delivery, sent.run
    is_own = run.controller_id == controller_id
    values, held = _values(delivery) if is_own else (None, Held.ELSEWHERE)
    return Message(
        message=delivery.id,
        run=run.id,
        campaign=sent.campaign.name,
        run_number=run.number,
        version=sent.version.version if sent.version else None,
        content_hash=sent.version.content_hash if sent.version else None,
        controller=names.controller(run.controller_id),
        purpose=names.purpose(run.purpose_id),
        channel=run.channel,
        sender=sent.identity.address,
        sender_name=sent.identity.display_name,
        is_test=run.is_test,
        state=delivery.state,
        reason=delivery.reason,
        refused_by=names.controller(delivery.refused_by_id) if delivery.refused_by_id else None,
        planned_at=run.created_at,
        dispatched_at=delivery.dispatched_at,
        accepted_at=delivery.accepted_at,
        delivered_at=delivery.delivered_at,
        failed_at=delivery.failed_at,
        bounced_at=delivery.hard_bounced_at or delivery.bounced_at,
        complained_at=delivery.complained_at,
        opted_out_at=delivery.opted_out_at,
        provider=sent.account.provider.value,
        provider_message_id=delivery.provider_message_id,
        message_hash=delivery.message_hash,
        values=values,
        values_are=held,
        decisions=_decisions(session, names, sent),
    )


def _values(delivery: Delivery) -> tuple[dict[str, object] | None, Held]:
    if delivery.values is not None:
        return delivery.values, Held.HELD if delivery.values else Held.NONE
    return None, Held.NONE if delivery.dispatched_at is None else Held.ERASED


def events_relied_on(messages: Sequence[Message]) -> set[int]:
    """Return the consent events that any of the messages relied on."""
    return {
        decision.relied_on
        for message in messages
        for decision in message.decisions
        if decision.relied_on is not None
    }
