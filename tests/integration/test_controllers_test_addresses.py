"""Test addresses: only the code that arrived there makes an address one, and codes are few."""

import json
import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from sqlalchemy import select

from sender.campaigns import test_addresses as desk
from sender.campaigns.codes import MAX_FAILURES
from sender.context import Context
from sender.errors import NotFoundError, ProviderError, RefusedError
from sender.settings import Settings
from sender.store.audit import AuditEvent, AuditPayload
from sender.store.contacts import TestAddress
from sender.store.controllers import ProviderAccount
from sender.store.deliveries import Reply
from sender.store.engine import Store
from sender.vocabulary import BlockCause, Channel, ProviderName
from tests.support.factory import HASHER, NOW, OPERATOR, address_id_of, block, establish

ADDRESS = "me@example.org"


@dataclass
class HandClock:
    """Goes only when told."""

    current: datetime = field(default=NOW)

    def now(self) -> datetime:
        return self.current

    def monotonic(self) -> float:
        return self.current.timestamp()

    def sleep(self, seconds: float) -> None:
        self.current += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def context(store: Store, clock: HandClock, tmp_path: Path) -> Context:
    with store.write() as session:
        establish(session, "riverside")
    settings = Settings(outbox=tmp_path / "outbox")
    return Context(settings, store, HASHER, clock, OPERATOR)


def codes_sent(context: Context) -> list[str]:
    """Read the codes from the messages that lie in the outbox."""
    texts = [_text(path) for path in sorted(context.settings.outbox.rglob("-*"))]
    found = [re.search(r"your code is ([0-9A-Z]{8})\.", text) for text in texts]
    return [match[1] for match in found if match]


def _text(path: Path) -> str:
    if path.suffix == ".txt":
        return path.read_text(encoding="utf-8")
    if path.suffix != ".eml":
        return ""
    body = message_from_bytes(path.read_bytes(), policy=policy.default).get_body(("plain",))
    return "" if body is None else str(body.get_content())


def add(context: Context, address: str = ADDRESS, channel: Channel = Channel.EMAIL) -> None:
    desk.add(context, "riverside", channel, address)


def confirm(context: Context, code: str, address: str = ADDRESS) -> None:
    desk.confirm(context, "riverside", Channel.EMAIL, address, code)


def is_confirmed(context: Context) -> bool:
    with context.store.read() as session:
        return session.scalars(select(TestAddress)).one().verified_at is not None


def test_the_code_that_arrived_confirms_the_address(context: Context) -> None:
    add(context)
    [code] = codes_sent(context)
    assert not is_confirmed(context)
    confirm(context, f" {code.lower()} ")
    assert is_confirmed(context)
    confirm(context, "anything")  # is confirmed already
    assert desk.listed(context, "riverside") == [
        {"address": ADDRESS, "added": NOW, "confirmed": NOW}
    ]


def test_a_code_can_go_by_text_message(context: Context) -> None:
    add(context, "+447700900123", Channel.SMS)
    [code] = codes_sent(context)
    desk.confirm(context, "riverside", Channel.SMS, "+447700900123", code)
    assert is_confirmed(context)


def test_five_wrong_codes_spoil_the_right_one(context: Context) -> None:
    add(context)
    [code] = codes_sent(context)
    for left in (4, 3, 2, 1, 0):
        with pytest.raises(RefusedError) as refused:
            confirm(context, "WRONG234")
        assert refused.value.remedy == f"Tries left: {left}."
    with pytest.raises(RefusedError, match="no longer"):
        confirm(context, code)
    assert not is_confirmed(context)


def test_a_code_lasts_a_day(context: Context, clock: HandClock) -> None:
    add(context)
    [code] = codes_sent(context)
    clock.current += timedelta(days=1, seconds=1)
    with pytest.raises(RefusedError, match="no longer"):
        confirm(context, code)


