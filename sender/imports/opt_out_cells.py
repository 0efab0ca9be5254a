"""The opt-outs that a row tells of. A no is taken even where the cells beside it are wrong."""

import re
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import Final

from sender.contacts.unaddressed import without_addresses
from sender.imports.context import ImportContext
from sender.imports.csv_file import Record
from sender.imports.layout import Layout
from sender.imports.problem import CellRefusedError, Problem
from sender.imports.values import Moment, did_you_mean, line_of_text, moment
from sender.vocabulary import BlockCause, Channel

EVERYTHING: Final = "all"
PURPOSE_PREFIX: Final = "purpose:"
BOUNCE_PREFIX: Final = "bounce:"
"""Another system could not deliver there: no act of the person, but nothing is sent either."""
DEFAULT_SOURCE: Final = "import"

_PLAIN_NOES: Final = frozenset(
    {"yes", "y", "true", "t", "1", "x", "opt-out", "optout", "unsubscribed", "blocklisted"}
)
"""Words that say that somebody opted out, and not of what."""

_NOTHING_SAID: Final = frozenset(
    {"no", "n", "false", "f", "0", "none", "null", "n/a", "-"}
    | {"subscribed", "active", "enabled", "opted-in", "opt-in", "optin"}
)
"""Words that say that somebody did not opt out; told, because an empty cell says so."""

_OPTED_IN: Final = re.compile(r"\b(opt(?:ed)?) (?=in\b)", re.IGNORECASE)

_BETWEEN: Final = re.compile(r"[\s;,|]+")
_SOURCE_LENGTH: Final = 190


@dataclass(frozen=True, slots=True)
class OptOut:
    """One no: to everything (an objection), to a channel, or to a purpose.

    Attributes:
        at: when the person said it; the time of the import where the file does not tell.
        told: the time as the file tells it, to know the same no again; None where it does not.
        source: where the file says that it came from.
        channel: the channel, if it is one that is refused.
        purpose_id: the purpose, if it is one that is refused.
        cause: why the channel is blocked.
    """

    at: datetime
    told: Moment | None
    source: str
    channel: Channel | None = None
    purpose_id: int | None = None
    cause: BlockCause = BlockCause.OPT_OUT

    @property
    def is_objection(self) -> bool:
        """Whether it is a no to all direct marketing (guidance ¶71)."""
        return self.channel is None and self.purpose_id is None

    def is_same_time(self, recorded: datetime) -> bool:
        """Whether an act recorded at this time may be this very one."""
        return self.told is not None and self.told.earliest <= recorded <= self.told.latest


def read_opt_outs(
    record: Record, layout: Layout, context: ImportContext, now: datetime
) -> tuple[list[OptOut], list[Problem]]:
    """Return the row's opt-outs and what is wrong in their cells.

    A no whose date is missing or unreadable, or lies in the future, counts from the import on. One
    that does not say of what, or says it in words that are not known, is one to every channel.
    """
    text = _OPTED_IN.sub(r"\1-", layout.cell(record, "opt_out"))
    words = [word for word in _BETWEEN.split(text) if word]
    problems: list[Problem] = []
    if not words:
        return [], problems
    told, at = read_time(layout.cell(record, "opt_out_at"), context.zone, now, problems)
    source = read_source(layout.cell(record, "opt_out_source"), problems)
    opt_outs = []
    said = OptOut(at, told, source)
    for word in words:
        if word.lower() in _NOTHING_SAID:
            problems.append(_NONE)
            continue
        try:
            opt_outs.append(_scoped(said, word, context))
        except CellRefusedError as error:
            problems.append(error.at("opt_out"))
            if not word.startswith(PURPOSE_PREFIX):
                opt_outs += [replace(said, channel=channel) for channel in Channel]
    return list(dict.fromkeys(opt_outs)), list(dict.fromkeys(problems))


_NONE: Final = Problem(
    "opt_out", "This seems to say that they did not opt out.", "Leave the cell empty then."
)


def read_time(
    text: str, zone: tzinfo, now: datetime, problems: list[Problem]
) -> tuple[Moment | None, datetime]:
    """Return when a no was said: as told, and the moment it counts from (never after `now`)."""
    if not text:
        return None, now
    try:
        told = _past_moment(text, zone, now)
    except CellRefusedError as error:
        problem = f"{error.problem} The opt-out was taken as of this import."
        problems.append(Problem("opt_out_at", problem, error.remedy))
        return None, now
    return told, min(told.latest, now)


def _past_moment(text: str, zone: tzinfo, now: datetime) -> Moment:
    told = moment(text, zone)
    if told.earliest > now:
        raise CellRefusedError("The opt-out lies in the future.", "Correct the date.")
    return told


def read_source(text: str, problems: list[Problem]) -> str:
    """Return where a no came from, as the ledger keeps it: `import`, or `import: …`."""
    if not text:
        return DEFAULT_SOURCE
    try:
        return f"{DEFAULT_SOURCE}: {without_addresses(line_of_text(text, _SOURCE_LENGTH))}"
    except CellRefusedError as error:
        problem = f"{error.problem} The opt-out was taken without its source."
        problems.append(Problem("opt_out_source", problem, error.remedy))
        return DEFAULT_SOURCE


def _of_what(word: str) -> CellRefusedError:
    found = "does not say of what they opted out" if word.lower() in _PLAIN_NOES else "is not known"
    return CellRefusedError(
        f"This {found}; it was taken as every channel.",
        f"Write {EVERYTHING}, {', '.join(Channel)} or {PURPOSE_PREFIX}…",
    )


def _scoped(said: OptOut, word: str, context: ImportContext) -> OptOut:
    if word.lower() == EVERYTHING:
        return said
    if word.lower() in list(Channel):
        return replace(said, channel=Channel(word.lower()))
    if (channel := word.lower().removeprefix(BOUNCE_PREFIX)) in list(Channel):
        return replace(said, channel=Channel(channel), cause=BlockCause.BOUNCE)
    if not word.startswith(PURPOSE_PREFIX):
        raise _of_what(word)
    slug = word.removeprefix(PURPOSE_PREFIX)
    if slug not in context.purposes:
        raise CellRefusedError(
            "The controller has no such purpose.", did_you_mean(slug, list(context.purposes))
        )
    return replace(said, purpose_id=context.purposes[slug])
