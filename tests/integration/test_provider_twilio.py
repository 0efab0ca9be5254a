import logging
from collections.abc import Callable, Iterator
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
from sender.providers.twilio.outcomes import CODES
from sender.providers.twilio.send import TwilioProvider
from sender.vocabulary import BlockCause, ProviderName
from tests.fakes.certificates import CERTIFICATE, server_context
from tests.fakes.http import Answer, Bucket, Fault
from tests.fakes.loop import unused_port
from tests.fakes.outgoing import NEVER, ManualClock, email, sms
from tests.fakes.twilio import TwilioFake, error_answer
from tests.support.provider_results import ACTION_OF, RESULT_OF, kinds

ACCOUNT = "AC" + "0" * 32
SERVICE = "MG" + "1" * 32
CALLBACK = "https://out.party.example/twilio"
ENVIRON = {"TWILIO_ACCOUNT_SID": ACCOUNT, "TWILIO_AUTH_TOKEN": "tokenEXAMPLE"}
Open = Callable[..., TwilioProvider]


@pytest.fixture
def fake() -> Iterator[TwilioFake]:
    with TwilioFake() as running:
        yield running


@pytest.fixture
def open_twilio(fake: TwilioFake) -> Iterator[Open]:
    opened: list[TwilioProvider] = []

    def open_it(
        *,
        endpoint_url: str | None = None,
        clock: SystemClock | ManualClock | None = None,
        timeout: float = 5.0,
        concurrency: int = 1,
        rate: float | None = None,
        environ: dict[str, str] = ENVIRON,
        **options: str,
    ) -> TwilioProvider:
        settings = AccountSettings(
            "texts",
            ProviderName.TWILIO,
            endpoint_url=endpoint_url or fake.url,
            rate_per_second=rate,
            concurrency=concurrency,
            options={"status_callback_url": CALLBACK, **options},
        )
        provider = open_provider(
            settings, environ, clock or ManualClock(), timedelta(seconds=timeout)
        )
        assert isinstance(provider, TwilioProvider)
        opened.append(provider)
        return provider

    yield open_it
    for provider in opened:
        provider.close()


def test_a_message_goes_out_whole_and_can_be_found_again(
    fake: TwilioFake, open_twilio: Open
) -> None:
    provider = open_twilio(status_callback_url="https://out.party.example/twilio?v=1")

    outcome = provider.send([sms(5, body="Example Party: café & more €. Reply STOP")], NEVER)

    assert kinds(outcome.results) == [Accepted]
    assert isinstance(outcome.results[0], Accepted)
    assert outcome.results[0].provider_message_id.startswith("SM")
    assert fake.delivery_ids == [5]
    assert fake.messages[0].message == {
        "To": "+447700900005",
        "From": "+447700900001",
        "Body": "Example Party: café & more €. Reply STOP",
        "ValidityPeriod": "900",
        "StatusCallback": "https://out.party.example/twilio?v=1&delivery=5&run=7",
    }


@pytest.mark.parametrize(
    ("sender", "options", "expected"),
    [
        ("+447700900001", {}, {"From": "+447700900001"}),
        ("ExampleGB", {}, {"From": "ExampleGB"}),
        ("MGATE", {}, {"From": "MGATE"}),
        (SERVICE, {}, {"MessagingServiceSid": SERVICE}),
        (
            "ExampleGB",
            {"messaging_service_sid": SERVICE},
            {"From": "ExampleGB", "MessagingServiceSid": SERVICE},
        ),
    ],
)
def test_numbers_names_and_services_send(
    fake: TwilioFake,
    open_twilio: Open,
    sender: str,
    options: dict[str, str],
    expected: dict[str, str],
) -> None:
    open_twilio(**options).send([sms(1, sender=sender)], NEVER)

    taken = fake.messages[0].message
    assert {name: taken[name] for name in ("From", "MessagingServiceSid") if name in taken} == (
        expected
    )


@pytest.mark.parametrize(
    ("expires_in", "validity"),
    [
        (timedelta(seconds=1), "1"),
        (timedelta(seconds=90.9), "90"),
        (timedelta(minutes=15), "900"),
        (timedelta(days=2), "36000"),
    ],
)
def test_the_validity_period_ends_with_the_message(
    fake: TwilioFake, open_twilio: Open, expires_in: timedelta, validity: str
) -> None:
    open_twilio().send([sms(1, expires_in=expires_in)], NEVER)

    assert fake.messages[0].message["ValidityPeriod"] == validity


