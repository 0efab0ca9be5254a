"""What providers tell: kept once, suppressed first, the delivery brought to what it proves."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sender.delivery.outcomes import Outcome, record_outcomes
from sender.inbound.outcomes import PROVES, apply_stragglers
from sender.inbound.receive import Received, receive
from sender.providers.base import Accepted, NotStarted, Unknown
from sender.providers.events import Notification, ProviderEvent
from sender.store.engine import Store
from sender.store.inbound import InboundEvent, InboundNotification
from sender.store.suppressions import Block, SuppressionEvent
from sender.vocabulary import (
    EVERY,
    EVERY_CHANNEL,
    Arrival,
    BlockCause,
    Channel,
    DeliveryState,
    EventKind,
    ProviderName,
)
from tests.support.factory import (
    HASHER,
    NOW,
    add_account,
    add_campaign,
    add_contact,
    add_delivery,
    add_identity,
    add_point,
    add_run,
    address_id_of,
    establish,
    new_address,
)

LATER = NOW + timedelta(minutes=5)
_names = count(1)


class Scene:
    """One controller, one run, one message that is with the provider."""

    def __init__(self, session: Session, state: DeliveryState = DeliveryState.ACCEPTED) -> None:
        self.organisation = establish(session, f"body-{next(_names)}")
        self.address = new_address()
        _, version = add_campaign(session, self.organisation.controller)
        self.run = add_run(session, self.organisation, version)
        self.contact = add_contact(session, self.organisation.controller)
        self.point = add_point(session, self.contact, self.address)
        self.delivery = add_delivery(session, self.run, self.point, state=state)

    def state(self) -> DeliveryState:
        return self.delivery.state

    def event(self, kind: EventKind = EventKind.DELIVERED, **changed: object) -> ProviderEvent:
        whole = ProviderEvent(
            kind=kind,
            raw_type=kind.value,
            occurred_at=NOW,
            channel=Channel.EMAIL,
            address=self.address,
            delivery_id=self.delivery.id,
            run_id=self.run.id,
            provider_message_id="message-1",
        )
        return replace(whole, **changed)  # type: ignore[arg-type]  # fields by name


def told(*events: ProviderEvent, name: str = "") -> Notification:
    return Notification(
        provider=ProviderName.SES,
        name=name or f"told-{next(_names)}",
        raw_type="Event",
        events=events,
        payload={"eventType": "Event"},
    )


def tell(
    session: Session,
    *events: ProviderEvent,
    name: str = "",
    account_id: int | None = None,
    now: datetime = LATER,
) -> Received:
    return receive(
        session,
        HASHER,
        told(*events, name=name),
        account_id=account_id,
        arrived_by=Arrival.WEBHOOK,
        now=now,
        keep_for=timedelta(days=180),
    )


def blocks(session: Session) -> set[tuple[int, int, str, BlockCause]]:
    rows = session.scalars(select(Block))
    return {(row.address_id, row.controller_id, row.channel, row.cause) for row in rows}


def how_many(session: Session, table: type) -> int:
    return session.scalar(select(func.count()).select_from(table)) or 0


@pytest.mark.parametrize("kind", list(EventKind))
@pytest.mark.parametrize("state", [DeliveryState.DISPATCHING, DeliveryState.UNKNOWN])
def test_an_event_settles_what_we_do_not_know(
    store: Store, kind: EventKind, state: DeliveryState
) -> None:
    with store.write() as session:
        scene = Scene(session, state)
        tell(session, scene.event(kind))
        session.expire_all()
        assert scene.state() is PROVES.get(kind, state)


def test_somebody_pending_of_whom_the_provider_tells_is_not_sent_again(store: Store) -> None:
    with store.write() as session:
        scene = Scene(session, DeliveryState.PENDING)
        tell(session, scene.event(EventKind.SENT))
        assert scene.state() is DeliveryState.ACCEPTED
        assert scene.delivery.provider_message_id == "message-1"


@pytest.mark.parametrize("state", [DeliveryState.SKIPPED, DeliveryState.REJECTED])
def test_what_is_over_keeps_its_state_and_learns_the_time(
    store: Store, state: DeliveryState
) -> None:
    with store.write() as session:
        scene = Scene(session, state)
        tell(session, scene.event(EventKind.DELIVERED))
        assert scene.state() is state
        assert scene.delivery.delivered_at == NOW


@pytest.mark.parametrize("dialect", ["sqlite"])
@settings(max_examples=60)
@given(kinds=st.lists(st.sampled_from(list(EventKind)), min_size=1, max_size=6))
def test_a_states_rank_only_rises(store: Store, kinds: list[EventKind]) -> None:
    with store.write() as session:
        scene = Scene(session, DeliveryState.DISPATCHING)
        rank = scene.delivery.state.rank
        for kind in kinds:
            tell(session, scene.event(kind))
            assert scene.delivery.state.rank >= rank
            rank = scene.delivery.state.rank


def test_a_delivered_message_can_still_be_complained_about(store: Store) -> None:
    with store.write() as session:
        scene = Scene(session)
        tell(session, scene.event(EventKind.DELIVERED))
        complaint = scene.event(EventKind.COMPLAINED, block=BlockCause.COMPLAINT, code="abuse")
        tell(session, complaint)
        assert scene.state() is DeliveryState.DELIVERED
        assert scene.delivery.complained_at == NOW


def test_a_message_that_fails_to_render_was_accepted_and_has_failed(store: Store) -> None:
    with store.write() as session:
        scene = Scene(session)
        tell(session, scene.event(EventKind.FAILED, raw_type="Rendering Failure", code="template"))
        assert scene.state() is DeliveryState.FAILED
        assert scene.delivery.failed_at == NOW
        assert scene.delivery.provider_code == "template"
        assert blocks(session) == set()


def test_told_again_nothing_changes(store: Store) -> None:
    with store.write() as session:
        scene = Scene(session)
        opt_out = scene.event(EventKind.OPTED_OUT, block=BlockCause.OPT_OUT)
        first = tell(session, opt_out, name="same")
    with store.write() as session:
        second = tell(session, opt_out, name="same")
        assert not first.again
        assert second.again
        assert second.suppression_event_ids == first.suppression_event_ids
        assert len(first.suppression_event_ids) == 1
        assert how_many(session, SuppressionEvent) == 1
        assert how_many(session, InboundEvent) == 1


def test_of_two_that_arrive_at_once_one_is_taken(store: Store) -> None:
    with store.write() as session:
        opt_out = Scene(session).event(EventKind.OPTED_OUT, block=BlockCause.OPT_OUT)

    def arrive(_: int) -> bool:
        with store.write() as session:
            return tell(session, opt_out, name="same").again

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(arrive, range(8))) == [False] + [True] * 7
    with store.read() as session:
        assert how_many(session, SuppressionEvent) == 1


def test_every_recipient_of_an_event_is_taken(store: Store) -> None:
    with store.write() as session:
        scene = Scene(session)
        others = [new_address() for _ in range(3)]
        events = [
            scene.event(
                EventKind.BOUNCED, address=one, delivery_id=None, run_id=None,
                provider_message_id=None, block=BlockCause.BOUNCE, sender=None,
            )
            for one in others
        ]  # fmt: skip
        tell(session, *events)
        found = {address_id for address_id, *_ in blocks(session)}
        assert found == {address_id_of(session, one) for one in others}


def test_a_hard_bounce_stops_the_address_on_its_channel(store: Store) -> None:
    with store.write() as session:
        scene = Scene(session)
        tell(session, scene.event(EventKind.BOUNCED, block=BlockCause.BOUNCE, code="Permanent"))
        expected = (scene.point.address_id, scene.organisation.id, "email", BlockCause.BOUNCE)
        assert blocks(session) == {expected}
        assert scene.delivery.bounced_at == NOW


def test_a_failure_because_of_an_opt_out_elsewhere_is_the_persons_no(store: Store) -> None:
    """As Twilio's 21610: the recipient had texted STOP, which Twilio alone heard."""
    with store.write() as session:
        scene = Scene(session)
        tell(session, scene.event(EventKind.FAILED, block=BlockCause.OPT_OUT, code="21610"))
        assert scene.delivery.opted_out_at == NOW
        event = session.scalars(select(SuppressionEvent)).one()
        assert event.by_person
        assert (event.cause, event.source) == (BlockCause.OPT_OUT, "provider:21610")
        assert event.delivery_id == scene.delivery.id


