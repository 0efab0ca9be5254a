"""Imports, for scripts: what `sender contacts import` and `batch`, and `suppress import`, do."""

from pathlib import Path

from sender.api.acting import acts_as
from sender.context import Context
from sender.controllers.lookup import find_controller
from sender.imports import approval
from sender.imports import contacts as people
from sender.imports import opt_outs as lists
from sender.imports.approval import BatchView
from sender.imports.counts import ImportReport
from sender.imports.csv_file import Encoding
from sender.imports.hashed_list import Hashed
from sender.imports.reading import Reading, Storage
from sender.operators.permissions import another_may
from sender.vocabulary import Channel


@acts_as("contacts import")
def import_contacts(
    context: Context,
    controller: str,
    path: Path,
    *,
    reading: Reading | None = None,
    storage: Storage | None = None,
    dry_run: bool = False,
    rejects_path: Path | None = None,
) -> ImportReport:
    """Bring in a file of people; their consents count once `approve_batch` said so.

    Args:
        context: the installation.
        controller: the slug of whose people they are.
        path: the file; docs/imports.md describes it.
        reading: how it is read, where it is no file of our own making.
        storage: what people without consent are kept for; without it, they are not (guidance ¶83).
        dry_run: only tell what would happen.
        rejects_path: where to write what was not taken; by default beside the file.

    Raises:
        NotAllowedError: whoever acts may not bring people in there.
        FileError: the file cannot be read or its first line not understood; nothing was written.
        NotFoundError: there is no such controller.
    """
    return people.import_contacts(
        context.store,
        context.hasher,
        context.clock,
        controller_slug=controller,
        path=path,
        operator=context.operator,
        reading=reading,
        storage=storage,
        dry_run=dry_run,
        rejects_path=rejects_path,
    )


@acts_as("suppress import")
def import_opt_outs(
    context: Context,
    controller: str,
    path: Path,
    *,
    encoding: Encoding | None = None,
    channel: Channel | None = None,
    purpose: str | None = None,
    hashed: Hashed | None = None,
    dry_run: bool = False,
    rejects_path: Path | None = None,
) -> ImportReport:
    """Block every address of another system's list, for all purposes of the controller or one.

    Args:
        context: the installation.
        controller: the slug of whose messages people opted out of.
        path: the list; docs/imports.md describes it.
        encoding: of its text; by default its first bytes tell UTF-8 from UTF-16.
        channel: take only addresses of this channel.
        purpose: the slug of the one purpose that they opted out of.
        hashed: how the list was hashed, where it has hashes instead of addresses.
        dry_run: only tell what would happen.
        rejects_path: where to write what was not taken; by default beside the list.

    Raises:
        NotAllowedError: whoever acts may not bring opt-outs in there.
        FileError: the file cannot be read or has no addresses.
        NotFoundError: there is no such controller, or it has no such purpose.
        UsageError: a list of hashes for one purpose.
    """
    return lists.import_opt_outs(
        context.store,
        context.hasher,
        context.clock,
        controller_slug=controller,
        path=path,
        operator=context.operator,
        encoding=encoding,
        channel=channel,
        purpose=purpose,
        hashed=hashed,
        dry_run=dry_run,
        rejects_path=rejects_path,
    )


@acts_as("contacts batch show")
def look_at_batch(context: Context, controller: str, batch_id: int) -> BatchView:
    """Return what there is to look at before a batch is approved.

    Raises:
        NotAllowedError: whoever acts may not look people up there.
        NotFoundError: there is no such controller, or it has no such batch.
    """
    with context.store.read() as session:
        owner = find_controller(session, controller)
        return approval.look_at_batch(session, owner.id, batch_id)


@acts_as("contacts batch approve")
def approve_batch(context: Context, controller: str, batch_id: int) -> int:
    """Let the consents of a batch count; return how many people's states were written.

    Raises:
        NotAllowedError: whoever acts may not approve there.
        NotFoundError: there is no such controller, or it has no such batch.
        RefusedError: it was not brought in whole, or was revoked; or somebody else is there to
            approve what this operator brought in.
    """
    with context.store.read() as session:
        owner = find_controller(session, controller).id
        who = approval.find_batch(session, owner, batch_id).operator
        by_another = another_may(session, "contacts batch approve", owner, who)
    return approval.approve_batch(
        context.store,
        context.clock,
        controller_id=owner,
        batch_id=batch_id,
        operator=context.operator,
        by_another=by_another,
    )


@acts_as("contacts batch revoke")
def revoke_batch(context: Context, controller: str, batch_id: int, *, because: str) -> int:
    """Take back every consent of a bad batch, for good; return how many states were written.

    Raises:
        NotAllowedError: whoever acts may not do this there.
        NotFoundError: there is no such controller, or it has no such batch.
    """
    with context.store.read() as session:
        owner = find_controller(session, controller).id
    return approval.revoke_batch(
        context.store,
        context.clock,
        controller_id=owner,
        batch_id=batch_id,
        operator=context.operator,
        because=because,
    )