@pytest.mark.parametrize("expires_in", [timedelta(seconds=0.9), timedelta(0), timedelta(hours=-1)])
def test_an_expired_message_is_not_started(
    fake: TwilioFake, open_twilio: Open, expires_in: timedelta
) -> None:
    outcome = open_twilio().send([sms(1, expires_in=expires_in)], NEVER)

    assert kinds(outcome.results) == [NotStarted]
    assert outcome.calls == 0
    assert fake.requests == []


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_means_what_the_table_says(
    fake: TwilioFake, open_twilio: Open, code: int
) -> None:
    meaning = CODES[code].meaning
    fake.script.append(error_answer(429 if code == 20429 else 400, code))

    outcome = open_twilio().send([sms(1)], NEVER)

    assert kinds(outcome.results) == [RESULT_OF[meaning]]
    assert outcome.results == (CODES[code].result(str(code)),)
    action = outcome.directive.action if outcome.directive else None
    assert action == ACTION_OF.get(meaning)
    assert len(fake.requests) == 1


@pytest.mark.parametrize(
    ("code", "meaning", "block"),
    [
        (21610, Meaning.REJECTED, BlockCause.OPT_OUT),
        (21211, Meaning.REJECTED, BlockCause.INVALID),
        (21614, Meaning.REJECTED, BlockCause.INVALID),
        (21635, Meaning.REJECTED, BlockCause.INVALID),
        (30005, Meaning.REJECTED, BlockCause.INVALID),
        (30006, Meaning.REJECTED, BlockCause.INVALID),
        (20429, Meaning.SLOW_DOWN, None),
        (21611, Meaning.SLOW_DOWN, None),
        (30001, Meaning.SLOW_DOWN, None),
        (30022, Meaning.SLOW_DOWN, None),
        (63038, Meaning.DEFER_RUN, None),
        (21606, Meaning.STOP_RUN, None),
        (21603, Meaning.STOP_RUN, None),
        (30034, Meaning.STOP_RUN, None),
        (30035, Meaning.STOP_RUN, None),
        (30002, Meaning.STOP_RUN, None),
        (30003, Meaning.DEFERRED, None),
        (30008, Meaning.UNKNOWN, None),
        (30007, Meaning.REJECTED, None),
        (30004, Meaning.REJECTED, None),
    ],
)
def test_the_table_says_what_twilio_documents(
    code: int, meaning: Meaning, block: BlockCause | None
) -> None:
    assert (CODES[code].meaning, CODES[code].block) == (meaning, block)


@pytest.mark.parametrize(
    ("answer", "kind", "action"),
    [
        (error_answer(400, 29999), Rejected, None),
        (error_answer(401, 29999), Deferred, DirectiveAction.STOP),
        (error_answer(429, 29999), Deferred, DirectiveAction.SLOW_DOWN),
        (error_answer(500, 20500), Unknown, None),
        (error_answer(503, 20503), Unknown, None),
        (error_answer(503, 20429), Deferred, DirectiveAction.SLOW_DOWN),
        (Answer.html(429), Deferred, DirectiveAction.SLOW_DOWN),
        (Answer.html(403), Deferred, DirectiveAction.STOP),
        (Answer.html(404), Deferred, DirectiveAction.STOP),
        (Answer.html(400), Deferred, DirectiveAction.STOP),
        (Answer.html(302), Deferred, DirectiveAction.STOP),
        (Answer.html(500), Unknown, None),
        (Answer.html(502), Unknown, None),
        (Answer.html(504), Unknown, None),
        (Answer.nonsense(500), Unknown, None),
        (Answer.nonsense(201), Unknown, None),
        (Answer(201, b"<html>Welcome to the hotel</html>"), Unknown, None),
        (Answer.from_json(201, {}), Unknown, None),
        (Answer.from_json(201, []), Unknown, None),
        (
            Answer.from_json(
                400, {"type": "x", "title": "x", "status": 400, "code": 21610, "detail": "x"}
            ),
            Rejected,
            None,
        ),
    ],
)
def test_other_answers_are_read_by_their_status(
    fake: TwilioFake,
    open_twilio: Open,
    answer: Answer,
    kind: type,
    action: DirectiveAction | None,
) -> None:
    fake.script.append(answer)

    outcome = open_twilio().send([sms(1)], NEVER)

    assert kinds(outcome.results) == [kind]
    assert (outcome.directive.action if outcome.directive else None) == action
    assert len(fake.requests) == 1


@pytest.mark.parametrize("fault", [f for f in Fault if f not in {Fault.CLOSE_AFTER, Fault.TWICE}])
def test_a_lost_answer_is_unknown_and_the_request_is_made_once(
    fake: TwilioFake, open_twilio: Open, fault: Fault
) -> None:
    fake.script.append(fault)

    outcome = open_twilio(timeout=0.3).send([sms(1)], NEVER)

    assert kinds(outcome.results) == [Unknown]
    assert outcome.directive is None
    assert len(fake.requests) == 1


