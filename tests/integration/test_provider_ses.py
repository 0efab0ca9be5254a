import json
import logging
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from email.header import decode_header, make_header
from email.utils import parseaddr
from typing import get_args

import pytest
from mypy_boto3_sesv2 import literals

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
from sender.providers.ses.outcomes import CALL_ERRORS, ENTRY_STATUSES
from sender.providers.ses.send import SesProvider
from sender.vocabulary import ProviderName
from tests.fakes.certificates import CERTIFICATE, server_context
from tests.fakes.http import Answer, Bucket, Fault
from tests.fakes.loop import unused_port
from tests.fakes.outgoing import NEVER, ManualClock, email
from tests.fakes.ses import SesFake, error_answer
from tests.support.provider_results import ACTION_OF, RESULT_OF, kinds

ENVIRON = {
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrEXAMPLE",
    "AWS_REGION": "eu-west-2",
}
Open = Callable[..., SesProvider]


@pytest.fixture
def fake() -> Iterator[SesFake]:
    with SesFake() as running:
        yield running


@pytest.fixture
def open_ses(fake: SesFake) -> Iterator[Open]:
    opened: list[SesProvider] = []

    def open_it(
        *,
        endpoint_url: str | None = None,
        clock: SystemClock | ManualClock | None = None,
        timeout: float = 5.0,
        daily_quota: int | None = None,
        environ: dict[str, str] = ENVIRON,
        **options: str,
    ) -> SesProvider:
        settings = AccountSettings(
            "main",
            ProviderName.SES,
            endpoint_url=endpoint_url or fake.url,
            daily_quota=daily_quota,
            options=options,
        )
        provider = open_provider(
            settings, environ, clock or ManualClock(), timedelta(seconds=timeout)
        )
        assert isinstance(provider, SesProvider)
        opened.append(provider)
        return provider

    yield open_it
    for provider in opened:
        provider.close()


def test_fifty_whole_messages_go_in_one_call(fake: SesFake, open_ses: Open) -> None:
    batch = [email(number, html=f"<p>Number {number}</p>") for number in range(1, 51)]

    outcome = open_ses(configuration_set="events").send(batch, NEVER)

    assert kinds(outcome.results) == [Accepted] * 50
    assert outcome.calls == len(fake.requests) == 1
    assert fake.delivery_ids == list(range(1, 51))
    taken = dict(fake.messages[6].message)
    assert outcome.results[6] == Accepted(taken.pop("message_id"))
    assert taken == {
        "from": "Example Party <news@party.example>",
        "reply_to": ["office@party.example"],
        "configuration_set": "events",
        "to": ["person7@voters.example"],
        "subject": "Polling day",
        "html": "<p>Number 7</p>",
        "text": "Hello\n.\nOpt out: https://out.party.example/u/7\n",
        "headers": {
            "List-Unsubscribe": "<https://out.party.example/u/7>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        },
        "tags": {"delivery-id": "7", "run-id": "7"},
    }


def test_one_message_goes_as_a_single_message_and_looks_the_same(
    fake: SesFake, open_ses: Open
) -> None:
    provider = open_ses(mode="single", configuration_set="events")
    bulk = open_ses(configuration_set="events")

    single_result = provider.send([email(1)], NEVER)
    bulk.send([email(1), email(2)], NEVER)

    assert provider.batch_limit == 1
    assert kinds(single_result.results) == [Accepted]
    assert fake.requests[0].path == "/v2/email/outbound-emails"
    assert fake.requests[1].path == "/v2/email/outbound-bulk-emails"
    single, in_bulk = (fake.messages[place].message for place in (0, 1))
    assert single | {"message_id": ""} == in_bulk | {"message_id": ""}


@pytest.mark.parametrize(
    "name", ["Example Party", 'Smith, "Jo"', "Plaid Cymru, y Blaid Fëyr Genedlaethol", "党" * 40]
)
def test_display_names_arrive_as_they_were_meant(fake: SesFake, open_ses: Open, name: str) -> None:
    open_ses().send([email(1, from_name=name), email(2, from_name=name)], NEVER)

    header = fake.messages[0].message["from"]
    assert header.isascii()
    display_name, address = parseaddr(header)
    assert str(make_header(decode_header(display_name))) == name
    assert address == "news@party.example"


def test_a_call_carries_one_sender_only(fake: SesFake, open_ses: Open) -> None:
    senders = ["a@party.example", "b@party.example"]
    batch = [email(number, from_address=senders[number % 2]) for number in range(6)]

    outcome = open_ses().send(batch, NEVER)

    assert outcome.calls == 2
    assert kinds(outcome.results) == [Accepted] * 6
    for received in fake.messages:
        assert senders[received.delivery_id % 2] in received.message["from"]


def test_long_messages_are_split_under_one_megabyte(fake: SesFake, open_ses: Open) -> None:
    batch = [email(number, html="é" * 14_000) for number in range(50)]  # 6 bytes each on the wire

    outcome = open_ses().send(batch, NEVER)

    assert kinds(outcome.results) == [Accepted] * 50
    assert sorted(fake.delivery_ids) == list(range(50))
    sizes = [len(request.body) for request in fake.requests]
    assert outcome.calls == len(sizes) == 5
    assert max(sizes) <= 1_000_000


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        (email(2, html="x" * 262_145), "template-data-too-long"),
        (email(2, html="é" * 200_000), "message-too-long"),
        (email(2, headers=tuple((f"X-{n}", "1") for n in range(16))), "too-many-headers"),
        (email(2, headers=(("X-Long", "x" * 996),)), "header-not-allowed"),
        (email(2, headers=(("X-A", "café"),)), "header-not-allowed"),
        (email(2, headers=(("X-A", "a\r\nBcc: b@c.example"),)), "header-not-allowed"),
        (email(2, headers=(("X:A", "a"),)), "header-not-allowed"),
        (email(2, to="josé@voters.example"), "address-not-ascii"),
        (email(2, from_name="Party\r\nBcc: x@y.example"), "control-character"),
        (email(2, subject="Hello\nBcc: x@y.example"), "control-character"),
    ],
)
def test_what_ses_cannot_carry_is_rejected_here_and_harms_nobody_else(
    fake: SesFake, open_ses: Open, broken: object, code: str
) -> None:
    outcome = open_ses().send([email(1), broken, email(3)], NEVER)  # type: ignore[list-item]  # an Outgoing

    assert kinds(outcome.results) == [Accepted, Rejected, Accepted]
    assert isinstance(outcome.results[1], Rejected)
    assert outcome.results[1].code == code
    assert outcome.results[1].block is None
    assert outcome.directive is None
    assert fake.delivery_ids == [1, 3]


