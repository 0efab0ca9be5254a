"""The operators are told: by a webhook and by e-mail, each for itself, at least once."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import delete, select

from sender.alerts.message import Told
from sender.alerts.notify import (
    AGAIN_AFTER,
    MOST_AT_ONCE,
    REMIND_AFTER,
    _begin,
    notify_operators,
)
from sender.alerts.standing import INBOX_PATIENCE, list_alerts, resolve_by_hand
from sender.alerts.webhook import NotToldError, post
from sender.context import Context
from sender.delivery.brake import alert_stopped
from sender.errors import NotFoundError, RefusedError
from sender.store.alert_book import keep_raised, raise_alert
from sender.store.audit import AuditEvent
from sender.store.campaigns import Run
from sender.store.engine import Store
from sender.store.inbound import Alert, AlertTelling, InboxMessage
from sender.vocabulary import Channel, ProviderName, ReplyMeaning, RunState
from tests.fakes.http import Answer, Fault, HttpFake, Request
from tests.fakes.loop import LoopServer
from tests.fakes.smtp import At, SmtpFake
from tests.support.factory import (
    NOW,
    OPERATOR,
    add_account,
    add_campaign,
    add_identity,
    add_notification,
    add_run,
    address_id_of,
    establish,
)
from tests.support.web_context import SteppedClock, web_context

SECRET = "between us"
MINUTE = timedelta(minutes=1)


class Receiver(HttpFake):
    """A chat service or a pager at the other end."""

    def respond(self, request: Request) -> Answer:
        del request
        return Answer(200, b"ok")

    @property
    def documents(self) -> list[dict[str, Any]]:
        return [json.loads(request.body) for request in self.requests]

    @property
    def subjects(self) -> list[list[str]]:
        """What each message told of."""
        return [[alert["subject"] for alert in one["alerts"]] for one in self.documents]


class Dripping(LoopServer):
    """Answers a byte at a time: each of them comes in time, the whole does not."""

    def __init__(self) -> None:
        super().__init__()
        self.open: set[asyncio.Transport] = set()

    def protocol(self) -> asyncio.Protocol:
        return _Drip(self.open)

    async def hang_up(self) -> None:
        for transport in self.open:
            transport.abort()


class _Drip(asyncio.Protocol):
    def __init__(self, connections: set[asyncio.Transport]) -> None:
        self.connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.connections.add(transport)
        for place, byte in enumerate(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"):
            asyncio.get_running_loop().call_later(place / 25, transport.write, bytes([byte]))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def smtp() -> Iterator[SmtpFake]:
    with SmtpFake() as running:
        yield running


@pytest.fixture
def context(store: Store, receiver: Receiver) -> Context:
    """An installation that tells by webhook alone."""
    return web_context(
        store,
        alert_webhook_url=SecretStr(f"{receiver.url}/hook?key=s3cret"),
        alert_webhook_secret=SecretStr(SECRET),
    )


def by_mail(context: Context, smtp: SmtpFake, emails: str, **changed: Any) -> Context:
    """Let the installation tell by e-mail too, through an account of its own."""
    with context.store.write() as session:
        options = {"host": "127.0.0.1", "port": str(smtp.port), "security": "none"}
        account = add_account(
            session, "mail", provider=ProviderName.SMTP, options={"options": options}
        )
        party = establish(session)
        add_identity(session, party.controller, Channel.EMAIL, account=account, name="mail")
    values = {"alert_emails": emails, "alert_account": "mail", **changed}
    settings = context.settings.model_copy(update=values)
    return Context(settings, context.store, context.hasher, context.clock, context.operator)


def later(context: Context, span: timedelta) -> None:
    assert isinstance(context.clock, SteppedClock)
    context.clock.wall += span


def happen(context: Context, subject: str = "delivery 7", **details: Any) -> None:
    with context.store.write() as session:
        raise_alert(
            session, "opt_out.row_missing", subject, now=context.clock.now(), details=details
        )


def tellings(context: Context) -> list[AlertTelling]:
    with context.store.read() as session:
        return list(session.scalars(select(AlertTelling).order_by(AlertTelling.way)))


def standing(context: Context) -> list[str]:
    with context.store.read() as session:
        return [one.alert.kind for one in list_alerts(session, everything=False)]


def test_an_alert_is_told_once_in_words_and_in_fields(context: Context, receiver: Receiver) -> None:
    happen(context, because="Its row is gone.", remedy="Restore it.")
    assert notify_operators(context) == 1
    later(context, MINUTE)
    assert notify_operators(context) == 0
    [request] = receiver.requests
    assert (request.method, request.path) == ("POST", "/hook?key=s3cret")
    assert request.headers["content-type"] == "application/json"
    [document] = receiver.documents
    assert "delivery 7" in document["text"]
    assert "Its row is gone.\nRestore it." in document["text"]
    assert document["installation"] == "out.example.org"
    [alert] = document["alerts"]
    assert (alert["kind"], alert["times"]) == ("opt_out.row_missing", 1)
    assert alert["details"] == {"because": "Its row is gone.", "remedy": "Restore it."}


def test_the_receiver_can_see_who_speaks_and_when(context: Context, receiver: Receiver) -> None:
    happen(context)
    notify_operators(context)
    [request] = receiver.requests
    parts = dict(one.split("=") for one in request.headers["sender-signature"].split(","))
    assert int(parts["t"]) == int(NOW.timestamp())
    signed = parts["t"].encode() + b"." + request.body
    assert parts["v1"] == hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()


def test_several_alerts_are_one_message(context: Context, receiver: Receiver) -> None:
    for number in range(MOST_AT_ONCE + 1):
        happen(context, f"delivery {number}")
    assert notify_operators(context) == MOST_AT_ONCE
    assert notify_operators(context) == 1
    assert [len(one) for one in receiver.subjects] == [MOST_AT_ONCE, 1]


def test_one_that_is_raised_again_is_told_at_most_hourly(
    context: Context, receiver: Receiver
) -> None:
    happen(context)
    notify_operators(context)
    later(context, MINUTE)
    happen(context)
    assert notify_operators(context) == 0
    later(context, AGAIN_AFTER - 2 * MINUTE)
    assert notify_operators(context) == 0
    later(context, MINUTE)
    assert notify_operators(context) == 1
    later(context, AGAIN_AFTER)
    assert notify_operators(context) == 0
    assert [one["alerts"][0]["times"] for one in receiver.documents] == [1, 2]


def test_one_that_stands_is_told_again_after_a_day(context: Context) -> None:
    happen(context)
    notify_operators(context)
    later(context, REMIND_AFTER - MINUTE)
    assert notify_operators(context) == 0
    later(context, MINUTE)
    assert notify_operators(context) == 1


def test_a_resolved_one_is_not_told_and_raised_again_is_told_at_once(context: Context) -> None:
    happen(context)
    notify_operators(context)
    resolve(context)
    later(context, REMIND_AFTER)
    assert notify_operators(context) == 0
    happen(context)
    assert notify_operators(context) == 1
    resolve(context)
    later(context, MINUTE)
    happen(context)
    assert notify_operators(context) == 1


def test_what_is_looked_at_over_and_over_is_raised_once(context: Context) -> None:
    for number in range(3):
        with context.store.write() as session:
            keep_raised(session, "run.stopped", "run 1", now=NOW, details={"failures": number})
    with context.store.read() as session:
        [alert] = session.scalars(select(Alert))
    assert (alert.times, alert.details) == (1, {"failures": 2})


def test_mail_goes_to_each_operator(context: Context, smtp: SmtpFake, receiver: Receiver) -> None:
    installed = by_mail(context, smtp, "olive@example.com, oscar@example.com")
    happen(installed, because="A & B <c>")
    assert notify_operators(installed) == 1
    mails = [one.message for one in smtp.messages]
    assert [one["recipients"] for one in mails] == [["olive@example.com"], ["oscar@example.com"]]
    mail = mails[0]["mail"]
    assert mail["Subject"] == "opt_out.row_missing: delivery 7"
    assert "news@riverside.example.org" in mail["From"]
    assert "A & B <c>" in mail.get_body(("plain",)).get_content()
    assert "A &amp; B &lt;c&gt;" in mail.get_body(("html",)).get_content()
    assert mails[0]["mail"]["Message-ID"] != mails[1]["mail"]["Message-ID"]
    assert len(receiver.requests) == 1


def test_an_address_of_its_own_writes(context: Context, smtp: SmtpFake) -> None:
    installed = by_mail(context, smtp, "olive@example.com", alert_from="alarm@example.com")
    happen(installed)
    notify_operators(installed)
    [one] = smtp.messages
    assert "alarm@example.com" in one.message["mail"]["From"]


def test_one_way_that_fails_holds_up_no_other_and_is_tried_again(
    context: Context, smtp: SmtpFake, receiver: Receiver
) -> None:
    installed = by_mail(context, smtp, "olive@example.com, oscar@example.com")
    happen(installed)
    receiver.script.append(Answer(500, b"no"))
    smtp.script.extend([(At.RCPT, "550 5.1.1 no such user"), None])
    assert notify_operators(installed) == 1
    assert len(smtp.messages) == 1
    failed = {row.way.partition(":")[0]: row.problem for row in tellings(installed) if row.problem}
    assert set(failed) == {"webhook", "email"}
    assert "500" in failed["webhook"]
    later(installed, MINUTE)
    assert notify_operators(installed) == 1
    assert len(receiver.requests) == 2
    recipients = sorted(one.message["recipients"][0] for one in smtp.messages)
    assert recipients == ["olive@example.com", "oscar@example.com"]
    assert [row.problem for row in tellings(installed)] == [None, None, None]


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.HANG_UP])
def test_a_receiver_that_hangs_up_is_tried_again(
    context: Context, receiver: Receiver, fault: Fault
) -> None:
    happen(context)
    receiver.script.append(fault)
    assert notify_operators(context) == 0
    assert notify_operators(context) == 1


def test_a_receiver_that_never_answers_is_left_in_time(receiver: Receiver) -> None:
    receiver.script.append(Fault.SILENCE)
    with pytest.raises(NotToldError):
        post(receiver.url, None, b"{}", NOW, timedelta(milliseconds=50))
    assert "sender-signature" not in receiver.requests[0].headers


def test_a_receiver_that_drips_is_cut_off() -> None:
    with Dripping() as receiver, pytest.raises(NotToldError):
        post(receiver.url, None, b"{}", NOW, timedelta(milliseconds=200))


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.script.append(Answer(302, b"", {"Location": f"{receiver.url}/elsewhere"}))
    with pytest.raises(NotToldError, match="302"):
        post(receiver.url, None, b"{}", NOW, timedelta(seconds=5))
    assert len(receiver.requests) == 1


def test_an_unset_account_fails_only_the_mail(context: Context, smtp: SmtpFake) -> None:
    installed = by_mail(context, smtp, "olive@example.com", alert_account="no-such")
    happen(installed)
    assert notify_operators(installed) == 1
    [problem] = [row.problem for row in tellings(installed) if row.problem]
    assert "SENDER_ALERT_ACCOUNT" in problem


def test_an_operators_address_is_kept_by_its_hash_only(context: Context, smtp: SmtpFake) -> None:
    installed = by_mail(context, smtp, "olive@example.com")
    happen(installed)
    notify_operators(installed)
    assert [row.way for row in tellings(installed) if "olive" in row.way] == []


def test_without_a_way_nobody_is_told_and_nothing_is_kept(store: Store) -> None:
    context = web_context(store)
    happen(context)
    assert notify_operators(context) == 0
    assert tellings(context) == []


def test_what_another_process_is_telling_is_left_to_it(context: Context) -> None:
    happen(context)
    begun(context)
    assert notify_operators(context) == 0
    later(context, timedelta(minutes=10))
    assert notify_operators(context) == 1  # it was not heard of since


def test_of_two_that_set_out_at_the_same_moment_one_tells(context: Context) -> None:
    happen(context)
    with context.store.read() as session:
        alerts = [Told.of(row) for row in session.scalars(select(Alert))]
    mine = []
    for _ in range(2):  # both had found it due
        with context.store.write() as session:
            mine.append(_begin(session, "webhook", alerts, NOW))
    assert mine == [alerts, []]


def test_a_reply_that_waits_for_four_hours_raises_an_alert(
    context: Context, receiver: Receiver
) -> None:
    receive_doubt(context)
    later(context, INBOX_PATIENCE)
    notify_operators(context)
    assert standing(context) == []
    later(context, MINUTE)
    notify_operators(context)
    notify_operators(context)
    assert standing(context) == ["inbox.waiting"]
    assert receiver.subjects == [["riverside"]]
    assert "sender inbox list -c riverside" in receiver.documents[0]["text"]


def test_an_inbox_that_was_read_resolves_its_alert(context: Context) -> None:
    receive_doubt(context)
    later(context, INBOX_PATIENCE + MINUTE)
    notify_operators(context)
    with context.store.write() as session:
        [message] = session.scalars(select(InboxMessage))
        message.decided_at, message.decided_as = context.clock.now(), ReplyMeaning.OTHER
    notify_operators(context)
    assert standing(context) == []
    with context.store.read() as session:
        actions = session.execute(select(AuditEvent.action, AuditEvent.operator)).all()
    assert ("alert.resolve", "sender") in [tuple(row) for row in actions]


@pytest.mark.parametrize(
    ("state", "stands"),
    [(RunState.STOPPED, True), (RunState.RUNNING, False), (RunState.CANCELLED, False)],
)
def test_the_alert_of_a_stopped_run_ends_with_its_stop(
    context: Context, state: RunState, *, stands: bool
) -> None:
    run_id = stopped_run(context)
    notify_operators(context)
    assert standing(context) == ["run.stopped"]
    with context.store.write() as session:
        session.get_one(Run, run_id).state = state
    notify_operators(context)
    assert (standing(context) == ["run.stopped"]) == stands


def test_an_alert_of_a_run_that_tries_on_stands_until_the_run_is_over(context: Context) -> None:
    run_id = stopped_run(context)
    with context.store.write() as session:
        session.execute(delete(Alert))
        session.get_one(Run, run_id).state = RunState.RUNNING
        raise_alert(session, "run.stopped", "run 1", now=NOW, details={"run": run_id})
    notify_operators(context)
    assert standing(context) == ["run.stopped"]
    with context.store.write() as session:
        session.get_one(Run, run_id).state = RunState.FINISHED
    notify_operators(context)
    assert standing(context) == []


def test_resolving_names_who_did(context: Context) -> None:
    happen(context)
    resolve(context)
    with context.store.read() as session:
        [row] = session.scalars(select(AuditEvent).where(AuditEvent.action == "alert.resolve"))
    assert (row.operator, row.details["kind"]) == (OPERATOR, "opt_out.row_missing")


def test_an_alert_is_resolved_once(context: Context) -> None:
    happen(context)
    resolve(context)
    with pytest.raises(RefusedError):
        resolve(context)
    with pytest.raises(NotFoundError), context.store.write() as session:
        resolve_by_hand(session, 999, now=NOW, operator=OPERATOR)


def resolve(context: Context) -> None:
    with context.store.write() as session:
        [alert_id] = session.scalars(select(Alert.id))
        resolve_by_hand(session, alert_id, now=context.clock.now(), operator=OPERATOR)


def begun(context: Context) -> None:
    """Let another process have set out to tell of everything by webhook."""
    with context.store.write() as session:
        for alert_id in session.scalars(select(Alert.id)).all():
            session.add(AlertTelling(alert_id=alert_id, way="webhook", begun_at=NOW))


def stopped_run(context: Context) -> int:
    with context.store.write() as session:
        party = establish(session)
        _, version = add_campaign(session, party.controller)
        run = add_run(session, party, version, state=RunState.STOPPED)
        alert_stopped(session, run, "the account is closed", NOW)
        return run.id


def receive_doubt(context: Context) -> None:
    with context.store.write() as session:
        party = establish(session)
        session.add(
            InboxMessage(
                notification_id=add_notification(session).id,
                controller_id=party.id,
                address_id=address_id_of(session),
                channel=Channel.EMAIL,
                received_at=NOW,
                body="not interested",
                meaning=ReplyMeaning.DOUBTFUL,
                erase_after=NOW + timedelta(days=730),
            )
        )
