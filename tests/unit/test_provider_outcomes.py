from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.errors import ProviderError
from sender.providers.account import AccountSettings, Credentials, read_credentials
from sender.providers.base import Deferred, Directive, DirectiveAction, Rejected, Unknown
from sender.providers.gate import GatedConnection, RequestGate, TooLateError
from sender.providers.outcome import Meaning, Outcome, gravest
from sender.providers.ses import outcomes as ses
from sender.providers.smtp import outcomes as smtp
from sender.providers.smtp.outcomes import Stage
from sender.providers.twilio import outcomes as twilio
from sender.vocabulary import ProviderName
from tests.fakes.outgoing import ManualClock

EVERY_ROW = [
    *ses.CALL_ERRORS.values(),
    *ses.ENTRY_STATUSES.values(),
    *twilio.CODES.values(),
    *smtp.CODES.values(),
    *smtp.INVALID_ADDRESS.values(),
]
directives = st.one_of(
    st.none(), st.builds(Directive, st.sampled_from(DirectiveAction), st.just("c"), st.just("r"))
)


@pytest.mark.parametrize("row", EVERY_ROW)
def test_every_row_names_its_source_and_what_to_do(row: Outcome) -> None:
    assert row.detail.endswith(".")
    assert row.source
    if row.meaning is Meaning.STOP_RUN:
        assert row.remedy
        assert row.delay == timedelta(0)
    if row.meaning in {Meaning.DEFERRED, Meaning.DEFER_RUN, Meaning.SLOW_DOWN}:
        assert row.delay > timedelta(0)
    assert row.block is None or row.meaning is Meaning.REJECTED


def test_the_documentation_names_every_code() -> None:
    page = (Path(__file__).parents[2] / "docs" / "providers.md").read_text(encoding="utf-8")
    spelt_as_in_the_sdk = ses.ENTRY_STATUSES.keys() - {
        "CONFIGURATION_SET_DOES_NOT_EXIST",
        "TEMPLATE_DOES_NOT_EXIST",
        "INVALID_PARAMETER_VALUE",
    }
    codes = [*spelt_as_in_the_sdk, *map(str, twilio.CODES), *map(str, smtp.CODES)]
    assert [code for code in codes if code not in page] == []


@pytest.mark.parametrize("meaning", list(Meaning))
def test_only_clear_refusals_let_a_message_be_offered_again(meaning: Meaning) -> None:
    result = Outcome(meaning, "d", "s", delay=timedelta(seconds=1)).result("c")

    expected = {Meaning.REJECTED: Rejected, Meaning.UNKNOWN: Unknown}.get(meaning, Deferred)
    assert type(result) is expected


@given(directives, directives)
def test_the_gravest_directive_wins(first: Directive | None, second: Directive | None) -> None:
    order = [None, DirectiveAction.SLOW_DOWN, DirectiveAction.DEFER, DirectiveAction.STOP]
    actions = [directive.action if directive else None for directive in (first, second)]
    chosen = gravest(first, second)
    assert (chosen.action if chosen else None) == max(actions, key=order.index)


@given(st.sampled_from(Stage), st.integers(-1, 999), st.text(max_size=40))
def test_no_smtp_reply_before_the_end_is_unknown_and_no_refusal_ever_is(
    stage: Stage, code: int, text: str
) -> None:
    meaning = smtp.reply_outcome(stage, code, text).meaning
    if stage is not Stage.END or 400 <= code <= 599:
        assert meaning is not Meaning.UNKNOWN
    else:
        assert meaning is Meaning.UNKNOWN


@given(st.sampled_from(Stage))
def test_only_after_the_end_is_a_lost_smtp_connection_unknown(stage: Stage) -> None:
    unknown = smtp.lost_outcome(stage).meaning is Meaning.UNKNOWN
    assert unknown == (stage is Stage.END)


@given(st.text(max_size=30), st.text(max_size=30), st.integers(500, 599))
def test_a_server_error_of_ses_that_is_not_in_the_table_is_unknown(
    code: str, text: str, status: int
) -> None:
    if code not in ses.CALL_ERRORS:
        assert ses.call_outcome(code, text, status).meaning is Meaning.UNKNOWN


@given(st.one_of(st.none(), st.integers(1, 99_999)), st.integers(500, 599))
def test_a_server_error_of_twilio_that_is_not_in_the_table_is_unknown(
    code: int | None, status: int
) -> None:
    if code not in twilio.CODES:
        assert twilio.error_outcome(code, status).meaning is Meaning.UNKNOWN


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("5.1.1 <person@voters.example>: no such user", "550 5.1.1"),
        ("person@voters.example unknown", "550"),
        ("", "550"),
    ],
)
def test_a_reply_is_reported_by_its_codes_alone(text: str, code: str) -> None:
    assert smtp.code_of(550, text) == code


def test_credentials_show_in_no_representation() -> None:
    assert "hunter2" not in repr(Credentials(key="hunter2", secret="hunter2", token="hunter2"))


def test_credentials_come_from_the_variables_that_the_account_names() -> None:
    settings = AccountSettings(
        "main", ProviderName.SES, key_variable="PARTY_KEY", secret_variable="PARTY_SECRET"
    )
    environ = {"PARTY_KEY": "k", "PARTY_SECRET": " s ", "KEY": "no", "SECRET": "no", "TOKEN": "t"}

    found = read_credentials(
        settings, environ, key_variable="KEY", secret_variable="SECRET", token_variable="TOKEN"
    )
    assert (found.key, found.secret, found.token) == ("k", "s", "t")

    with pytest.raises(ProviderError, match="PARTY_SECRET"):
        read_credentials(settings, {"PARTY_KEY": "k"}, key_variable="KEY", secret_variable="SECRET")


class _Wire:
    """Stands for an HTTP connection: counts what is written."""

    def __init__(self, clock: ManualClock, *, connecting_takes: float) -> None:
        self.sock: object | None = None
        self.written: list[bytes] = []
        self._clock = clock
        self._connecting_takes = connecting_takes

    def connect(self) -> None:
        self._clock.sleep(self._connecting_takes)
        self.sock = object()

    def send(self, data: bytes) -> None:
        self.written.append(data)


class _GatedWire(GatedConnection, _Wire):
    pass


def test_the_gate_lets_a_request_begin_in_time_and_go_on_late() -> None:
    clock = ManualClock()
    wire = _GatedWire(clock, connecting_takes=0.5)
    with RequestGate(clock, clock.seconds + 1.0) as gate:
        wire.send(b"head")
        clock.sleep(10)
        wire.send(b"body")

    assert wire.written == [b"head", b"body"]
    assert gate.wrote


def test_the_gate_holds_back_a_request_whose_connection_took_too_long() -> None:
    clock = ManualClock()
    wire = _GatedWire(clock, connecting_takes=1.0)
    gate = RequestGate(clock, clock.seconds + 1.0)
    with pytest.raises(TooLateError), gate:
        wire.send(b"head")

    assert wire.written == []
    assert not gate.wrote


def test_the_gate_holds_back_a_request_that_is_late_from_the_start() -> None:
    clock = ManualClock()
    with pytest.raises(TooLateError), RequestGate(clock, clock.seconds):
        pytest.fail("the request began")


def test_without_a_gate_a_connection_just_writes() -> None:
    wire = _GatedWire(ManualClock(), connecting_takes=99.0)
    wire.send(b"head")

    assert wire.written == [b"head"]
