"""What a mapping says: which column of a file is which of ours, what is fixed, what words mean."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from sender.errors import UsageError
from sender.toml.model import Table, read_model

_PARTS_OF_A_PAIR: Final = 2


class MappingFile(Table):
    """A mapping as TOML; docs/imports.md shows one.

    Attributes:
        columns: our column by the file's.
        constants: what a column of ours holds in every row.
        values: by our column, what each word of the file means; other words are refused.
        ignore: columns of the file that are passed over; `*` stands for all that are not named.
    """

    columns: dict[str, str] = Field(default_factory=dict)
    constants: dict[str, str] = Field(default_factory=dict)
    values: dict[str, dict[str, str]] = Field(default_factory=dict)
    ignore: Annotated[tuple[str, ...], Field(max_length=1_000)] = ()


@dataclass(frozen=True, slots=True)
class Mapping:
    """How a file's columns become ours. Names of the file's columns are in lower case here."""

    columns: dict[str, str] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    values: dict[str, dict[str, str]] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()

    @property
    def ignores_others(self) -> bool:
        """Whether columns that nothing names are passed over."""
        return "*" in self.ignored


def read_mapping(maps: Iterable[str] = (), constants: Iterable[str] = ()) -> Mapping:
    """Return the mapping that a command line tells of.

    Args:
        maps: names of mapping files (`*.toml`), and pairs `Column of the file=our column`.
        constants: pairs `our column=what it holds in every row`.

    Raises:
        UsageError: one is neither a file nor a pair, or a column of the file is to be two of ours:
            one of them might be its noes.
        FileErrors: a file cannot be meant.
    """
    columns: dict[str, str] = {}
    fixed: dict[str, str] = {}
    values: dict[str, dict[str, str]] = {}
    ignored: set[str] = set()
    for one in maps:
        if not one.lower().endswith(".toml"):
            _name(columns, *_pair(one, "--map"))
            continue
        file = read_model(Path(one), MappingFile)
        for written, ours in file.columns.items():
            _name(columns, written, ours)
        fixed |= file.constants
        values |= {ours: _words(words) for ours, words in file.values.items()}
        ignored |= {column_key(written) for written in file.ignore}
    fixed |= dict(_pair(one, "--set") for one in constants)
    return Mapping(columns, fixed, values, frozenset(ignored))


def _name(columns: dict[str, str], written: str, ours: str) -> None:
    key = column_key(written)
    if columns.setdefault(key, ours) != ours:
        raise UsageError(
            f"--map: {written} is to be {columns[key]} and {ours}.",
            remedy="A column can stand for one of ours: say which, or copy it in the file.",
        )


def column_key(written: str) -> str:
    """Return by what a column of a file is known: its name whatever its case and outer spaces."""
    return written.strip().lower()


def _words(words: dict[str, str]) -> dict[str, str]:
    return {word.strip().lower(): meaning for word, meaning in words.items()}


def _pair(text: str, option: str) -> tuple[str, str]:
    parts = tuple(part.strip() for part in text.rsplit("=", 1) if part.strip())
    if option == "--set":
        parts = tuple(part.strip() for part in text.split("=", 1) if part.strip())
    if len(parts) != _PARTS_OF_A_PAIR:
        example = "--map 'Email Address=email'" if option == "--map" else "--set consent_notice=x"
        raise UsageError(
            f"{option}: {text!r} is no pair.", remedy=f"Write {example}, or name a .toml file."
        )
    return parts[0], parts[1]
