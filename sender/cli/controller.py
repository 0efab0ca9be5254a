"""`sender controller`: the legal entities that messages come from."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy.orm import Session

from sender.campaigns import test_addresses
from sender.cli.common import JsonFlag, YesFlag, examples, group, opened, read_address
from sender.cli.output import Facts, Listing, Output
from sender.controllers import lookup
from sender.controllers.declarations import OptOutStatement, declare_opt_outs
from sender.controllers.file import read_controller_file
from sender.controllers.registry import Change, add_controller, update_controller
from sender.controllers.retention_policy import load_limitation
from sender.controllers.sending_policy import load_policy
from sender.operators.authority import require
from sender.operators.roles import Role
from sender.settings import Settings
from sender.store.controllers import Controller, ProviderAccount
from sender.subjects.freezing import freeze_controller

app = group("The legal entities that messages come from.")
test_address_app = group("The addresses that marked tests may go to, once their holder agreed.")
app.add_typer(test_address_app, name="test-address")

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A controller file (TOML).")]
_ONLY_IN_JSON = frozenset({"display_name", "since"})
"""Columns that would crowd a terminal of 80 characters."""

SlugArgument = Annotated[str, typer.Argument(metavar="SLUG", help="The controller.")]


@app.command(epilog=examples("sender controller add riverside.toml"))
def add(file: FileArgument, json_output: JsonFlag = False) -> None:
    """Add a controller: who it is, its purposes, sender identities and accounts."""
    described = read_controller_file(file)
    with opened() as context, context.store.write() as session:
        change = add_controller(
            session, described, file, operator=context.operator, now=context.clock.now()
        )
    reminder = (
        "Lists of opt-outs that were imported before do not hold here, also if they were meant for "
        f"all controllers. Bring them in again: sender suppress import FILE -c {change.slug}"
    )
    _show_change(change, reminder, json_output=json_output)


@app.command(epilog=examples("sender controller update riverside.toml"))
def update(file: FileArgument, json_output: JsonFlag = False) -> None:
    """Bring a controller to what its file says now; what it said before is kept."""
    described = read_controller_file(file)
    with opened() as context, context.store.write() as session:
        own = lookup.find_controller(session, described.slug)
        require(context, Role.OFFICER, own.id, session=session)  # the file may be another by now
        change = update_controller(
            session, described, file, operator=context.operator, now=context.clock.now()
        )
        if change.shared_accounts:  # where others' messages go is not one controller's to say
            require(context, Role.OFFICER, session=session)
    _show_change(change, json_output=json_output)


@app.command("list", epilog=examples("sender controller list", "sender controller list --json"))
def list_(json_output: JsonFlag = False) -> None:
    """List all controllers."""
    with opened() as context, context.store.read() as session:
        found = [_summary(session, row) for row in lookup.all_controllers(session)]
    columns = ["Controller", "Name", "Kind", "Version", "Frozen", "Old opt-outs"]
    Output(as_json=json_output).show(
        {"controllers": found},
        Listing(columns, [list(one.values()) for one in found], empty="No controllers yet."),
    )


@app.command(epilog=examples("sender controller show riverside"))
def show(slug: SlugArgument, json_output: JsonFlag = False) -> None:
    """Show all that is known of a controller, its retired sender identities too."""
    with opened() as context, context.store.read() as session:
        controller = lookup.find_controller(session, slug)
        document = _document(session, controller, context.settings)
    facts = [
        (_title(name), one) for name, one in document.items() if not isinstance(one, list | dict)
    ]
    tables = [_table(name, rows) for name, rows in document.items() if isinstance(rows, list)]
    tables.append(_thresholds(document["brake"]))
    Output(as_json=json_output).show(document, Facts(facts), *tables)


@app.command("freeze", epilog=examples('sender controller freeze riverside --reason "Merged"'))
def freeze_(
    slug: SlugArgument,
    reason: Annotated[str, typer.Option(help="Why; kept for good.")],
    yes: YesFlag = False,
    json_output: JsonFlag = False,
) -> None:
    """From now on only consent given afterwards counts. It cannot be undone (guidance ¶84-86)."""
    output = Output(as_json=json_output)
    with opened() as context:
        with context.store.read() as session:
            lookup.find_controller(session, slug)
        output.confirm(f"Freeze {slug}, for good?", yes=yes)
        done = freeze_controller(context, slug, reason=reason)
    paused = ", ".join(str(number) for number in done.schedules)
    output.show(
        {"controller": slug, "frozen_at": done.at, "paused_schedules": done.schedules},
        f"{slug} is frozen: consent given before now no longer counts.",
        f"Schedules paused: {paused or 'none'}.",
    )


@app.command(
    epilog=examples(
        "sender controller declare riverside --opt-outs imported",
        "sender controller declare riverside --opt-outs none-exist",
    )
)
def declare(
    slug: SlugArgument,
    opt_outs: Annotated[str, typer.Option(metavar="imported|none-exist", help="What you sign.")],
    json_output: JsonFlag = False,
) -> None:
    """Sign what became of the opt-outs of the system before; live runs need it."""
    statement = _statement(opt_outs)
    with opened() as context, context.store.write() as session:
        now = context.clock.now()
        declare_opt_outs(session, slug, statement=statement, operator=context.operator, now=now)
        operator = context.operator
    Output(as_json=json_output).show(
        {"controller": slug, "statement": statement, "operator": operator, "recorded_at": now},
        f"Recorded: {operator} signed for {slug} that old opt-outs "
        + ("were imported." if statement is OptOutStatement.IMPORTED else "do not exist."),
    )


@test_address_app.command(
    "add", epilog=examples("sender controller test-address add riverside me@example.org")
)
def add_test_address(
    slug: SlugArgument,
    address: Annotated[str, typer.Argument(help="E-mail address or mobile number.")],
    identity: Annotated[str, typer.Option(help="The sender identity to use, by its name.")] = "",
    json_output: JsonFlag = False,
) -> None:
    """Send a code to an address; its holder's code makes it a test address."""
    channel, plain = read_address(address)
    with opened() as context:
        test_addresses.add(context, slug, channel, plain, identity_name=identity)
    Output(as_json=json_output).show(
        {"controller": slug, "channel": channel, "state": "waiting for the code"},
        "A code was sent there; it is good for a day.",
        f"Then: sender controller test-address confirm {slug} ADDRESS CODE",
    )