def test_an_unknown_outcome_does_not_hold_up_the_others(
    fake: TwilioFake, open_twilio: Open
) -> None:
    fake.script.append(Answer.html(502))

    outcome = open_twilio().send([sms(1), sms(2)], NEVER)

    assert kinds(outcome.results) == [Unknown, Accepted]


def test_results_stand_in_the_order_of_the_batch(fake: TwilioFake, open_twilio: Open) -> None:
    fake.refusals = {"+447700900003": 21610, "+447700900006": 21211}
    provider = open_twilio(concurrency=4)

    outcome = provider.send([sms(number) for number in range(1, 9)], NEVER)

    expected: list[type] = [Accepted] * 8
    expected[2] = expected[5] = Rejected
    assert kinds(outcome.results) == expected
    assert sorted(fake.delivery_ids) == [1, 2, 4, 5, 7, 8]
    assert outcome.calls == 8
    assert provider.batch_limit >= 8


def test_a_stop_leaves_the_rest_of_the_batch_unstarted(fake: TwilioFake, open_twilio: Open) -> None:
    fake.script.extend([None, error_answer(400, 21606)])

    outcome = open_twilio().send([sms(number) for number in range(1, 6)], NEVER)

    assert kinds(outcome.results) == [Accepted, Deferred] + [NotStarted] * 3
    assert outcome.directive is not None
    assert outcome.directive.action is DirectiveAction.STOP
    assert outcome.directive.delay is None
    assert len(fake.requests) == 2


def test_throttling_is_enforced_and_reported(fake: TwilioFake, open_twilio: Open) -> None:
    fake.bucket = Bucket(rate=1e-6, burst=2)

    outcome = open_twilio().send([sms(number) for number in range(1, 5)], NEVER)

    assert kinds(outcome.results) == [Accepted, Accepted, Deferred, NotStarted]
    assert outcome.directive is not None
    assert outcome.directive.action is DirectiveAction.SLOW_DOWN


def test_the_daily_limit_defers_the_run(fake: TwilioFake, open_twilio: Open) -> None:
    fake.daily_quota = 1

    outcome = open_twilio().send([sms(1), sms(2), sms(3)], NEVER)

    assert kinds(outcome.results) == [Accepted, Deferred, NotStarted]
    assert outcome.directive is not None
    assert outcome.directive.action is DirectiveAction.DEFER


def test_each_request_looks_at_start_before(fake: TwilioFake, open_twilio: Open) -> None:
    clock = ManualClock()
    fake.on_request = lambda: clock.sleep(0.4)

    outcome = open_twilio(clock=clock).send([sms(n) for n in range(1, 6)], clock.seconds + 1.0)

    assert kinds(outcome.results) == [Accepted] * 3 + [NotStarted] * 2
    assert fake.delivery_ids == [1, 2, 3]


def test_a_slow_connection_does_not_carry_a_stale_decision(
    fake: TwilioFake, open_twilio: Open
) -> None:
    class SlowOnSecondLook(ManualClock):
        looks = 0

        def monotonic(self) -> float:
            self.looks += 1
            return super().monotonic() + (5.0 if self.looks > 1 else 0.0)

    outcome = open_twilio(clock=SlowOnSecondLook()).send([sms(1)], 1001.0)

    assert kinds(outcome.results) == [NotStarted]
    assert fake.requests == []


def test_connections_are_kept_and_no_more_than_the_concurrency(
    fake: TwilioFake, open_twilio: Open
) -> None:
    provider = open_twilio(concurrency=3, clock=SystemClock())
    far = timedelta(days=36_500)
    for _ in range(4):
        provider.send([sms(number, expires_in=far) for number in range(1, 13)], NEVER)

    assert len(fake.messages) == 48
    assert 1 <= fake.connections <= 3


@pytest.mark.parametrize("fault", [Fault.CLOSE_AFTER, Fault.TWICE])
def test_a_spoilt_idle_connection_is_replaced_before_anything_is_handed_over(
    fake: TwilioFake, open_twilio: Open, fault: Fault
) -> None:
    provider = open_twilio(timeout=1.0)
    fake.script.append(fault)
    first = provider.send([sms(1)], NEVER)
    fake.settle()

    second = provider.send([sms(2)], NEVER)

    assert kinds(second.results) == [Accepted]
    assert second.results != first.results
    assert fake.delivery_ids == [1, 2]


@pytest.mark.parametrize("host", ["127.0.0.1", "host.invalid"])
def test_an_unreachable_endpoint_took_nothing(open_twilio: Open, host: str) -> None:
    outcome = open_twilio(endpoint_url=f"http://{host}:{unused_port()}").send(
        [sms(1), sms(2)], NEVER
    )

    assert kinds(outcome.results) == [Deferred, NotStarted]
    assert outcome.directive is not None
    assert outcome.directive.action is DirectiveAction.DEFER