def test_a_complaint_is_an_objection(store: Store) -> None:
    """Total: every address of the person, on every channel, at this controller."""
    with store.write() as session:
        scene = Scene(session)
        mobile = add_point(session, scene.contact, channel=Channel.SMS)
        complaint = scene.event(EventKind.COMPLAINED, block=BlockCause.COMPLAINT, code="abuse")
        received = tell(session, complaint)
        session.expire_all()
        assert scene.contact.objected_at == NOW
        assert {(address, channel) for address, _, channel, _ in blocks(session)} == {
            (scene.point.address_id, EVERY_CHANNEL),
            (mobile.address_id, EVERY_CHANNEL),
        }
        assert len(received.suppression_event_ids) == 2
        sources = set(session.scalars(select(SuppressionEvent.source)))
        assert sources == {"complaint:abuse"}


@pytest.mark.parametrize("by", ["sender", "account", "nothing"])
def test_whose_message_it_was_is_found_without_our_record(store: Store, by: str) -> None:
    with store.write() as session:
        scene = Scene(session)
        account = add_account(session, "ses-main", provider=ProviderName.SES)
        other = establish(session, "other")
        add_identity(
            session, other.controller, Channel.EMAIL, account=account, name="second",
            address="old@other.example.org", retired_at=NOW,
        )  # fmt: skip
        event = scene.event(
            EventKind.OPTED_OUT, address=new_address(), delivery_id=None, run_id=None,
            provider_message_id=None, block=BlockCause.OPT_OUT,
            sender="old@other.example.org" if by == "sender" else "nobody@example.org",
        )  # fmt: skip
        tell(session, event, account_id=account.id if by == "account" else None)
        whose = {controller_id for _, controller_id, *_ in blocks(session)}
        assert whose == ({EVERY} if by == "nothing" else {other.id})


