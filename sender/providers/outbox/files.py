"""The outbox on disk: one folder a run, files named by delivery, a manifest that is only appended.

    outbox/index.html            the runs
    outbox/run-7/manifest.jsonl  one line a message, written before its files
    outbox/run-7/34.eml          an e-mail; 34.html is its HTML part
    outbox/run-7/35.txt          a text message
    outbox/run-7/index.html      the messages, further ones on page-2.html and so on

Writing a message again replaces its files, so the same delivery never stands here twice.
"""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from sender.vocabulary import Channel

MANIFEST = "manifest.jsonl"
INDEX = "index.html"
RUN_PREFIX = "run-"

_PRIVATE_FOLDER = 0o700
_PRIVATE_FILE = 0o600


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a run's manifest; `summary` is the subject, or the text message's body."""

    delivery_id: int
    controller: str
    channel: Channel
    sender: str
    recipient: str
    summary: str

    @property
    def file_name(self) -> str:
        """The message as it would go out."""
        return f"{self.delivery_id}.{'eml' if self.channel is Channel.EMAIL else 'txt'}"

    @property
    def view_name(self) -> str:
        """The message as its reader sees it."""
        return f"{self.delivery_id}.{'html' if self.channel is Channel.EMAIL else 'txt'}"


def run_folder(outbox: Path, run_id: int) -> Path:
    """Return the run's folder, made if need be; only its owner may look inside."""
    folder = outbox / f"{RUN_PREFIX}{run_id}"
    outbox.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
    folder.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
    return folder


def run_folders(outbox: Path) -> list[tuple[int, Path]]:
    """Return the runs that have a manifest, oldest first."""
    found = []
    for manifest in outbox.glob(f"{RUN_PREFIX}*/{MANIFEST}"):
        number = manifest.parent.name.removeprefix(RUN_PREFIX)
        if number.isdecimal():
            found.append((int(number), manifest.parent))
    return sorted(found)


def append(folder: Path, entries: Iterable[Entry]) -> None:
    """Add lines to the run's manifest, by one write; a line cut short by a crash is ended first."""
    lines = "".join(json.dumps(asdict(entry)) + "\n" for entry in entries).encode()
    path = folder / MANIFEST
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, _PRIVATE_FILE)
    try:
        size = os.fstat(handle).st_size
        if size and os.pread(handle, 1, size - 1) != b"\n":
            lines = b"\n" + lines
        os.write(handle, lines)
    finally:
        os.close(handle)


def write(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    draft = path.with_name(f".{path.name}.part")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE_FILE)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    draft.replace(path)


def read_manifest(folder: Path) -> list[Entry]:
    """Return the messages that were written, by delivery; each once, the last line counting."""
    entries = {entry.delivery_id: entry for entry in _read_lines(folder / MANIFEST)}
    written = set(os.listdir(folder))  # noqa: PTH208  # one call instead of a stat each
    return sorted(
        (entry for entry in entries.values() if entry.file_name in written),
        key=lambda entry: entry.delivery_id,
    )


def _read_lines(path: Path) -> Iterator[Entry]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            try:
                row = json.loads(line)
                yield Entry(**{**row, "channel": Channel(row["channel"])})
            except (ValueError, TypeError, KeyError):
                continue  # a line cut short by a crash: its message was not written
