"""At least one row in every table whose history is guarded."""

from sqlalchemy.orm import Session

from sender.store import audit_trail
from sender.store.campaigns import Run
from sender.store.deliveries import DeliveryReliance
from sender.store.keys import register_key
from sender.vocabulary import ScheduleState
from tests.support.contact_changes import add_changes
from tests.support.factory import (
    HASHER,
    NOW,
    OPERATOR,
    add_batch,
    add_body,
    add_campaign,
    add_closure,
    add_contact,
    add_declaration,
    add_delivery,
    add_event,
    add_foreign_hash,
    add_form,
    add_freeze,
    add_freshness,
    add_pass_on,
    add_point,
    add_policy,
    add_request,
    add_retention,
    add_run,
    add_schedule,
    block,
    establish,
    record_consent,
)
from tests.support.operators import add_approval_row, add_operator_row, add_revocation_row


def fill(session: Session) -> Run:
    """Write two of most rows, so that one can be mistaken for the other; return a run."""
    register_key(session, HASHER, NOW)
    party, candidate = establish(session, "party"), establish(session, "candidate")
    for body in (party, candidate):
        add_freeze(session, body.controller, NOW)
        add_freshness(session, body.controller, warn_months=6, hold_months=12)
        add_declaration(session, body.controller)
        add_policy(session, body.controller)
        add_retention(session, body.controller, 7)
        add_foreign_hash(session, add_batch(session, body.controller))
        add_closure(session, body.purpose)
        add_form(session, body.controller)
    campaign, version = add_campaign(session, party.controller)
    run = add_run(session, party, version)
    add_run(session, party, version)
    for state in (ScheduleState.REMOVED, ScheduleState.ACTIVE):
        add_schedule(session, version, run, state=state)
    add_body(session, run, candidate)
    for name in ("olive", "ben"):
        operator = add_operator_row(session, name)
        add_revocation_row(session, operator)
        add_approval_row(session, version, operator)
    for _ in range(2):
        point = add_point(session, add_contact(session, party.controller))
        event_id = record_consent(session, party, point.address_id, evidence={"ip": "192.0.2.1"})
        delivery = add_delivery(session, run, point)
        reliance = DeliveryReliance(
            delivery_id=delivery.id,
            controller_id=candidate.id,
            dispatched_at=NOW,
            consent_event_id=event_id,
        )
        session.add(reliance)
        block(session, point.address_id)
        add_event(session, run, point.address_id, delivery_id=delivery.id)
        add_pass_on(session, party, candidate, point.address_id)
        add_request(session, point, delivery)
        add_changes(session, point)
        details = {"campaign": campaign.name}
        audit_trail.record(session, now=NOW, operator=OPERATOR, action="test.fill", details=details)
    session.flush()
    return run
