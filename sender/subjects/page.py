"""The readable form of an access request's answer: one HTML page without scripts or pictures."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from enum import IntEnum
from html import escape
from typing import Any, Final

from sender.subjects.export import Everything, HeldByController, Row

_STYLE: Final = """
body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem;
  color: #1a1a1a; background: #fff; }
h2 { border-bottom: 2px solid #1a1a1a; margin-top: 3rem; }
table { border-collapse: collapse; margin: 0 0 1.5rem; width: 100%; }
th, td { border: 1px solid #767676; padding: .3rem .6rem; text-align: left; vertical-align: top;
  overflow-wrap: anywhere; }
th { background: #f0f0f0; font-weight: 600; width: 14rem; }
@media print { body { margin: 0; max-width: none; } table { break-inside: avoid; } }
"""


def page(everything: Everything) -> str:
    """Return the page, whole; every value in it is escaped."""
    return "\n".join(_lines(everything)) + "\n"


def _lines(everything: Everything) -> Iterator[str]:
    yield "<!doctype html>"
    yield '<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>What we hold about you</title><style>{_STYLE}</style></head><body><main>"
    yield "<h1>What we hold about you</h1>"
    yield f"<p>As it stood on {_words(everything.made_at)}.</p>"
    if not everything.controllers:
        yield "<p>Nothing is held under this address.</p>"
    for held in everything.controllers:
        yield from _held(held)
    yield "<h2>Elsewhere</h2><ul>"
    yield from (f"<li>{escape(sentence)}</li>" for sentence in everything.beside)
    yield "</ul></main></body></html>"


def _held(held: HeldByController) -> Iterator[str]:
    yield f"<h2>{escape(held.name)}</h2>"
    yield f"<p>Questions: {escape(held.contact_email)}. {escape(held.privacy_notice_url)}</p>"
    for section in held.sections:
        yield f"<h3>{escape(section.title)}</h3>"
        yield from _tables(section.rows, section.title)
    if held.wordings:
        yield "<h3>The words that you saw</h3>"
        yield from _tables(held.wordings, "The words that you saw")


def _tables(rows: Sequence[Row], title: str) -> Iterator[str]:
    for number, row in enumerate(rows, 1):
        yield f'<table aria-label="{escape(title)}, {number} of {len(rows)}"><tbody>'
        for name, value in row.items():
            if value is not None:
                heading = escape(name.replace("_", " ").capitalize())
                yield f'<tr><th scope="row">{heading}</th><td>{escape(_words(value))}</td></tr>'
        yield "</tbody></table>"


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%d %B %Y, %H:%M} UTC"
    if isinstance(value, IntEnum):
        return value.name.lower().replace("_", " ")
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, indent=1, default=str) if value else "nothing"
    return str(value)
