"""`sender alert`: what needs an operator, and whether the operators are told of it."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sender.cli.common import JsonFlag, counted, examples, group, opened
from sender.cli.output import Listing, Output

if TYPE_CHECKING:
    from sender.alerts.standing import Listed

app = group("What needs an operator, and who is told of it.")


@app.command("list", epilog=examples("sender alert list", "sender alert list --all --json"))
def list_(
    everything: Annotated[bool, typer.Option("--all", help="Also what is resolved.")] = False,
    json_output: JsonFlag = False,
) -> None:
    """List the alerts that stand, the newest first."""
    from sender.alerts.standing import list_alerts  # noqa: PLC0415  # SQLAlchemy takes its time

    with opened() as context, context.store.read() as session:
        found = list_alerts(session, everything=everything)
    columns = ["Id", "Alert", "About", "Times", "Last", "Told", "Why"]
    rows = [
        [one.alert.id, one.alert.kind, one.alert.subject, one.alert.times, one.alert.last_at,
         _told(one), one.alert.details.get("because")]
        for one in found
    ]  # fmt: skip
    Output(as_json=json_output).show(
        {"alerts": [_document(one) for one in found]},
        Listing(columns, rows, empty="Nothing needs anybody."),
    )


@app.command(epilog=examples("sender alert resolve 12"))
def resolve(
    alert: Annotated[int, typer.Argument(metavar="ID", help="As listed.")],
    json_output: JsonFlag = False,
) -> None:
    """Say that somebody has seen to an alert; it stands again when it happens again."""
    from sender.alerts.standing import resolve_by_hand  # noqa: PLC0415  # SQLAlchemy, likewise

    with opened() as context, context.store.write() as session:
        now, operator = context.clock.now(), context.operator
        found = resolve_by_hand(session, alert, now=now, operator=operator)
    Output(as_json=json_output).show(
        {"id": found.id, "kind": found.kind, "subject": found.subject, "resolved_at": now},
        f"Resolved by {operator}: {found.kind}, {found.subject}.",
    )


@app.command("test", epilog=examples("sender alert test"))
def tell_a_test(json_output: JsonFlag = False) -> None:
    """Tell the operators of a made-up alert by every way; exit 1 if one failed or none is set."""
    from sender.alerts.notify import tell_test  # noqa: PLC0415  # providers take their time

    with opened() as context:
        tried = tell_test(context)
    rows = [[one.way, one.problem or "told"] for one in tried]
    empty = "Nobody is told: set SENDER_ALERT_WEBHOOK_URL or SENDER_ALERT_EMAILS."
    Output(as_json=json_output).show({"ways": tried}, Listing(["Way", "Answer"], rows, empty=empty))
    if not tried or any(one.problem for one in tried):
        raise typer.Exit(1)


def _told(one: "Listed") -> str:
    told = sum(row.told_at is not None for row in one.tellings)
    failed = sum(row.failed_at is not None for row in one.tellings)
    said = [counted(told, "way")] * (told > 0) + [f"{failed} failed"] * (failed > 0)
    return ", ".join(said) or "nobody"


def _document(one: "Listed") -> dict[str, Any]:
    alert = one.alert
    return {
        "id": alert.id,
        "kind": alert.kind,
        "subject": alert.subject,
        "details": alert.details,
        "times": alert.times,
        "first_at": alert.first_at,
        "last_at": alert.last_at,
        "resolved_at": alert.resolved_at,
        "told": [
            {
                "way": row.way,
                "told_at": row.told_at,
                "failed_at": row.failed_at,
                "problem": row.problem,
            }
            for row in one.tellings
        ],
    }
