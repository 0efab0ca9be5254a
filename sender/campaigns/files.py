"""The files that a campaign is made of: read from its folder, or from what was pinned earlier."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final, Protocol

MAX_BYTES: Final = 1_000_000
"""Per file; mail programs cut an e-mail's HTML at a tenth of this."""
SHIPPED: Final = "layouts:"
"""Begins the pinned name of a layout that ships with the sender; no file's name holds a colon."""


@dataclass(frozen=True, slots=True)
class SourceText:
    """One file that a campaign names: its name, for messages, and its exact text."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class CampaignFiles:
    """The exact text of everything that makes a campaign, to be stored with what was sent.

    Attributes:
        name: the campaign file's name, without its folder.
        text: the campaign file's text.
        files: the text of each file that it names, by the name it is called there; a shipped
            layout's begins with `layouts:`.
    """

    name: str
    text: str
    files: Mapping[str, str]

    @property
    def content_hash(self) -> bytes:
        """SHA-256 over every text and name, length-prefixed; the campaign file may be renamed."""
        digest = hashlib.sha256()
        for part in (self.text, *(part for pair in sorted(self.files.items()) for part in pair)):
            encoded = part.encode()
            digest.update(len(encoded).to_bytes(8) + encoded)
        return digest.digest()

    def as_json(self) -> dict[str, Any]:
        """Return `{"campaign": {"name", "text"}, "files": {name: text}}`."""
        return {
            "campaign": {"name": self.name, "text": self.text},
            "files": dict(self.files),
        }


class FileTrouble(Exception):  # noqa: N818 - becomes a FileError where the key is known
    """A named file cannot be used."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy


class FileLookup(Protocol):
    """Where the text of a named file comes from."""

    def text(self, name: str) -> str:
        """Return the text of the file; raises FileTrouble."""
        ...

    def read(self) -> dict[str, str]:
        """Return everything that was asked for so far, by name."""
        ...


class PinnedFiles:
    """Texts that were read earlier."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = files
        self._read: dict[str, str] = {}

    def text(self, name: str) -> str:
        """Return the text of the file.

        Raises:
            FileTrouble: it was not pinned.
        """
        if name not in self._files:
            raise FileTrouble(f"The file {name} is not among the stored ones.")
        self._read[name] = self._files[name]
        return self._read[name]

    def read(self) -> dict[str, str]:
        """Return everything that was asked for so far, by name."""
        return dict(self._read)


class FolderFiles:
    """Files in the campaign's folder, and the layouts that ship with the sender."""

    def __init__(self, folder: Path, layouts: Path) -> None:
        self._folder = folder.resolve()
        self._layouts = layouts
        self._read: dict[str, str] = {}

    def text(self, name: str) -> str:
        """Read the file.

        Raises:
            FileTrouble: it lies outside the folder, does not exist, or is not text.
        """
        if name not in self._read:
            self._read[name] = read_text(self._path(name), name)
        return self._read[name]

    def read(self) -> dict[str, str]:
        """Return everything that was asked for so far, by name."""
        return dict(self._read)

    def _path(self, name: str) -> Path:
        if name.startswith(SHIPPED):
            return self._shipped(name.removeprefix(SHIPPED))
        path = (self._folder / name).resolve()
        if not path.is_relative_to(self._folder):
            raise FileTrouble(
                f"{name} leads out of the campaign's folder.", "Copy the file into the folder."
            )
        return path

    def _shipped(self, layout: str) -> Path:
        path = self._layouts / f"{layout}.html"
        if not path.is_file():
            shipped = ", ".join(sorted(found.stem for found in self._layouts.glob("*.html")))
            raise FileTrouble(
                f"No layout `{layout}` ships with the sender.",
                f"There are: {shipped}. A layout of your own ends in .html.",
            )
        return path


def read_text(path: Path, name: str) -> str:
    """Return a file's text as it is, without changing its line ends; a byte order mark is dropped.

    Raises:
        FileTrouble: it does not exist, is no file, too large, or not UTF-8. Names it `name`.
    """
    try:
        if path.exists() and not path.is_file():
            raise FileTrouble(f"{name} is not a file.")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise FileTrouble(f"There is no file {name}.", "Check the name and the folder.") from None
    except OSError as error:
        raise FileTrouble(f"{name} cannot be read: {error.strerror}.") from None
    if len(content) > MAX_BYTES:
        raise FileTrouble(f"{name} is larger than {MAX_BYTES:,} bytes.")
    return _decoded(content, name)


def _decoded(content: bytes, name: str) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FileTrouble(f"{name} is not UTF-8 text (line {line}).", "Save it as UTF-8.") from None
    if "\0" in text:
        raise FileTrouble(f"{name} holds a NUL character.", "Save it as plain text in UTF-8.")
    return text


def flaw_of_name(name: str) -> str:
    """Return why a name cannot be that of a file beside the campaign, or nothing."""
    path = PurePosixPath(name)
    if not name or not name.isprintable() or name != name.strip():
        return "must be the name of a file."
    if "\\" in name or ":" in name:
        return "must be written with / between folders, and without : or \\."
    if path.is_absolute():
        return "must be relative to the campaign file."
    if ".." in path.parts:
        return "must stay inside the campaign file's folder: no `..`."
    return ""
