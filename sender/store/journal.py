"""The journal: a file outside the database, which a restored backup does not set back.

One JSON document a line. A line counts once it ends with a newline: a torn one, of a crash or a
full disk, was acknowledged to nobody. Files only grow, so a place once read stays where it was.
"""

import errno
import fcntl
import itertools
import json
import os
import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from sender.clock import Clock
from sender.errors import SenderError
from sender.store.keys import AddressHasher

VERSION = 1
_READ_BYTES = 1 << 20

_LOOKS_AT_THE_LOCK = (0.001, 0.002, 0.004, 0.008, *itertools.repeat(0.01, 1_000))
"""Seconds between looks at a lock that another process has, ten seconds in all.

Each holds it for one write to the disk, unless it was stopped in the middle. A provider that brings
an opt-out waits for 15 seconds at most, and comes again after an error.
"""


class JournalError(SenderError):
    """The journal cannot be written or read, or is not this database's."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose journal it is.

    Attributes:
        hasher: with the database's keys: under others the journal's addresses mean nothing.
        database: the database's own name, the same in each of its backups.
    """

    hasher: AddressHasher
    database: str

    def owns(self, header: "Header") -> bool:
        """Whether a journal is this database's, begun under one of its keys."""
        return header.key in self.hasher.fingerprints and header.database == self.database


@dataclass(frozen=True, slots=True)
class Header:
    """A journal's first line.

    Attributes:
        name: the file's own, random; the database remembers it, wherever the file is moved.
        key: the fingerprint of the newest hash key when it was begun. Lines that name no key, from
            before keys could be rotated, are under this one.
        database: see `Owner`.
        begun_at: when it was begun, ISO 8601.
    """

    name: str
    key: str
    database: str
    begun_at: str


@dataclass(frozen=True, slots=True)
class JournalFile:
    """A journal to be read: this installation's, one that was moved away, another machine's."""

    path: Path

    def header(self) -> Header:
        """Return its first line.

        Raises:
            JournalError: the file cannot be read, or is no journal.
        """
        try:
            with self.path.open("rb") as file:
                header = _header(file.readline())
        except OSError as error:
            raise _unreadable(self.path, error) from None
        if header is None:
            raise JournalError(
                f"{self.path} is no journal that this version can read.",
                remedy="Give the file that SENDER_JOURNAL named.",
            )
        return header

    def size(self) -> int:
        """Return its length in bytes.

        Raises:
            JournalError: the file cannot be read.
        """
        try:
            return self.path.stat().st_size
        except OSError as error:
            raise _unreadable(self.path, error) from None

    def lines(self, start: int) -> Iterator[tuple[int, bytes]]:
        """Yield each whole line after the first from `start` on, after the place where it ends.

        Args:
            start: in bytes: a place that was yielded before, or one within the first line.

        Raises:
            JournalError: the file cannot be read.
        """
        try:
            with self.path.open("rb", buffering=_READ_BYTES) as file:
                after_header = len(file.readline())
                place = file.seek(max(start, after_header))
                for line in file:
                    if not line.endswith(b"\n"):
                        return  # torn, or still being written
                    place += len(line)
                    yield place, line
        except OSError as error:
            raise _unreadable(self.path, error) from None


