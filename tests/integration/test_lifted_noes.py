"""A no that was lifted for one thing stays over what was agreed to before it, told whenever."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from sender.consent.history import Subject
from sender.consent.recording import Act, give
from sender.errors import RefusedError
from sender.imports.approval import approve_batch
from sender.imports.contacts import import_contacts
from sender.imports.counts import Counts
from sender.store.consents import Purpose
from sender.store.contacts import Contact
from sender.suppression.ledger import BlockScope, Suppression, release
from sender.suppression.lifted import LiftedNo, lifted_noes
from sender.vocabulary import EVERY_CHANNEL, BlockCause, Channel, Reason
from tests.support.factory import HASHER, NOW, OPERATOR, add_notice, add_purpose
from tests.support.sign_up_hall import ANN, NEWS, Hall, known, stop

HEADER = (
    "email,consent_purpose,consent_channel,consent_notice,consent_at,consent_method,consent_source"
)
OTHER = "ann@example.net"
BEFORE, AFTER = NOW - timedelta(days=400), NOW + timedelta(hours=1)


def new_purpose(hall: Hall, slug: str = "events") -> Purpose:
    """Ask for something new, by a wording that an archive is said to have shown for years."""
    with hall.store.write() as session:
        purpose = add_purpose(session, hall.riverside.controller, slug)
        add_notice(session, hall.riverside.controller, slug="old-form", purposes=[slug])
    return purpose


def bring_in(hall: Hall, at: datetime, *, address: str = ANN, extra: str = "") -> Counts:
    """Import somebody's yes to the new purpose, and approve it."""
    path = hall.context.settings.outbox.parent / "people.csv"
    row = f"{address},events,email,old-form,{at.isoformat()},web-form,/join"
    path.write_text(f"external_ref,{HEADER}\n{extra},{row}\n", encoding="utf-8")
    report = import_contacts(
        hall.store,
        HASHER,
        hall.clock,
        controller_slug="riverside",
        path=path,
        operator="tester",
    )
    assert report.batch_id is not None
    approve_batch(
        hall.store,
        hall.clock,
        controller_id=hall.riverside.id,
        batch_id=report.batch_id,
        operator="another",
        by_another=True,
    )
    return report.counts


def lift(hall: Hall, cause: BlockCause, channel: str) -> None:
    """Release what Ann set at Riverside, by an act of her own."""
    hall.wait(seconds=1)
    now = hall.clock.now()
    scope = BlockScope(hall.address_id(), hall.riverside.id, channel)
    with hall.store.write() as session:
        act = Suppression(scope, cause, now, "page", by_person=True, operator=OPERATOR)
        release(session, act, now)


def test_a_sign_up_for_one_thing_lets_no_older_yes_to_a_new_thing_in(hall: Hall) -> None:
    known(hall)
    stop(hall, channel="email")
    hall.wait(days=1)
    hall.confirmed(email=ANN, agree=[NEWS])
    assert hall.decision().allowed
    events = new_purpose(hall)
    counts = bring_in(hall, BEFORE)
    assert hall.decision(purpose=events).refusal is Reason.WRONG_PURPOSE
    assert (counts.consents_recorded, counts.problems) == (0, 1)
    assert hall.decision().allowed, "what was ticked goes on"


def test_one_of_after_the_no_counts(hall: Hall) -> None:
    known(hall)
    stop(hall, channel="email")
    hall.wait(days=1)
    hall.confirmed(email=ANN, agree=[NEWS])
    events = new_purpose(hall)
    assert bring_in(hall, AFTER).consents_recorded == 1
    assert hall.decision(purpose=events).allowed


def test_the_very_moment_of_the_no_is_too_early(hall: Hall) -> None:
    known(hall)
    stop(hall, channel="email")
    lift(hall, BlockCause.OPT_OUT, "email")
    events = new_purpose(hall)
    assert bring_in(hall, NOW).consents_recorded == 0
    assert not hall.decision(purpose=events).allowed


@pytest.mark.parametrize("cause", [BlockCause.OBJECTION, BlockCause.COMPLAINT, BlockCause.OPT_OUT])
def test_whatever_the_person_lifted_it_holds(hall: Hall, cause: BlockCause) -> None:
    known(hall)
    stop(hall, cause)
    lift(hall, cause, EVERY_CHANNEL)
    events = new_purpose(hall)
    bring_in(hall, BEFORE)
    assert hall.decision(purpose=events).refusal is Reason.WRONG_PURPOSE


@pytest.mark.parametrize(("channel", "is_of_money"), [("sms", False), ("email", True)])
def test_a_no_to_something_else_holds_nothing_back(
    *, hall: Hall, channel: str, is_of_money: bool
) -> None:
    """On another channel, or to another purpose; a bounce that is over is no person's no."""
    known(hall)
    purpose = hall.money if is_of_money else None
    stop(hall, purpose=purpose, channel=channel)
    stop(hall, BlockCause.BOUNCE)
    hall.wait(seconds=1)
    now = hall.clock.now()
    with hall.store.write() as session:
        for cause, on, purpose_id in (
            (BlockCause.OPT_OUT, channel, purpose.id if purpose else None),
            (BlockCause.BOUNCE, EVERY_CHANNEL, None),
        ):
            about = BlockScope(hall.address_id(), hall.riverside.id, on, purpose_id)
            act = Suppression(
                about, cause, now, "page", by_person=True, operator=OPERATOR, personal={"by": "her"}
            )
            release(session, act, now)
    events = new_purpose(hall)
    assert bring_in(hall, BEFORE).consents_recorded == 1
    assert hall.decision(purpose=events).allowed


def test_it_follows_the_person_to_another_address_of_theirs(hall: Hall) -> None:
    known(hall)
    with hall.store.write() as session:
        session.scalars(select(Contact)).one().external_ref = "A1"
    stop(hall, channel="email")
    hall.wait(days=1)
    hall.confirmed(email=ANN, agree=[NEWS])
    events = new_purpose(hall)
    assert bring_in(hall, BEFORE, address=OTHER, extra="A1").consents_recorded == 0
    assert not hall.decision(OTHER, purpose=events).allowed


def test_a_paper_of_before_is_refused_and_one_of_after_is_not(hall: Hall) -> None:
    known(hall)
    stop(hall, channel="email")
    lift(hall, BlockCause.OPT_OUT, "email")
    events = new_purpose(hall)
    subject = Subject("riverside", Channel.EMAIL, ANN)

    def record(at: datetime) -> None:
        act = Act(at, "paper", "form 7", OPERATOR, hall.clock.now())
        with hall.store.write() as session:
            give(session, HASHER, subject, act, purpose="events", notice="old-form")

    with pytest.raises(RefusedError, match="opted out after this"):
        record(BEFORE)
    assert hall.decision(purpose=events).refusal is Reason.WRONG_PURPOSE
    record(hall.clock.now())
    assert hall.decision(purpose=events).allowed


def test_only_what_is_in_force_no_more_is_a_lifted_no(hall: Hall) -> None:
    known(hall)
    stop(hall, channel="email")
    stop(hall, purpose=hall.money, channel="email")
    with hall.store.read() as session:
        assert lifted_noes(session, hall.riverside.id, [hall.address_id()]) == []
    lift(hall, BlockCause.OPT_OUT, "email")
    with hall.store.read() as session:
        told = lifted_noes(session, hall.riverside.id, [hall.address_id()])
        assert told == [LiftedNo(hall.address_id(), "email", None, NOW)]
        assert lifted_noes(session, hall.mayor.id, [hall.address_id()]) == []
