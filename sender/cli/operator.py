"""`sender operator`: who may do what. As long as nobody is registered, everybody may everything."""

from typing import Annotated

import typer

from sender.cli.common import JsonFlag, YesFlag, counted, examples, group, opened
from sender.cli.output import Listing, Output
from sender.operators.registry import OperatorLine, add_operator, list_operators
from sender.operators.roles import Role

app = group("Who may prepare, approve, launch, and see to people's data.")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="As the audit trail says it.")]


@app.command(
    epilog=examples(
        "sender operator add olive --role officer --role data --role prepare --role approve "
        "--role launch",
        "sender operator add ben --role launch --controller riverside",
    )
)
def add(
    name: NameArgument,
    role: Annotated[
        list[Role] | None, typer.Option("--role", help="What they may do; several may be given.")
    ] = None,
    at: Annotated[
        list[str] | None,
        typer.Option("--controller", "-c", metavar="SLUG", help="Only here; else everywhere."),
    ] = None,
    json_output: JsonFlag = False,
) -> None:
    """Register an operator; their token is shown once. From the first on, everybody needs one."""
    roles = frozenset(role or ())
    with opened() as context:
        token = add_operator(context, name, roles, at or ())
    document = {
        "operator": name,
        "roles": sorted(roles),
        "controllers": sorted(at or ()) or None,
        "token": token,
    }
    output = Output(as_json=json_output)
    output.show(document, f"SENDER_OPERATOR_TOKEN={token}")
    output.note(f"This is {name}'s token. It is shown this once and kept nowhere.")


@app.command("list", epilog=examples("sender operator list", "sender operator list --json"))
def list_(json_output: JsonFlag = False) -> None:
    """List operators, also those who left."""
    with opened() as context, context.store.read() as session:
        found = list_operators(session)
    Output(as_json=json_output).show(
        {"operators": found},
        Listing(
            ["Operator", "Roles", "Controllers", "Since", "Added by", "Revoked"],
            [_row(one) for one in found],
            empty="Nobody is registered: whoever has the environment may do everything.",
        ),
    )


@app.command(epilog=examples("sender operator revoke ben --yes"))
def revoke(name: NameArgument, yes: YesFlag = False, json_output: JsonFlag = False) -> None:
    """Let a token open nothing any more, at once, and pause its operator's schedules."""
    from sender.campaigns.leaving import revoke as revoke_operator  # noqa: PLC0415  # heavy rooms

    output = Output(as_json=json_output)
    output.confirm(f"Revoke {name} for good?", yes=yes)
    with opened() as context:
        paused = revoke_operator(context, name)
    output.show(
        {"operator": name, "paused_schedules": paused},
        f"{name} is revoked; {counted(len(paused), 'schedule')} paused.",
        *[f"Schedule {one}: look at it, and: sender schedule resume {one}" for one in paused],
    )


def _row(one: OperatorLine) -> list[object]:
    where = "all" if one.controllers is None else one.controllers
    return [one.name, one.roles, where, one.added_at, one.added_by, one.revoked_at]
