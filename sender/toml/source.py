"""One TOML file: its values, the line of each key, and everything that is wrong in it."""

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from sender.errors import FileError, SenderError
from sender.toml.lines import TomlKey, key_lines

MAX_CHARACTERS: Final = 1_000_000
"""Far more than any of our files needs; keeps a wrong file from being read as one of them."""

_PLACE: Final = re.compile(
    r" \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)"
)

_HOW_TOML_IS_WRITTEN: Final = "Text stands in quotes, lists in [ ], one key on each line."
_TWICE: Final = "The same key or table stands in the file twice: take one out."
_TWICE_IN_TOMLLIB: Final = ("Cannot overwrite", "Cannot declare", "Cannot mutate", "Duplicate")


class FileErrors(SenderError):  # noqa: N818 - one exception that holds many errors
    """A file cannot be meant.

    Attributes:
        errors: everything that is wrong, in the order of the file; at least one.
    """

    def __init__(self, errors: Sequence[FileError]) -> None:
        super().__init__("\n".join(str(error) for error in errors))
        self.errors = tuple(errors)


class TomlSource:
    """The parsed file, and the collector of its problems.

    Attributes:
        data: the document as tomllib gives it.
        path: the file, for messages.
    """

    def __init__(self, text: str, path: Path) -> None:
        """Parse the text.

        Raises:
            FileErrors: it is not TOML; says the line and column.
        """
        self.path = path
        self._errors: list[FileError] = []
        text = text.removeprefix("\ufeff")
        self.data: dict[str, Any] = _parsed(text, path)
        self._lines = key_lines(text)

    def refuse(self, key: TomlKey, problem: str, remedy: str = "") -> None:
        """Remember that what stands at `key` is wrong; a missing key is blamed on its table."""
        self._errors.append(self.error(key, problem, remedy))

    def error(self, key: TomlKey, problem: str, remedy: str = "") -> FileError:
        """Return the error for what stands at `key`, without remembering it."""
        return FileError(
            problem, path=self.path, line=self._line(key), key=dotted(key), remedy=remedy
        )

    def add(self, error: FileError) -> None:
        """Remember a problem that stands in a file that this one names."""
        self._errors.append(error)

    def raise_if_refused(self) -> None:
        """Raise FileErrors if anything was refused: by line, other files last."""
        if self._errors:
            raise FileErrors(sorted(self._errors, key=self._order))

    def _order(self, error: FileError) -> tuple[bool, int]:
        return error.path != self.path, error.line or 0

    def _line(self, key: TomlKey) -> int | None:
        while key and key not in self._lines:
            key = key[:-1]
        return self._lines.get(key)


def _parsed(text: str, path: Path) -> dict[str, Any]:
    if len(text) > MAX_CHARACTERS:
        problem = f"is longer than {MAX_CHARACTERS:,} characters."
        raise FileErrors([FileError(problem, path=path)])
    try:
        return tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, or a number of more than 4,300 digits
        raise FileErrors([_unreadable(str(error), text, path)]) from None
    except RecursionError:
        problem = "is not readable TOML: its lists or tables are nested too deeply."
        raise FileErrors([FileError(problem, path=path)]) from None


def _unreadable(message: str, text: str, path: Path) -> FileError:
    found = _PLACE.search(message)
    line, column = text.count("\n") + 1, ""
    if found and found["line"]:
        line, column = int(found["line"]), f" (column {found['column']})"
    return FileError(
        f"is not readable TOML: {_PLACE.sub('', message)}{column}.",
        path=path,
        line=line,
        remedy=_TWICE if message.startswith(_TWICE_IN_TOMLLIB) else _HOW_TOML_IS_WRITTEN,
    )


def dotted(key: TomlKey) -> str:
    """Return a key as people write it; places in lists count from 1: `where.all[2].in`."""
    text = ""
    for part in key:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")
