"""`sender reconcile`: ask the providers what their webhooks may have missed."""

from datetime import UTC
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from sender.cli.common import JsonFlag, examples, group, opened, read_time
from sender.cli.output import Listing, Output

if TYPE_CHECKING:
    from sender.inbound.reconcile import Reconciled

app = group("Ask the providers what their webhooks may have missed.")


@app.command(
    epilog=examples(
        "sender reconcile",
        "sender reconcile --account texting --since 2026-05-01",
    )
)
def reconcile(
    account: Annotated[str, typer.Option(metavar="NAME", help="Only this provider account.")] = "",
    since: Annotated[
        str, typer.Option(metavar="WHEN", help="From when on (UTC); else since the last time.")
    ] = "",
    json_output: JsonFlag = False,
) -> None:
    """Take in opt-outs and outcomes that no webhook brought; exit 1 if an account failed.

    It is safe to repeat: what is known changes nothing.
    """
    from sender.campaigns.accounts import account_settings  # noqa: PLC0415  # SDKs take their time
    from sender.inbound import reconcile as room  # noqa: PLC0415  # likewise

    output = Output(as_json=json_output)
    begin = read_time(since, ZoneInfo("UTC"), option="--since").astimezone(UTC) if since else None
    with opened() as context:
        found = room.reconcile(
            context,
            lambda row: account_settings(row, context),
            account=account or None,
            since=begin,
        )
    rows = [
        [one.account, one.since, one.looked_at, one.new.total(), one.missed.total(), one.opt_outs]
        for one in found
    ]
    columns = ["Account", "Since", "Looked at", "New", "Missed by webhook", "Opt-outs among them"]
    listing = Listing(columns, rows, empty="No account in use keeps a record to be asked for.")
    output.show({"accounts": [_document(one) for one in found]}, listing)
    for problem in (text for one in found for text in one.problems):
        output.note(problem)
    if any(one.problems for one in found):
        raise typer.Exit(1)


def _document(one: "Reconciled") -> dict[str, Any]:
    return {
        "account": one.account,
        "since": one.since,
        "looked_at": one.looked_at,
        "new": dict(one.new),
        "missed": dict(one.missed),
        "opt_outs": one.opt_outs,
        "problems": one.problems,
    }
