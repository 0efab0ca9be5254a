"""How long a one-click opt-out takes while a campaign is sent at full speed, beside a quiet hour.

One client posts the links of the campaign's own messages, one after the other, while another
process dispatches it: SES bulk calls to a local sink, the same database, the same journal.

    python -m benchmarks.opt_outs_sending RUN SES_URL    that process; settings in the environment
"""

import argparse
import http.client
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select, update

from benchmarks.letter import CONTACT, VALUES
from benchmarks.opt_outs_crowd import Message, one_click, open_filled
from benchmarks.opt_outs_server import Served, environment, make_authority, serving
from benchmarks.our_letter import email_renderer
from benchmarks.plan_million import empty_database
from benchmarks.sinks import running_sink
from sender.campaigns.message import CampaignRenderer
from sender.clock import SystemClock
from sender.context import open_context
from sender.delivery.audience import ContactAudience
from sender.delivery.dispatch import Dispatcher
from sender.delivery.pace import Pace
from sender.delivery.planning import plan
from sender.delivery.runs import count, get_run, move
from sender.providers.account import AccountSettings
from sender.providers.registry import open_provider
from sender.store.campaigns import Run
from sender.store.contacts import Contact
from sender.store.deliveries import Delivery
from sender.store.engine import Store
from sender.suppression.links import opt_out_links
from sender.vocabulary import Channel, DeliveryState, ProviderName, RunState
from tests.fakes.sns import SnsFake
from tests.support.campaign_folder import CREDENTIALS
from tests.support.opt_outs import OptOut, connect

QUIET = 1_000
WARM_UP = 200
LEAST = 500


def main() -> None:
    """Dispatch a run; print how many people and seconds it took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=int)
    parser.add_argument("ses_url")
    arguments = parser.parse_args()
    account = AccountSettings(
        "ses", ProviderName.SES, endpoint_url=arguments.ses_url, concurrency=1
    )
    with open_context() as context:
        provider = open_provider(account, CREDENTIALS, context.clock, timedelta(seconds=20))
        with context.store.read() as session:
            run = session.get_one(Run, arguments.run)
        dispatcher = Dispatcher(
            store=context.store,
            hasher=context.hasher,
            clock=context.clock,
            provider=provider,
            renderer=CampaignRenderer(frozenset(VALUES), email_renderer()),
            opt_out_url=opt_out_links(context.settings).of_run(run.link_salt),
            run_id=run.id,
            version_id=run.version_id,
            operator="benchmark",
            pace=Pace(context.store, context.clock, "account:1", 1_000_000),
        )
        started = time.perf_counter()
        dispatcher.run()
        seconds = time.perf_counter() - started
        with context.store.read() as session:
            sent = count(session, run.id).handed_over
    print(json.dumps({"sent": sent, "seconds": seconds}))


def compare(databases: Sequence[str], people: int) -> None:
    print("\n| database | while | opt-outs | p50, ms | p99, ms | longest, ms | sent per s |")
    print("|---|---|---|---|---|---|---|")
    for database in databases:
        with empty_database(database) as url, tempfile.TemporaryDirectory() as folder:
            for row in latencies(database, url, Path(folder), people):
                print(row, flush=True)


def latencies(database: str, url: str, folder: Path, people: int) -> Iterator[str]:
    clock = SystemClock()
    store, run_id = open_filled(url, clock, round(people / 0.7))
    ready(store, run_id)
    posts = iter(_opt_outs(store, run_id, make_authority(folder, clock)))
    with serving("real", url, folder) as served:
        with _client(served) as connection:
            quiet = [timed(next(posts), connection) for _ in range(WARM_UP + QUIET)]
        yield _row(database, "quiet", quiet[WARM_UP:], "")
        with running_sink() as ses_url, _sending(url, folder, run_id, ses_url) as process:
            _wait_until_sending(store, run_id)
            busy = _while_running(process, served, posts)
            assert process.stdout is not None
            told = json.loads(process.stdout.read())
        yield _row(database, "sending", busy, f"{told['sent'] / told['seconds']:,.0f}")
    store.close()


def ready(store: Store, run_id: int) -> None:
    """Plan the whole run, so that everybody's link is known, and let it be sent."""
    clock = SystemClock()
    with store.write() as session:
        session.execute(update(Contact).values(**CONTACT))
        controller_id = session.get_one(Run, run_id).controller_id
    for _ in plan(store, clock, run_id, ContactAudience(controller_id, Channel.EMAIL)):
        pass
    with store.write() as session:
        run = get_run(session, run_id)
        move(session, run, RunState.READY, now=clock.now(), operator="benchmark")


def _while_running(
    process: "subprocess.Popen[str]", served: Served, posts: Iterator[OptOut]
) -> list[float]:
    busy = []
    with _client(served) as connection:
        while process.poll() is None:
            busy.append(timed(next(posts), connection))
    assert len(busy) > LEAST, f"{len(busy)} opt-outs; more --people are needed"
    return busy[:-1]  # the campaign ended during the last


def _opt_outs(store: Store, run_id: int, sns: SnsFake) -> list[OptOut]:
    """Return the one-click of everybody whom the run would write to, in any order."""
    with store.read() as session:
        salt = session.get_one(Run, run_id).link_salt
        query = select(Delivery.id, Delivery.address_id).where(
            Delivery.run_id == run_id, Delivery.state == DeliveryState.PENDING
        )
        rows = session.execute(query.order_by(Delivery.id)).all()
    posts = [one_click(Message(row.id, run_id, row.address_id, "", "", salt), sns) for row in rows]
    random.Random(1).shuffle(posts)
    return posts


@contextmanager
def _client(served: Served) -> Iterator[http.client.HTTPConnection]:
    connection = connect(served.url)
    yield connection
    connection.close()


@contextmanager
def _sending(
    url: str, folder: Path, run_id: int, ses_url: str
) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "benchmarks.opt_outs_sending", str(run_id), ses_url]
    with subprocess.Popen(
        command, env=environment(url, folder), stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _wait_until_sending(store: Store, run_id: int) -> None:
    begun = select(Delivery.id).where(
        Delivery.run_id == run_id, Delivery.state == DeliveryState.ACCEPTED
    )
    found = None
    while found is None:
        time.sleep(0.05)
        with store.read() as session:
            found = session.scalar(begun.limit(1))


def timed(one: OptOut, connection: http.client.HTTPConnection) -> float:
    """Post it; return how long the answer took, in milliseconds."""
    started = time.perf_counter()
    status = one.send(connection)
    elapsed = time.perf_counter() - started
    assert status in {200, 204}, (one.way, status)
    return elapsed * 1e3


def percentile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _row(database: str, when: str, latencies_ms: Sequence[float], sent: str) -> str:
    return (
        f"| {database} | {when} | {len(latencies_ms):,} | {percentile(latencies_ms, 50):.1f} "
        f"| {percentile(latencies_ms, 99):.1f} | {max(latencies_ms):.1f} | {sent} |"
    )


if __name__ == "__main__":
    main()
