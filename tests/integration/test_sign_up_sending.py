"""The confirmation goes out at most once an act, whatever fails, and none is forgotten."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from sender.context import Context
from sender.signup.confirmation import NOT_SENT, TRY_AGAIN_AFTER, TRY_FOR
from sender.signup.upkeep import keep_sign_ups
from sender.store.inbound import Alert
from sender.store.journal import Journal, Owner
from sender.store.keys import database_name
from sender.store.sign_ups import SignUp
from sender.store.suppressions import SuppressionEvent
from sender.subjects.erase import erase
from sender.subjects.export import export
from sender.subjects.whom import Asked
from sender.vocabulary import Channel
from sender.worker.duties import ask_to_confirm
from tests.fakes.http import Fault
from tests.fakes.ses import SesFake, error_answer
from tests.fakes.twilio import TwilioFake
from tests.support.campaign_folder import CREDENTIALS, use_fakes
from tests.support.factory import HASHER, add_contact, add_point, address_id_of, block
from tests.support.sign_up_hall import ANN, MAYORS, NUMBER, TEXTS, Hall
from tests.support.waiting import Rival

only_sqlite = pytest.mark.parametrize("dialect", ["sqlite"])
BUSY = error_answer(429, "TooManyRequestsException", "Maximum sending rate exceeded.")
REFUSED = error_answer(400, "MessageRejected", "The content is not allowed.")


@pytest.fixture
def providers(
    hall: Hall, ses: SesFake, twilio: TwilioFake, monkeypatch: pytest.MonkeyPatch
) -> tuple[SesFake, TwilioFake]:
    """Let Riverside write through Amazon SES and Twilio."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with hall.store.write() as session:
        use_fakes(session, hall.riverside, ses=ses, twilio=twilio)
    return ses, twilio


def alerts(hall: Hall) -> list[tuple[str, str]]:
    return [(row.kind, row.subject) for row in hall.all(select(Alert))]


