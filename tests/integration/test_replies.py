"""What people write back stops first, is kept, and is answered by a fixed text at most."""

import json
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from sender.clock import SystemClock
from sender.inbound.replies import UNKNOWN_RECIPIENT, take_reply
from sender.rendering.segments import SmsEncoding, count_segments
from sender.store.contacts import Contact
from sender.store.controllers import ProviderAccount, SenderIdentity
from sender.store.deliveries import Delivery
from sender.store.engine import Store
from sender.store.inbound import Alert
from sender.store.journal import Journal, Owner
from sender.store.suppressions import SuppressionEvent
from sender.suppression.ledger import BlockScope, Suppression, release, suppress
from sender.vocabulary import (
    EVERY,
    Arrival,
    BlockCause,
    Channel,
    DeliveryState,
    ProviderName,
    ReplyMeaning,
    SuppressionAct,
)
from tests.support.factory import (
    HASHER,
    NOW,
    OPERATOR,
    Organisation,
    add_account,
    add_campaign,
    add_contact,
    add_controller,
    add_controller_version,
    add_delivery,
    add_identity,
    add_point,
    add_run,
    address_id_of,
    block,
)
from tests.support.reply_desk import (
    NOBODYS,
    NUMBER_OF_A,
    NUMBER_OF_B,
    PERSON,
    SHARED,
    WRITER,
    ReplyDesk,
    mailed,
    open_desk,
    texted,
)
from tests.support.waiting import Rival

SMS, EMAIL = Channel.SMS, Channel.EMAIL
SERVICE = "MG" + "0" * 32
DAY = timedelta(days=1)
SAID_BY_A = (
    "Riverside Association: you are opted out and will get no more texts from us. "
    "To undo this, text START."
)
STARTED_BY_A = (
    "Riverside Association: you will get our texts again if you have agreed to them. "
    "Text STOP to opt out."
)
WHO_A_IS = (
    "Riverside Association, 1 High Street, Riverside RV1 1AA. office@riverside.example.org. "
    "Text STOP to opt out."
)


@pytest.fixture
def desk(store: Store) -> ReplyDesk:
    return open_desk(store)


def set_block(desk: ReplyDesk, body: Organisation, source: str, **changed: object) -> None:
    """Somebody else than a text sets the very block that STOP would."""
    desk.now += timedelta(minutes=1)
    with desk.store.write() as session:
        act = Suppression(
            scope=BlockScope(address_id_of(session, PERSON, SMS), body.id, SMS.value),
            cause=BlockCause.OPT_OUT,
            occurred_at=desk.now,
            source=source,
            by_person=True,
            operator=OPERATOR,
        )
        suppress(session, [replace(act, **changed)], desk.now)  # type: ignore[arg-type]  # fields by name


def contact_in(desk: ReplyDesk, body: Organisation, address: str, channel: Channel) -> None:
    with desk.store.write() as session:
        add_point(session, add_contact(session, body.controller), address, channel=channel)


def delivered(
    desk: ReplyDesk, body: Organisation, channel: Channel = SMS, address: str = PERSON
) -> int:
    with desk.store.write() as session:
        _, version = add_campaign(session, body.controller, f"campaign-{desk.now.timestamp()}")
        run = add_run(session, body, version, channel=channel)
        point = add_point(session, add_contact(session, body.controller), address, channel=channel)
        row = add_delivery(
            session, run, point, state=DeliveryState.DELIVERED, dispatched_at=desk.now
        )
        return row.id


