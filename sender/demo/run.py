"""Run the demonstration: set up, bring people in, launch two campaigns through the outbox."""

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select

from sender.campaigns.definition import load_campaign
from sender.campaigns.launch import prepare_launch
from sender.campaigns.report import RunReport, report_run
from sender.clock import SystemClock
from sender.consent.notices import add_notice
from sender.context import Context, open_context, set_up_database
from sender.controllers.declarations import OptOutStatement, declare_opt_outs
from sender.controllers.file import read_controller_file
from sender.controllers.lookup import find_controller, latest_declaration
from sender.controllers.registry import add_controller, update_controller
from sender.demo.organisations import CAMPAIGNS, CONTROLLERS, write_organisations
from sender.demo.people import write_people
from sender.imports.approval import approve_batch
from sender.imports.contacts import import_contacts
from sender.imports.counts import ImportReport
from sender.imports.opt_outs import import_opt_outs
from sender.imports.reading import Storage
from sender.resources import resource_folder
from sender.settings import Settings, load_settings
from sender.store.campaigns import Campaign, Run
from sender.store.controllers import Controller
from sender.store.deliveries import Delivery
from sender.suppression.links import opt_out_links
from sender.vocabulary import DeliveryState, RunState

OPERATOR = "demo"
ENVIRONMENT_FILE = "environment"
_A_YEAR = timedelta(days=365)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demonstration did.

    Attributes:
        folder: where everything lies.
        reports: each campaign's run in numbers.
        sent_before: campaigns that had been sent by an earlier demonstration.
        opt_out_path: of one message's opt-out page, under whatever address it is served.
    """

    folder: Path
    reports: tuple[RunReport, ...]
    sent_before: tuple[str, ...]
    opt_out_path: str


def run_demo(folder: Path, say: Say) -> DemoResult:
    """Run the demonstration in `folder`; a second time nobody gets a second message.

    Args:
        folder: is made if it is not there; nothing outside is touched.
        say: told of each step.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = demo_settings(folder)
    clock = SystemClock()
    say("Setting up the database")
    set_up_database(settings, clock)
    write_organisations(folder, resource_folder("templates") / "samples")
    write_people(folder, clock.now())
    with open_context(settings, clock) as context:
        _bring_in(context, folder, say)
        sent_before = tuple(_launch(context, folder, say))
        reports = _reports(context)
        opt_out_path = _opt_out_path(context)
    return DemoResult(folder, reports, sent_before, opt_out_path)


def demo_settings(folder: Path) -> Settings:
    """Return settings that lie wholly in `folder`, with secrets made on the first call.

    They are also written as shell lines, so that commands can be tried on the demonstration.
    """
    path = folder / ENVIRONMENT_FILE
    if not path.exists():
        values = {
            "SENDER_DATABASE_URL": f"sqlite:///{folder.resolve()}/sender.sqlite3",
            "SENDER_HASH_KEY": secrets.token_hex(32),
            "SENDER_TOKEN_KEYS": f"1:{secrets.token_hex(32)}",
            "SENDER_PUBLIC_URL": "https://out.commons-party.example.org",
            "SENDER_OUTBOX": str(folder.resolve() / "outbox"),
            "SENDER_JOURNAL": str(folder.resolve() / "opt-outs.journal"),
            "SENDER_OPERATOR": OPERATOR,
        }
        lines = [f"export {name}='{value}'" for name, value in values.items()]
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as target:
            target.write("\n".join(lines) + "\n")
    for line in path.read_text(encoding="utf-8").splitlines():
        name, _, value = line.removeprefix("export ").partition("=")
        os.environ[name] = value.strip("'")
    return load_settings()


def _bring_in(context: Context, folder: Path, say: Say) -> None:
    for slug in CONTROLLERS:
        _register(context, folder / "controllers" / f"{slug}.toml")
    for path in sorted((folder / "notices").glob("*.toml")):
        with context.store.write() as session:
            add_notice(session, path, operator=context.operator, now=context.clock.now())
    for slug in CONTROLLERS:
        say(f"Bringing in the people of {slug}")
        _import(context, folder, slug)


def _register(context: Context, path: Path) -> None:
    file = read_controller_file(path)
    with context.store.write() as session:
        known = session.scalar(select(Controller.id).where(Controller.slug == file.slug))
        change = add_controller if known is None else update_controller
        change(session, file, path, operator=context.operator, now=context.clock.now())


def _approve(context: Context, slug: str, report: ImportReport) -> None:
    """Say yes to the people of the demonstration; nobody else has looked at them."""
    assert report.batch_id is not None
    with context.store.read() as session:
        controller_id = find_controller(session, slug).id
    approve_batch(
        context.store,
        context.clock,
        controller_id=controller_id,
        batch_id=report.batch_id,
        operator=context.operator,
        by_another=False,
    )


def _import(context: Context, folder: Path, slug: str) -> None:
    people = folder / "people"
    import_opt_outs(
        context.store,
        context.hasher,
        context.clock,
        controller_slug=slug,
        path=people / f"{slug}-old-opt-outs.csv",
        operator=context.operator,
    )
    report = import_contacts(
        context.store,
        context.hasher,
        context.clock,
        controller_slug=slug,
        path=people / f"{slug}.csv",
        operator=context.operator,
        storage=Storage("demonstration", context.clock.now().date() + _A_YEAR),
    )
    _approve(context, slug, report)
    with context.store.write() as session:
        if latest_declaration(session, find_controller(session, slug).id) is None:
            declare_opt_outs(
                session,
                slug,
                statement=OptOutStatement.IMPORTED,
                operator=context.operator,
                now=context.clock.now(),
            )


def _launch(context: Context, folder: Path, say: Say) -> list[str]:
    sent_before: list[str] = []
    for name in CAMPAIGNS:
        definition = load_campaign(folder / "campaigns" / name)
        if _is_finished(context, definition.name):
            sent_before.append(definition.name)
            continue
        say(f"Launching {definition.name}")
        launch = prepare_launch(context, definition)
        try:
            launch.confirm()
            launch.dispatch()
        finally:
            launch.close()
    return sent_before


def _is_finished(context: Context, name: str) -> bool:
    query = (
        select(Run.id)
        .join(Campaign, Campaign.id == Run.campaign_id)
        .where(Campaign.name == name, Run.state == RunState.FINISHED)
    )
    with context.store.read() as session:
        return session.scalar(query.limit(1)) is not None


def _reports(context: Context) -> tuple[RunReport, ...]:
    with context.store.read() as session:
        runs = session.scalars(
            select(Run.id).where(Run.state == RunState.FINISHED).order_by(Run.id)
        ).all()
        return tuple(report_run(session, run_id) for run_id in runs)


def _opt_out_path(context: Context) -> str:
    query = (
        select(Delivery.id, Run.link_salt)
        .join(Run, Run.id == Delivery.run_id)
        .where(Delivery.state == DeliveryState.ACCEPTED)
        .order_by(Delivery.id)
        .limit(1)
    )
    with context.store.read() as session:
        delivery_id, link_salt = session.execute(query).one()
    links = opt_out_links(context.settings)
    return links.of_run(link_salt)(delivery_id).removeprefix(links.public_url)
