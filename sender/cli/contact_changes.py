"""`sender contacts twins | merge | move | confirm-move`: one person behind two records."""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import islice
from typing import Annotated, Any

import typer

from sender.cli.common import (
    ControllerOption,
    JsonFlag,
    YesFlag,
    counted,
    examples,
    opened,
    read_address,
)
from sender.cli.output import Facts, Listing, Output
from sender.contacts.twins import Likeness, Twins, find_twins
from sender.controllers.lookup import find_controller
from sender.errors import UsageError
from sender.subjects.merge import Merged, WhichContact, merge_contacts
from sender.subjects.move import NewAddress, Told, tell_of_move
from sender.subjects.move_confirm import GivenBack, confirm_move

WhichArgument = Annotated[
    str, typer.Argument(help="A contact's number, see `contacts twins`, or one of its addresses.")
]

_MEANINGS = {
    Likeness.SAME_MAILBOX: "one mailbox, differently spelt",
    Likeness.SAME_NAME_AND_POSTCODE: "same name and postcode: perhaps one person, ask",
}


class Reached(StrEnum):
    """How the person gave the code back."""

    PHONE = "phone"
    EMAIL = "email"
    LETTER = "letter"
    DOORSTEP = "doorstep"
    OTHER = "other"


def add_to(app: typer.Typer) -> None:
    """Add the commands to `sender contacts`."""
    app.command(epilog=examples("sender contacts twins -c riverside"))(twins)
    app.command(
        epilog=examples(
            "sender contacts merge 12 40 -c riverside --dry-run",
            "sender contacts merge ann@example.org ann.okafor@example.com -c riverside",
        )
    )(merge)
    app.command(
        epilog=examples(
            "sender contacts move ann@example.org ann@example.com -c riverside --request 3"
        )
    )(move)
    app.command(
        "confirm-move",
        epilog=examples("sender contacts confirm-move ann@example.com 7KDM2XQP -c riverside"),
    )(confirm_new_address)


def twins(
    controller: ControllerOption,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many groups.")] = 100,
    json_output: JsonFlag = False,
) -> None:
    """List contacts that are, or may be, one person; who objected is among them."""
    with opened() as context, context.store.read() as session:
        owner = find_controller(session, controller)
        found = list(islice(find_twins(session, owner.id), limit))
    Output(as_json=json_output).show(
        {"twins": found},
        Listing(
            ["Contacts", "References", "What they share"],
            [_group(one) for one in found],
            empty="Nobody seems to be held twice.",
        ),
    )


def merge(
    kept: WhichArgument,
    other: WhichArgument,
    *,
    controller: ControllerOption,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    yes: YesFlag = False,
    json_output: JsonFlag = False,
) -> None:
    """Make one contact of two that are one person; each no of either holds for both, for good."""
    output = Output(as_json=json_output)
    first, second = _which(kept), _which(other)
    with opened() as context:
        if not dry_run:
            question = (
                "Are these two one person? It cannot be undone; --dry-run shows what it does."
            )
            output.confirm(question, yes=yes)
        merged = merge_contacts(context, controller, first, second, dry_run=dry_run)
    output.show({"merged": merged, "dry_run": dry_run}, *_merged(merged, dry_run=dry_run))


def move(
    old: Annotated[str, typer.Argument(help="The address that is theirs no more.")],
    new: Annotated[str, typer.Argument(help="The one that is.")],
    *,
    controller: ControllerOption,
    request: Annotated[
        int | None, typer.Option(help="Their request, see `sender request list`.")
    ] = None,
    json_output: JsonFlag = False,
) -> None:
    """Take a person's changed address: the old one ends, each no follows, and a code goes out."""
    (channel, old_address), (other, new_address) = read_address(old), read_address(new)
    if channel is not other:
        raise UsageError(
            "An e-mail address and a number are no change of one address.",
            remedy="Consent to another channel is a new act: sender consent record",
        )
    with opened() as context:
        told = tell_of_move(
            context, NewAddress(controller, channel, old_address, new_address, request)
        )
    Output(as_json=json_output).show({"moved": told}, *_told(told))


def confirm_new_address(
    new: Annotated[str, typer.Argument(help="The new address.")],
    code: Annotated[str, typer.Argument(help="The code that went there.")],
    *,
    controller: ControllerOption,
    by: Annotated[Reached, typer.Option(help="How the person gave it back.")] = Reached.PHONE,
    json_output: JsonFlag = False,
) -> None:
    """Let a person's consent follow to the new address, by the code that they read there."""
    channel, address = read_address(new)
    with opened() as context:
        followed = confirm_move(context, GivenBack(controller, channel, address, code, by))
    words = ", ".join(followed) if followed else "none was left to follow"
    Output(as_json=json_output).show(
        {"confirmed": True, "purposes": followed}, f"Confirmed. Consent that holds there: {words}."
    )


def _which(text: str) -> WhichContact:
    return int(text) if text.isascii() and text.isdigit() else read_address(text)


def _group(found: Twins) -> tuple[Any, ...]:
    numbers = [f"{one.contact_id}{' (objected)' * one.objected}" for one in found.contacts]
    references = [one.external_ref or "-" for one in found.contacts]
    return numbers, references, _MEANINGS[found.likeness]


def _merged(merged: Merged, *, dry_run: bool) -> Iterator[str | Facts | Listing]:
    would = "would be" if dry_run else "is"
    yield f"Contact {merged.merged} {would} part of contact {merged.kept}."
    yield Facts(
        [
            ("Addresses that come with it", merged.addresses),
            ("Blocks set for the other side's no", merged.blocks),
            ("Refusals likewise", merged.refusals),
            ("Objects to everything", merged.objected),
            ("Details not kept of it", ", ".join(merged.not_kept) or "none"),
        ]
    )
    rows = [(one.contact, one.channel, one.purpose, one.sentence) for one in merged.stricter]
    yield Listing(
        ["Address of contact", "Channel", "Purpose", "No longer written to, because"],
        rows,
        empty="Nobody is written to less than before.",
    )


def _told(told: Told) -> Iterable[str]:
    yield "The old address is written to no more."
    noes = counted(told.blocks + told.refusals, "no", "noes")
    if told.objected:
        yield "The person's objection holds for the new address too."
    elif told.blocks or told.refusals:
        yield f"{noes} of theirs hold for the new address too."
    if told.waiting:
        yield f"Consent that waits for the person to confirm it: {', '.join(told.waiting)}."
    yield told.no_code_because or (
        "A code went there. When they give it to you: sender contacts confirm-move NEW CODE"
    )