@test_address_app.command(
    "confirm",
    epilog=examples("sender controller test-address confirm riverside me@example.org 7KQ2MX4P"),
)
def confirm_test_address(
    slug: SlugArgument,
    address: Annotated[str, typer.Argument(help="The address that the code was sent to.")],
    code: Annotated[str, typer.Argument(help="The code that arrived there.")],
    json_output: JsonFlag = False,
) -> None:
    """Confirm a test address by the code that arrived there."""
    channel, plain = read_address(address)
    with opened() as context:
        test_addresses.confirm(context, slug, channel, plain, code)
    Output(as_json=json_output).show(
        {"controller": slug, "channel": channel, "state": "confirmed"},
        f"Confirmed: {slug} may send marked tests there.",
    )


@test_address_app.command("list", epilog=examples("sender controller test-address list riverside"))
def list_test_addresses(slug: SlugArgument, json_output: JsonFlag = False) -> None:
    """List a controller's test addresses."""
    with opened() as context:
        found = test_addresses.listed(context, slug)
    Output(as_json=json_output).show(
        {"test_addresses": found},
        Listing(["Address", "Added", "Confirmed"], [list(one.values()) for one in found]),
    )


def _table(name: str, rows: list[dict[str, Any]]) -> Listing:
    columns = [column for column in (rows[0] if rows else {}) if column not in _ONLY_IN_JSON]
    return Listing(
        [_title(column) for column in columns],
        [[row[column] for column in columns] for row in rows],
        title=_title(name),
        empty=f"{_title(name)}: none",
    )


def _thresholds(brake: dict[str, Any]) -> Listing:
    rows = [[_title(name), value] for name, value in brake.items()]
    return Listing(["A run pauses itself by", "at"], rows, title="Brake")


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _statement(text: str) -> OptOutStatement:
    try:
        return OptOutStatement(text.replace("-", "_"))
    except ValueError:
        raise typer.BadParameter("write imported or none-exist", param_hint="--opt-outs") from None


def _show_change(change: Change, *reminders: str, json_output: bool) -> None:
    document = {
        "controller": change.slug,
        "version": change.version,
        "done": change.done,
        "kept": change.kept,
        "reminders": reminders,
    }
    head = f"{change.slug} is at version {change.version}."
    lines = change.done or ("Nothing was changed.",)
    Output(as_json=json_output).show(document, head, *lines, *change.kept, *reminders)


def _summary(session: Session, controller: Controller) -> dict[str, Any]:
    version = lookup.current_version(session, controller.id)
    frozen = lookup.latest_freeze(session, controller.id)
    declared = lookup.latest_declaration(session, controller.id)
    return {
        "slug": controller.slug,
        "name": version.name,
        "kind": version.kind,
        "version": version.version,
        "frozen_since": frozen and frozen.frozen_at,
        "opt_outs": declared.statement if declared else "not declared",
    }


def _document(session: Session, controller: Controller, settings: Settings) -> dict[str, Any]:
    version = lookup.current_version(session, controller.id)
    slugs = {row.id: row.slug for row in lookup.purposes(session, controller.id)}
    policy = load_policy(session, controller.id)
    return {
        **_summary(session, controller),
        "postal_address": version.postal_address,
        "contact_email": version.contact_email,
        "contact_phone": version.contact_phone,
        "website": version.website,
        "privacy_notice_url": version.privacy_notice_url,
        "promoter_name": version.promoter_name,
        "promoter_address": version.promoter_address,
        "time_zone": version.time_zone,
        "sending_hours": str(policy.window),
        "limitation_years": load_limitation(session, settings.limitation_years).of_controller[
            controller.id
        ],
        "relatives": ", ".join(version.relatives),
        "purposes": [
            {"purpose": row.slug, "title": row.title}
            for row in lookup.purposes(session, controller.id)
        ],
        "sender_identities": [
            {
                "channel": row.channel,
                "name": row.name,
                "address": row.address,
                "display_name": row.display_name,
                "way_out": row.opt_out_style or "link",
                "account": session.get_one(ProviderAccount, row.provider_account_id).name,
                "since": row.recorded_at,
                "retired": row.retired_at,
            }
            for row in lookup.identities(session, controller.id, retired=True)
        ],
        "freshness": [
            {
                "channel": row.channel or "all",
                "purpose": slugs.get(row.purpose_id or 0, "all"),
                "warn_months": row.warn_months,
                "hold_months": row.hold_months,
            }
            for row in lookup.freshness_rows(session, controller.id)
        ],
        "frequency_caps": [asdict(cap) for cap in policy.caps],
        "brake": asdict(policy.brake),
        "two_person": policy.two_person,
    }