def test_the_table_knows_every_bulk_status_of_the_sdk() -> None:
    assert set(get_args(literals.BulkEmailStatusType)) <= {*ENTRY_STATUSES, "SUCCESS"}


@pytest.mark.parametrize("status", sorted(ENTRY_STATUSES))
def test_every_entry_status_means_what_the_table_says(
    fake: SesFake, open_ses: Open, status: str
) -> None:
    meaning = ENTRY_STATUSES[status].meaning
    fake.entry_failures = {1: (status, "")}

    outcome = open_ses().send([email(1), email(2), email(3)], NEVER)

    assert kinds(outcome.results) == [RESULT_OF[meaning], Accepted, Accepted]
    action = outcome.directive.action if outcome.directive else None
    assert action == ACTION_OF.get(meaning)
    assert fake.delivery_ids == [2, 3]


@pytest.mark.parametrize("code", sorted(CALL_ERRORS))
@pytest.mark.parametrize("size", [1, 3])
def test_every_call_error_means_what_the_table_says(
    fake: SesFake, open_ses: Open, code: str, size: int
) -> None:
    meaning = CALL_ERRORS[code].meaning
    answers = 1 if size == 1 or meaning is not Meaning.REJECTED else 2 * size
    fake.script.extend([error_answer(400, code, "Some text.")] * answers)

    outcome = open_ses().send([email(number) for number in range(size)], NEVER)

    assert fake.messages == []
    if size > 1 and code in {"BadRequestException", "ValidationException", "ValidationError"}:
        assert kinds(outcome.results) == [Deferred] * size
        assert outcome.directive is not None
        assert outcome.directive.action is DirectiveAction.STOP
        return
    assert kinds(outcome.results) == [RESULT_OF[meaning]] * size
    action = outcome.directive.action if outcome.directive else None
    assert action == ACTION_OF.get(meaning)