class TestStop:
    def test_it_needs_no_contact_delivery_or_campaign(self, desk: ReplyDesk) -> None:
        taken = desk.text("STOP")
        assert (taken.meaning, taken.again) == (ReplyMeaning.STOP, False)
        assert desk.blocks() == desk.opted_out(desk.a)
        with desk.store.read() as session:
            assert session.scalars(select(Contact.id)).all() == []
        [event] = desk.events()
        assert (event.by_person, event.occurred_at) == (True, desk.now)

    @pytest.mark.parametrize("body", ["Stop.", "please remove me", "STOP PLEASE"])
    def test_a_text_that_twilio_does_not_hear_stops_too(self, desk: ReplyDesk, body: str) -> None:
        assert desk.text(body).answer == SAID_BY_A
        assert desk.blocks() == desk.opted_out(desk.a)

    def test_twilios_own_word_for_it_is_believed(self, desk: ReplyDesk) -> None:
        desk.text("Halt, por favor", opt_out_type="STOP")
        assert desk.blocks() == desk.opted_out(desk.a)

    def test_a_number_that_several_use_stops_all_of_them(self, desk: ReplyDesk) -> None:
        desk.text("STOP", SHARED)
        assert desk.blocks() == desk.opted_out(desk.a, desk.b)

    def test_a_number_that_is_no_longer_in_use_still_finds_its_controller(
        self, desk: ReplyDesk
    ) -> None:
        with desk.store.write() as session:
            session.execute(update(SenderIdentity).values(retired_at=NOW))
        desk.text("STOP", NUMBER_OF_B)
        assert desk.blocks() == desk.opted_out(desk.b)

    def test_a_messaging_service_that_is_an_identity_names_its_controller(
        self, desk: ReplyDesk
    ) -> None:
        with desk.store.write() as session:
            controller = add_controller(session, "third")
            add_identity(session, controller, SMS, address=SERVICE)
        desk.take(replace(texted("STOP", NOBODYS), to=(NOBODYS, SERVICE)))
        assert desk.blocks() == {(controller.id, "sms", BlockCause.OPT_OUT)}

    def test_a_pool_number_stops_those_who_send_through_its_service(self, desk: ReplyDesk) -> None:
        with desk.store.write() as session:
            session.execute(
                update(ProviderAccount)
                .where(ProviderAccount.id == desk.account_id)
                .values(options={"options": {"messaging_service_sid": SERVICE}})
            )
        desk.take(replace(texted("STOP", NOBODYS), to=(NOBODYS, SERVICE)))
        assert desk.blocks() == desk.opted_out(desk.a, desk.b)

    def test_an_own_number_in_a_shared_service_stops_its_own_controller_alone(
        self, desk: ReplyDesk
    ) -> None:
        with desk.store.write() as session:
            session.execute(
                update(ProviderAccount).values(
                    options={"options": {"messaging_service_sid": SERVICE}}
                )
            )
        desk.take(replace(texted("STOP"), to=(NUMBER_OF_A, SERVICE)))
        assert desk.blocks() == desk.opted_out(desk.a)

    def test_an_unknown_number_stops_whoever_uses_the_account(self, desk: ReplyDesk) -> None:
        with desk.store.write() as session:
            add_identity(session, add_controller(session, "elsewhere"), SMS, address="12345")
        taken = desk.text("Stop please", NOBODYS, account_ids=(desk.account_id,))
        assert desk.blocks() == desk.opted_out(desk.a, desk.b)
        assert taken.answer is None
        with desk.store.read() as session:
            [alert] = session.scalars(select(Alert)).all()
        assert (alert.kind, alert.subject) == (UNKNOWN_RECIPIENT, f"sms {NOBODYS}")
        assert desk.inbox() == []

    def test_nobody_known_at_all_stops_everybody(self, desk: ReplyDesk) -> None:
        assert desk.text("Stop please", NOBODYS, account_ids=()).answer is None
        assert desk.blocks() == {(EVERY, "sms", BlockCause.OPT_OUT)}
        [told] = desk.notifications()
        assert told.payload is not None
        assert (told.payload["controllers"], told.payload["certain"]) == ([], False)

    def test_a_message_of_over_thirty_days_ago_is_not_what_it_answers(
        self, desk: ReplyDesk
    ) -> None:
        old = delivered(desk, desk.a)
        desk.now += timedelta(days=31)
        desk.text("STOP", SHARED)
        with desk.store.read() as session:
            assert session.get_one(Delivery, old).opted_out_at is None

    def test_a_recent_message_learns_of_it_once(self, desk: ReplyDesk) -> None:
        delivery_id = delivered(desk, desk.a)
        desk.text("STOP")
        first = desk.now
        desk.text("STOP")
        with desk.store.read() as session:
            assert session.get_one(Delivery, delivery_id).opted_out_at == first

    def test_a_time_in_the_future_is_taken_as_now(self, desk: ReplyDesk) -> None:
        desk.text("STOP", occurred_at=NOW + DAY)
        [event] = desk.events()
        assert event.occurred_at == desk.now

    def test_what_no_database_could_store_stops_as_well(self, desk: ReplyDesk) -> None:
        desk.text("please \0 stop \ud83d texting me", opt_out_type="\0", name="SM\0 odd")
        assert desk.blocks() == desk.opted_out(desk.a)

    def test_a_number_of_no_delivery_stops_as_well(self, desk: ReplyDesk) -> None:
        desk.text("STOP", delivery_id=10**30)
        assert desk.blocks() == desk.opted_out(desk.a)

    def test_a_controller_without_a_version_costs_nobody_the_stop(self, desk: ReplyDesk) -> None:
        with desk.store.write() as session:
            nameless = add_controller(session, "nameless")
            add_identity(session, nameless, SMS, address="54321")
        assert desk.text("Stop please", "54321").answer is None
        assert desk.blocks() == {(nameless.id, "sms", BlockCause.OPT_OUT)}


