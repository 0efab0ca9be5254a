"""Cells that no spreadsheet runs: every CSV file that is written here goes through this."""

from typing import Final

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 # meant
_MARKED: Final = tuple(f"'{first}" for first in _FORMULA)


def harmless(cell: str) -> str:
    """Return the text with a `'` before it where a spreadsheet would run it as a formula.

    The first characters are those of OWASP's page on CSV injection. Numbers are marked too: a
    spreadsheet would turn +447911123456 into another number.
    """
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def unmarked(cell: str) -> str:
    """Return the text as it was before `harmless`."""
    return cell[1:] if cell.startswith(_MARKED) else cell
