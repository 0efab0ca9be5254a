"""What was true on a day: decisions made again agree with what the ledger recorded then."""

from datetime import timedelta

from hypothesis import given, settings
from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.consent.policy import Decision
from sender.evidence.past import Question, decide_then, questions_of_run
from sender.store.campaigns import Run
from sender.store.deliveries import Delivery, DeliveryReliance
from sender.store.engine import Store
from sender.vocabulary import Channel, Reason
from tests.support.past_world import STEPS, Past, Sent, Step


def _again(session: Session, past: Past, sent: Sent) -> list[Decision]:
    run = session.get_one(Run, sent.run_id)
    return [
        decide_then(session, question)
        for question in questions_of_run(session, run, past.address_id, sent.at)
    ]


def _relied_on(session: Session, sent: Sent) -> list[int | None]:
    delivery = session.get_one(Delivery, sent.delivery_id, populate_existing=True)
    reliance = session.scalars(
        select(DeliveryReliance.consent_event_id)
        .where(DeliveryReliance.delivery_id == sent.delivery_id)
        .order_by(DeliveryReliance.controller_id)
    )
    return [delivery.consent_event_id, *reliance]


@settings(max_examples=60)
@given(steps=STEPS)
def test_every_message_is_decided_again_as_it_was_at_its_dispatch(
    store: Store, steps: list[Step]
) -> None:
    with Session(store.engine, expire_on_commit=False) as session:
        past = Past(session)
        past.live(steps)
        for sent in past.sent:
            again = _again(session, past, sent)
            refusal = next((one.refusal for one in again if not one.allowed), None)
            assert refusal == sent.reason
            if sent.marked:
                assert [one.consent_event_id for one in again] == _relied_on(session, sent)
        session.rollback()


def _asked(past: Past) -> Question:
    body = past.bodies[0]
    return Question(past.address_id, body.id, Channel.EMAIL, body.purpose.id, past.now)


def _refusals(session: Session, steps: list[Step]) -> list[Reason | None]:
    """Return what is said of the moment after each step, asked when all is over."""
    past = Past(session)
    asked = []
    for step in steps:
        past.live([step])
        asked.append(_asked(past))
    return [decide_then(session, question).refusal for question in asked]


def test_each_step_counts_from_when_it_was_recorded(store: Store) -> None:
    """Asked at the end, about every moment: what came later changes nothing before it."""
    yes = Step("yes", number=1)
    imported = Step("import", number=1)
    old = timedelta(days=200)
    histories: dict[tuple[Step, ...], list[Reason | None]] = {
        (Step("learn"), yes): [Reason.NO_CONSENT, None],
        (yes, Step("no", age=old), yes): [None, None, None],
        (yes, Step("no")): [None, Reason.WITHDRAWN],
        (yes, Step("object", age=old)): [None, Reason.OBJECTED],
        (yes, Step("freeze")): [None, Reason.CONTROLLER_FROZEN],
        (Step("yes", number=1, age=old), Step("policy")): [None, Reason.STALE],
        (yes, Step("close"), Step("learn")): [None, Reason.ENDED, Reason.ENDED],
        (yes, Step("identity")): [None, Reason.NO_SENDER_IDENTITY],
        (imported, Step("approve")): [Reason.NO_CONSENT, None],
        (imported, Step("approve"), Step("revoke")): [
            Reason.NO_CONSENT,
            None,
            Reason.INVALIDATED,
        ],
    }
    for steps, expected in histories.items():
        with Session(store.engine, expire_on_commit=False) as session:
            assert _refusals(session, list(steps)) == expected, steps
            session.rollback()


def test_an_address_erased_later_was_held_then(store: Store) -> None:
    with Session(store.engine, expire_on_commit=False) as session:
        past = Past(session)
        past.live([Step("yes", number=1)])
        before = _asked(past)
        past.points[0].address, past.contact.erased_at = None, past.now + timedelta(minutes=1)
        past.live([Step("learn")])
        assert decide_then(session, before).allowed
        assert decide_then(session, _asked(past)).refusal is Reason.INVALID_ADDRESS
        session.rollback()
