"""The provider hangs, resets, throttles, talks nonsense or is down: nobody twice, nobody lost.

The clock jumps where everybody would wait, so that ten minutes take none.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select

from sender.campaigns.carrying import Carrier
from sender.campaigns.definition import CampaignDefinition
from sender.campaigns.launch import prepare_launch
from sender.clock import SystemClock
from sender.delivery.sweep import sweep
from sender.store.controllers import ProviderAccount
from sender.store.engine import open_store
from sender.vocabulary import Channel, DeliveryState, ProviderName, RunState
from tests.fakes.http import Answer, Fault, Step
from tests.fakes.ses import SesFake, error_answer
from tests.fakes.twilio import TwilioFake
from tests.support.campaign_folder import CREDENTIALS, Office, open_office, settings_for
from tests.support.ledger_watch import LedgerWatch
from tests.support.ses_courier import take_in
from tests.support.tally import Tally

PEOPLE = 600
TEXTERS = 30
A_CALL = 50
TEN_MINUTES = timedelta(minutes=10)
BEFORE_THE_BREAKER = 3 + 2
"""Calls that nobody answered, and those under way by then; then one message at a time is tried."""
PROBES = 6
"""Single messages in ten minutes, at pauses of 1, 2, 4, 8 minutes."""

THROTTLED = error_answer(429, "TooManyRequestsException", "Maximum sending rate exceeded.")
BROKEN = error_answer(500, "InternalServiceErrorException", "Internal error.")
FLAPS = "everything in turn"
"""Here the breaker opens and closes: what is answered in between lets the run go on."""
TROUBLES: dict[str, tuple[Step, ...]] = {
    "takes it and hangs": (Fault.SILENCE,),
    "resets": (Fault.RESET,),
    "takes it and resets": (Fault.RESET_MIDWAY,),
    "takes it and hangs up": (Fault.HANG_UP,),
    "throttles": (THROTTLED,),
    "breaks": (BROKEN,),
    "answers nonsense": (Answer.nonsense(200), Answer.html(200), Answer.html(502)),
    FLAPS: (
        *(Fault.SILENCE, None, THROTTLED, Fault.RESET, None, Answer.nonsense(200)),
        *(Fault.HANG_UP, None, BROKEN, Fault.TRUNCATED, None, Fault.TWICE),
    ),
}


class Jumping(SystemClock):
    """The machine's clock, set ahead by whoever has waited enough."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.ahead


class Again(deque[Step]):
    """The same steps over and over."""

    def __bool__(self) -> bool:
        return True

    def popleft(self) -> Step:
        self.rotate(-1)
        return self[-1]


@pytest.fixture
def ses() -> Iterator[SesFake]:
    with SesFake() as running:
        running.account.rate = 5_000.0
        yield running


@pytest.fixture
def clock() -> Jumping:
    return Jumping()


@pytest.fixture
def office(
    database_url: str, tmp_path: Path, ses: SesFake, clock: Jumping, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Office]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sender.delivery.dispatch.MOST_AT_ONCE", A_CALL)
    monkeypatch.setattr(
        "tests.support.campaign_folder.settings_for",
        partial(settings_for, provider_timeout_seconds=1.0),
    )
    store = open_store(database_url)
    with (
        TwilioFake() as twilio,
        open_office(
            store, tmp_path, ses=ses, twilio=twilio, people=PEOPLE, texters=TEXTERS, clock=clock
        ) as opened,
    ):
        yield opened
    store.close()


def confirm(office: Office, definition: CampaignDefinition) -> int:
    """Say yes, and leave the sending to whoever carries runs on."""
    launch = prepare_launch(office.context, definition)
    try:
        launch.confirm()
        return launch.run_id
    finally:
        launch.close()


def carry_on_all(office: Office, carrier: Carrier) -> int:
    """Carry on what has work now, side by side, as workers do; return how many runs that were."""
    runs = sweep(office.store, office.context.clock, "olive")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(carrier.carry_on, runs))
    return len(runs)


