"""Evidence, for scripts: what `sender evidence` does."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sender.api.acting import acts_as
from sender.campaigns.definition import CampaignDefinition
from sender.campaigns.resolve import ResolvedBody, resolve
from sender.consent.history import Subject
from sender.consent.policy import Decision
from sender.consent.purposes import find_purpose
from sender.contacts.addresses import find_address_ids
from sender.context import Context
from sender.controllers.lookup import find_controller
from sender.controllers.retention_policy import load_limitation
from sender.evidence import forms, page
from sender.evidence.counts import RunEvidence, count_by
from sender.evidence.gather import gather
from sender.evidence.past import Question, decide_then
from sender.evidence.records import Evidence

NOBODY = 0
"""Stands for an address that the ledgers do not know; no row has this id."""


@dataclass(frozen=True, slots=True)
class DecisionAt:
    """What one controller's records of a past moment said."""

    controller: str
    purpose: str
    decision: Decision


@acts_as("evidence")
def evidence_on(context: Context, subject: Subject) -> Evidence:
    """Return all that a controller holds on why an address was written to.

    Args:
        context: the installation.
        subject: the controller, and the address, normalised, as the asker supplies it.

    Raises:
        NotFoundError: no such controller.
    """
    with context.store.read() as session:
        return gather(session, context.hasher, subject, context.clock.now())


@acts_as("evidence")
def evidence_document(context: Context, subject: Subject) -> dict[str, Any]:
    """Return the same as a document, with consent records in the form of ISO/IEC TS 27560.

    Raises:
        NotFoundError: no such controller.
    """
    found = evidence_on(context, subject)
    with context.store.read() as session:
        years = load_limitation(session, context.settings.limitation_years)
        controller = find_controller(session, subject.controller)
    own = years.of_controller[controller.id]
    return forms.evidence_document(found, limitation_years=own)


@acts_as("evidence")
def evidence_page(context: Context, subject: Subject) -> str:
    """Return the same as one page of HTML, which fetches nothing from elsewhere.

    Raises:
        NotFoundError: no such controller.
    """
    return page.evidence_page(evidence_on(context, subject))


@acts_as("evidence")
def evidence_of_run(context: Context, run_id: int, by: tuple[str, ...]) -> RunEvidence:
    """Return how many messages of a run relied on what.

    Raises:
        NotFoundError: no such run.
        UsageError: no such dimension.
    """
    with context.store.read() as session:
        return count_by(session, run_id, by)


@acts_as("evidence")
def decision_at(context: Context, subject: Subject, purpose: str, at: datetime) -> DecisionAt:
    """Return whether the controller might write for the purpose, as recorded at a past moment.

    Raises:
        NotFoundError: no such controller or purpose.
    """
    with context.store.read() as session:
        controller = find_controller(session, subject.controller)
        found = find_purpose(session, controller, purpose)
        ids = find_address_ids(session, context.hasher, subject.channel, [subject.address])
        question = Question(
            address_id=ids.get(subject.address, NOBODY),
            controller_id=controller.id,
            channel=subject.channel,
            purpose_id=found.id,
            then=at,
        )
        return DecisionAt(controller.slug, found.slug, decide_then(session, question))


@acts_as("evidence")
def campaign_decisions_at(
    context: Context, definition: CampaignDefinition, address: str, at: datetime
) -> list[DecisionAt]:
    """Return the decisions on a campaign as recorded at a past moment, its own controller's first.

    The campaign is the file as it is given; what it names is found as it is now.

    Raises:
        FileErrors: the file names something that is not there.
    """
    with context.store.read() as session:
        campaign = resolve(session, definition, of_the_past=True)
        ids = find_address_ids(session, context.hasher, definition.channel, [address])

        def question(body: ResolvedBody) -> Question:
            is_own = body is campaign.own
            return Question(
                address_id=ids.get(address, NOBODY),
                controller_id=body.controller_id,
                channel=definition.channel,
                purpose_id=body.purpose.id,
                then=at,
                fresh_within_months=definition.fresh_within_months,
                instigates=is_own,
                has_address=True if definition.audience.source or not is_own else None,
            )

        return [
            DecisionAt(body.slug, body.purpose.slug, decide_then(session, question(body)))
            for body in (campaign.own, *campaign.bodies)
        ]