def test_a_failed_handshake_took_nothing(open_twilio: Open) -> None:
    with TwilioFake(tls=server_context()) as secure:
        outcome = open_twilio(endpoint_url=secure.url).send([sms(1)], NEVER)
        assert secure.requests == []

    assert kinds(outcome.results) == [Deferred]


def test_a_trusted_endpoint_is_reached_over_tls(
    open_twilio: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))
    with TwilioFake(tls=server_context()) as secure:
        outcome = open_twilio(endpoint_url=secure.url).send([sms(1)], NEVER)

    assert kinds(outcome.results) == [Accepted]


@pytest.mark.parametrize("host", ["api.invalid", "127.0.0.1"])
def test_the_proxy_of_the_environment_is_used_except_for_what_needs_none(
    fake: TwilioFake, open_twilio: Open, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", fake.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    outcome = open_twilio(endpoint_url=f"http://{host}:{fake.port}").send([sms(1)], NEVER)

    assert kinds(outcome.results) == [Accepted]
    assert fake.requests[0].path.startswith("http://api.invalid") == (host == "api.invalid")


def test_an_answer_that_is_lost_behind_a_proxy_is_unknown_too(
    fake: TwilioFake, open_twilio: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", fake.url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    fake.script.append(Fault.HANG_UP)
    outcome = open_twilio(endpoint_url="http://api.invalid").send([sms(1)], NEVER)

    assert kinds(outcome.results) == [Unknown]
    assert fake.delivery_ids == [1]


def test_the_form_is_what_the_sdk_means(fake: TwilioFake, open_twilio: Open) -> None:
    body = "£5 & 50% off? Zoë says “yes” + 👋\n=:;/"
    open_twilio().send([sms(1, body=body)], NEVER)

    assert fake.messages[0].message["Body"] == body
    assert fake.requests[0].headers["content-type"] == "application/x-www-form-urlencoded"
    assert fake.requests[0].headers["user-agent"].startswith("twilio-python/")


def test_an_email_is_refused(open_twilio: Open) -> None:
    assert kinds(open_twilio().send([email(1)], NEVER).results) == [Rejected]


def test_capacity_says_trial_state_and_configured_rate(fake: TwilioFake, open_twilio: Open) -> None:
    full = open_twilio(rate=10.0).capacity()
    assert (full.rate_per_second, full.sandbox, full.sending_enabled) == (10.0, False, True)

    fake.account_type, fake.account_status = "Trial", "suspended"
    trial = open_twilio().capacity()
    assert (trial.rate_per_second, trial.sandbox, trial.sending_enabled) == (1.0, True, False)


@pytest.mark.parametrize("variable", ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"])
def test_a_missing_credential_is_named_even_if_the_process_has_one(
    open_twilio: Open, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "from-elsewhere")
    environ = {name: value for name, value in ENVIRON.items() if name != variable}

    with pytest.raises(ProviderError, match=variable):
        open_twilio(environ=environ)


def test_refused_credentials_are_an_error_at_launch_and_a_stop_while_sending(
    fake: TwilioFake, open_twilio: Open
) -> None:
    fake.known_token = "another"
    provider = open_twilio()

    with pytest.raises(ProviderError, match="20003") as caught:
        provider.capacity()
    outcome = provider.send([sms(1)], NEVER)

    assert "TWILIO_AUTH_TOKEN" in caught.value.remedy
    assert "tokenEXAMPLE" not in str(caught.value)
    assert kinds(outcome.results) == [Deferred]
    assert outcome.directive is not None
    assert outcome.directive.action is DirectiveAction.STOP


def test_capacity_of_an_unreachable_account_is_an_error(
    fake: TwilioFake, open_twilio: Open
) -> None:
    with pytest.raises(ProviderError, match="cannot be reached"):
        open_twilio(endpoint_url=f"http://127.0.0.1:{unused_port()}").capacity()
    fake.script.append(Answer.nonsense(200))
    with pytest.raises(ProviderError, match="cannot be reached"):
        open_twilio().capacity()


def test_an_api_key_signs_in_for_its_account(fake: TwilioFake, open_twilio: Open) -> None:
    environ = {"TWILIO_ACCOUNT_SID": "SK" + "2" * 32, "TWILIO_AUTH_TOKEN": "secret"}

    outcome = open_twilio(environ=environ, account_sid=ACCOUNT).send([sms(1)], NEVER)

    assert kinds(outcome.results) == [Accepted]
    assert ACCOUNT in fake.requests[0].path


def test_nothing_personal_is_logged(open_twilio: Open, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        open_twilio().send([sms(1, body="Secret text. Reply STOP")], NEVER)

    assert "900001" not in caplog.text
    assert "Secret" not in caplog.text
