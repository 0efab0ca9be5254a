"""Turn the rows of somebody else's file into rows with our columns."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from sender.contacts.filter import nearest
from sender.errors import FileError
from sender.imports.csv_file import CsvFile
from sender.imports.dates import iso_text
from sender.imports.layout import (
    ATTRIBUTE_PREFIX,
    CONSENT_COLUMNS,
    KNOWN_COLUMNS,
    OPT_OUT_COLUMNS,
    REJECT_PREFIX,
    column_name,
)
from sender.imports.mapping import column_key
from sender.imports.presets import Preset, Said, find_preset
from sender.imports.problem import Problem
from sender.imports.reading import Reading
from sender.imports.values import did_you_mean
from sender.spreadsheet import unmarked
from sender.vocabulary import Channel

_DATE_COLUMNS: Final = ("consent_at", "consent_until", "opt_out_at")
_STATE_COLUMNS: Final = (*OPT_OUT_COLUMNS, "consent_channel")
"""Columns of ours that a preset fills in."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How a row becomes one of ours.

    Attributes:
        header: our columns, in the order of the cells that `read` returns.
        written: how the file names them; for columns that it does not have, their own name.
    """

    header: tuple[str, ...]
    written: dict[str, str]
    _places: tuple[tuple[int, ...], ...]
    _fixed: tuple[str, ...]
    _words: tuple[dict[str, str] | None, ...]
    _dates: frozenset[int]
    _keys: tuple[str, ...]
    _preset: Preset | None
    _reading: Reading
    _plain: tuple[int | None, ...] = field(init=False)
    """Where a cell stands that is taken as it is; None where there is more to it."""

    def __post_init__(self) -> None:
        plain = (self._plain_place(number) for number in range(len(self.header)))
        object.__setattr__(self, "_plain", tuple(plain))

    def _plain_place(self, number: int) -> int | None:
        is_more = self._fixed[number] or self._words[number] is not None or number in self._dates
        places = self._places[number]
        return None if is_more or len(places) != 1 else places[0]

    def read(self, cells: Sequence[str]) -> tuple[list[str], list[Problem]]:
        """Return a row's cells as ours, and what could not be meant.

        An unknown word is refused; where it may be a no, the cell keeps it.
        """
        problems: list[Problem] = []
        ours = [
            cells[plain].strip() if plain is not None else self._cell(number, cells, problems)
            for number, plain in enumerate(self._plain)
        ]
        if self._preset is not None:
            self._say(self._preset, ours, cells, problems)
        return ours, problems

    def _cell(self, number: int, cells: Sequence[str], problems: list[Problem]) -> str:
        texts = [text for place in self._places[number] if (text := cells[place].strip())]
        words = self._words[number]
        if words is not None:
            texts = [self._meaning(number, text, words, problems) for text in texts or [""]]
        if number in self._dates:
            texts = [iso_text(text, self._reading.dates) for text in texts]
        if self._fixed[number]:
            texts.append(self._fixed[number])
        return " ".join(text for text in texts if text)

    def _meaning(
        self, number: int, text: str, words: dict[str, str], problems: list[Problem]
    ) -> str:
        meaning = words.get(text.lower())
        if meaning is None and text:
            name = self.header[number]
            known = did_you_mean(text, list(words))
            problems.append(Problem(self.written[name], "The mapping gives no meaning.", known))
            return text if name == "opt_out" else ""
        return meaning or ""

    def _say(
        self, preset: Preset, ours: list[str], cells: Sequence[str], problems: list[Problem]
    ) -> None:
        """Fill in what the state says. Beside a no, no consent is told of."""
        told = zip(self._keys, cells, strict=True)
        said = preset.say({key: cell.strip() for key, cell in told})
        place = {name: number for number, name in enumerate(self.header)}
        if said.problem is not None:
            problems.append(said.problem)
        if said.opt_outs:
            words = [ours[place["opt_out"]], *said.opt_outs]
            ours[place["opt_out"]] = " ".join(word for word in words if word)
            at = ours[place["opt_out_at"]] or iso_text(said.at, self._reading.dates)
            ours[place["opt_out_at"]] = at
            ours[place["opt_out_source"]] = ours[place["opt_out_source"]] or preset.name
        ours[place["consent_channel"]] = _agreed(said, ours[place["consent_channel"]])
        if ours[place["opt_out"]] or not ours[place["consent_channel"]]:
            for name in CONSENT_COLUMNS:
                if name in place:
                    ours[place[name]] = ""


def _agreed(said: Said, told: str) -> str:
    """Return the channels of a consent: what a mapping tells narrows the state, never widens it."""
    silent = set(Channel) - set(said.channels)
    words = told.split() or said.channels
    return " ".join(word for word in words if word.lower() not in silent) if said.channels else ""


def shape_of(file: CsvFile, reading: Reading) -> Shape:
    """Return how the file's rows are read.

    Raises:
        FileError: a column is unknown, stands for two or lacks in the file, or the file is no
            export of the system that it is said to come from.
        UsageError: there is no such preset.
    """
    return _Builder(file, reading).build()


class _Builder:
    def __init__(self, file: CsvFile, reading: Reading) -> None:
        self._file = file
        self._reading = reading
        self._mapping = reading.mapping
        self._preset = find_preset(reading.preset) if reading.preset else None
        self._keys = tuple(column_key(unmarked(name)) for name in file.header)

    def build(self) -> Shape:
        self._require_columns()
        places: dict[str, list[int]] = {}
        for place, key in enumerate(self._keys):
            ours = self._target(place, key)
            if ours:
                places.setdefault(ours, []).append(place)
        self._require_single(places)
        fixed = {_ours(name): text for name, text in self._mapping.constants.items()}
        for name in fixed.keys() - {"opt_out"}:
            places.pop(name, None)  # what is fixed holds for every row
        state = _STATE_COLUMNS if self._preset else ()
        header = tuple(dict.fromkeys([*places, *fixed, *state]))
        self._require_known(fixed)
        values = {_ours(name): words for name, words in self._mapping.values.items()}
        return Shape(
            header,
            self._written(header, places),
            tuple(tuple(places.get(name, ())) for name in header),
            tuple(fixed.get(name, "") for name in header),
            tuple(values.get(name) for name in header),
            frozenset(place for place, name in enumerate(header) if _is_date(name)),
            self._keys,
            self._preset,
            self._reading,
        )

    def _target(self, place: int, key: str) -> str:
        """Return which column of ours a column of the file is; empty where it is passed over."""
        written = self._file.header[place]
        if key in self._mapping.columns:
            return _ours(self._mapping.columns[key])
        if key in self._mapping.ignored or column_name(written).startswith(REJECT_PREFIX):
            return ""
        if self._preset is not None:
            is_no = column_name(written) in OPT_OUT_COLUMNS  # of our own: never passed over
            return self._preset.columns.get(key, column_name(written) if is_no else "")
        if not key and not self._mapping.ignores_others:
            raise self._error("", f"Column {place + 1} has no name.", "Name it or remove it.")
        ours = _ours(written)
        if self._mapping.ignores_others and not _is_known(ours):
            return ""
        return ours

    def _require_columns(self) -> None:
        named = {*self._mapping.columns, *self._mapping.ignored} - {"*"}
        missing = sorted(named - set(self._keys))
        if missing:
            near = nearest(missing[0], list(self._keys))
            remedy = f"Did you mean {near}?" if near else "Correct the mapping."
            raise self._error(missing[0], "The mapping names a column that is not here.", remedy)
        lacking = [
            one for one in (self._preset.needed if self._preset else ()) if one not in self._keys
        ]
        if self._preset and lacking:
            raise self._error(
                lacking[0],
                f"An export of {self._preset.name} has this column, and the file has not.",
                "Export it again, or name the columns with --map.",
            )

    def _require_single(self, places: dict[str, list[int]]) -> None:
        for name, found in places.items():
            if name and name != "opt_out" and len(found) > 1:
                raise self._error(
                    self._file.header[found[1]],
                    f"This is a second column for {name}; it stands here twice.",
                    "Remove or ignore one of them.",
                )

    def _require_known(self, fixed: dict[str, str]) -> None:
        for name in fixed:
            if not _is_known(name):
                remedy = did_you_mean(name, list(KNOWN_COLUMNS))
                raise self._error(name, "The mapping fixes a column that is not known.", remedy)

    def _written(self, header: tuple[str, ...], places: dict[str, list[int]]) -> dict[str, str]:
        return {
            name: self._file.header[places[name][0]] if name in places else name for name in header
        }

    def _error(self, key: str, problem: str, remedy: str) -> FileError:
        return FileError(problem, path=self._file.path, line=1, key=key, remedy=remedy)


def _ours(written: str) -> str:
    """Return the name of a column of ours as the layout knows it; attributes keep their case."""
    name = column_name(written)
    return written if name.startswith(ATTRIBUTE_PREFIX) else name


def _is_known(name: str) -> bool:
    return name in KNOWN_COLUMNS or name.lower().startswith(ATTRIBUTE_PREFIX)


def _is_date(name: str) -> bool:
    return name in _DATE_COLUMNS or (
        name.lower().startswith(ATTRIBUTE_PREFIX) and name.lower().endswith(":date")
    )