def test_a_complaint_of_nobodys_message_stops_everything(store: Store) -> None:
    with store.write() as session:
        complaint = ProviderEvent(
            kind=EventKind.COMPLAINED, raw_type="Complaint", occurred_at=None,
            channel=Channel.EMAIL, address=new_address(), block=BlockCause.COMPLAINT,
        )  # fmt: skip
        tell(session, complaint)
        [(_, controller_id, channel, cause)] = blocks(session)
        assert (controller_id, channel, cause) == (EVERY, EVERY_CHANNEL, BlockCause.COMPLAINT)


class TestTransientBounces:
    @pytest.fixture
    def scene(self, store: Store) -> Scene:
        with store.write() as session:
            return Scene(session)

    def happen(self, store: Store, scene: Scene, days: Sequence[tuple[EventKind, int]]) -> bool:
        with store.write() as session:
            for kind, day in days:
                at = NOW + timedelta(days=day)
                event = scene.event(
                    kind, occurred_at=at, transient=kind is EventKind.BOUNCED,
                    delivery_id=None, run_id=None, provider_message_id=None,
                )  # fmt: skip
                tell(session, event, now=at + timedelta(minutes=1))
            return bool(blocks(session))

    def test_three_in_a_row_within_a_month_stop_the_address(
        self, store: Store, scene: Scene
    ) -> None:
        assert self.happen(store, scene, [(EventKind.BOUNCED, day) for day in (0, 14, 29)])

    def test_two_do_not(self, store: Store, scene: Scene) -> None:
        assert not self.happen(store, scene, [(EventKind.BOUNCED, day) for day in (0, 1)])

    def test_three_over_a_longer_time_do_not(self, store: Store, scene: Scene) -> None:
        assert not self.happen(store, scene, [(EventKind.BOUNCED, day) for day in (0, 14, 31)])

    def test_a_delivery_between_begins_the_row_anew(self, store: Store, scene: Scene) -> None:
        days = [(EventKind.BOUNCED, 0), (EventKind.BOUNCED, 1), (EventKind.DELIVERED, 2)]
        assert not self.happen(store, scene, [*days, (EventKind.BOUNCED, 3)])

    def test_a_delay_between_is_no_sign_of_life(self, store: Store, scene: Scene) -> None:
        bounces = [(EventKind.BOUNCED, day) for day in (0, 2, 3)]
        assert self.happen(store, scene, [*bounces[:1], (EventKind.DEFERRED, 1), *bounces[1:]])

    def test_delays_do_not_count(self, store: Store, scene: Scene) -> None:
        assert not self.happen(store, scene, [(EventKind.DEFERRED, day) for day in (0, 1, 2)])


class TestBeforeOurOwnRecord:
    """The callback overtakes the answer to the call."""

    def early(self, session: Session, scene: Scene) -> None:
        tell(session, scene.event(EventKind.DELIVERED, delivery_id=None, run_id=None))

    def record(self, session: Session, scene: Scene) -> None:
        outcome = Outcome(scene.delivery.id, scene.point.address_id, Accepted("message-1"))
        record_outcomes(session, scene.run, 0, [outcome], LATER)
        session.expire_all()

    def test_it_waits_for_the_record_and_counts(self, store: Store) -> None:
        with store.write() as session:
            scene = Scene(session, DeliveryState.DISPATCHING)
            self.early(session, scene)
            assert scene.state() is DeliveryState.DISPATCHING
            self.record(session, scene)
            assert scene.state() is DeliveryState.DELIVERED
            event = session.scalars(select(InboundEvent)).one()
            assert event.delivery_id == scene.delivery.id
            assert event.applied_at == LATER

    def test_one_that_knows_the_delivery_does_not_wait(self, store: Store) -> None:
        with store.write() as session:
            scene = Scene(session, DeliveryState.DISPATCHING)
            tell(session, scene.event(EventKind.DELIVERED))
            assert scene.state() is DeliveryState.DELIVERED
            self.record(session, scene)
            assert scene.state() is DeliveryState.DELIVERED

    @pytest.mark.parametrize("result", [Unknown("timeout"), NotStarted()])
    def test_our_own_record_then_undoes_nothing(
        self, store: Store, result: Unknown | NotStarted
    ) -> None:
        with store.write() as session:
            scene = Scene(session, DeliveryState.DISPATCHING)
            tell(session, scene.event(EventKind.SENT))
            session.flush()
            outcome = Outcome(scene.delivery.id, scene.point.address_id, result)
            record_outcomes(session, scene.run, 0, [outcome], LATER)
            session.expire_all()
            assert scene.state() is DeliveryState.ACCEPTED

    def test_one_that_was_written_at_the_same_moment_is_found_later(self, store: Store) -> None:
        with store.write() as session:
            scene = Scene(session, DeliveryState.DISPATCHING)
            self.early(session, scene)
            scene.delivery.provider_message_id = "message-1"
            session.flush()
            assert apply_stragglers(session, LATER) == 1
            session.expire_all()
            assert scene.state() is DeliveryState.DELIVERED
            assert apply_stragglers(session, LATER) == 0


