"""`sender request`: the desk for what people ask of their own data."""

from datetime import date
from typing import Annotated

import typer

from sender.cli.common import ControllerOption, JsonFlag, examples, group, opened, read_address
from sender.cli.output import Listing, Output
from sender.errors import UsageError
from sender.subjects import desk
from sender.subjects.desk import Listed, NewRequest, Outcome, RequestKind

app = group("The desk for access, erasure, objection, rectification and complaint.")

NumberArgument = Annotated[int, typer.Argument(metavar="REQUEST", help="By its number.")]
IdentityOption = Annotated[
    str, typer.Option(help="How it is known who asks, e.g. answered from the address we hold.")
]


@app.command(
    "open",
    epilog=examples(
        "sender request open access -c riverside --received-on 2026-05-07 "
        "--address ann@example.org",
        "sender request open objection -c riverside --received-on 2026-05-07 --contact 12",
        "sender request open complaint -c riverside --received-on 2026-05-07 "
        '--requester "Mrs A. Okafor" --message 4711',
    ),
)
def open_(
    kind: Annotated[RequestKind, typer.Argument(help="What is asked for.")],
    *,
    controller: ControllerOption,
    received_on: Annotated[str, typer.Option(help="When it came: 2026-05-07.")],
    address: Annotated[str, typer.Option(help="An address of the person.")] = "",
    contact: Annotated[
        int | None, typer.Option(help="Their number, from: sender contacts find --json")
    ] = None,
    requester: Annotated[str, typer.Option(help="Who asks, where neither is known.")] = "",
    words: Annotated[str, typer.Option(help="What they say.")] = "",
    identity_check: IdentityOption = "",
    message: Annotated[
        list[int] | None, typer.Option(help="A message that it is about, by its number.")
    ] = None,
    json_output: JsonFlag = False,
) -> None:
    """Write a request down; an objection takes effect at once (UK GDPR Art. 12-21)."""
    new = NewRequest(
        controller=controller,
        kind=kind,
        received_on=_day(received_on, "--received-on"),
        address=read_address(address) if address else None,
        contact_id=contact,
        requester=requester,
        words=words,
        identity_check=identity_check,
        messages=message or (),
    )
    with opened() as context:
        row = desk.open_request(context, new)
    _show(row, json_output=json_output)


@app.command(
    "list", epilog=examples("sender request list", "sender request list -c riverside --all")
)
def list_(
    controller: Annotated[
        str | None, typer.Option("--controller", "-c", help="Only this controller's.")
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are closed.")] = False,
    json_output: JsonFlag = False,
) -> None:
    """List the requests that wait, the most urgent first."""
    with opened() as context, context.store.read() as session:
        found = desk.list_requests(
            session, now=context.clock.now(), slug=controller, everything=everything
        )
    Output(as_json=json_output).show({"requests": found}, _listing(found))


@app.command(epilog=examples("sender request acknowledge 3 --on 2026-05-08"))
def acknowledge(
    number: NumberArgument,
    *,
    on: Annotated[str, typer.Option(help="When the person was told: 2026-05-08.")],
    json_output: JsonFlag = False,
) -> None:
    """Note that the person was told that it came; complaints need it within 30 days."""
    day = _day(on, "--on")
    with opened() as context:
        row = desk.acknowledge(context, number, on=day)
    _show(row, json_output=json_output)


@app.command(
    epilog=examples(
        'sender request close 3 --outcome done --answer "Sent the export by post"',
        'sender request close 4 --outcome refused --answer "Not the person: no answer to our mail"',
    )
)
def close(
    number: NumberArgument,
    *,
    outcome: Annotated[Outcome, typer.Option(help="How it ended.")],
    answer: Annotated[str, typer.Option(help="What the person was told.")],
    identity_check: IdentityOption = "",
    json_output: JsonFlag = False,
) -> None:
    """Close a request with its answer."""
    with opened() as context:
        row = desk.close_request(
            context, number, outcome=outcome, answer=answer, identity_check=identity_check
        )
    _show(row, json_output=json_output)


def _show(row: Listed, *, json_output: bool) -> None:
    Output(as_json=json_output).show({"request": row}, _listing([row]))


def _listing(found: list[Listed]) -> Listing:
    rows = [
        (
            one.id,
            one.controller,
            one.kind,
            one.who,
            one.received_on.isoformat(),
            one.deadline.isoformat() if one.deadline else one.outcome,
            one.is_overdue,
        )
        for one in found
    ]
    columns = ["Request", "Controller", "Kind", "Who", "Received", "Due", "Overdue"]
    return Listing(columns, rows, empty="No request waits.")


def _day(text: str, option: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option}: {text!r} is not a day.", remedy="Write 2026-05-07.") from None