def test_a_code_is_no_other_controllers(context: Context) -> None:
    with context.store.write() as session:
        establish(session, "hillside")
    add(context)
    [code] = codes_sent(context)
    with pytest.raises(NotFoundError, match="never sent"):
        desk.confirm(context, "hillside", Channel.EMAIL, ADDRESS, code)


def test_an_address_gets_one_code_a_day_whoever_asks(context: Context, clock: HandClock) -> None:
    with context.store.write() as session:
        establish(session, "hillside")
    add(context)
    with pytest.raises(RefusedError, match="within the last day"):
        add(context)
    with pytest.raises(RefusedError, match="within the last day"):
        desk.add(context, "hillside", Channel.EMAIL, ADDRESS)
    assert len(codes_sent(context)) == 1
    clock.current += timedelta(days=1, seconds=1)
    add(context)
    assert len(codes_sent(context)) == 2


def test_a_new_code_gives_new_tries(context: Context, clock: HandClock) -> None:
    add(context)
    for _ in range(MAX_FAILURES):
        with pytest.raises(RefusedError):
            confirm(context, "WRONG234")
    old = codes_sent(context)
    clock.current += timedelta(days=1, seconds=1)
    add(context)
    [new] = set(codes_sent(context)) - set(old)
    confirm(context, new)
    assert is_confirmed(context)


def test_a_controller_sends_ten_codes_a_day(context: Context) -> None:
    for number in range(desk.PER_CONTROLLER_A_DAY):
        add(context, f"me{number}@example.org")
    with pytest.raises(RefusedError, match="sent 10 codes"):
        add(context, "one-more@example.org")
    assert len(codes_sent(context)) == 10


@pytest.mark.parametrize("cause", [BlockCause.OBJECTION, BlockCause.OPT_OUT, BlockCause.INVALID])
def test_nothing_goes_to_a_blocked_address(context: Context, cause: BlockCause) -> None:
    with context.store.write() as session:
        block(session, address_id_of(session, ADDRESS), cause=cause)
    with pytest.raises(RefusedError, match="blocked"):
        add(context)
    assert codes_sent(context) == []


def test_a_confirmed_address_gets_no_other_code(context: Context, clock: HandClock) -> None:
    add(context)
    confirm(context, codes_sent(context)[0])
    clock.current += timedelta(days=2)
    with pytest.raises(RefusedError, match="confirmed already"):
        add(context)
    assert is_confirmed(context)


def test_the_code_is_kept_nowhere_but_as_a_hash(context: Context) -> None:
    add(context)
    [code] = codes_sent(context)
    with context.store.read() as session:
        [row] = session.scalars(select(TestAddress)).all()
        audited = json.dumps([list(row) for row in session.execute(select(AuditEvent.details))])
        assert session.scalars(select(AuditPayload)).all() == []
    assert len(row.code_hash) == 32
    assert code not in audited
    assert ADDRESS not in audited


def test_a_code_is_written_down_before_it_goes_out(context: Context) -> None:
    with context.store.write() as session:
        account = session.scalars(select(ProviderAccount)).one()
        account.provider = ProviderName.SMTP
        account.options = {"options": {"host": "127.0.0.1", "port": "1"}}
    with pytest.raises(ProviderError):
        add(context)
    with context.store.read() as session:
        assert [row.kind for row in session.scalars(select(Reply))] == [desk.KIND]
    with pytest.raises(RefusedError, match="within the last day"):
        add(context)


def test_an_identity_is_named_or_the_first(context: Context) -> None:
    with pytest.raises(NotFoundError, match="sender identity nobody"):
        desk.add(context, "riverside", Channel.EMAIL, ADDRESS, identity_name="nobody")


def test_the_message_names_the_controller_and_is_no_delivery(context: Context) -> None:
    add(replace(context))
    [mail] = context.settings.outbox.rglob("*.eml")
    text = _text(mail)
    assert mail.stem.startswith("-")
    assert "Riverside Association" in text
    assert "1 High Street" in text
