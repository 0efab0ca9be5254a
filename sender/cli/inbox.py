"""`sender inbox`: what people wrote back, and what the doubtful ones were."""

import unicodedata
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

import typer

from sender.cli.common import (
    ControllerOption,
    JsonFlag,
    YesFlag,
    counted,
    examples,
    group,
    opened,
)
from sender.cli.output import Listing, Output
from sender.context import Context
from sender.controllers.lookup import find_controller
from sender.errors import NotFoundError, UsageError
from sender.inbound.inbox import InboxEntry, Wanted, count_messages, list_messages
from sender.inbound.inbox_decisions import Decided, Decision
from sender.inbound.inbox_decisions import decide as record_decision

app = group("What people wrote back, and what to make of it.")

SHOWN_CHARACTERS: Final = 300
SHOWN_MESSAGES: Final = 50

_WORDS: Final = {
    Decision.STOP: "a stop: nothing more goes to them on this channel",
    Decision.OBJECTION: "an objection: nothing more goes to them at all, on any address",
    Decision.NOT_A_STOP: "no stop: what was held for them may be sent",
}


@app.command(
    "list",
    epilog=examples(
        "sender inbox list -c riverside",
        "sender inbox list -c riverside --rule not-interested",
        "sender inbox list -c riverside --all --json",
    ),
)
def list_(
    controller: ControllerOption,
    all_messages: Annotated[
        bool, typer.Option("--all", help="Also what is decided, or never was in doubt.")
    ] = False,
    rule: Annotated[str, typer.Option(help="Only what this rule of the recogniser held.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 200,
    json_output: JsonFlag = False,
) -> None:
    """List what people wrote back: what waits for a decision, the longest waiting first."""
    wanted = Wanted(everything=all_messages, rule=rule, limit=limit)
    with opened() as context, context.store.read() as session:
        owner = find_controller(session, controller)
        found = list_messages(session, owner.id, wanted)
        total = count_messages(session, owner.id, wanted)
    now = context.clock.now()
    output = Output(as_json=json_output)
    output.show(
        {"messages": [_document(one, now) for one in found], "total": total},
        _table(found, now, empty="Nothing waits for a decision."),
    )
    if total > len(found):
        output.note(f"{len(found):,} of {total:,} are shown; --limit shows more.")


@app.command(
    epilog=examples(
        "sender inbox decide -c riverside 12 15 --as stop",
        "sender inbox decide -c riverside --rule not-interested --as not-a-stop",
        "sender inbox decide -c riverside --all-open --as stop --yes",
    )
)
def decide(
    messages: Annotated[
        list[int] | None, typer.Argument(metavar="ID...", help="Messages, as listed.")
    ] = None,
    *,
    controller: ControllerOption,
    decision: Annotated[Decision, typer.Option("--as", help="What they were.")],
    all_open: Annotated[
        bool, typer.Option("--all-open", help="Everything that waits for a decision.")
    ] = False,
    rule: Annotated[str, typer.Option(help="Everything open that this rule held.")] = "",
    yes: YesFlag = False,
    json_output: JsonFlag = False,
) -> None:
    """Decide what messages were, after showing them. Lifts holds, never what a person set."""
    wanted = _wanted(messages, rule, all_open=all_open)
    output = Output(as_json=json_output)
    with opened() as context:
        found = _looked_up(context, controller, wanted)
        _preview(output, found, context.clock.now())
        if not found:
            output.show({"decided": 0, "people": 0, "holds_released": 0, "still_held": 0})
            return
        output.confirm(f"{_said(found)} Record as {_WORDS[decision]}?", yes=yes)
        with context.store.write() as session:
            done = record_decision(
                session,
                find_controller(session, controller).id,
                [one.id for one in found],
                decision,
                operator=context.operator,
                now=context.clock.now(),
            )
    output.show(_outcome(done), _sentence(done, decision))


def _wanted(messages: Sequence[int] | None, rule: str, *, all_open: bool) -> Wanted:
    if sum([bool(messages), bool(rule), all_open]) != 1:
        raise UsageError(
            "Which messages?", remedy="Give their ids, or --rule RULE, or --all-open; one of them."
        )
    if messages:
        return Wanted(everything=True, ids=messages)
    return Wanted(rule=rule)


def _looked_up(context: Context, controller: str, wanted: Wanted) -> list[InboxEntry]:
    with context.store.read() as session:
        owner = find_controller(session, controller)
        found = list_messages(session, owner.id, wanted)
    missing = set(wanted.ids or ()) - {one.id for one in found}
    if missing:
        raise NotFoundError(
            f"The inbox of {controller} has no message {min(missing)}.",
            remedy=f"See: sender inbox list -c {controller} --all",
        )
    return found


def _preview(output: Output, found: Sequence[InboxEntry], now: datetime) -> None:
    if output.as_json:
        return
    output.show(None, _table(found[:SHOWN_MESSAGES], now, empty="Nothing waits for a decision."))
    if len(found) > SHOWN_MESSAGES:
        output.note(f"… and {len(found) - SHOWN_MESSAGES:,} more: sender inbox list shows them.")


def _said(found: Sequence[InboxEntry]) -> str:
    people = len({(one.channel, one.key_hash) for one in found})
    return f"{counted(len(found), 'message')} of {counted(people, 'person', 'people')}."


def _outcome(done: Decided) -> dict[str, Any]:
    return {
        "decided": done.messages,
        "people": done.people,
        "holds_released": done.released,
        "still_held": done.still_held,
    }


def _sentence(done: Decided, decision: Decision) -> str:
    held = f" {counted(done.still_held, 'person stays', 'people stay')} held." * (
        done.still_held > 0
    )
    return (
        f"Recorded as {decision}: {counted(done.messages, 'message')} of "
        f"{counted(done.people, 'person', 'people')}.{held}"
    )


def _document(one: InboxEntry, now: datetime) -> dict[str, Any]:
    return {
        "id": one.id,
        "received_at": one.received_at,
        "age_seconds": int((now - one.received_at).total_seconds()),
        "open": one.is_open,
        "channel": one.channel,
        "address": one.address,
        "key_hash": one.key_hash,
        "body": one.body,
        "meaning": one.meaning,
        "rule": one.rule,
        "decided_as": one.decided_as,
        "decided_at": one.decided_at,
        "decided_by": one.decided_by,
    }


def _table(found: Sequence[InboxEntry], now: datetime, *, empty: str) -> Listing:
    rows = [
        (
            str(one.id),
            _age(now - one.received_at),
            one.channel,
            one.address or f"hash {one.key_hash[:12]}",
            _readable(one.body),
            one.rule,
            _standing(one),
        )
        for one in found
    ]
    columns = ["Id", "Age", "Channel", "Address", "Words", "Rule", "Standing"]
    return Listing(columns, rows, empty=empty)


def _standing(one: InboxEntry) -> str:
    if one.is_open:
        return "open"
    if one.decided_as is None:
        return one.meaning
    return f"{one.decided_as} ({one.decided_by})"


def _age(age: timedelta) -> str:
    minutes = int(age.total_seconds() // 60)
    if minutes < 60:  # noqa: PLR2004  # an hour
        return f"{minutes} min"
    hours = minutes // 60
    return f"{hours} h" if hours < 48 else f"{hours // 24} days"  # noqa: PLR2004  # two days


def _readable(body: str | None) -> str:
    """Keep what somebody wrote from steering the terminal; long words stay whole with --json."""
    if body is None:
        return "(erased)"
    plain = " ".join("".join(map(_visible, body)).split())
    if len(plain) <= SHOWN_CHARACTERS:
        return plain
    return f"{plain[:SHOWN_CHARACTERS]}… ({len(plain) - SHOWN_CHARACTERS:,} more characters)"


def _visible(character: str) -> str:
    steers = unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
    return " " if steers or unicodedata.bidirectional(character) in _TURNS else character


_TURNS: Final = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
"""Characters that make text read in another order than it was written."""
