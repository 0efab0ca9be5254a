"""A thousand people opt out while a campaign is sent to them: an acknowledged no comes first.

Asserted on the order of things, not on durations: a last look that was taken after the
acknowledgement has skipped the person (invariants 2 and 6). That a request starts at most a second
after its last look is shown in `tests/integration/test_dispatch.py`.
"""

import json
import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from sender.campaigns.launch import Launch, prepare_launch
from sender.clock import SystemClock
from sender.delivery.progress import Ending
from sender.store.campaigns import Run
from sender.store.controllers import ProviderAccount
from sender.store.deliveries import Delivery
from sender.store.engine import open_store
from sender.suppression.links import opt_out_links
from sender.vocabulary import Channel, DeliveryState, ProviderName, Reason
from sender.web import pages, ses, twilio
from sender.web.app import assemble
from sender.web.limits import Limits
from tests.fakes.outgoing import NOON
from tests.fakes.ses import SesFake
from tests.fakes.sns import TOPIC, SnsFake
from tests.fakes.twilio import TwilioFake
from tests.support.campaign_folder import CREDENTIALS, Office, open_office
from tests.support.factory import NOW, add_identity, add_policy
from tests.support.opt_outs import FORM, ONE_CLICK, OptOut, connect, text_message
from tests.support.web_server import serve

PEOPLE = int(os.environ.get("CHAOS_PEOPLE", "2000"))
OPT_OUTS = PEOPLE // 2
CLIENTS = 4
NUMBER = "+447700900777"
SEED = int(os.environ.get("CHAOS_SEED", str(random.randrange(10**6))))


class Noon(SystemClock):
    """The machine's clock, set to the day for which the fakes' certificates were made."""

    def __init__(self) -> None:
        self._ahead = NOON - super().now()

    def now(self) -> datetime:
        return super().now() + self._ahead


@dataclass
class Acknowledged:
    """When each address was told that nothing more comes, by our clock."""

    at: dict[int, datetime] = field(default_factory=dict)
    ways: Counter[str] = field(default_factory=Counter)


@dataclass
class Ends:
    """The office, its web side, and the ends of the providers."""

    office: Office
    ses: SesFake
    twilio: TwilioFake
    sns: SnsFake
    url: str

    def taken(self, channel: Channel) -> int:
        """Return how many messages the provider took so far."""
        return len((self.ses if channel is Channel.EMAIL else self.twilio).messages)


@pytest.fixture
def ends(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ends]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    sns, store = SnsFake(), open_store(database_url)
    with (
        SesFake() as to_ses,
        TwilioFake() as to_twilio,
        open_office(
            store, tmp_path, ses=to_ses, twilio=to_twilio, clock=Noon(),
            people=PEOPLE, texters=PEOPLE,
        ) as office,
    ):  # fmt: skip
        to_ses.account.rate = 5_000.0
        _prepare_accounts(office)
        routers = [
            pages.routes(office.context),
            twilio.routes(office.context),
            ses.routes(office.context, sns, sns.roots),
        ]
        with serve(assemble(office.context, routers, Limits())) as url:
            yield Ends(office, to_ses, to_twilio, sns, url)
    store.close()


def _prepare_accounts(office: Office) -> None:
    """Twilio's requests one by one would take long: the rates only have to leave time for a no."""
    more = {ProviderName.SES: {"topic_arns": [TOPIC], "rate_per_second": 400}}
    with office.store.write() as session:
        for account in session.scalars(select(ProviderAccount)):
            account.options = account.options | more.get(account.provider, {"rate_per_second": 400})
        add_policy(  # or the brake would stop a run that half of the people want no more of
            session, office.organisation.controller, brake={"least_accepted": 10 * PEOPLE}
        )


def acts_of(ends: Ends, run_id: int, channel: Channel) -> list[OptOut]:
    """Return one act for half of the people, by every way that their channel has."""
    with ends.office.store.read() as session:
        run = session.get_one(Run, run_id)
        query = select(Delivery).where(Delivery.run_id == run_id).order_by(Delivery.id)
        deliveries = session.scalars(query).all()
    link = opt_out_links(ends.office.context.settings).of_run(run.link_salt)
    by_id = {row_id: address for address, row_id in ends.office.ids.items()}
    makers = _of_email(ends) if channel is Channel.EMAIL else _of_sms()
    return [
        replace(
            makers[place % len(makers)](link(row.id), by_id[row.address_id], row),
            address_id=row.address_id,
        )
        for place, row in enumerate(random.Random(SEED).sample(list(deliveries), OPT_OUTS))
    ]


