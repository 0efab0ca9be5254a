"""On which line each key of a TOML document stands; tomllib itself does not tell.

The scanner reads text that tomllib has accepted already, so it refuses nothing: it only has to
find where keys and values begin and end (TOML 1.0, sections "Keys", "String", "Array",
"Inline Table", "Array of Tables").
"""

import re
import tomllib
from bisect import bisect_left
from collections import Counter
from typing import Final

TomlKey = tuple[str | int, ...]
"""Keys of tables and 0-based places in arrays, from the root."""

_SPACE: Final = re.compile(r"[ \t]*")
_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_STRING: Final = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}(?!")'
    r"|'''.*?'{3,5}(?!')"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'",
    re.DOTALL,
)
_SCALAR: Final = re.compile(r"[^,\]}#\n]*")


def key_lines(text: str) -> dict[TomlKey, int]:
    """Return the 1-based line of every key, and of every element of an array.

    A table that several headers open, or none by itself, stands where it is first named.

    Args:
        text: a document that `tomllib.loads` accepts.
    """
    return _Scanner(text.replace("\r\n", "\n")).scan()


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._newlines = [found.start() for found in re.finditer("\n", text)]
        self._lines: dict[TomlKey, int] = {}
        self._tables_in_array: Counter[TomlKey] = Counter()

    def scan(self) -> dict[TomlKey, int]:
        table: TomlKey = ()
        self._take(_BLANK)
        while self._position < len(self._text):
            if self._text[self._position] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._take(_BLANK)
        return self._lines

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._position)
        assert found is not None
        self._position = found.end()
        return found.group()

    def _at(self, sign: str) -> bool:
        return self._text.startswith(sign, self._position)

    def _skip(self, sign: str) -> None:
        assert self._at(sign)
        self._position += len(sign)

    def _record(self, key: TomlKey) -> None:
        self._lines.setdefault(key, bisect_left(self._newlines, self._position) + 1)

    def _header(self) -> TomlKey:
        is_array = self._at("[[")
        self._skip("[[" if is_array else "[")
        self._take(_SPACE)
        *parents, last = self._key_parts()
        key: TomlKey = ()
        for part in parents:
            key = self._latest((*key, part))
        key = (*key, last)
        self._record(key)
        if is_array:
            self._tables_in_array[key] += 1
            key = self._latest(key)
        self._skip("]]" if is_array else "]")
        return key

    def _pair(self, table: TomlKey) -> None:
        key = table
        for part in self._key_parts():
            key = (*key, part)
            self._record(key)
        self._skip("=")
        self._take(_SPACE)
        self._value(key)

    def _latest(self, key: TomlKey) -> TomlKey:
        """Record a key; go on to the newest table if it is an array of tables."""
        self._record(key)
        if key in self._tables_in_array:
            key = (*key, self._tables_in_array[key] - 1)
            self._record(key)
        return key

    def _key_parts(self) -> list[str]:
        """Take a dotted key, which never spans lines, and the space behind it."""
        parts = [self._key_part()]
        while self._at("."):
            self._skip(".")
            self._take(_SPACE)
            parts.append(self._key_part())
        return parts

    def _key_part(self) -> str:
        if self._text[self._position] in "\"'":
            part = str(tomllib.loads(f"key = {self._take(_STRING)}")["key"])
        else:
            part = self._take(_BARE_KEY)
        self._take(_SPACE)
        return part

    def _value(self, key: TomlKey) -> None:
        if self._at("["):
            self._array(key)
        elif self._at("{"):
            self._inline_table(key)
        elif self._text[self._position] in "\"'":
            self._take(_STRING)
        else:
            self._take(_SCALAR)

    def _array(self, key: TomlKey) -> None:
        self._skip("[")
        self._take(_BLANK)
        place = 0
        while not self._at("]"):
            self._record((*key, place))
            self._value((*key, place))
            self._end_of_item()
            place += 1
        self._skip("]")

    def _inline_table(self, key: TomlKey) -> None:
        self._skip("{")
        self._take(_BLANK)
        while not self._at("}"):
            self._pair(key)
            self._end_of_item()
        self._skip("}")

    def _end_of_item(self) -> None:
        self._take(_BLANK)
        if self._at(","):
            self._skip(",")
            self._take(_BLANK)
