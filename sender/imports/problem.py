"""What is wrong with one cell, and how to mend it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a row.

    Attributes:
        column: the column at fault, as the file names it; empty where the whole row is.
        problem: what is wrong, without the cell's value.
        remedy: how to mend it.
    """

    column: str
    problem: str
    remedy: str


class CellRefusedError(Exception):
    """A cell cannot be meant; caught where its row is read, never shown as it is."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy

    def at(self, column: str) -> Problem:
        """Return the problem with the column that it was found in."""
        return Problem(column, self.problem, self.remedy)
