"""Typed reading of one table of a campaign file; what is wrong is collected, not raised.

A reading that was refused is None, as if nothing had been written.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Any, Final, TypeVar
from unicodedata import category

from sender.campaigns.files import FileLookup, FileTrouble, SourceText, flaw_of_name
from sender.contacts.filter_literals import did_you_mean
from sender.toml.lines import TomlKey
from sender.toml.source import TomlSource

Word = TypeVar("Word", bound=StrEnum)

MAX_SLUG: Final = 64
SLUG: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
SLUG_RULE: Final = "Use small letters, digits and single hyphens, such as spring-update."
_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_BREAKS: Final = ("Cc", "Zl", "Zp")
"""Unicode categories of control characters, line and paragraph separators."""


class Section:
    """One table of the file."""

    def __init__(
        self, source: TomlSource, table: Mapping[str, Any], key: TomlKey, known: Sequence[str]
    ) -> None:
        """Take the table at `key`; every key of it that is not `known` is refused."""
        self.source = source
        self.table = table
        self.key = key
        for name in table:
            if name not in known:
                self.refuse(name, "is unknown here.", did_you_mean(name, known))

    def has(self, name: str) -> bool:
        """Tell whether the key was written."""
        return name in self.table

    def refuse(self, name: str | TomlKey, problem: str, remedy: str = "") -> None:
        """Remember what is wrong with a key of this table (or with the table: an empty tuple)."""
        below = (name,) if isinstance(name, str) else name
        self.source.refuse((*self.key, *below), problem, remedy)

    def require(self, *names: str) -> None:
        """Refuse the table if one of the keys is missing."""
        for name in names:
            if name not in self.table:
                self.refuse(name, "is missing.")

    def section(self, name: str, known: Sequence[str]) -> "Section | None":
        """Return a table in this one, or None."""
        table = self._typed(name, dict, "a table")
        if table is None:
            return None
        return Section(self.source, table, (*self.key, name), known)

    def text(self, name: str) -> str | None:
        """Return one line of text, not blank."""
        value: str | None = self._typed(name, str, "text")
        if value is None:
            return None
        if value.strip() and not any(category(character) in _BREAKS for character in value):
            return value
        self.refuse(name, "must be one line of text, not empty, without control characters.")
        return None

    def slug(self, name: str) -> str | None:
        """Return a name such as `spring-update`."""
        value: str | None = self._typed(name, str, "text")
        if value is None or is_slug(value):
            return value
        self.refuse(name, f"{value!r} is not a valid name.", SLUG_RULE)
        return None

    def word(self, name: str, words: type[Word]) -> Word | None:
        """Return one of the words of a vocabulary."""
        value: str | None = self._typed(name, str, "text")
        if value is None:
            return None
        if value in list(words):
            return words(value)
        self.refuse(name, f"must be one of {', '.join(words)}; it is {value!r}.")
        return None

    def whole_number(self, name: str, lowest: int, highest: int) -> int | None:
        """Return a whole number in the range, both ends included."""
        value: int | None = self._typed(name, int, "a whole number")
        if value is None or lowest <= value <= highest:
            return value
        self.refuse(name, f"must be {lowest:,} to {highest:,}; it is {value:,}.")
        return None

    def moment(self, name: str) -> datetime | None:
        """Return a date-time that has an offset, in UTC."""
        value: datetime | None = self._typed(
            name, datetime, "a date-time such as 2026-12-01T20:00:00Z"
        )
        if value is None:
            return None
        if value.tzinfo is None:
            remedy = f"Write {value.isoformat()}Z for UTC, or an offset such as +01:00."
            self.refuse(name, "has no offset from UTC.", remedy)
            return None
        try:
            return value.astimezone(UTC)
        except OverflowError:
            self.refuse(name, "is too far away.")
            return None

    def day(self, name: str) -> date | None:
        """Return a date."""
        value: date | None = self._typed(name, date, "a date such as 2026-05-07")
        return value

    def days(self, name: str) -> tuple[date, ...]:
        """Return a list of dates, in order, each once."""
        return tuple(sorted({day for _, day in self._items(name, date, "dates")}))

    def clock_time(self, name: str) -> time | None:
        """Return a time of day, written as "09:00" or as TOML's local time."""
        value: str | time | None = self._typed(name, str | time, 'a time such as "09:00"')
        if isinstance(value, str):
            if not _CLOCK.fullmatch(value):
                self.refuse(name, f"must be a time from 00:00 to 23:59; it is {value!r}.")
                return None
            return time.fromisoformat(value)
        return value

    def texts(self, name: str, flaw: Callable[[str], str]) -> tuple[str, ...]:
        """Return a list of different texts, none of which has a flaw."""
        values: list[str] = []
        for place, value in self._items(name, str, "texts"):
            problem = f"{value!r} stands here twice." if value in values else flaw(value)
            if problem:
                self.refuse((name, place), problem)
            values.append(value)
        return tuple(values)

    def file(self, name: str, lookup: FileLookup) -> SourceText | None:
        """Return a file beside the campaign, or None."""
        value: str | None = self._typed(name, str, "text")
        if value is None:
            return None
        flaw = flaw_of_name(value)
        if flaw:
            self.refuse(name, flaw)
            return None
        return self.named_text(name, value, value, lookup)

    def named_text(
        self, name: str, file: str, pinned_as: str, lookup: FileLookup
    ) -> SourceText | None:
        """Return the text that the lookup has, blaming the key `name` if it has none."""
        try:
            return SourceText(file, lookup.text(pinned_as))
        except FileTrouble as trouble:
            self.refuse(name, trouble.problem, trouble.remedy)
            return None

    def _typed(self, name: str, kind: Any, wanted: str) -> Any:
        if name not in self.table:
            return None
        value = self.table[name]
        if _is(value, kind):
            return value
        self.refuse(name, f"must be {wanted}, not {describe(value)}.")
        return None

    def _items(self, name: str, kind: type, wanted: str) -> Iterator[tuple[int, Any]]:
        for place, value in enumerate(self._typed(name, list, f"a list of {wanted}") or []):
            if _is(value, kind):
                yield place, value
            else:
                self.refuse((name, place), f"must be one of {wanted}, not {describe(value)}.")


def is_slug(text: str) -> bool:
    """Tell whether text can name a controller, campaign or sender identity."""
    return len(text) <= MAX_SLUG and SLUG.fullmatch(text) is not None


def _is(value: object, kind: Any) -> bool:
    """Tell the type as TOML does: true is no number, and a date-time no date."""
    if isinstance(value, bool):
        return kind is bool
    if isinstance(value, datetime):
        return kind is datetime
    return isinstance(value, kind)


_DESCRIPTIONS: Final[Iterable[tuple[type, str]]] = (
    (bool, "true or false"),
    (str, "text"),
    (int, "a whole number"),
    (float, "a number with a fraction"),
    (datetime, "a date-time"),
    (date, "a date"),
    (time, "a time"),
    (list, "a list"),
    (dict, "a table"),
)


def describe(value: object) -> str:
    """Return what sort of TOML value this is, for messages."""
    return next(text for kind, text in _DESCRIPTIONS if isinstance(value, kind))
