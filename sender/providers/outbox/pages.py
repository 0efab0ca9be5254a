"""The outbox's pages: an overview of the runs, and the messages of each run."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from sender.providers.outbox.files import (
    INDEX,
    MANIFEST,
    Entry,
    read_manifest,
    run_folders,
    write,
)
from sender.vocabulary import Channel

ROWS_PER_PAGE = 250

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --line: #dfe4ea;
  --paper: #ffffff; --ground: #f4f6f8; --link: #0b5c8a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ecf1; --soft: #a3adba; --line: #343c47;
  --paper: #1d232b; --ground: #14181d; --link: #7cc4ee; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 2rem 1rem 4rem; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 68rem; margin: 0 auto; }
h1 { margin: 0 0 .25rem; font-size: 1.6rem; line-height: 1.2; }
p { margin: 0 0 1.25rem; color: var(--soft); }
a { color: var(--link); }
ul { list-style: none; margin: 0; padding: 0; background: var(--paper);
  border: 1px solid var(--line); border-radius: .6rem; overflow: hidden; }
li { display: grid; grid-template-columns: 15rem 1fr 9rem; gap: .25rem 1.25rem;
  padding: .8rem 1.1rem; border-top: 1px solid var(--line); }
li:first-child { border-top: 0; }
li > * { min-width: 0; overflow-wrap: anywhere; }
.who span { display: block; color: var(--soft); font-size: .85rem; }
.what { font-weight: 600; }
.sms .what { font-weight: 400; white-space: pre-wrap; }
.links { text-align: right; font-size: .9rem; }
.links a { margin-left: .9rem; }
nav { margin: 1.25rem 0; display: flex; flex-wrap: wrap; gap: .4rem; }
nav a, nav b { padding: .2rem .65rem; border: 1px solid var(--line); border-radius: .4rem;
  background: var(--paper); text-decoration: none; }
@media (max-width: 40rem) { li { grid-template-columns: 1fr; }
  .links { text-align: left; } .links a:first-child { margin-left: 0; } }
"""


def write_pages(outbox: Path) -> None:
    """Bring the pages up to date: those of each run with news, and the overview."""
    rows = []
    for run_id, folder in run_folders(outbox):
        entries = read_manifest(folder)
        if _has_news(folder):
            _write_run(run_id, folder, entries)
        rows.append(_run_row(run_id, folder, entries))
    what = "Messages that were written here instead of being sent."
    listing = f"<ul>{''.join(reversed(rows))}</ul>" if rows else "<p>Nothing yet.</p>"
    write(outbox / INDEX, _page("Outbox", what, listing).encode())


def _has_news(folder: Path) -> bool:
    index = folder / INDEX
    if not index.exists():
        return True
    return (folder / MANIFEST).stat().st_mtime_ns >= index.stat().st_mtime_ns


def _write_run(run_id: int, folder: Path, entries: Sequence[Entry]) -> None:
    starts = range(0, max(1, len(entries)), ROWS_PER_PAGE)
    pages = [entries[start : start + ROWS_PER_PAGE] for start in starts]
    for number, page in enumerate(pages, start=1):
        links = _navigation(number, len(pages))
        listing = f"{links}<ul>{''.join(map(_message_row, page))}</ul>{links}"
        what = f'{_count(len(entries))}. <a href="../{INDEX}">All runs</a>'
        write(folder / _page_name(number), _page(f"Run {run_id}", what, listing).encode())


def _message_row(entry: Entry) -> str:
    links = [f'<a href="{entry.view_name}">Look</a>']
    if entry.file_name != entry.view_name:
        links.append(f'<a href="{entry.file_name}">Source</a>')
    return (
        f'<li class="{entry.channel}"><div class="who">{escape(entry.recipient)}'
        f"<span>from {escape(entry.sender)}</span></div>"
        f'<div class="what">{escape(entry.summary)}</div>'
        f'<div class="links">{"".join(links)}</div></li>\n'
    )


def _run_row(run_id: int, folder: Path, entries: Sequence[Entry]) -> str:
    by_channel = dict.fromkeys(Channel, 0)
    for entry in entries:
        by_channel[entry.channel] += 1
    controllers = ", ".join(sorted({entry.controller for entry in entries}))
    counts = ", ".join(f"{count:,} {channel}" for channel, count in by_channel.items() if count)
    return (
        f'<li><div class="what">Run {run_id}</div><div>{escape(controllers)}</div>'
        f'<div class="links">{counts} <a href="{folder.name}/{INDEX}">Open</a></div></li>\n'
    )


def _navigation(current: int, last: int) -> str:
    if last == 1:
        return ""
    links = [
        f"<b>{number}</b>" if number == current else f'<a href="{_page_name(number)}">{number}</a>'
        for number in range(1, last + 1)
    ]
    return f"<nav>{''.join(links)}</nav>"


def _page_name(number: int) -> str:
    return INDEX if number == 1 else f"page-{number}.html"


def _count(messages: int) -> str:
    return "1 message" if messages == 1 else f"{messages:,} messages"


def _page(title: str, what: str, listing: str) -> str:
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head>\n"
        f"<body><main><h1>{title}</h1><p>{what}</p>{listing}</main></body></html>\n"
    )