@pytest.mark.parametrize(
    ("code", "text", "action"),
    [
        ("ThrottlingException", "Daily message quota exceeded.", DirectiveAction.DEFER),
        ("ThrottlingException", "Maximum sending rate exceeded.", DirectiveAction.SLOW_DOWN),
        ("TooManyRequestsException", "Daily message quota exceeded", DirectiveAction.DEFER),
        ("LimitExceededException", "Maximum sending rate exceeded.", DirectiveAction.SLOW_DOWN),
        (
            "MessageRejected",
            "Email address is not verified. The following identities failed the check",
            DirectiveAction.STOP,
        ),
        ("BadRequestException", "Sending is paused for this account.", DirectiveAction.STOP),
    ],
)
def test_codes_with_two_meanings_are_told_apart_by_their_text(
    fake: SesFake, open_ses: Open, code: str, text: str, action: DirectiveAction
) -> None:
    fake.script.append(error_answer(400, code, text))

    outcome = open_ses().send([email(1), email(2)], NEVER)

    assert kinds(outcome.results) == [Deferred, Deferred]
    assert outcome.directive is not None
    assert outcome.directive.action is action


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        ("FAILED", "Maximum sending rate exceeded.", Deferred),
        ("FAILED", "Something happened.", Unknown),
        ("MESSAGE_REJECTED", "Email address is not verified.", Deferred),
        ("A_STATUS_OF_TOMORROW", "", Unknown),
    ],
)
def test_ambiguous_entries_are_unknown_unless_their_text_decides(
    fake: SesFake, open_ses: Open, status: str, text: str, kind: type
) -> None:
    fake.entry_failures = {1: (status, text)}

    assert kinds(open_ses().send([email(1), email(2)], NEVER).results) == [kind, Accepted]


@pytest.mark.parametrize("fault", [f for f in Fault if f not in {Fault.CLOSE_AFTER, Fault.TWICE}])
@pytest.mark.parametrize("size", [1, 2])
def test_a_lost_answer_is_unknown_and_the_request_is_made_once(
    fake: SesFake, open_ses: Open, fault: Fault, size: int
) -> None:
    fake.script.append(fault)

    outcome = open_ses(timeout=0.3).send([email(number) for number in range(size)], NEVER)

    assert kinds(outcome.results) == [Unknown] * size
    assert outcome.directive is None
    assert len(fake.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        Answer.html(500),
        Answer.html(502),
        Answer.html(503),
        Answer.html(504),
        Answer.nonsense(500),
        Answer.nonsense(200),
        Answer(200, b"<html>Welcome to the hotel</html>"),
        Answer.from_json(200, {}),
        Answer.from_json(200, {"BulkEmailEntryResults": [{"Status": "SUCCESS"}]}),
        Answer.from_json(200, {"BulkEmailEntryResults": [{}, {"Status": "SUCCESS"}]}),
        error_answer(500, "InternalFailure", "We failed."),
        error_answer(503, "ServiceUnavailable", "Come again."),
        error_answer(500, "SomethingNew", ""),
    ],
)
@pytest.mark.parametrize("size", [1, 2])
def test_an_answer_that_is_not_clear_is_unknown(
    fake: SesFake, open_ses: Open, answer: Answer, size: int
) -> None:
    fake.script.append(answer)

    outcome = open_ses().send([email(number) for number in range(size)], NEVER)

    assert kinds(outcome.results) == [Unknown] * size
    assert len(fake.requests) == 1


@pytest.mark.parametrize("status", [301, 307, 400, 403, 404, 413])
def test_a_refusal_by_something_that_is_not_ses_stops_the_run(
    fake: SesFake, open_ses: Open, status: int
) -> None:
    fake.script.append(Answer.html(status))

    outcome = open_ses().send([email(1), email(2)], NEVER)

    assert kinds(outcome.results) == [Deferred, Deferred]
    assert outcome.directive is not None
    assert outcome.directive.action is DirectiveAction.STOP


@pytest.mark.parametrize("status", [429, 503])
def test_throttling_is_known_by_code_or_status(fake: SesFake, open_ses: Open, status: int) -> None:
    fake.script.append(
        error_answer(status, "ThrottlingException", "Rate exceeded")
        if status == 503
        else Answer.html(429)
    )

    outcome = open_ses().send([email(1)], NEVER)

    assert kinds(outcome.results) == [Deferred]
    assert outcome.directive is not None
    assert outcome.directive.action is DirectiveAction.SLOW_DOWN
    assert len(fake.requests) == 1


def test_a_malformed_message_is_found_by_halving_and_the_others_go_out_once(
    fake: SesFake, open_ses: Open
) -> None:
    fake.refused_addresses = {"person5@voters.example"}

    outcome = open_ses().send([email(number) for number in range(8)], NEVER)

    assert kinds(outcome.results) == [Accepted] * 5 + [Rejected] + [Accepted] * 2
    assert sorted(fake.delivery_ids) == [0, 1, 2, 3, 4, 6, 7]
    assert outcome.directive is None
    assert outcome.calls == len(fake.requests)