class TestStart:
    def test_it_lifts_what_stop_set(self, desk: ReplyDesk) -> None:
        desk.text("STOP")
        desk.text("please remove me")
        desk.text("START")
        assert desk.blocks() == set()
        assert desk.events()[-1].act is SuppressionAct.RELEASE
        assert desk.events()[-1].by_person

    def test_it_counts_for_that_controller_only(self, desk: ReplyDesk) -> None:
        desk.text("STOP", SHARED)
        desk.text("START", NUMBER_OF_A)
        assert desk.blocks() == desk.opted_out(desk.b)

    def test_it_counts_for_that_number_only(self, desk: ReplyDesk) -> None:
        desk.text("STOP", sender="+447911000001")
        desk.text("START", sender="+447911000002")
        assert desk.blocks() == desk.opted_out(desk.a)

    @pytest.mark.parametrize(
        "source",
        [
            "page",
            "one-click",
            "letter",
            "import: stop",
            "provider:30007",
            "passed-on:hillside",
            "stopped at the door",
        ],
    )
    def test_what_something_else_set_stays(self, desk: ReplyDesk, source: str) -> None:
        set_block(desk, desk.a, source)
        desk.text("START")
        desk.text("STOP")
        desk.text("START")
        assert desk.blocks() == desk.opted_out(desk.a)

    @pytest.mark.parametrize(
        "source", ["provider:21610", "replay:provider:21610", "replay:stop:exact", "stop:inbox"]
    )
    def test_a_stop_that_came_another_way_is_a_stop(self, desk: ReplyDesk, source: str) -> None:
        set_block(desk, desk.a, source)
        desk.text("START")
        assert desk.blocks() == set()

    @pytest.mark.parametrize("cause", [cause for cause in BlockCause if cause != 3])
    def test_no_block_of_another_cause_is_lifted(self, desk: ReplyDesk, cause: BlockCause) -> None:
        set_block(desk, desk.a, "stop:odd", cause=cause)
        desk.text("START")
        assert desk.blocks() == {(desk.a.id, "sms", cause)}

    def test_what_the_person_undid_before_counts_no_more(self, desk: ReplyDesk) -> None:
        set_block(desk, desk.a, "page")
        desk.now += timedelta(minutes=1)
        with desk.store.write() as session:
            undone = Suppression(
                scope=BlockScope(address_id_of(session, PERSON, SMS), desk.a.id, SMS.value),
                cause=BlockCause.OPT_OUT,
                occurred_at=desk.now,
                source="page",
                by_person=True,
                operator=OPERATOR,
            )
            release(session, undone, desk.now)
        desk.text("STOP")
        desk.text("START")
        assert desk.blocks() == set()

    def test_a_provider_whose_clock_is_fast_is_heard_too(self, desk: ReplyDesk) -> None:
        desk.text("STOP", occurred_at=NOW + DAY)
        desk.text("START", occurred_at=NOW + DAY)
        assert desk.blocks() == set()

    @pytest.mark.parametrize("dialect", ["postgresql"])
    def test_a_page_that_is_just_being_committed_stays(self, desk: ReplyDesk) -> None:
        desk.text("STOP")
        pressed, later = desk.now + timedelta(minutes=1), desk.now + timedelta(minutes=2)

        def start() -> None:
            with desk.store.write() as session:
                take_reply(session, desk.context, texted("START"), later)

        rival = Rival(desk.store, start)
        with desk.store.write() as session:
            act = Suppression(
                scope=BlockScope(address_id_of(session, PERSON, SMS), desk.a.id, SMS.value),
                cause=BlockCause.OPT_OUT,
                occurred_at=pressed,
                source="page",
                by_person=True,
                operator=OPERATOR,
            )
            suppress(session, [act], pressed)
            rival.start()
        rival.finish()
        assert desk.blocks() == desk.opted_out(desk.a)

    def test_a_newer_stop_stands(self, desk: ReplyDesk) -> None:
        desk.text("STOP")
        taken = desk.text("START", occurred_at=NOW)
        assert taken.answer is None
        assert desk.blocks() == desk.opted_out(desk.a)

    def test_a_start_to_a_number_that_is_nobodys_lifts_nothing_of_theirs(
        self, desk: ReplyDesk
    ) -> None:
        desk.text("STOP")
        desk.text("START", NOBODYS, account_ids=(desk.account_id,))
        assert desk.blocks() == desk.opted_out(desk.a)

    @pytest.mark.parametrize("accounts", [0, 1])
    def test_it_lifts_what_a_stop_to_the_same_unknown_number_set(
        self, desk: ReplyDesk, accounts: int
    ) -> None:
        account_ids = (desk.account_id,) * accounts
        desk.text("STOP", NOBODYS, account_ids=account_ids)
        assert desk.blocks()
        desk.text("START", NOBODYS, account_ids=account_ids)
        assert desk.blocks() == set()

    def test_no_email_lifts_anything(self, desk: ReplyDesk) -> None:
        desk.mail("STOP", "news@riverside.example.org")
        taken = desk.mail("START", "news@riverside.example.org")
        assert taken.meaning is ReplyMeaning.START
        assert desk.blocks() == desk.opted_out(desk.a, channel=EMAIL)

    def test_it_is_no_consent(self, desk: ReplyDesk) -> None:
        desk.text("START")
        assert (desk.events(), desk.blocks()) == ([], set())