Maker = Callable[[str, str, Delivery], OptOut]


def _of_email(ends: Ends) -> Sequence[Maker]:
    return [_one_click, _button, lambda *whose: _complaint(ends.sns, *whose)]


def _of_sms() -> Sequence[Maker]:
    return [_text, _text, _button]


def _one_click(url: str, _address: str, _row: Delivery) -> OptOut:
    return OptOut("one-click", 0, _path(url), ONE_CLICK, {"Content-Type": FORM})


def _button(url: str, _address: str, _row: Delivery) -> OptOut:
    return OptOut("page", 0, _path(url), b"act=stop", {"Content-Type": FORM})


def _text(_url: str, address: str, row: Delivery) -> OptOut:
    return text_message(address, NUMBER, "STOP", f"SM{row.id:032x}")


def _complaint(sns: SnsFake, _url: str, address: str, row: Delivery) -> OptOut:
    """As SES tells it of an older message, which is not on record any more."""
    event = {
        "eventType": "Complaint",
        "mail": {
            "timestamp": "2026-04-21T12:00:00.000Z",
            "messageId": f"message-{row.id}",
            "destination": [address],
        },
        "complaint": {
            "complainedRecipients": [{"emailAddress": address}],
            "timestamp": "2026-04-21T12:00:00.000Z",
            "complaintFeedbackType": "abuse",
        },
    }
    body = sns.event(json.dumps(event), MessageId=f"complaint-{row.id}")
    return OptOut("complaint", 0, ses.PATH, body, {"Content-Type": "text/plain"})


def _path(url: str) -> str:
    return url.removeprefix("https://out.example.org")


def deliver(ends: Ends, acts: Sequence[OptOut], channel: Channel) -> Acknowledged:
    """Post all acts from several clients, once the sending has begun."""
    told, lock = Acknowledged(), threading.Lock()
    while ends.taken(channel) == 0:
        ends.office.context.clock.sleep(0)

    def post(some: Sequence[OptOut]) -> None:
        connection = connect(ends.url)
        for act in some:
            status = act.send(connection)
            at = ends.office.context.clock.now()
            assert status == 200, (act.way, status)
            with lock:
                told.at[act.address_id] = at
                told.ways[act.way] += 1
        connection.close()

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(post, [acts[place::CLIENTS] for place in range(CLIENTS)]))
    return told


def sent(launch: Launch) -> Ending:
    try:
        return launch.dispatch()
    finally:
        launch.close()


@pytest.mark.parametrize("channel", list(Channel))
def test_nobody_is_written_to_on_a_look_after_their_acknowledged_no(
    ends: Ends, channel: Channel
) -> None:
    print(f"CHAOS_SEED={SEED}")  # noqa: T201  # pytest shows it when the test fails
    definition = ends.office.email() if channel is Channel.EMAIL else ends.office.sms()
    with ends.office.store.write() as session:
        add_identity(
            session, ends.office.organisation.controller, Channel.SMS, address=NUMBER, name="old",
            retired_at=NOW,
        )  # fmt: skip
    launch = prepare_launch(ends.office.context, definition)
    launch.confirm()
    acts = acts_of(ends, launch.run_id, channel)
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(sent, launch)
        told = deliver(ends, acts, channel)
        assert sending.result() is Ending.FINISHED
    assert len(told.at) == OPT_OUTS
    assert min(told.ways.values()) > OPT_OUTS // 4
    with ends.office.store.read() as session:
        query = select(Delivery).where(Delivery.run_id == launch.run_id)
        rows = {row.address_id: row for row in session.scalars(query)}
    late = [
        row
        for address_id, at in told.at.items()
        if (row := rows[address_id]).dispatched_at is not None and row.dispatched_at >= at
    ]
    assert late == []
    refused = [row for row in rows.values() if row.state is DeliveryState.SKIPPED]
    assert {row.reason for row in refused} <= {Reason.SUPPRESSED, Reason.OBJECTED}
    assert {row.address_id for row in refused} <= told.at.keys()
    assert 0 < len(refused) < OPT_OUTS, "the two were not at the same time"
    in_time = {row.address_id for row in rows.values() if row.dispatched_at is None}
    assert ends.taken(channel) == len(rows) - len(in_time)