class TestNumbersThatCameAgain:
    """After a restored backup a delivery's number may be another message's."""

    def test_another_address_is_not_believed_of_the_delivery(self, store: Store) -> None:
        with store.write() as session:
            scene = Scene(session, DeliveryState.PENDING)
            other = new_address()
            event = scene.event(EventKind.OPTED_OUT, address=other, block=BlockCause.OPT_OUT)
            tell(session, event)
            assert scene.state() is DeliveryState.PENDING
            assert scene.delivery.opted_out_at is None
            assert {row[0] for row in blocks(session)} == {address_id_of(session, other)}

    def test_another_run_is_not(self, store: Store) -> None:
        with store.write() as session:
            scene = Scene(session, DeliveryState.PENDING)
            tell(session, scene.event(EventKind.SENT, run_id=scene.run.id + 1))
            assert scene.state() is DeliveryState.PENDING

    def test_another_message_is_not(self, store: Store) -> None:
        with store.write() as session:
            scene = Scene(session)
            scene.delivery.provider_message_id = "message-2"
            session.flush()
            tell(session, scene.event(EventKind.BOUNCED))
            assert scene.state() is DeliveryState.ACCEPTED

    def test_a_forwarded_message_is_known_by_its_name(self, store: Store) -> None:
        """The mailbox that it was forwarded to bounced: neither address works."""
        with store.write() as session:
            scene = Scene(session)
            scene.delivery.provider_message_id = "message-1"
            session.flush()
            target = new_address()
            event = scene.event(EventKind.BOUNCED, address=target, block=BlockCause.BOUNCE)
            tell(session, event)
            assert scene.state() is DeliveryState.FAILED
            stopped = {row[0] for row in blocks(session)}
            assert stopped == {scene.point.address_id, address_id_of(session, target)}


def test_a_reply_of_ours_is_no_delivery(store: Store) -> None:
    """Codes for test addresses travel under negative numbers."""
    with store.write() as session:
        scene = Scene(session)
        scene.delivery.provider_message_id = "message-1"
        session.flush()
        event = scene.event(EventKind.BOUNCED, delivery_id=-scene.delivery.id, run_id=0)
        tell(session, event)
        assert scene.state() is DeliveryState.ACCEPTED


@pytest.mark.parametrize("address", [None, "", "nobody", "a@b@c", "+44"])
def test_an_address_that_is_none_is_no_failure(store: Store, address: str | None) -> None:
    with store.write() as session:
        event = ProviderEvent(
            kind=EventKind.BOUNCED, raw_type="Bounce", occurred_at=None, channel=Channel.EMAIL,
            address=address, block=BlockCause.BOUNCE,
        )  # fmt: skip
        tell(session, event)
        assert how_many(session, InboundNotification) == 1
        assert blocks(session) == set()


def test_a_time_in_the_future_is_taken_as_now(store: Store) -> None:
    with store.write() as session:
        scene = Scene(session)
        tell(session, scene.event(occurred_at=LATER + timedelta(days=1)))
        assert scene.delivery.delivered_at == LATER


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_in_any_order_the_same_comes_out(store: Store) -> None:
    kinds = (EventKind.SENT, EventKind.DELIVERED, EventKind.COMPLAINED, EventKind.OPENED)
    for order in permutations(kinds):
        with store.write() as session:
            scene = Scene(session, DeliveryState.UNKNOWN)
            for kind in order:
                tell(session, scene.event(kind))
            assert scene.state() is DeliveryState.DELIVERED
            assert scene.delivery.complained_at == NOW
            assert scene.delivery.accepted_at == NOW
