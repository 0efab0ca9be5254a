import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from sender.clock import SystemClock
from sender.errors import ProviderError
from sender.providers.account import AccountSettings
from sender.providers.base import (
    Accepted,
    Deferred,
    DirectiveAction,
    NotStarted,
    Rejected,
    Unknown,
)
from sender.providers.outcome import Meaning
from sender.providers.registry import open_provider
from sender.providers.smtp.connection import Connection, ReplyError, Security, Server
from sender.providers.smtp.outcomes import Stage
from sender.providers.smtp.send import SmtpProvider
from sender.vocabulary import BlockCause, ProviderName
from tests.fakes.certificates import CERTIFICATE
from tests.fakes.loop import unused_port
from tests.fakes.outgoing import NEVER, NOON, ManualClock, email, sms
from tests.fakes.smtp import At, Fault, SmtpFake
from tests.support.provider_results import kinds

LOGIN = {"SMTP_USER": "party", "SMTP_PASSWORD": "passwordEXAMPLE"}
Open = Callable[..., SmtpProvider]


@pytest.fixture
def fake() -> Iterator[SmtpFake]:
    with SmtpFake() as running:
        yield running


@pytest.fixture
def open_smtp(fake: SmtpFake) -> Iterator[Open]:
    opened: list[SmtpProvider] = []

    def open_it(
        *,
        port: int | None = None,
        clock: SystemClock | ManualClock | None = None,
        timeout: float = 5.0,
        concurrency: int = 1,
        environ: dict[str, str] | None = None,
        **options: str,
    ) -> SmtpProvider:
        where = {"host": "127.0.0.1", "port": str(port or fake.port), "security": "none"}
        settings = AccountSettings(
            "mta",
            ProviderName.SMTP,
            concurrency=concurrency,
            options={**where, "helo_name": "client.example", **options},
        )
        provider = open_provider(
            settings, environ or {}, clock or ManualClock(), timedelta(seconds=timeout)
        )
        assert isinstance(provider, SmtpProvider)
        opened.append(provider)
        return provider

    yield open_it
    for provider in opened:
        provider.close()


