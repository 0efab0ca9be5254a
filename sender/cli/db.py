"""`sender db`: set up the database, and check that its history holds."""

import typer

from sender.cli.common import (
    JsonFlag,
    counted,
    current_settings,
    examples,
    group,
    opened,
    proved,
)
from sender.cli.output import Listing, Output
from sender.clock import SystemClock
from sender.consent.checking import check_history
from sender.context import Context, open_for_rotation, set_up_database
from sender.delivery.key_rotation import rotate_key
from sender.errors import SenderError
from sender.store.engine import open_store
from sender.store.queue_schema import queue_schema
from sender.store.schema import current_revision
from sender.suppression.journal import require_whole

app = group("Set up the database, and check that its history holds.")


@app.command(epilog=examples("sender db upgrade"))
def upgrade(json_output: JsonFlag = False) -> None:
    """Create the tables, or bring them to this version, and register the key on first use."""
    settings = current_settings()
    before, queue_before = _versions(settings.database_url)
    set_up_database(settings, SystemClock())
    after, queue = _versions(settings.database_url)
    if before is None:
        line = f"The database is set up (schema {after}), and knows the key."
    elif before == after:
        line = f"The database is at schema {after} already."
    else:
        line = f"The database went from schema {before} to {after}."
    lines = [line] if queue == queue_before else [line, f"Its job queue is at {queue} now."]
    Output(as_json=json_output).show({"before": before, "after": after, "queue": queue}, *lines)


@app.command(epilog=examples("sender db check", "sender db check --json"))
def check(json_output: JsonFlag = False) -> None:
    """Verify schema, key, hash chains, folds and journal; name the first break; exit 1 if any."""
    output = Output(as_json=json_output)
    with opened() as context, context.store.read() as session:
        checked = check_history(session, lambda table: output.note(f"Checking {table} …"))
        behind = _behind_journal(context)
    faults = [
        {"table": fault.table, "row": fault.row, "problem": fault.problem}
        for fault in checked.faults
    ]
    faults += behind
    counts = Listing(["Table", "Rows"], list(checked.rows.items()))
    verdict = (
        Listing(
            ["Table", "Row", "Problem"],
            [list(fault.values()) for fault in faults],
            title=f"{counted(len(faults), 'break')} found",
        )
        if faults
        else "Schema, key, hash chains and folds hold."
    )
    output.show({"holds": not faults, "rows": checked.rows, "faults": faults}, counts, verdict)
    if faults:
        output.note("Nothing was changed. Compare with a backup before anything is sent.")
        raise typer.Exit(1)


@app.command("rotate-key", epilog=examples("sender db rotate-key"))
def rotate(json_output: JsonFlag = False) -> None:
    """Bring the address hashes under the key that was put first in SENDER_HASH_KEY."""
    output = Output(as_json=json_output)
    with (
        open_for_rotation(current_settings(), SystemClock()) as context,
        output.progress("Rewriting hashes") as advance,
    ):
        done = rotate_key(proved(context), advance)
    document = {"keys": done.keys, "addresses": done.addresses}
    if not done.keys:
        output.show(document, "The database is under the newest key already.")
        return
    output.show(
        document,
        f"The database is under the newest key; {counted(done.addresses, 'hash', 'hashes')} "
        "of addresses were rewritten.",
        "Give every process this SENDER_HASH_KEY, and start it anew. Keep the older keys too.",
    )


def _behind_journal(context: Context) -> list[dict[str, str]]:
    try:
        require_whole(context.store)
    except SenderError as error:
        return [{"table": "journal", "row": "", "problem": str(error)}]
    return []


def _versions(url: str) -> tuple[str | None, str | None]:
    """Return the schema of our tables and, on PostgreSQL, that of the job queue's."""
    store = open_store(url)
    try:
        with store.engine.connect() as connection:
            is_postgresql = store.dialect == "postgresql"
            queue = queue_schema(connection) if is_postgresql else None
            return current_revision(connection), queue
    finally:
        store.close()
