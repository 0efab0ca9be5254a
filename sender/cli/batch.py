"""`sender contacts batch`: the files that people came in, and whether their consents count."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from sender.cli.common import ControllerOption, JsonFlag, examples, group, opened
from sender.cli.output import Advance, Facts, Listing, Output
from sender.contacts.find import list_batches
from sender.controllers.lookup import find_controller
from sender.imports.approval import (
    BatchView,
    approve_batch,
    find_batch,
    look_at_batch,
    revoke_batch,
)
from sender.imports.ending import Ending, ending_of
from sender.operators.permissions import another_may
from sender.store.contacts import ImportBatch

app = group("The files that people came in, and whether their consents count.")

APPROVE = "contacts batch approve"
BatchArgument = Annotated[int, typer.Argument(metavar="BATCH", help="Its number.")]
_SAMPLE = ["Name", "Address", "Purpose", "Notice", "Given", "Method", "Source"]


@app.command("list", epilog=examples("sender contacts batch list -c riverside"))
def list_(controller: ControllerOption, json_output: JsonFlag = False) -> None:
    """List a controller's imports, latest first."""
    with opened() as context, context.store.read() as session:
        owner = find_controller(session, controller)
        found = [_described(row) for row in list_batches(session, owner.id)]
    names = ("batch", "file", "operator", "started_at", "finished_at", "state")
    rows = [tuple(one[name] for name in names) for one in found]
    columns = ["Batch", "File", "Operator", "Started", "Finished", "State"]
    Output(as_json=json_output).show({"batches": found}, Listing(columns, rows))


@app.command(epilog=examples("sender contacts batch show 7 -c riverside"))
def show(batch: BatchArgument, controller: ControllerOption, json_output: JsonFlag = False) -> None:
    """Show what there is to look at before a batch is approved."""
    with opened() as context, context.store.read() as session:
        view = look_at_batch(session, find_controller(session, controller).id, batch)
    _show(Output(as_json=json_output), view)


@app.command(epilog=examples("sender contacts batch approve 7 -c riverside"))
def approve(
    batch: BatchArgument,
    controller: ControllerOption,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json_output: JsonFlag = False,
) -> None:
    """Let the consents of a batch count, after comparing a sample with its source.

    With --yes nobody is asked, and the audit trail says so; --json has the sample in its answer.
    """
    output = Output(as_json=json_output)
    with opened() as context:
        with context.store.read() as session:
            controller_id = find_controller(session, controller).id
            view = look_at_batch(session, controller_id, batch)
            by_another = another_may(session, APPROVE, controller_id, view.batch.operator)
        if not json_output:
            _show(output, view)
        output.confirm("Do these consents stand as they are written here?", yes=yes)
        with output.progress("Approving") as advance:
            people = approve_batch(
                context.store,
                context.clock,
                controller_id=controller_id,
                batch_id=batch,
                operator=context.operator,
                by_another=by_another,
                sample_shown=not yes,  # unasked, nobody need have looked
                progress=_steps(advance, view.consents),
            )
    document = {"batch": batch, "people": people, **_looked_at(view)}
    output.show(document, f"Approved: {people:,} consents count now.")


@app.command(
    epilog=examples(
        'sender contacts batch revoke 7 -c riverside --because "the form was pre-ticked"'
    )
)
def revoke(
    batch: BatchArgument,
    controller: ControllerOption,
    because: Annotated[str, typer.Option(help="Why, for the record.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json_output: JsonFlag = False,
) -> None:
    """Take back every consent that came with a batch, for good. Its opt-outs stay.

    Whom nothing else said to have agreed is kept for another 30 days only.
    """
    output = Output(as_json=json_output)
    with opened() as context:
        with context.store.read() as session:
            controller_id = find_controller(session, controller).id
            view = look_at_batch(session, controller_id, batch)
        question = f"Take {view.consents:,} consents back? This cannot be undone."
        output.confirm(question, yes=yes)
        with output.progress("Revoking") as advance:
            people = revoke_batch(
                context.store,
                context.clock,
                controller_id=controller_id,
                batch_id=batch,
                operator=context.operator,
                because=because,
                progress=_steps(advance, view.consents),
            )
        with context.store.read() as session:
            ending = ending_of(session, find_batch(session, controller_id, batch))
    told = {"ending": ending.people, "retain_until": ending.last_day if ending.people else None}
    words = f"Revoked: {people:,} consents of this batch count no more, in running sends too."
    output.show({"batch": batch, "people": people, **told}, words, *_said(ending))


def _said(ending: Ending) -> list[str]:
    if not ending.people:
        return []
    told = (
        f"People whom nothing else said to have agreed: {ending.people:,}. They are kept until "
        f"{ending.last_day}; then sender retention apply erases their details (guidance ¶83)."
    )
    return [told]


def _steps(advance: Advance, consents: int) -> Callable[[int], None]:
    return lambda people: advance(people, consents)


def _described(row: ImportBatch) -> dict[str, Any]:
    return {
        "batch": row.id,
        "file": row.file_name,
        "operator": row.operator,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "state": _state(row),
        "approved_at": row.approved_at,
        "approved_by": row.approved_by,
        "revoked_at": row.revoked_at,
        "revoked_by": row.revoked_by,
        "revoked_because": row.revoked_because,
        "counts": row.counts,
    }


def _state(row: ImportBatch) -> str:
    if row.revoked_at is not None:
        return "revoked"
    if row.approved_at is not None:
        return "approved"
    if row.finished_at is None:
        return "unfinished"
    return "awaits approval" if row.counts.get("consents_recorded") else "no consents"


def _show(output: Output, view: BatchView) -> None:
    batch = _described(view.batch)
    facts = [
        (name.replace("_", " ").capitalize(), value)
        for name, value in batch.items()
        if name != "counts" and value is not None
    ]
    rows = [
        (
            one.name,
            one.address,
            one.purpose,
            one.notice,
            f"{one.given_at:%Y-%m-%d %H:%M}Z",
            one.method,
            one.source,
        )
        for one in view.sample
    ]
    output.show(
        {**batch, **_looked_at(view)},
        Facts([*facts, ("Consents", view.consents)]),
        *[f"Look at this: {warning}" for warning in view.warnings],
        Listing(_SAMPLE, rows, empty="It brought no consent."),
    )


def _looked_at(view: BatchView) -> dict[str, Any]:
    return {
        "consents": view.consents,
        "warnings": list(view.warnings),
        "sample": list(view.sample),
    }
