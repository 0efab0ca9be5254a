"""The evidence as one page: for the screen and for print, with nothing fetched from elsewhere."""

import os
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from sender.evidence.records import Evidence
from sender.resources import resource_folder

_OWNER_ALONE: Final = 0o600


def evidence_page(evidence: Evidence) -> str:
    """Return the page as HTML."""
    folder = resource_folder("templates") / "evidence"
    style = Markup((folder / "style.css").read_text(encoding="utf-8"))  # noqa: S704  # our own file
    return _environment().get_template("evidence.html").render(evidence=evidence, style=style)


def write_private(path: Path, content: str) -> None:
    """Write a file of personal data that only its owner may read; one that is there is replaced."""
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ALONE)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(content)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(resource_folder("templates") / "evidence"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["moment"] = _moment
    environment.filters["words"] = _words
    return environment


def _moment(value: datetime | None) -> str:
    return "" if value is None else f"{value.astimezone(UTC):%d %B %Y, %H:%M:%S} UTC".lstrip("0")


def _words(value: object) -> str:
    return str(value).replace("_", " ")