class TestDoubt:
    def test_it_holds_further_messages_until_somebody_looked(self, desk: ReplyDesk) -> None:
        taken = desk.text("not interested")
        assert (taken.meaning, taken.answer) == (ReplyMeaning.DOUBTFUL, None)
        assert desk.blocks() == desk.held(desk.a)
        [message], [event] = desk.inbox(), desk.events()
        assert (message.body, message.hold_event_id) == ("not interested", event.id)
        assert (message.controller_id, message.decided_at) == (desk.a.id, None)
        assert not event.by_person

    def test_a_start_lifts_no_hold(self, desk: ReplyDesk) -> None:
        desk.text("not interested")
        desk.text("START")
        assert desk.blocks() == desk.held(desk.a)

    def test_to_an_unknown_number_it_is_read_by_whoever_knows_the_person(
        self, desk: ReplyDesk
    ) -> None:
        contact_in(desk, desk.b, PERSON, SMS)
        desk.text("not interested", NOBODYS, account_ids=())
        assert desk.blocks() == desk.held(desk.b)
        assert [one.controller_id for one in desk.inbox()] == [desk.b.id]

    def test_to_an_unknown_number_by_a_stranger_it_is_read_by_everybody(
        self, desk: ReplyDesk
    ) -> None:
        desk.text("not interested", NOBODYS, account_ids=())
        assert desk.blocks() == desk.held(desk.a, desk.b)
        assert [one.controller_id for one in desk.inbox()] == [desk.a.id, desk.b.id]

    def test_without_any_controller_it_holds_everywhere(self, store: Store) -> None:
        desk = ReplyDesk(store, None, None, 0)  # type: ignore[arg-type]  # nobody is there yet
        desk.text("not interested", account_ids=())
        assert desk.blocks() == {(EVERY, "sms", BlockCause.HOLD)}