def carry_on_for(office: Office, carrier: Carrier, clock: Jumping, duration: timedelta) -> None:
    """Carry on whatever has work for so long on the clock."""
    until = clock.now() + duration
    while clock.now() < until and office.open_runs():
        if not carry_on_all(office, carrier):
            clock.ahead += timedelta(seconds=10)


def watch_of(office: Office, ses: SesFake, run_id: int) -> LedgerWatch:
    def taken() -> dict[int, int]:
        ids = ses.delivery_ids
        return {one: ids.count(one) for one in ids}

    return LedgerWatch(office.store, run_id, taken)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_ten_minutes_of_trouble(
    office: Office, ses: SesFake, clock: Jumping, tally: Tally, trouble: str
) -> None:
    run_id = confirm(office, office.email())
    watch, carrier = watch_of(office, ses, run_id), Carrier(office.context)
    carrier.carry_on(run_id, until=clock.now())  # its account was asked for before the trouble
    ses.script = Again(TROUBLES[trouble])
    carry_on_for(office, carrier, clock, TEN_MINUTES)
    in_trouble = watch.look()
    assert in_trouble[DeliveryState.ACCEPTED] == 0 or trouble == FLAPS
    ses.script = deque()
    carry_on_for(office, carrier, clock, timedelta(hours=1))
    carrier.close()
    assert office.run(run_id).state is RunState.FINISHED
    counts = watch.look()
    assert counts.keys() <= {DeliveryState.ACCEPTED, DeliveryState.UNKNOWN}
    if trouble != FLAPS:
        assert counts[DeliveryState.UNKNOWN] <= BEFORE_THE_BREAKER * A_CALL + PROBES
    take_in(office, ses.messages)
    reconciled = watch.look()
    assert reconciled[DeliveryState.DELIVERED] == len(ses.messages)
    tally["left unknown"] += counts[DeliveryState.UNKNOWN]
    tally["provider's troubles"] += 1


def test_down_for_ten_minutes(office: Office, ses: SesFake, clock: Jumping, tally: Tally) -> None:
    run_id = confirm(office, office.email())
    watch, carrier = watch_of(office, ses, run_id), Carrier(office.context)
    _point_at(office, "http://127.0.0.1:9")  # nobody listens there
    carry_on_for(office, carrier, clock, TEN_MINUTES)
    assert ses.messages == []
    assert watch.look() == {DeliveryState.PENDING: PEOPLE}
    assert office.run(run_id).state.is_open
    _point_at(office, ses.url)
    carry_on_for(office, carrier, clock, timedelta(hours=1))
    carrier.close()
    assert office.run(run_id).state is RunState.FINISHED
    assert watch.look() == {DeliveryState.ACCEPTED: PEOPLE}
    tally["provider's troubles"] += 1


def _point_at(office: Office, url: str) -> None:
    with office.store.write() as session:
        query = select(ProviderAccount).where(ProviderAccount.provider == ProviderName.SES)
        account = session.scalars(query).one()
        account.options = account.options | {"endpoint_url": url}


@pytest.mark.parametrize("trouble", ["takes it and hangs", "throttles", "breaks"])
def test_a_run_at_another_account_is_not_held_up(
    office: Office, ses: SesFake, clock: Jumping, trouble: str
) -> None:
    stuck = confirm(office, office.email(name="stuck"))
    carrier = Carrier(office.context)
    ses.script = Again(TROUBLES[trouble])
    carry_on_for(office, carrier, clock, timedelta(seconds=1))
    other = confirm(office, office.sms(name="other"))
    began = clock.now()
    carry_on_for(office, carrier, clock, timedelta(seconds=1))
    carrier.close()
    assert office.run(other).state is RunState.FINISHED
    assert clock.now() - began < timedelta(minutes=5)
    assert office.run(stuck).state.is_open
    assert office.counts(other).handed_over == TEXTERS == len(office.addresses[Channel.SMS])