def test_the_account_rate_is_enforced_and_reported(fake: SesFake, open_ses: Open) -> None:
    fake.bucket = Bucket(rate=1e-6, burst=2)
    provider = open_ses()

    first = provider.send([email(1), email(2)], NEVER)
    second = provider.send([email(3), email(4)], NEVER)

    assert kinds(first.results) == [Accepted, Accepted]
    assert kinds(second.results) == [Deferred, Deferred]
    assert second.directive is not None
    assert second.directive.action is DirectiveAction.SLOW_DOWN
    assert fake.delivery_ids == [1, 2]


def test_the_daily_quota_defers_the_run(fake: SesFake, open_ses: Open) -> None:
    fake.daily_quota = 3
    provider = open_ses()

    bulk = provider.send([email(number) for number in range(5)], NEVER)
    single = provider.send([email(9)], NEVER)

    assert kinds(bulk.results) == [Accepted] * 3 + [Deferred] * 2
    assert kinds(single.results) == [Deferred]
    for outcome in (bulk, single):
        assert outcome.directive is not None
        assert outcome.directive.action is DirectiveAction.DEFER
        assert outcome.directive.delay == timedelta(hours=1)


def test_after_a_directive_nothing_more_of_the_batch_is_started(
    fake: SesFake, open_ses: Open
) -> None:
    fake.script.append(error_answer(400, "SendingPausedException", "Paused."))
    batch = [email(1), email(2, from_address="other@party.example")]

    outcome = open_ses().send(batch, NEVER)

    assert kinds(outcome.results) == [Deferred, NotStarted]
    assert outcome.calls == len(fake.requests) == 1


def test_nothing_starts_after_start_before(fake: SesFake, open_ses: Open) -> None:
    clock = ManualClock()

    outcome = open_ses(clock=clock).send([email(1)], clock.monotonic())

    assert kinds(outcome.results) == [NotStarted]
    assert outcome.calls == 0
    assert fake.connections == 0


def test_a_second_call_of_a_batch_that_comes_too_late_is_not_started(
    fake: SesFake, open_ses: Open
) -> None:
    clock = ManualClock()
    fake.on_request = lambda: clock.sleep(2.0)
    batch = [email(1), email(2, from_address="other@party.example")]

    outcome = open_ses(clock=clock).send(batch, clock.monotonic() + 1.0)

    assert kinds(outcome.results) == [Accepted, NotStarted]
    assert fake.delivery_ids == [1]


def test_a_slow_connection_does_not_carry_a_stale_decision(fake: SesFake, open_ses: Open) -> None:
    """The look at `start_before` comes after connecting, right before the first byte."""

    class SlowOnSecondLook(ManualClock):
        looks = 0

        def monotonic(self) -> float:
            self.looks += 1
            return super().monotonic() + (5.0 if self.looks > 1 else 0.0)

    clock = SlowOnSecondLook()
    outcome = open_ses(clock=clock).send([email(1), email(2)], 1001.0)

    assert kinds(outcome.results) == [NotStarted, NotStarted]
    fake.settle()
    assert outcome.calls == 0
    assert fake.connections == 1
    assert fake.requests == []


def test_connections_are_kept_and_reused(fake: SesFake, open_ses: Open) -> None:
    provider = open_ses()
    for number in range(5):
        provider.send([email(number)], NEVER)

    assert fake.connections == 1


@pytest.mark.parametrize("fault", [Fault.CLOSE_AFTER, Fault.TWICE])
def test_a_spoilt_idle_connection_is_replaced_before_anything_is_handed_over(
    fake: SesFake, open_ses: Open, fault: Fault
) -> None:
    provider = open_ses(timeout=1.0)
    fake.script.append(fault)
    first = provider.send([email(1)], NEVER)
    fake.settle()

    second = provider.send([email(2)], NEVER)

    assert kinds(second.results) == [Accepted]
    assert second.results != first.results
    assert fake.connections == (2 if fault is Fault.CLOSE_AFTER else 1)
    assert fake.delivery_ids == [1, 2]


def test_an_unreachable_endpoint_took_nothing(open_ses: Open) -> None:
    outcome = open_ses(endpoint_url=f"http://127.0.0.1:{unused_port()}").send(
        [email(1), email(2)], NEVER
    )

    assert kinds(outcome.results) == [Deferred, Deferred]
    assert outcome.directive is not None
    assert outcome.directive.action is DirectiveAction.DEFER


def test_an_unknown_host_took_nothing(open_ses: Open) -> None:
    outcome = open_ses(endpoint_url="http://host.invalid").send([email(1)], NEVER)

    assert kinds(outcome.results) == [Deferred]


def test_a_failed_handshake_took_nothing(open_ses: Open) -> None:
    with SesFake(tls=server_context()) as secure:
        outcome = open_ses(endpoint_url=secure.url).send([email(1), email(2)], NEVER)
        assert secure.requests == []

    assert kinds(outcome.results) == [Deferred, Deferred]
    assert outcome.directive is not None
    assert outcome.directive.action is DirectiveAction.DEFER