class TestWords:
    @pytest.mark.parametrize(
        ("body", "meaning"),
        [
            ("STOP", ReplyMeaning.STOP),
            ("START", ReplyMeaning.START),
            ("HELP", ReplyMeaning.HELP),
            ("not interested", ReplyMeaning.DOUBTFUL),
            ("Yes I'll vote", ReplyMeaning.OTHER),
            ("", ReplyMeaning.OTHER),
        ],
    )
    def test_all_replies_are_kept_for_their_time(
        self, desk: ReplyDesk, body: str, meaning: ReplyMeaning
    ) -> None:
        desk.text(body)
        [message] = desk.inbox()
        assert (message.body, message.meaning) == (body, meaning)
        assert message.erase_after == desk.now + timedelta(days=730)
        [told] = desk.notifications()
        assert told.erase_after == desk.now + timedelta(days=180)

    def test_a_shared_number_gives_each_controller_its_own_message(self, desk: ReplyDesk) -> None:
        desk.text("Yes I'll vote", SHARED)
        assert [one.controller_id for one in desk.inbox()] == [desk.a.id, desk.b.id]

    def test_what_is_kept_of_the_notification_names_nobody(self, desk: ReplyDesk) -> None:
        desk.text("Stop it now, Ann")
        desk.mail("Stop it now, Ann", "friend@example.net")
        for told in desk.notifications():
            kept = str(told.payload)
            assert PERSON not in kept
            assert "Ann" not in kept
            assert "friend@example.net" not in kept

    def test_a_very_long_text_is_kept_in_part(self, desk: ReplyDesk) -> None:
        desk.text("STOP texting me. " + "a" * 100_000)
        assert len(desk.inbox()[0].body or "") == 20_000


