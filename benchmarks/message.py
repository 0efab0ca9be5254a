"""Client CPU per message, end to end and by step, beside a bare loop over the same SDK.

    .venv/bin/python -m benchmarks.message [--people 5000] [--database sqlite|postgresql]

The message has 7 KB of HTML and 8 personal values, and goes by SES bulk calls to the local fake in
another process. The bare loop renders the same Jinja templates and makes the same calls, with no
database, no checks and no personal link. CPU seconds of this process only; the database server's
own CPU is not counted.
"""

import argparse
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import jinja2
from sqlalchemy import update

from benchmarks.crowd import fill
from benchmarks.plan_million import empty_database
from sender.campaigns.message import CampaignRenderer
from sender.clock import SystemClock
from sender.delivery.audience import ContactAudience
from sender.delivery.batch import Batch
from sender.delivery.dispatch import Dispatcher
from sender.delivery.pace import Pace
from sender.delivery.planning import plan
from sender.delivery.runs import count, get_run, move
from sender.providers.account import AccountSettings
from sender.providers.base import Outgoing, Provider
from sender.providers.registry import open_provider
from sender.rendering.email_renderer import EmailRenderer
from sender.rendering.message import RenderedEmail
from sender.rendering.profile import EmailIdentity, Recipient, SenderProfile
from sender.rendering.text import CampaignText, TemplateSource
from sender.resources import resource_folder
from sender.store.campaigns import Run
from sender.store.contacts import Contact
from sender.store.engine import Store, open_store
from sender.store.migrate import upgrade
from sender.suppression.tokens import TokenKeys
from sender.vocabulary import Channel, ControllerKind, ProviderName, RunState

ENVIRON = {
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrEXAMPLE",
    "AWS_REGION": "eu-west-2",
}
VALUES = {
    "title": "Dr", "first_name": "Aisha", "last_name": "O'Brien", "postcode": "RV1 2AB",
    "ward": "St Anne's", "polling_station": "Friends' Hall", "branch": "Riverside", "member": "yes",
}  # fmt: skip
PARAGRAPH = "<p>The reading room keeps its hours, and the children's hour comes back. " * 6 + "</p>"
BODY = (
    "<h1>News for {{ recipient.ward }}</h1><p>Dear {{ recipient.title }} {{ recipient.first_name }}"
    " {{ recipient.last_name }} ({{ recipient.postcode }}),</p>"
    + PARAGRAPH
    * 9
    + "<p>You vote at {{ recipient.polling_station }}; your branch is {{ recipient.branch }}; "
    "member: {{ recipient.member }}.</p>"
)
STEPS = ("_read", "_render", "_wait_for_rate", "_look", "_call", "_record")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--people", type=int, default=5_000)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append")
    arguments = parser.parse_args()
    print(f"Python {sys.version.split()[0]}; {arguments.people:,} messages\n")
    with fake_ses() as url:
        bare = bare_loop(url, arguments.people)
        print(f"bare loop (Jinja and SDK only): {bare:.0f} µs a message\n")
        for database in arguments.database or ["sqlite", "postgresql"]:
            with empty_database(database) as database_url:
                total, steps, sent = dispatch(database_url, url, arguments.people)
            print(
                f"{database}: {sent:,} sent, {total:.0f} µs a message, bare/ours {bare / total:.2f}"
            )
            for step, spent in sorted(steps.items(), key=lambda item: -item[1]):
                print(f"  {step.strip('_'):14} {spent:7.0f} µs")


@contextmanager
def fake_ses() -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.ses", "--rate", "1000000"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def account(url: str) -> AccountSettings:
    return AccountSettings(
        name="ses", provider=ProviderName.SES, region="eu-west-2", endpoint_url=url, concurrency=1
    )


def open_ses(url: str) -> Provider:
    return open_provider(account(url), ENVIRON, SystemClock(), timedelta(seconds=20))


def campaign_text() -> CampaignText:
    layout = resource_folder("templates") / "layouts" / "standard.html"
    return CampaignText(
        campaign_name="benchmark",
        subject="News for {{ recipient.ward }}",
        html=TemplateSource("body.html", BODY),
        layout=TemplateSource("layouts/standard.html", layout.read_text(encoding="utf-8")),
    )


