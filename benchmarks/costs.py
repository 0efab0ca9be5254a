"""What each safeguard costs of a message's CPU, and what rendering costs beside plain Jinja.

    .venv/bin/python -m benchmarks.costs [--messages 5000] [--database sqlite|postgresql]

Each step is timed in the thread that does it (CPU, not the clock), in a whole campaign by SES bulk
calls; a step counts whatever it calls, so those indented are part of the one above. Without the
timing, `benchmarks.sending` says what a message costs in all.
"""

import argparse
import importlib
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from benchmarks.launched import launch
from benchmarks.letter import plain_email, plain_sms
from benchmarks.office import open_office
from benchmarks.our_letter import email_renderer, recipient, sms_renderer
from benchmarks.sinks import running_sink
from benchmarks.ways import SES_BULK
from sender.store.chain import row_hash
from sender.suppression.tokens import TokenKeys


@dataclass(frozen=True)
class Step:
    """A function or method, and what it does."""

    what: str
    path: str
    indented: bool = False


STEPS = (
    Step("plan", "sender.delivery.planning:plan_next"),
    Step("read the people", "sender.delivery.recipients:waiting_people"),
    Step("render and check", "sender.campaigns.message:CampaignRenderer.render"),
    Step("make the personal link", "sender.suppression.tokens:TokenKeys.make"),
    Step("reserve the rate", "sender.delivery.pace:Pace.reserve"),
    Step("last look, with marks", "sender.delivery.last_look:look_and_mark"),
    Step("decide on everybody again", "sender.delivery.last_look:_verdicts", indented=True),
    Step("mark as dispatching", "sender.delivery.last_look:_mark", indented=True),
    Step("write the journal", "sender.store.journal:Journal.append"),
    Step("call the provider", "sender.providers.ses.send:SesProvider.send"),
    Step("record the outcomes", "sender.delivery.outcomes:record_outcomes"),
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=5_000)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append")
    arguments = parser.parse_args()
    print_rendering()
    print_small()
    databases = arguments.database or ["sqlite", "postgresql"]
    found = {database: steps(database, arguments.messages) for database in databases}
    print(f"\n| step of a message, µs | {' | '.join(databases)} |")
    print(f"|---|{'---|' * len(databases)}")
    for step in STEPS:
        spent = [f"{found[database].get(step.what, 0.0):.1f}" for database in databases]
        print(f"| {'· ' if step.indented else ''}{step.what} | {' | '.join(spent)} |")
    totals = [f"**{found[database]['in all']:.0f}**" for database in databases]
    print(f"| **in all, while timed** | {' | '.join(totals)} |")


def print_rendering(people: int = 2_000) -> None:
    """Ours renders, checks and hashes; plain Jinja renders."""
    print("| rendering | plain Jinja, µs | ours with the check, µs | limit: 1.25 x plain + 20 |")
    print("|---|---|---|---|")
    mails, texts = [[recipient(n, sms=sms) for n in range(people)] for sms in (False, True)]
    plain_mail, plain_text = plain_email(), plain_sms()
    for what, plain, ours in (
        (
            "8 KB e-mail, its text and subject",
            best(lambda one: plain_mail(one.fields, one.opt_out_url), mails),
            best(email_renderer().render, mails),
        ),
        (
            "SMS",
            best(lambda one: plain_text(one.fields), texts),
            best(sms_renderer().render, texts),
        ),
    ):
        print(f"| {what} | {plain:.1f} | **{ours:.1f}** | {1.25 * plain + 20:.1f} |")


def print_small(times: int = 20_000) -> None:
    """What happens once a message or once an event, by itself."""
    keys = TokenKeys.parse("1:" + "ab" * 32)
    salt, columns = bytes(16), ("id", "kind", "occurred_at", "source", "operator", "digest")
    values = dict.fromkeys(columns, "2026-05-07T09:00:00")
    numbers = range(times)
    print("\n| by itself | µs |")
    print("|---|---|")
    print(f"| personal link: sign a token | {best(lambda n: keys.make(n, salt), numbers):.1f} |")
    chained = best(lambda _: row_hash(salt, columns, values), numbers)
    print(f"| hash chain: one row of a ledger (events, not messages) | {chained:.1f} |", flush=True)


def best(act: Callable[[Any], object], items: Any, rounds: int = 7) -> float:
    """Return the least CPU µs an item, of several rounds."""
    spent = []
    for _ in range(rounds):
        started = time.process_time()
        for item in items:
            act(item)
        spent.append(time.process_time() - started)
    return min(spent) / len(items) * 1e6


def steps(database: str, messages: int) -> dict[str, float]:
    """Send a campaign with every step timed; return CPU µs a message by step, and in all."""
    spent: defaultdict[str, float] = defaultdict(float)
    with (
        running_sink() as url,
        open_office(database, SES_BULK, url, messages) as office,
        patch.dict(os.environ, office.variables),
        timed(spent),
    ):
        told = launch(office.campaign)
    found = {what: seconds / told["messages"] * 1e6 for what, seconds in spent.items()}
    return {**found, "in all": told["cpu_seconds"] / told["messages"] * 1e6}


@contextmanager
def timed(spent: defaultdict[str, float]) -> Iterator[None]:
    """Time every step wherever it is called by; put everything back at the end."""
    undo: list[tuple[Any, str, Any]] = []
    for step in STEPS:
        owner, name = _owner(step.path)
        original = getattr(owner, name)
        wrapper = _timed(step.what, original, spent)
        for place in [owner, *_importers(original)]:
            for known in [known for known, one in vars(place).items() if one is original]:
                undo.append((place, known, original))
                setattr(place, known, wrapper)
    try:
        yield
    finally:
        for place, name, original in undo:
            setattr(place, name, original)


def _owner(path: str) -> tuple[Any, str]:
    module, _, inside = path.partition(":")
    *classes, name = inside.split(".")
    owner: Any = importlib.import_module(module)
    for one in classes:
        owner = getattr(owner, one)
    return owner, name


def _importers(function: Any) -> list[Any]:
    ours = [module for name, module in list(sys.modules.items()) if name.startswith("sender.")]
    return [module for module in ours if any(one is function for one in vars(module).values())]


def _timed(
    what: str, original: Callable[..., Any], spent: defaultdict[str, float]
) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        started = time.thread_time()
        try:
            return original(*args, **kwargs)
        finally:
            spent[what] += time.thread_time() - started

    return run


if __name__ == "__main__":
    main()
