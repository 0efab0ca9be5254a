"""The consent that a row tells of, held against the wording that people are said to have seen."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sender.consent.methods import CASEWORK_METHOD, is_no_act, is_no_answer
from sender.contacts.unaddressed import without_addresses
from sender.imports.context import ImportContext, NoticeFacts
from sender.imports.csv_file import Record
from sender.imports.layout import CONSENT_COLUMNS, Layout
from sender.imports.problem import CellRefusedError, Problem
from sender.imports.values import Moment, did_you_mean, line_of_text, moment, word
from sender.vocabulary import Channel, ConsentFlaw, ContactSource

_NEEDED = tuple(name for name in CONSENT_COLUMNS if name != "consent_until")
_METHOD_LENGTH = 64
_SOURCE_LENGTH = 200
_FRESH = "Only wording that asked for a clear act of its own is consent (guidance ¶25, ¶55)."


@dataclass(frozen=True, slots=True)
class ConsentCells:
    """A consent as a row tells it; the notice exists and was shown at that time."""

    purpose: str
    purpose_id: int
    channel: Channel
    notice: NoticeFacts
    at: datetime
    method: str
    source: str
    ends_at: datetime | None


def read_consent(
    record: Record, layout: Layout, context: ImportContext, now: datetime
) -> Sequence[ConsentCells] | Problem:
    """Return the row's consents, one for each channel, or why it is no evidence of any.

    Consent needs to be specific and provable: what was agreed to, on which wording, when and how
    (guidance ¶25, ¶55; UK GDPR Article 7(1)).
    """
    if not layout.has_consent:
        return ()
    cells = {name: layout.cell(record, name) for name in CONSENT_COLUMNS}
    if not any(cells.values()):
        return ()
    missing = [name for name in _NEEDED if not cells[name] or _only_fills(name, cells[name])]
    if missing:
        return Problem(
            missing[0],
            "The consent cannot be shown without this.",
            f"Fill in {', '.join(missing)}, or empty all consent cells of the row.",
        )
    reader = _Reader(cells, context, now)
    try:
        return reader.read()
    except CellRefusedError as error:
        return error.at(reader.column)


def _only_fills(column: str, text: str) -> bool:
    return column in {"consent_method", "consent_source"} and is_no_answer(text)


def flaw_of(consent: ConsentCells, slug: str, source: ContactSource) -> ConsentFlaw:
    """Return why this yes is none to this controller, channel or purpose, or that nothing is wrong.

    Details from casework need specific consent (guidance ¶28); a bought list, wording that named
    this controller (¶76-77); each message, consent to its own channel and purpose (¶52-55).
    """
    if consent.method.lower() == CASEWORK_METHOD:
        return ConsentFlaw.CASEWORK
    flaw = _not_named(consent, slug)
    if flaw is not ConsentFlaw.NONE and source is ContactSource.CASEWORK:
        return ConsentFlaw.CASEWORK
    return flaw


def _not_named(consent: ConsentCells, slug: str) -> ConsentFlaw:
    if slug not in consent.notice.controllers:
        return ConsentFlaw.THIRD_PARTY
    if consent.channel.value not in consent.notice.channels:
        return ConsentFlaw.CHANNEL_NOT_NAMED
    if consent.purpose not in consent.notice.purposes:
        return ConsentFlaw.PURPOSE_NOT_NAMED
    return ConsentFlaw.NONE


def not_stored(flaws: Sequence[ConsentFlaw]) -> Problem:
    """Return why somebody is not taken whose row tells of no consent, or of none that counts."""
    column, problem = _FLAWS[flaws[0]] if flaws else ("", "The row tells of no sound consent.")
    return Problem(
        column,
        f"{problem} People without consent are not stored.",
        "Add the wording they saw (sender notice add) and bring the file in again; or say what "
        "they are kept for and how long: --store PURPOSE --retain-until DATE (guidance ¶83).",
    )


_FLAWS: Final = {
    ConsentFlaw.NONE: ("consent_channel", "There is no address for the consent's channel."),
    ConsentFlaw.CASEWORK: (
        "consent_method",
        "Details that people gave for casework are no consent to marketing (guidance ¶28).",
    ),
    ConsentFlaw.THIRD_PARTY: (
        "consent_notice",
        "The wording did not name this controller (guidance ¶76-77).",
    ),
    ConsentFlaw.CHANNEL_NOT_NAMED: (
        "consent_notice",
        "The wording did not name this channel (guidance ¶55).",
    ),
    ConsentFlaw.PURPOSE_NOT_NAMED: (
        "consent_notice",
        "The wording did not name this purpose (guidance ¶52-53).",
    ),
}


class _Reader:
    """Reads the cells one after the other; `column` is the one that is being read."""

    def __init__(self, cells: dict[str, str], context: ImportContext, now: datetime) -> None:
        self._cells = cells
        self._context = context
        self._now = now
        self.column = ""

    def read(self) -> list[ConsentCells]:
        purpose = self._take("consent_purpose")
        if purpose not in self._context.purposes:
            raise CellRefusedError(
                "The controller has no such purpose.",
                did_you_mean(purpose, list(self._context.purposes)),
            )
        channels = [word(one, Channel) for one in self._take("consent_channel").split()]
        given = self._given()
        first = ConsentCells(
            purpose=purpose,
            purpose_id=self._context.purposes[purpose],
            channel=channels[0],
            notice=self._notice(given),
            at=given.earliest,
            method=self._method(),
            source=without_addresses(line_of_text(self._take("consent_source"), _SOURCE_LENGTH)),
            ends_at=self._end(given),
        )
        self._require_named(channels, first.notice)
        return [replace(first, channel=channel) for channel in dict.fromkeys(channels)]

    def _require_named(self, channels: Sequence[Channel], notice: NoticeFacts) -> None:
        """Refuse several channels of which the wording did not name each (guidance ¶55)."""
        self._take("consent_channel")
        if len(channels) > 1 and not notice.channels.issuperset(channels):
            raise CellRefusedError(
                "The wording did not name every one of these channels.",
                "Name only the channels that people were asked about (guidance ¶55).",
            )

    def _method(self) -> str:
        method = without_addresses(line_of_text(self._take("consent_method"), _METHOD_LENGTH))
        if is_no_act(method):
            raise CellRefusedError("This is no act by which anybody consents.", _FRESH)
        return method

    def _take(self, column: str) -> str:
        self.column = column
        return self._cells[column]

    def _given(self) -> Moment:
        given = moment(self._take("consent_at"), self._context.zone)
        if given.earliest > self._now:
            raise CellRefusedError("The consent lies in the future.", "Correct the date.")
        return given

    def _end(self, given: Moment) -> datetime | None:
        text = self._take("consent_until")
        if not text:
            return None
        end = moment(text, self._context.zone)
        if end.latest <= given.earliest:
            raise CellRefusedError("The consent ends before it begins.", "Correct the dates.")
        return end.latest

    def _notice(self, given: Moment) -> NoticeFacts:
        slug, at_sign, version = self._take("consent_notice").partition("@")
        versions = self._context.notices.get(slug)
        if versions is None:
            near = did_you_mean(slug, list(self._context.notices))
            raise CellRefusedError(
                "The controller has no such notice.", f"{near} Add it with: sender notice add"
            )
        if at_sign:
            versions = [notice for notice in versions if str(notice.version) == version]
        if not versions:
            raise CellRefusedError(
                "The notice has no such version.", "Write slug@version, or the slug alone."
            )
        return _sound(_shown(versions, given))


def _shown(versions: Sequence[NoticeFacts], given: Moment) -> NoticeFacts:
    """Return the newest of the versions that was on show when the consent was given."""
    for notice in reversed(versions):
        ended = notice.shown_until is not None and given.earliest >= notice.shown_until
        if notice.shown_from <= given.latest and not ended:
            return notice
    raise CellRefusedError(
        "The wording was not shown at the time of the consent.",
        "Correct consent_at, or name the notice that people saw then.",
    )


def _sound(notice: NoticeFacts) -> NoticeFacts:
    if notice.pre_ticked:
        raise CellRefusedError("The wording had a box that was ticked beforehand.", _FRESH)
    if notice.bundled:
        raise CellRefusedError("The wording bundled consent with something else.", _FRESH)
    return notice