def renderer() -> CampaignRenderer:
    profile = SenderProfile(
        slug="crowd", name="Riverside Association", kind=ControllerKind.ASSOCIATION,
        postal_address="1 High Street, Riverside RV1 1AA", contact_email="office@riverside.org.uk",
        contact_phone=None, website=None, privacy_notice_url="https://riverside.org.uk/privacy",
        promoter_name="Pat Promoter", promoter_address="2 High Street, Riverside RV1 1AA",
    )  # fmt: skip
    identity = EmailIdentity("news@riverside.org.uk", "Riverside")
    made = EmailRenderer(campaign_text(), profile, identity, list_id="news.riverside.org.uk")
    return CampaignRenderer(frozenset(VALUES), made)


def bare_loop(url: str, people: int) -> float:
    """Render plainly and call the SDK, batch by batch; return CPU µs a message."""
    environment = jinja2.Environment(
        loader=jinja2.DictLoader({"body": BODY, "subject": "News for {{ recipient.ward }}"}),
        autoescape=True,
    )
    body, subject = environment.get_template("body"), environment.get_template("subject")
    template = renderer().render(
        Recipient("a@example.org", VALUES, "https://out.riverside.org.uk/u/" + "0" * 22)
    )
    assert isinstance(template, RenderedEmail)
    provider = open_ses(url)
    now = SystemClock().now()
    started = time.process_time()
    for first in range(0, people, 50):
        batch = []
        for number in range(first, min(first + 50, people)):
            values = {"recipient": VALUES}
            message = replace(
                template, html=body.render(values), subject=subject.render(values),
                to_address=f"p{number}@example.org",
            )  # fmt: skip
            batch.append(Outgoing(number + 1, 1, "crowd", message, now + timedelta(hours=1)))
        provider.send(batch, time.monotonic() + 60)
    spent = time.process_time() - started
    provider.close()
    return spent / people * 1e6


def dispatch(database_url: str, url: str, people: int) -> tuple[float, dict[str, float], int]:
    """Plan and dispatch; return CPU µs a message in all and by step, and how many were sent."""
    upgrade(database_url)
    store, clock = open_store(database_url), SystemClock()
    run_id = fill(store, clock, round(people / 0.7))
    ready(store, run_id)
    keys = TokenKeys.parse("1:" + "ab" * 32)
    with store.read() as session:
        version_id = session.get_one(Run, run_id).version_id
    spent: defaultdict[str, float] = defaultdict(float)
    with measured(spent):
        dispatcher = Dispatcher(
            store=store, clock=clock, provider=open_ses(url), renderer=renderer(),
            opt_out_url=lambda number: f"https://out.riverside.org.uk/u/{keys.make(number, None)}",
            run_id=run_id, version_id=version_id, operator="benchmark",
            pace=Pace(store, clock, "account:1", 1_000_000),
        )  # fmt: skip
        started = time.process_time()
        dispatcher.run()
        total = time.process_time() - started
    with store.read() as session:
        sent = count(session, run_id).handed_over
    store.close()
    steps = {step: seconds / sent * 1e6 for step, seconds in spent.items()}
    steps["coordinator"] = total / sent * 1e6 - sum(steps.values())
    return total / sent * 1e6, steps, sent


def ready(store: Store, run_id: int) -> None:
    clock = SystemClock()
    attributes = {k: v for k, v in VALUES.items() if k in {"ward", "polling_station", "branch"}}
    with store.write() as session:
        session.execute(
            update(Contact).values(
                title="Dr", last_name="O'Brien", postcode="RV1 2AB",
                attributes={**attributes, "member": "yes"},
            )
        )  # fmt: skip
        controller_id = session.get_one(Run, run_id).controller_id
    for _ in plan(store, clock, run_id, ContactAudience(controller_id, Channel.EMAIL)):
        pass
    with store.write() as session:
        run = get_run(session, run_id)
        move(session, run, RunState.READY, now=clock.now(), operator="benchmark")


@contextmanager
def measured(spent: defaultdict[str, float]) -> Iterator[None]:
    """Count the CPU of each step of a batch, in the thread that does it."""
    originals = {step: getattr(Batch, step) for step in STEPS}
    for step, original in originals.items():
        setattr(Batch, step, timed(step, original, spent))
    try:
        yield
    finally:
        for step, original in originals.items():
            setattr(Batch, step, original)


def timed(
    step: str, original: Callable[..., Any], spent: defaultdict[str, float]
) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        started = time.thread_time()
        try:
            return original(*args, **kwargs)
        finally:
            spent[step] += time.thread_time() - started

    return run


if __name__ == "__main__":
    main()