class TestAgain:
    def test_a_repeat_changes_and_answers_nothing(self, desk: ReplyDesk) -> None:
        reply = texted("please remove me")
        first, second = desk.take(reply), desk.take(reply)
        assert (first.answer, first.again) == (SAID_BY_A, False)
        assert (second.answer, second.again) == (None, True)
        assert second.meaning is ReplyMeaning.STOP
        assert [len(desk.events()), len(desk.inbox()), len(desk.answers())] == [1, 1, 1]

    def test_a_repeat_of_an_old_stop_does_not_undo_a_start(self, desk: ReplyDesk) -> None:
        stop = texted("STOP")
        desk.take(stop)
        desk.text("START")
        desk.take(stop)
        assert desk.blocks() == set()

    def test_a_repeat_is_journaled_again(self, desk: ReplyDesk, tmp_path: Path) -> None:
        """The process may have died between its commit and its line."""
        path = tmp_path / "opt-outs.journal"
        stop = texted("STOP", SHARED)
        start = texted("START", SHARED, account_ids=(desk.account_id,))
        desk.take(stop)
        desk.take(start)
        desk.store.journal = Journal(path, Owner(HASHER, "database"), SystemClock())
        desk.take(start)
        desk.take(stop)
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[1:]]
        assert [line["act"] for line in lines] == ["release"] * 2 + ["set"] * 2

    def test_the_notification_knows_the_events_it_caused(self, desk: ReplyDesk) -> None:
        for body in ("STOP", "START", "not interested", "Yes I'll vote"):
            desk.text(body, SHARED)
        caused = [told.suppression_event_ids for told in desk.notifications()]
        ids = [event.id for event in desk.events()]
        assert caused == [ids[:2], ids[2:4], ids[4:], None]

    @pytest.mark.parametrize("dialect", ["postgresql"])
    def test_of_two_at_once_the_second_waits_and_changes_nothing(self, desk: ReplyDesk) -> None:
        reply = texted("please remove me")
        seen: list[bool] = []

        def repeat() -> None:
            with desk.store.write() as session:
                seen.append(take_reply(session, desk.context, reply, NOW).again)

        rival = Rival(desk.store, repeat)
        with desk.store.write() as session:
            take_reply(session, desk.context, reply, NOW)
            rival.start()
            assert seen == []
        rival.finish()
        assert seen == [True]
        assert len(desk.events()) == 1

    @pytest.mark.parametrize("dialect", ["postgresql"])
    def test_a_start_and_a_stop_at_once_are_one_after_the_other(self, desk: ReplyDesk) -> None:
        desk.text("STOP")
        desk.now += timedelta(minutes=1)
        later = desk.now + timedelta(minutes=1)

        def stop() -> None:
            with desk.store.write() as session:
                take_reply(session, desk.context, texted("STOP"), later)

        rival = Rival(desk.store, stop)
        with desk.store.write() as session:
            take_reply(session, desk.context, texted("START"), desk.now)
            rival.start()
        rival.finish()
        assert desk.blocks() == desk.opted_out(desk.a)

    @pytest.mark.parametrize("dialect", ["postgresql"])
    def test_a_stop_and_the_record_of_its_message_do_not_wait_for_each_other(
        self, desk: ReplyDesk
    ) -> None:
        """Whoever records outcomes holds the delivery when it blocks the address."""
        delivery_id = delivered(desk, desk.a)

        def stop() -> None:
            with desk.store.write() as session:
                take_reply(session, desk.context, texted("STOP"), NOW)

        rival = Rival(desk.store, stop)
        with desk.store.write() as session:
            session.get_one(Delivery, delivery_id).provider_message_id = "SM-1"
            session.flush()
            rival.start()
            block(session, address_id_of(session, PERSON, SMS), controller=desk.b.controller)
        rival.finish()
        with desk.store.read() as session:
            delivery = session.get_one(Delivery, delivery_id)
        assert (delivery.opted_out_at, delivery.provider_message_id) == (NOW, "SM-1")

    def test_a_hundred_people_at_once_are_all_stopped(self, desk: ReplyDesk) -> None:
        people = [f"+4479110{number:05}" for number in range(100)]

        def write(some: list[str]) -> None:
            for sender in some:
                with desk.store.write() as session:
                    take_reply(session, desk.context, texted("STOP", SHARED, sender=sender), NOW)

        threads = [threading.Thread(target=write, args=(people[n::4],)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with desk.store.read() as session:
            stopped = session.scalars(select(SuppressionEvent.address_id)).all()
        assert len(stopped) == 2 * len(set(stopped)) == 200


class TestAnswers:
    def test_a_stop_is_confirmed_once_a_day(self, desk: ReplyDesk) -> None:
        assert desk.text("Stop please").answer == SAID_BY_A
        assert desk.text("Stop please").answer is None
        desk.now += DAY
        assert desk.text("Stop please").answer == SAID_BY_A
        assert [row.kind for row in desk.answers()] == ["stop-confirmation"] * 2

    def test_an_answer_is_on_record_with_what_it_answers(self, desk: ReplyDesk) -> None:
        desk.text("Stop please")
        [row], [told] = desk.answers(), desk.notifications()
        assert (row.controller_id, row.notification_id) == (desk.a.id, told.id)

    @pytest.mark.parametrize(
        ("body", "opt_out_type"),
        [("STOP", None), ("unsubscribe", None), ("Ya basta", "STOP"), ("HELP", None)],
    )
    def test_what_twilio_answers_is_not_answered_twice(
        self, desk: ReplyDesk, body: str, opt_out_type: str | None
    ) -> None:
        taken = desk.text(body, opt_out_type=opt_out_type, account_ids=(desk.account_id,))
        assert (taken.answer, desk.answers()) == (None, [])

    def test_where_twilios_answers_are_switched_off_we_answer(self, desk: ReplyDesk) -> None:
        with desk.store.write() as session:
            session.execute(
                update(ProviderAccount).values(options={"options": {"answers_keywords": "no"}})
            )
        assert desk.text("STOP", account_ids=(desk.account_id,)).answer == SAID_BY_A
        assert desk.text("START", account_ids=(desk.account_id,)).answer == STARTED_BY_A
        assert desk.text("HELP", account_ids=(desk.account_id,)).answer == WHO_A_IS

    def test_nothing_is_answered_where_twilio_blocks(self, desk: ReplyDesk) -> None:
        desk.text("STOP")
        assert desk.text("info please").answer is None
        assert desk.text("please remove me").answer is None
        assert desk.text("start please").answer is None

    def test_help_is_answered_to_somebody_who_opted_out_by_our_own_rules(
        self, desk: ReplyDesk
    ) -> None:
        desk.text("please remove me")
        assert desk.text("info please").answer == WHO_A_IS

    def test_help_tells_who_writes_three_times_a_day(self, desk: ReplyDesk) -> None:
        answers = [desk.text("info please").answer for _ in range(5)]
        assert answers == [WHO_A_IS] * 3 + [None] * 2
        assert desk.text("info please", sender="+447911000002").answer == WHO_A_IS
        desk.now += DAY
        assert desk.text("info please").answer == WHO_A_IS

    def test_a_start_is_confirmed_where_it_let_messages_through(self, desk: ReplyDesk) -> None:
        desk.text("please remove me", SHARED)
        assert desk.text("start please").answer == STARTED_BY_A
        assert desk.text("start please").answer is None

    def test_a_start_that_lifts_nothing_is_not_answered(self, desk: ReplyDesk) -> None:
        assert desk.text("start please").answer is None

    def test_what_was_fetched_later_is_not_answered(self, desk: ReplyDesk) -> None:
        taken = desk.take(texted("please remove me"), arrived_by=Arrival.RECONCILE)
        assert (taken.answer, desk.answers()) == (None, [])
        assert desk.blocks() == desk.opted_out(desk.a)

    def test_a_start_that_leaves_another_block_is_not_said_to_have_worked(
        self, desk: ReplyDesk
    ) -> None:
        desk.text("please remove me")
        with desk.store.write() as session:
            address_id = address_id_of(session, PERSON, SMS)
            block(session, address_id, controller=desk.a.controller, cause=BlockCause.OBJECTION)
        assert desk.text("start please").answer is None

    def test_several_controllers_are_named_together(self, desk: ReplyDesk) -> None:
        answer = desk.text("please remove me", SHARED).answer or ""
        assert answer.startswith("Riverside Association and Hillside Association: you are opted")
        desk.text("start please", SHARED)
        told = desk.text("info please", SHARED).answer or ""
        assert "Riverside Association, 1 High Street" in told
        assert "office@hillside.example.org" in told

    def test_only_who_has_not_yet_confirmed_today_confirms(self, desk: ReplyDesk) -> None:
        desk.text("please remove me", NUMBER_OF_A)
        answer = desk.text("please remove me", SHARED).answer or ""
        assert answer.startswith("Hillside Association: ")

    def test_the_name_is_the_current_one(self, desk: ReplyDesk) -> None:
        with desk.store.write() as session:
            add_controller_version(session, desk.a.controller, version=2, name="Mill Lane Group")
        assert (desk.text("please remove me").answer or "").startswith("Mill Lane Group: you")

    def test_no_other_reply_and_no_email_is_answered(self, desk: ReplyDesk) -> None:
        assert desk.text("Yes I'll vote").answer is None
        assert desk.mail("STOP", "news@riverside.example.org").answer is None
        by_webhook = mailed("info please", "news@riverside.example.org")
        assert desk.take(by_webhook, arrived_by=Arrival.WEBHOOK).answer is None
        assert desk.answers() == []

    def test_each_is_one_part_in_the_usual_case(self, desk: ReplyDesk) -> None:
        answers = [
            desk.text(body).answer for body in ("Stop please", "start please", "info please")
        ]
        for answer in answers:
            size = count_segments(answer or "")
            assert (size.encoding, size.parts) == (SmsEncoding.GSM_7, 1), answer

    def test_however_many_and_long_the_names_it_is_one_message(self, desk: ReplyDesk) -> None:
        with desk.store.write() as session:
            account = session.get_one(ProviderAccount, desk.account_id)
            for number in range(40):
                body = add_controller(session, f"body-{number}")
                add_controller_version(session, body, name=f"Body {number} " + "x" * 180)
                add_identity(session, body, SMS, account=account, address=SHARED)
        for text in ("please remove me", "start please", "info please"):
            answer = desk.text(text, SHARED).answer
            assert answer is not None
            assert len(answer) <= 1600
            assert "STOP" in answer or "START" in answer


class TestMail:
    @pytest.mark.parametrize("to", ["News@riverside.example.org", "office@riverside.example.org"])
    def test_any_mailbox_of_a_controller_names_it(self, desk: ReplyDesk, to: str) -> None:
        desk.mail("Please unsubscribe me", to)
        assert desk.blocks() == desk.opted_out(desk.a, channel=EMAIL)

    def test_an_earlier_contact_address_still_names_it(self, desk: ReplyDesk) -> None:
        with desk.store.write() as session:
            add_controller_version(
                session, desk.b.controller, version=2, contact_email="new@hillside.example.org"
            )
            session.execute(update(SenderIdentity).values(reply_to=None))
        for to in ("office@hillside.example.org", "new@hillside.example.org"):
            desk.mail("Please unsubscribe me", to, address=f"{to[:3]}@example.net")
        assert desk.blocks() == desk.opted_out(desk.b, channel=EMAIL)
        assert len(desk.events()) == 2

    def test_the_message_that_it_answers_names_the_controller(self, desk: ReplyDesk) -> None:
        delivery_id = delivered(desk, desk.b, EMAIL, WRITER)
        desk.mail("Please unsubscribe me", "someone@example.net", delivery_id=delivery_id)
        assert desk.blocks() == desk.opted_out(desk.b, channel=EMAIL)
        with desk.store.read() as session:
            assert session.get_one(Delivery, delivery_id).opted_out_at == desk.now
        assert [event.delivery_id for event in desk.events()] == [delivery_id]

    def test_another_persons_message_stops_nobody(self, desk: ReplyDesk) -> None:
        delivery_id = delivered(desk, desk.b, EMAIL, "bo@example.net")
        desk.mail("unsubscribe", "news@riverside.example.org", delivery_id=delivery_id)
        stopped, held = desk.opted_out(desk.a, channel=EMAIL), desk.held(desk.b, channel=EMAIL)
        assert desk.blocks() == stopped | held
        with desk.store.read() as session:
            assert session.get_one(Delivery, delivery_id).opted_out_at is None


def test_an_account_of_one_controller_is_not_anothers(desk: ReplyDesk) -> None:
    with desk.store.write() as session:
        other = add_account(session, "other-texting", provider=ProviderName.TWILIO)
        add_identity(session, desk.b.controller, SMS, account=other, address="67890", name="own")
    desk.text("STOP", NOBODYS, account_ids=(other.id,))
    assert desk.blocks() == desk.opted_out(desk.b)