def test_a_trusted_endpoint_is_reached_over_tls(open_ses: Open) -> None:
    environ = {**ENVIRON, "AWS_CA_BUNDLE": str(CERTIFICATE)}
    with SesFake(tls=server_context()) as secure:
        outcome = open_ses(endpoint_url=secure.url, environ=environ).send([email(1)], NEVER)

    assert kinds(outcome.results) == [Accepted]


def test_a_reset_over_tls_is_unknown(open_ses: Open) -> None:
    environ = {**ENVIRON, "AWS_CA_BUNDLE": str(CERTIFICATE)}
    with SesFake(tls=server_context()) as secure:
        secure.script.append(Fault.HANG_UP)
        outcome = open_ses(endpoint_url=secure.url, environ=environ).send([email(1)], NEVER)

    assert kinds(outcome.results) == [Unknown]


def test_several_threads_send_at_once(fake: SesFake, open_ses: Open) -> None:
    provider = open_ses(clock=SystemClock())
    threads = [
        threading.Thread(
            target=lambda start=start: provider.send(
                [email(start * 10 + number) for number in range(10)], NEVER
            )
        )
        for start in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(fake.delivery_ids) == list(range(80))


def test_capacity_is_what_the_account_says(fake: SesFake, open_ses: Open) -> None:
    fake.account.rate, fake.account.quota = 14.0, 200.0
    provider = open_ses()
    provider.send([email(1), email(2)], NEVER)

    capacity = provider.capacity()

    assert capacity.rate_per_second == 14.0
    assert capacity.remaining_today == 198
    assert not capacity.sandbox
    assert capacity.sending_enabled


def test_capacity_knows_sandbox_pause_shutdown_and_no_limit(fake: SesFake, open_ses: Open) -> None:
    provider = open_ses()
    fake.account.production = False
    assert provider.capacity().sandbox
    fake.account.quota = -1.0
    assert provider.capacity().remaining_today is None
    fake.account.enforcement = "SHUTDOWN"
    assert not provider.capacity().sending_enabled
    fake.account.enforcement, fake.account.sending_enabled = "HEALTHY", False
    assert not provider.capacity().sending_enabled
    fake.account.rate = 0.0
    assert provider.capacity().rate_per_second > 0
    assert open_ses(daily_quota=50).capacity().remaining_today == 50


@pytest.mark.parametrize("variable", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_a_missing_credential_is_named(open_ses: Open, variable: str) -> None:
    environ = {name: value for name, value in ENVIRON.items() if name != variable}

    with pytest.raises(ProviderError) as caught:
        open_ses(environ=environ)

    assert variable in str(caught.value)
    assert "EXAMPLE" not in str(caught.value)


def test_refused_credentials_are_an_error_at_launch_and_a_stop_while_sending(
    fake: SesFake, open_ses: Open
) -> None:
    fake.known_key = "AKIAOTHER"
    provider = open_ses()

    with pytest.raises(ProviderError, match="UnrecognizedClientException") as caught:
        provider.capacity()
    outcome = provider.send([email(1)], NEVER)

    assert "AWS_ACCESS_KEY_ID" in caught.value.remedy
    assert "AKIAEXAMPLE" not in str(caught.value)
    assert kinds(outcome.results) == [Deferred]
    assert outcome.directive is not None
    assert outcome.directive.action is DirectiveAction.STOP


def test_capacity_of_an_unreachable_account_is_an_error(open_ses: Open) -> None:
    with pytest.raises(ProviderError, match="cannot be reached"):
        open_ses(endpoint_url=f"http://127.0.0.1:{unused_port()}").capacity()


def test_no_address_and_no_text_is_in_any_code_or_detail(fake: SesFake, open_ses: Open) -> None:
    text = "Email address is not verified: person1@voters.example"
    fake.script.append(error_answer(400, "MessageRejected", text))
    fake.entry_failures = {3: ("FAILED", text + " FAILED")}

    outcomes = [open_ses().send([email(1)], NEVER), open_ses().send([email(2), email(3)], NEVER)]

    assert "person1" not in json.dumps([repr(outcome) for outcome in outcomes])


def test_nothing_personal_is_logged(open_ses: Open, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        open_ses().send([email(1, html="<p>Secret text</p>"), email(2)], NEVER)
        open_ses(endpoint_url="http://host.invalid").send([email(1)], NEVER)

    assert "person1" not in caplog.text
    assert "Secret" not in caplog.text
    assert "EXAMPLE" not in caplog.text
