"""Whether the query of an audience source is one reading statement.

This is the early, readable refusal. The connection that runs the query is read-only as well,
which is what really keeps the organisation's database as it is.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sender.errors import FileError

_TOKEN: Final = re.compile(
    r"""
    (?P<space>\s+ | --[^\n]*)
  | (?P<comment>/\*.*?\*/)
  | (?P<dollars>\$(?P<tag>[A-Za-z_]\w*)?\$ .*? \$(?(tag)(?P=tag))\$ )
  | (?P<text>'(?:''|[^'])*')
  | (?P<name>"(?:""|[^"])*" | `(?:``|[^`])*`)
  | (?P<word>[^\W\d][\w$]*)
  | (?P<open>['"`] | /\* | \$(?:[A-Za-z_]\w*)?\$)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_CHANGING: Final = frozenset(
    {"INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE", "UPSERT", "INTO", "TRUNCATE", "DROP"}
    | {"ALTER", "CREATE", "GRANT", "REVOKE", "EXEC", "EXECUTE", "CALL", "COPY", "VACUUM"}
    | {"ATTACH", "PRAGMA"}
)
_ALSO_FUNCTIONS: Final = frozenset({"REPLACE", "INSERT", "TRUNCATE"})
"""Words that are harmless functions when a parenthesis follows."""
_LOCKING: Final = frozenset({"SHARE", "UPDATE", "NO", "KEY"})
_ONE_SELECT: Final = "Write one statement that begins with SELECT or WITH."
_QUOTE_NAMES: Final = "If it is the name of a column, put it in double quotes."


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class _Flaw:
    line: int
    problem: str
    remedy: str = _ONE_SELECT


def check_query(sql: str, *, path: Path) -> FileError | None:
    """Return why the text cannot be the query of an audience source, or None.

    Comments and quoted text are skipped. Text that databases read in different ways (nested or
    executable comments, a backslash before a quote) is refused, because what is a comment to one
    is a statement to another.
    """
    tokens = list(_tokens(sql))
    flaw = _ambiguity(tokens) or _flaw(
        [token for token in tokens if token.kind not in {"space", "comment"}]
    )
    if flaw is None:
        return None
    return FileError(flaw.problem, path=path, line=flaw.line, remedy=flaw.remedy)


def _tokens(sql: str) -> Iterator[_Token]:
    line = 1
    for found in _TOKEN.finditer(sql):
        yield _Token(found.lastgroup or "", found.group(), line)
        line += found.group().count("\n")


def _ambiguity(tokens: list[_Token]) -> _Flaw | None:
    for token in tokens:
        if token.kind == "comment" and ("/*" in token.text[2:] or token.text[2] in "!+"):
            return _Flaw(
                token.line, "holds a nested or executable comment.", "Use -- comments instead."
            )
        if token.kind == "text" and "\\'" in token.text:
            return _Flaw(token.line, "has a backslash before a quote.", "Write '' for a quote.")
        if token.kind == "open":
            return _Flaw(token.line, "opens a quote or comment that is never closed.", "Close it.")
        if token.kind == "other" and token.text == "#":
            return _Flaw(token.line, "holds a #, a comment to some databases.", "Use -- instead.")
    return None


def _flaw(tokens: list[_Token]) -> _Flaw | None:
    if tokens and tokens[-1].text == ";":
        tokens.pop()
    if not tokens:
        return _Flaw(1, "holds no statement.")
    if tokens[0].text.upper() not in {"SELECT", "WITH"}:
        return _Flaw(tokens[0].line, "does not begin with SELECT or WITH.")
    for place, token in enumerate(tokens):
        if token.text == ";":
            return _Flaw(token.line, "holds more than one statement.")
        if token.kind == "word" and _changes(tokens, place):
            problem = f"holds {token.text.upper()}, which a reading query does not need."
            return _Flaw(token.line, problem, _QUOTE_NAMES)
    return None


def _changes(tokens: list[_Token], place: int) -> bool:
    word = tokens[place].text.upper()
    before = tokens[place - 1].text.upper() if place else ""
    after = tokens[place + 1].text if place + 1 < len(tokens) else ""
    if before == ".":
        return False
    if before == "FOR" and word in _LOCKING:
        return True
    if word in _ALSO_FUNCTIONS and after == "(":
        return False
    return word in _CHANGING