class _Waiting:
    """Lines of one transaction that wait for the disk; they failed unless it is said otherwise."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = lines
        self.taken = False
        self.error: str | None = "it was interrupted"
        self.journal = ""


class Journal:
    """This installation's journal. Safe to use from several threads and processes at once.

    Args:
        path: of the file; it and its lock are made when the first line is written.
        owner: whose it is.
        clock: the time.
    """

    def __init__(self, path: Path, owner: Owner, clock: Clock) -> None:
        self.path = path
        self.owner = owner
        self.clock = clock
        self._queue: list[_Waiting] = []
        self._queueing = threading.Lock()
        self._writing = threading.Lock()
        self._known: tuple[int, int, Header] | None = None

    def append(self, lines: Sequence[str]) -> str:
        """Append the lines, wait until they are on the disk, and return the journal's name.

        What several threads bring while one waits for the disk goes there in one write.

        Raises:
            JournalError: not every line is surely there. What they say must not be acknowledged.
        """
        mine = _Waiting(lines)
        with self._queueing:
            self._queue.append(mine)
        with self._writing:
            if not mine.taken:
                self._write_queue()
        if mine.error is not None:
            raise JournalError(
                f"The journal {self.path} could not be written: {mine.error}.",
                remedy="Nothing is acknowledged until it can be. Free space, or mend its rights.",
            )
        return mine.journal

    def begin(self) -> Header:
        """Return the header of the file, which is begun if it is not there.

        Raises:
            JournalError: it cannot be written, or is another database's.
        """
        with self._writing:
            try:
                descriptor = self._open()
                try:
                    return self._held_header(descriptor)
                finally:
                    os.close(descriptor)
            except OSError as error:
                raise _unwritable(self.path, error) from None

    def header(self) -> Header | None:
        """Return the header of the file, None where no line was ever written.

        Raises:
            JournalError: it cannot be read, or is another database's.
        """
        if not self.path.exists() or not _has_line(self.path):
            return None
        return self._own(JournalFile(self.path).header())

    def require_writable(self) -> None:
        """Require that lines can be appended, as far as can be told without writing one.

        Raises:
            JournalError: they cannot, or the file is another database's.
        """
        self.header()
        there = self.path.exists()
        if not os.access(self.path if there else self.path.parent, os.W_OK):
            raise _unwritable(self.path, PermissionError("no right to write"))

    def files(self) -> list[JournalFile]:
        """Return this file, if it is there, and those moved away as `<its name>.<anything>`.

        Raises:
            JournalError: one of them cannot be read.
        """
        siblings = sorted(self.path.parent.glob(f"{self.path.name}.*"))
        there = [path for path in (*siblings, self.path) if path.is_file() and _has_line(path)]
        return [JournalFile(path) for path in there]

    def _write_queue(self) -> None:
        with self._queueing:
            waiting, self._queue = self._queue, []
        for one in waiting:
            one.taken = True
        data = "".join(f"{line}\n" for one in waiting for line in one.lines).encode()
        try:
            journal, error = self._write(data), None
        except OSError as failure:
            journal, error = "", failure.strerror or type(failure).__name__
        except JournalError as failure:
            journal, error = "", failure.problem.removesuffix(".")
        for one in waiting:
            one.journal, one.error = journal, error

    def _write(self, data: bytes) -> str:
        descriptor = self._open()
        try:
            header = self._held_header(descriptor)
            _write_all(descriptor, _torn_end(descriptor) + data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return header.name

    def _open(self) -> int:
        """Open the file and lock it until it is closed; readable by its owner only."""
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(self.path, flags, 0o600)
        try:
            _lock(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _held_header(self, descriptor: int) -> Header:
        """Return the header of the open, locked file; begin a file that has no line yet."""
        status = os.fstat(descriptor)
        if self._known is not None and self._known[:2] == (status.st_dev, status.st_ino):
            return self._known[2]
        first = _first_line(descriptor, status.st_size)
        header = self._begun(descriptor) if first is None else _header(first)
        if header is None:
            raise JournalError(
                f"{self.path} is no journal.", remedy="Set SENDER_JOURNAL to a new file."
            )
        self._known = (status.st_dev, status.st_ino, self._own(header))
        return header

    def _begun(self, descriptor: int) -> Header:
        owner = self.owner
        begun_at = self.clock.now().isoformat(timespec="seconds")
        key = owner.hasher.fingerprint
        header = Header(secrets.token_hex(16), key, owner.database, begun_at)
        os.ftruncate(descriptor, 0)  # half a first line, of a crash
        line = json.dumps({"version": VERSION, **asdict(header)}, separators=(",", ":"))
        _write_all(descriptor, f"{line}\n".encode())
        os.fsync(descriptor)
        _sync_folder(self.path.parent)
        return header

    def _own(self, header: Header) -> Header:
        if not self.owner.owns(header):
            raise JournalError(
                f"The journal {self.path} belongs to another database, or was begun under a key "
                "that SENDER_HASH_KEY lacks.",
                remedy="Set SENDER_JOURNAL to a file of this database's own, and SENDER_HASH_KEY "
                "to all its keys.",
            )
        return header


def _lock(descriptor: int) -> None:
    """Wait for the lock, but not for ever: whoever has it may stand still with it."""
    for pause in _LOOKS_AT_THE_LOCK:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            threading.Event().wait(pause)
    raise TimeoutError(errno.ETIMEDOUT, "another process holds it and does not let go")


def _header(line: bytes) -> Header | None:
    try:
        values = json.loads(line)
        if values.pop("version") != VERSION:
            return None
        return Header(**values)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _has_line(path: Path) -> bool:
    with suppress(OSError), path.open("rb") as file:
        return file.readline().endswith(b"\n")
    return False


def _first_line(descriptor: int, size: int) -> bytes | None:
    head = os.pread(descriptor, min(size, 4096), 0)
    line, newline, _ = head.partition(b"\n")
    return line if newline else None


def _torn_end(descriptor: int) -> bytes:
    """Return the newline that keeps a new line apart from a torn one."""
    size = os.fstat(descriptor).st_size
    return b"" if os.pread(descriptor, 1, size - 1) == b"\n" else b"\n"


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unreadable(path: Path, error: OSError) -> JournalError:
    reason = error.strerror or type(error).__name__
    remedy = "Bring the file back, or mend its rights."
    return JournalError(f"The journal {path} cannot be read: {reason}.", remedy=remedy)


def _unwritable(path: Path, error: OSError) -> JournalError:
    reason = error.strerror or str(error)
    remedy = "Free space, mend its rights, or set SENDER_JOURNAL to another file."
    return JournalError(f"The journal {path} cannot be written: {reason}.", remedy=remedy)