@only_sqlite
class TestProviders:
    """What the provider answers decides whether another try may be made."""

    def test_it_goes_out_through_the_controllers_own_accounts(
        self, hall: Hall, providers: tuple[SesFake, TwilioFake]
    ) -> None:
        ses, twilio = providers
        hall.submit(email=ANN, mobile=NUMBER, agree=["email:campaign-news", TEXTS])
        assert hall.keep().sent == 2
        assert len(ses.messages) == 1
        assert [one.message["To"] for one in twilio.messages] == [NUMBER]
        assert all(row.sent_at is not None for row in hall.sign_ups())

    def test_what_was_clearly_not_taken_is_tried_again_later(
        self, hall: Hall, providers: tuple[SesFake, TwilioFake]
    ) -> None:
        ses, _ = providers
        ses.script.append(BUSY)
        hall.submit(email=ANN)
        assert hall.keep().sent == 0
        assert alerts(hall) == [(NOT_SENT, "riverside")]
        assert hall.keep().sent == 0
        hall.clock.wall += TRY_AGAIN_AFTER
        assert hall.keep().sent == 1
        assert hall.keep().sent == 0
        assert len(ses.messages) == 1
        assert hall.kinds() == ["requested"]
        assert len(hall.replies()) == 1

    def test_it_is_not_tried_for_longer_than_a_day(
        self, hall: Hall, providers: tuple[SesFake, TwilioFake]
    ) -> None:
        ses, _ = providers
        hall.submit(email=ANN)
        ses.script.append(BUSY)
        hall.keep()
        hall.clock.wall += TRY_FOR + TRY_AGAIN_AFTER
        assert hall.keep().sent == 0
        [row] = hall.sign_ups()
        assert (row.address, row.due_at) == (None, None)
        assert hall.replies() == [], "it was never sent, so it is none of the one in thirty days"

    @pytest.mark.parametrize("fault", [Fault.HANG_UP, Fault.RESET_MIDWAY])
    def test_what_nobody_knows_is_never_tried_again(
        self, hall: Hall, providers: tuple[SesFake, TwilioFake], fault: Fault
    ) -> None:
        ses, _ = providers
        ses.script.append(fault)
        hall.submit(email=ANN)
        assert hall.keep().sent == 0
        assert alerts(hall) == [(NOT_SENT, "riverside")]
        for days in (1, 2):
            hall.wait(days=days)
            assert hall.keep().sent == 0
        assert len(ses.messages) <= 1
        assert len(hall.replies()) == 1

    def test_what_was_refused_for_good_is_given_up_and_may_be_asked_for_anew(
        self, hall: Hall, providers: tuple[SesFake, TwilioFake]
    ) -> None:
        ses, _ = providers
        ses.script.append(REFUSED)
        hall.submit(email=ANN)
        assert hall.keep().sent == 0
        [row] = hall.sign_ups()
        assert (row.address, row.due_at) == (None, None)
        hall.wait(hours=1)
        hall.submit(email=ANN)
        assert hall.keep().sent == 1

    def test_an_account_that_cannot_be_used_loses_nothing(
        self,
        hall: Hall,
        providers: tuple[SesFake, TwilioFake],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        ses, _ = providers
        hall.submit(email=ANN)
        with monkeypatch.context() as patch:
            patch.delenv("AWS_SECRET_ACCESS_KEY")
            assert hall.keep().sent == 0
        hall.clock.wall += TRY_AGAIN_AFTER
        assert hall.keep().sent == 1
        assert len(ses.messages) == 1

    def test_one_that_fails_holds_up_no_other(
        self, hall: Hall, providers: tuple[SesFake, TwilioFake]
    ) -> None:
        ses, _ = providers
        ses.script.append(Fault.HANG_UP)
        for name in ("a", "b", "c"):
            hall.submit(email=f"{name}@example.org")
        assert hall.keep().sent == 2


@pytest.mark.parametrize("dialect", ["postgresql"])
class TestAtTheSameTime:
    """Several processes keep house."""

    def test_two_that_send_at_once_send_one_message(self, hall: Hall) -> None:
        hall.submit(email=ANN)
        rival = Rival(hall.store, lambda: keep_sign_ups(hall.context))
        with hall.store.write() as session:
            session.scalars(select(SignUp).with_for_update()).one()
            rival.start()
            again = Rival(hall.store, lambda: ask_to_confirm(hall.context))
            again.start()
        rival.finish()
        again.finish()
        assert len(hall.sent()) == 1
        assert hall.kinds() == ["requested"]

    def test_of_two_controllers_one_asks(self, hall: Hall) -> None:
        hall.submit(email=ANN)
        hall.submit(MAYORS, email=ANN)
        rivals = [Rival(hall.store, lambda: keep_sign_ups(hall.context)) for _ in range(3)]
        with hall.store.write() as session:
            address_id = address_id_of(session, ANN)
            block(session, address_id, controller=hall.mayor.controller, channel="sms")
            for rival in rivals:
                rival.start()
        for rival in rivals:
            rival.finish()
        assert len(hall.sent()) == 1

    def test_a_no_while_it_is_claimed_waits_for_it_or_keeps_it_back(self, hall: Hall) -> None:
        hall.submit(email=ANN)
        hall.wait(seconds=1)
        rival = Rival(hall.store, lambda: keep_sign_ups(hall.context))
        with hall.store.write() as session:
            now = hall.clock.now()
            block(
                session,
                address_id_of(session, ANN),
                controller=hall.riverside.controller,
                occurred_at=now,
                now=now,
            )
            rival.start()
        rival.finish()
        assert hall.sent() == []

    def test_two_presses_at_once_are_recorded_once(self, hall: Hall) -> None:
        link = hall.asked(email=ANN)
        rivals = [Rival(hall.store, lambda: hall.post(link, {"act": "confirm"})) for _ in range(2)]
        with hall.store.write() as session:
            session.scalars(select(SignUp).with_for_update()).one()
            for rival in rivals:
                rival.start()
        for rival in rivals:
            rival.finish()
        assert hall.kinds() == ["requested", "given"]


class TestRightsOfPeople:
    """An export shows it, an erasure ends it."""

    def asked(self) -> Asked:
        return Asked(Channel.EMAIL, ANN, "riverside")

    def test_an_erasure_takes_what_waits(self, hall: Hall) -> None:
        hall.submit(email=ANN)
        erase(hall.context, self.asked())
        assert hall.keep().sent == 0
        [row] = hall.sign_ups()
        assert (row.address, row.due_at) == (None, None)

    def test_an_erasure_ends_the_link_but_not_the_way_to_say_no(self, hall: Hall) -> None:
        link = hall.asked(email=ANN)
        hall.wait(seconds=1)
        erase(hall.context, self.asked())
        assert hall.post(link, {"act": "confirm"}).status == 410
        assert "given" not in hall.kinds()
        assert hall.press(link, "not-me").title.startswith("Stopped")

    def test_an_export_shows_it(self, hall: Hall) -> None:
        hall.asked(email=ANN)
        [held] = export(hall.context, self.asked()).controllers
        tables = {section.table: section.rows for section in held.sections}
        assert [row["address"] for row in tables["sign_up"]] == [ANN]
        assert [row["kind"] for row in tables["consent_event"]] == ["requested"]


def with_journal(hall: Hall, folder: Path) -> Context:
    """Let the hall write a journal, as an opened installation does."""
    with hall.store.read() as session:
        owner = Owner(HASHER, database_name(session))
    hall.store.journal = Journal(folder / "opt-outs.journal", owner, hall.clock)
    return hall.context


class TestTheJournal:
    """Each no by a link is in it; a restored backup asks nobody before it is replayed."""

    def test_not_me_is_told_again_until_the_journal_has_it(
        self, hall: Hall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        link = hall.asked(email=ANN)
        with_journal(hall, tmp_path)
        said = _failing_once(monkeypatch)
        assert hall.post(link, {"act": "not-me"}).status == 503
        assert hall.post(link, {"act": "not-me"}).status == 200
        assert said == [1]
        assert '"sign-up-not-me"' in (tmp_path / "opt-outs.journal").read_text()

    def test_so_are_the_persons_other_addresses(
        self, hall: Hall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with hall.store.write() as session:
            contact = add_contact(session, hall.riverside.controller)
            for address, channel in ((ANN, Channel.EMAIL), (NUMBER, Channel.SMS)):
                add_point(session, contact, address, channel=channel)
        link = hall.asked(email=ANN)
        with_journal(hall, tmp_path)
        _failing_once(monkeypatch)
        assert hall.post(link, {"act": "not-me"}).status == 503
        assert hall.post(link, {"act": "not-me"}).status == 200
        told = (tmp_path / "opt-outs.journal").read_text().count('"sign-up-not-me"')
        held = hall.all(select(SuppressionEvent.address_id))
        assert told == len(held) == 3
        assert hall.address_id(NUMBER, Channel.SMS) in held

    def test_a_database_that_is_behind_its_journal_asks_nobody(
        self, hall: Hall, tmp_path: Path
    ) -> None:
        with_journal(hall, tmp_path)
        hall.press(hall.asked(email="other@example.org"), "not-me")
        text = (tmp_path / "opt-outs.journal").read_text()
        line = next(one for one in text.splitlines() if "sign-up-not-me" in one)
        lost = line.replace('"id":', '"id":9', 1)
        hall.submit(email=ANN)
        with (tmp_path / "opt-outs.journal").open("a") as file:
            file.write(lost + "\n")
        assert hall.keep().sent == 0
        assert alerts(hall) == [(NOT_SENT, "every controller")]
        assert hall.sign_ups()[-1].due_at is not None


def _failing_once(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let the journal's next writing fail, and return how often it did."""
    failures: list[int] = []
    inner = Journal.append

    def append(self: Journal, *arguments: Any, **named: Any) -> Any:
        if not failures:
            failures.append(1)
            raise OSError("disk")
        return inner(self, *arguments, **named)

    monkeypatch.setattr(Journal, "append", append)
    return failures