@contextmanager
def greeting(reply: bytes) -> Iterator[int]:
    """Run a server that greets everybody with `reply` and closes; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def greet() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.sendall(reply)

        thread = threading.Thread(target=greet)
        thread.start()
        yield listening.getsockname()[1]
        thread.join()


def test_a_message_arrives_whole(fake: SmtpFake, open_smtp: Open) -> None:
    outcome = open_smtp().send([email(5, from_name="Plaid Fëyr", subject="Café £5")], NEVER)

    assert outcome.results == (Accepted("5.7@party.example"),)
    assert outcome.calls == 1
    assert fake.delivery_ids == [5]
    taken = fake.messages[0].message
    mail = taken["mail"]
    assert taken["sender"] == "news@party.example"
    assert taken["recipients"] == ["person5@voters.example"]
    assert mail["From"].addresses[0].display_name == "Plaid Fëyr"
    assert mail["Subject"] == "Café £5"
    assert mail["Message-ID"] == "<5.7@party.example>"
    assert mail["Date"].datetime == NOON
    assert mail["List-Unsubscribe"] == "<https://out.party.example/u/5>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail.get_body(("html",)).get_content().strip() == "<p>Hello</p>"
    text = mail.get_body(("plain",)).get_content()
    assert text.replace("\r\n", "\n").strip() == "Hello\n.\nOpt out: https://out.party.example/u/5"


def test_one_connection_carries_many_messages(fake: SmtpFake, open_smtp: Open) -> None:
    provider = open_smtp()
    provider.capacity()
    for start in (0, 10, 20):
        outcome = provider.send([email(start + number) for number in range(10)], NEVER)
        assert kinds(outcome.results) == [Accepted] * 10

    assert fake.delivery_ids == list(range(30))
    assert fake.connections == 1


def test_connections_are_bounded(fake: SmtpFake, open_smtp: Open) -> None:
    provider = open_smtp(concurrency=2, clock=SystemClock())
    threads = [
        threading.Thread(target=provider.send, args=([email(number)], NEVER)) for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(fake.delivery_ids) == list(range(8))
    assert fake.connections <= 2


def test_bounces_go_to_the_envelope_sender(fake: SmtpFake, open_smtp: Open) -> None:
    open_smtp(envelope_sender="bounces@party.example").send([email(1)], NEVER)

    assert fake.messages[0].message["sender"] == "bounces@party.example"


Row = tuple[At, str, type, BlockCause | None, DirectiveAction | None]

REPLIES: list[Row] = [
    (At.MAIL, "421 4.3.2 closing", Deferred, None, DirectiveAction.DEFER),
    (At.MAIL, "451 4.3.0 try later", Deferred, None, DirectiveAction.DEFER),
    (At.MAIL, "530 5.7.0 authentication required", Deferred, None, DirectiveAction.STOP),
    (At.MAIL, "550 5.7.1 sender refused", Deferred, None, DirectiveAction.STOP),
    (At.MAIL, "552 5.3.4 too big", Rejected, None, None),
    (At.RCPT, "421 4.3.2 closing", Deferred, None, DirectiveAction.DEFER),
    (At.RCPT, "450 4.2.0 greylisted", Deferred, None, None),
    (At.RCPT, "451 4.7.1 try later", Deferred, None, None),
    (At.RCPT, "452 4.2.2 mailbox full", Deferred, None, None),
    (At.RCPT, "550 5.1.1 no such user", Rejected, BlockCause.INVALID, None),
    (At.RCPT, "550 5.1.2 no such domain", Rejected, BlockCause.INVALID, None),
    (At.RCPT, "501 5.1.3 bad address", Rejected, BlockCause.INVALID, None),
    (At.RCPT, "551 5.1.6 moved", Rejected, BlockCause.INVALID, None),
    (At.RCPT, "556 5.1.10 null MX", Rejected, BlockCause.INVALID, None),
    (At.RCPT, "550 5.1.11 unheard of", Rejected, None, None),
    (At.RCPT, "550 no enhanced code", Rejected, None, None),
    (At.RCPT, "550 5.7.1 relaying denied", Rejected, None, None),
    (At.RCPT, "530 5.7.0 authentication required", Deferred, None, DirectiveAction.STOP),
    (At.END, "451 4.3.0 try later", Deferred, None, None),
    (
        At.END,
        "454 Throttling failure: Maximum sending rate exceeded.",
        Deferred,
        None,
        DirectiveAction.SLOW_DOWN,
    ),
    (
        At.END,
        "454 Throttling failure: Daily message quota exceeded.",
        Deferred,
        None,
        DirectiveAction.DEFER,
    ),
    (At.END, "552 5.3.4 too big", Rejected, None, None),
    (At.END, "554 5.7.1 spam", Rejected, None, None),
    (At.END, "550 5.1.1 no such user", Rejected, BlockCause.INVALID, None),
    (At.END, "300 what", Unknown, None, None),
    (At.END, "abc nonsense", Unknown, None, None),
]


@pytest.mark.parametrize("row", REPLIES, ids=lambda row: f"{row[0].name} {row[1]}")
def test_every_reply_means_what_the_table_says(fake: SmtpFake, open_smtp: Open, row: Row) -> None:
    at, reply, kind, block, action = row
    fake.script.append((at, reply))

    outcome = open_smtp(timeout=1.0).send([email(1)], NEVER)

    assert kinds(outcome.results) == [kind]
    assert getattr(outcome.results[0], "block", None) == block
    assert (outcome.directive.action if outcome.directive else None) == action
    assert fake.messages == []
    assert "no such user" not in repr(outcome)


def test_a_refusal_harms_neither_the_next_message_nor_the_connection(
    fake: SmtpFake, open_smtp: Open
) -> None:
    fake.script.extend([(At.RCPT, "550 5.1.1 no"), None, (At.END, "554 5.7.1 no"), None])

    outcome = open_smtp().send([email(number) for number in range(4)], NEVER)

    assert kinds(outcome.results) == [Rejected, Accepted, Rejected, Accepted]
    assert fake.delivery_ids == [1, 3]
    assert fake.connections == 1


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.SILENCE])
@pytest.mark.parametrize("at", [At.MAIL, At.RCPT])
def test_a_connection_lost_before_the_content_took_nothing(
    fake: SmtpFake, open_smtp: Open, at: At, fault: Fault
) -> None:
    fake.script.append((at, fault))

    outcome = open_smtp(timeout=0.3).send([email(1), email(2)], NEVER)

    assert kinds(outcome.results) == [Deferred, Accepted]
    assert fake.delivery_ids == [2]
    assert fake.transactions == 2


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.SILENCE])
def test_a_connection_lost_within_the_content_took_nothing(fake: SmtpFake, fault: Fault) -> None:
    more_than_the_sockets_buffer = b"x" * 78 + b"\r\n"
    fake.script.append((At.CONTENT, fault))
    connection = Connection(
        Server("127.0.0.1", fake.port, Security.NONE, timedelta(seconds=0.3), credentials=None)
    )

    with pytest.raises(ReplyError) as caught:
        connection.deliver("a@b.example", "c@d.example", more_than_the_sockets_buffer * 400_000)

    assert caught.value.stage is Stage.CONTENT
    assert caught.value.outcome.meaning is Meaning.DEFERRED
    assert not caught.value.usable
    assert fake.messages == []


def test_silence_once_the_whole_content_is_written_is_unknown(
    fake: SmtpFake, open_smtp: Open
) -> None:
    fake.script.append((At.CONTENT, Fault.SILENCE))

    outcome = open_smtp(timeout=0.3).send([email(1)], NEVER)

    assert kinds(outcome.results) == [Unknown]


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.SILENCE])
def test_a_connection_lost_after_the_end_is_unknown(
    fake: SmtpFake, open_smtp: Open, fault: Fault
) -> None:
    fake.script.append((At.END, fault))

    outcome = open_smtp(timeout=0.3).send([email(1), email(2)], NEVER)

    assert kinds(outcome.results) == [Unknown, Accepted]
    assert outcome.directive is None
    assert fake.delivery_ids == [1, 2]


@pytest.mark.parametrize("step", [(At.END, Fault.CLOSE_AFTER)])
def test_a_kept_connection_that_was_closed_is_reopened_before_anything_is_handed_over(
    fake: SmtpFake, open_smtp: Open, step: tuple[At, Fault]
) -> None:
    provider = open_smtp()
    fake.script.append(step)
    provider.send([email(1)], NEVER)
    fake.settle()

    outcome = provider.send([email(2)], NEVER)

    assert kinds(outcome.results) == [Accepted]
    assert fake.connections == 2
    assert fake.delivery_ids == [1, 2]


def test_a_kept_connection_that_says_421_is_reopened_once(fake: SmtpFake, open_smtp: Open) -> None:
    provider = open_smtp()
    fake.script.extend([None, (At.MAIL, "421 4.7.0 enough of you")])

    outcome = provider.send([email(1), email(2)], NEVER)

    assert kinds(outcome.results) == [Accepted, Accepted]
    assert fake.connections == 2


def test_a_new_connection_that_says_421_defers_the_run(fake: SmtpFake, open_smtp: Open) -> None:
    fake.script.extend([(At.MAIL, "421 4.7.0 enough of you")] * 3)

    outcome = open_smtp().send([email(1), email(2)], NEVER)

    assert kinds(outcome.results) == [Deferred, NotStarted]
    assert outcome.directive is not None
    assert outcome.directive.action is DirectiveAction.DEFER
    assert fake.transactions == 1


def test_each_message_looks_at_start_before(fake: SmtpFake, open_smtp: Open) -> None:
    clock = ManualClock()
    fake.on_transaction = lambda: clock.sleep(0.4)

    outcome = open_smtp(clock=clock).send([email(n) for n in range(5)], clock.seconds + 1.0)

    assert kinds(outcome.results) == [Accepted] * 3 + [NotStarted] * 2
    assert outcome.calls == 3
    assert fake.delivery_ids == [0, 1, 2]


def test_a_slow_connection_does_not_carry_a_stale_decision(fake: SmtpFake, open_smtp: Open) -> None:
    class SlowOnSecondLook(ManualClock):
        looks = 0

        def monotonic(self) -> float:
            self.looks += 1
            return super().monotonic() + (5.0 if self.looks > 1 else 0.0)

    outcome = open_smtp(clock=SlowOnSecondLook()).send([email(1)], 1001.0)

    assert kinds(outcome.results) == [NotStarted]
    assert fake.transactions == 0


def test_an_unreachable_server_took_nothing(open_smtp: Open) -> None:
    provider = open_smtp(port=unused_port())

    outcome = provider.send([email(1), email(2)], NEVER)

    assert kinds(outcome.results) == [Deferred, NotStarted]
    assert outcome.directive is not None
    assert outcome.directive.action is DirectiveAction.DEFER
    with pytest.raises(ProviderError, match="could not be reached"):
        provider.capacity()


@pytest.mark.parametrize(
    ("reply", "action"),
    [
        (b"554 5.7.1 no service for you\r\n", DirectiveAction.STOP),
        (b"421 4.3.2 too many connections\r\n", DirectiveAction.DEFER),
        (b"450 later\r\n", DirectiveAction.DEFER),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", DirectiveAction.STOP),
        (b"", DirectiveAction.DEFER),
    ],
)
def test_an_unfriendly_greeting_holds_the_run(
    open_smtp: Open, reply: bytes, action: DirectiveAction
) -> None:
    with greeting(reply) as port:
        outcome = open_smtp(port=port, timeout=1.0).send([email(1)], NEVER)

    assert kinds(outcome.results) == [Deferred]
    assert outcome.directive is not None
    assert outcome.directive.action is action


def test_starttls_and_login(open_smtp: Open) -> None:
    with SmtpFake(starttls=True) as secure:
        secure.login = (b"party", b"passwordEXAMPLE")
        provider = open_smtp(
            port=secure.port,
            security="starttls",
            login="yes",
            ca_file=str(CERTIFICATE),
            environ=LOGIN,
        )
        outcome = provider.send([email(1)], NEVER)

        assert kinds(outcome.results) == [Accepted]
        assert secure.messages[0].message["tls"]
        assert secure.messages[0].message["authenticated"]


def test_implicit_tls(open_smtp: Open) -> None:
    with SmtpFake(implicit_tls=True) as secure:
        provider = open_smtp(port=secure.port, security="tls", ca_file=str(CERTIFICATE))
        outcome = provider.send([email(1)], NEVER)

    assert kinds(outcome.results) == [Accepted]


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_server_that_is_not_trusted_gets_nothing(open_smtp: Open, security: str) -> None:
    with SmtpFake(starttls=security == "starttls", implicit_tls=security == "tls") as secure:
        outcome = open_smtp(port=secure.port, security=security).send([email(1)], NEVER)
        assert secure.messages == []

    assert kinds(outcome.results) == [Deferred]
    assert outcome.directive is not None
    assert outcome.directive.action is DirectiveAction.DEFER


def test_nothing_is_sent_in_the_clear_when_starttls_is_missing(
    fake: SmtpFake, open_smtp: Open
) -> None:
    outcome = open_smtp(security="starttls").send([email(1)], NEVER)

    assert kinds(outcome.results) == [Deferred]
    assert outcome.directive is not None
    assert outcome.directive.action is DirectiveAction.STOP
    assert fake.messages == []


@pytest.mark.parametrize("login", [(b"party", b"another"), None])
def test_a_refused_login_stops_the_run(open_smtp: Open, login: tuple[bytes, bytes] | None) -> None:
    with SmtpFake(starttls=login is not None) as secure:
        secure.login = login
        provider = open_smtp(
            port=secure.port,
            security="starttls" if login else "none",
            login="yes",
            ca_file=str(CERTIFICATE),
            environ=LOGIN,
        )
        outcome = provider.send([email(1)], NEVER)
        with pytest.raises(ProviderError, match="refuses the login") as caught:
            provider.capacity()

    assert kinds(outcome.results) == [Deferred]
    assert outcome.directive is not None
    assert outcome.directive.action is DirectiveAction.STOP
    assert "passwordEXAMPLE" not in str(caught.value)


def test_a_missing_credential_is_named(open_smtp: Open) -> None:
    with pytest.raises(ProviderError, match="SMTP_PASSWORD"):
        open_smtp(login="yes", environ={"SMTP_USER": "party"})


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"host": ""}, "host"),
        ({"security": "ssl"}, "security"),
        ({"port": "70000"}, "port"),
        ({"port": "smtp"}, "port"),
        ({"login": "true"}, "login"),
        ({"host": "mail.party.example", "login": "yes"}, "in the clear"),
    ],
)
def test_malformed_options_are_named(open_smtp: Open, options: dict[str, str], named: str) -> None:
    with pytest.raises(ProviderError, match=named):
        open_smtp(environ=LOGIN, **options)


@pytest.mark.parametrize(
    "broken",
    [
        sms(1),
        email(1, to="josé@voters.example"),
        email(1, to="a@b.example\r\nRCPT TO:<c@d.example>"),
        email(1, subject="Hello\nBcc: x@y.example"),
        email(1, headers=(("X-A", "a\r\nBcc: b@c.example"),)),
    ],
)
def test_what_mail_cannot_carry_is_rejected_here(
    fake: SmtpFake, open_smtp: Open, broken: object
) -> None:
    outcome = open_smtp().send([broken, email(2)], NEVER)  # type: ignore[list-item]  # an Outgoing

    assert kinds(outcome.results) == [Rejected, Accepted]
    assert fake.delivery_ids == [2]


def test_capacity_is_what_is_configured(open_smtp: Open) -> None:
    capacity = open_smtp().capacity()

    assert capacity.rate_per_second == 10.0
    assert capacity.remaining_today is None
    assert not capacity.sandbox
    assert capacity.sending_enabled
