"""The same output on a terminal: Rich tables and a progress bar; imported only where one is."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich import box
from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from sender.cli.output import Advance, Facts, Listing, Part, plain, right_columns, shown


def draw(part: Part) -> None:
    """Print one part of an answer to stdout."""
    console = Console(highlight=False)
    console.print(_rich(part), soft_wrap=isinstance(part, str))


@contextmanager
def bar(label: str, total: int | None) -> Iterator[Advance]:
    """Show a progress bar on stderr; it goes when the block ends."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=total)

        def advance(amount: int, total: int | None = None) -> None:
            progress.update(task, advance=amount, total=total)

        yield advance


class _RateColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:,.0f}/s", style="dim")


def _rich(part: Part) -> RenderableType:
    if isinstance(part, str):
        return Text(part)
    if isinstance(part, Facts):
        return _facts(part)
    return _listing(part) if part.rows else Text(part.empty, style="dim")


def _facts(facts: Facts) -> RenderableType:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.title, grid.title_justify, grid.title_style = facts.title or None, "left", "bold"
    for name, text in shown(facts):
        grid.add_row(Text(name, style="dim"), Text(text))
    return grid


def _listing(listing: Listing) -> RenderableType:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    table.title, table.title_justify, table.title_style = listing.title or None, "left", "bold"
    for name, number in zip(listing.columns, right_columns(listing), strict=True):
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    for row in listing.rows:
        table.add_row(*[Text(plain(cell)) for cell in row])
    return table
