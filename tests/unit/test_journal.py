"""The journal file: whole lines, on the disk before anything is acknowledged, never glued."""

import fcntl
import os
import resource
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest

from sender.store.journal import JournalError, JournalFile, Owner
from sender.store.journal_entries import read_entry
from sender.store.keys import AddressHasher
from tests.support.backups import OWNER, journal_at
from tests.support.factory import HASHER


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "opt-outs.journal"


def lines_of(path: Path, start: int = 0) -> list[str]:
    return [line.decode().rstrip("\n") for _, line in JournalFile(path).lines(start)]


def test_its_first_line_says_whose_it_is_and_names_it(path: Path) -> None:
    name = journal_at(path).append(["one"])
    header = JournalFile(path).header()
    assert (header.name, header.key, header.database) == (name, HASHER.fingerprint, OWNER.database)
    assert len(name) == 32
    assert lines_of(path) == ["one"]


def test_only_its_owner_may_read_it(path: Path) -> None:
    journal_at(path).append(["one"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nothing_is_made_before_the_first_line(path: Path) -> None:
    journal = journal_at(path)
    assert journal.header() is None
    assert journal.files() == []
    journal.require_writable()
    assert not path.exists()


def test_it_waits_for_the_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bytes] = []
    inner = os.fsync

    def watch(descriptor: int) -> None:
        inner(descriptor)
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            synced.append(path.read_bytes().splitlines()[-1])

    monkeypatch.setattr(os, "fsync", watch)
    journal = journal_at(path)
    for line in ("one", "two"):
        journal.append([line])
        assert synced[-1] == line.encode()


def test_reading_goes_on_where_it_was(path: Path) -> None:
    journal = journal_at(path)
    journal.append(["one", "two"])
    places = [place for place, _ in JournalFile(path).lines(0)]
    assert places[-1] == path.stat().st_size
    journal.append(["three"])
    assert lines_of(path, places[0]) == ["two", "three"]
    assert lines_of(path, places[1]) == ["three"]


def test_a_torn_line_is_not_read_and_not_glued_to_the_next(path: Path) -> None:
    journal = journal_at(path)
    journal.append(["one"])
    with path.open("ab") as file:
        file.write(b"half a li")
    assert lines_of(path) == ["one"]
    journal.append(["two"])
    assert lines_of(path) == ["one", "half a li", "two"]
    assert read_entry(b"half a li") is None


def test_half_a_first_line_is_begun_anew(path: Path) -> None:
    path.write_bytes(b'{"version":1,"na')
    assert journal_at(path).header() is None
    journal_at(path).append(["one"])
    assert lines_of(path) == ["one"]


@pytest.mark.parametrize(
    "owner",
    [Owner(HASHER, "00" * 16), Owner(AddressHasher(bytes(32)), "cd" * 16)],
    ids=["database", "key"],
)
def test_it_is_written_for_one_database_only(path: Path, owner: Owner) -> None:
    journal_at(path).append(["one"])
    other = journal_at(path, owner)
    with pytest.raises(JournalError, match="another database"):
        other.header()
    with pytest.raises(JournalError, match="another database"):
        other.append(["two"])
    assert lines_of(path) == ["one"]


@pytest.mark.parametrize("text", ["hello\n", '{"version":2}\n', "[]\n", '{"version":1}\n'])
def test_a_file_that_is_no_journal_is_left_alone(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(JournalError, match="no journal"):
        journal_at(path).append(["one"])
    assert path.read_text(encoding="utf-8") == text


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    missing = journal_at(tmp_path / "nowhere" / "opt-outs.journal")
    with pytest.raises(JournalError, match="could not be written: No such file"):
        missing.append(["one"])
    with pytest.raises(JournalError, match="cannot be written"):
        missing.require_writable()


def test_a_full_disk_is_told_and_costs_no_other_line(path: Path) -> None:
    journal = journal_at(path)
    journal.append(["one"])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 5, hard))
    try:
        with pytest.raises(JournalError, match="could not be written"):
            journal.append(["a line that does not fit"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert lines_of(path) == ["one"]
    journal.append(["two"])
    assert lines_of(path) == ["one", "a lin", "two"]


def test_a_failed_sync_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    journal = journal_at(path)
    journal.append(["one"])
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(JournalError, match="Input/output error"):
        journal.append(["two"])


def test_many_threads_and_two_writers_lose_nothing(path: Path) -> None:
    writers = [journal_at(path), journal_at(path)]
    numbers = range(400)
    with ThreadPoolExecutor(16) as pool:
        names = set(pool.map(lambda number: writers[number % 2].append([f"{number}"]), numbers))
    assert len(names) == 1
    assert sorted(map(int, lines_of(path))) == list(numbers)


def test_a_lock_that_another_process_never_lets_go_is_not_waited_for_for_ever(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sender.store.journal._LOOKS_AT_THE_LOCK", (0, 0.001))
    journal = journal_at(path)
    journal.append(["one"])
    with path.open("rb") as frozen:
        fcntl.flock(frozen, fcntl.LOCK_EX)
        with pytest.raises(JournalError, match="another process holds it"):
            journal.append(["two"])
    journal.append(["three"])
    assert lines_of(path) == ["one", "three"]


class Held:
    """A disk that the first writer waits for until it is let go, or that fails."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.inner, self.calls = os.fsync, count(1)
        self.reached, self.go = threading.Event(), threading.Event()
        self.syncs = 0
        self.failure: BaseException | None = None
        monkeypatch.setattr(os, "fsync", self.sync)

    def sync(self, descriptor: int) -> None:
        self.syncs += 1
        if next(self.calls) == 1:
            self.reached.set()
            assert self.go.wait(60)
        elif self.failure is not None:
            raise self.failure
        self.inner(descriptor)


def test_what_comes_while_one_waits_for_the_disk_goes_there_in_one_write(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = journal_at(path)
    journal.begin()
    disk = Held(monkeypatch)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(journal.append, ["first"])
        assert disk.reached.wait(60)
        rest = [pool.submit(journal.append, [f"{number}"]) for number in range(7)]
        wait_until_queued(journal, 7)
        assert not any(future.done() for future in (first, *rest))
        disk.go.set()
        for future in (first, *rest):
            future.result(60)
    assert disk.syncs == 2
    assert len(lines_of(path)) == 8


def wait_until_queued(journal: object, number: int) -> None:
    while len(journal._queue) < number:  # type: ignore[attr-defined]  # nothing else tells that they wait
        threading.Event().wait(0.001)


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_whoever_waits_on_another_thread_s_write_learns_that_it_failed(
    path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    journal = journal_at(path)
    journal.begin()
    disk = Held(monkeypatch)
    disk.failure = failure
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(journal.append, ["first"])
        assert disk.reached.wait(60)
        rest = [pool.submit(journal.append, [f"{number}"]) for number in range(3)]
        wait_until_queued(journal, 3)
        disk.go.set()
        first.result(60)
        errors = {type(future.exception(60)) for future in rest}
    assert errors <= {JournalError, type(failure)}
    assert JournalError in errors


def test_files_that_were_moved_away_beside_it_are_still_read(path: Path) -> None:
    journal = journal_at(path)
    first = journal.append(["one"])
    path.rename(path.with_name("opt-outs.journal.2026-11"))
    second = journal.append(["two"])
    assert first != second
    assert {file.header().name for file in journal.files()} == {first, second}


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"null\n",
        b"{}\n",
        b'{"is":"suppressed"}\n',
        b'{"is":"sent","run":"","controller":"a","campaign":"b","channel":"fax","test":false}\n',
        b"\xff\xfe\n",
    ],
)
def test_a_damaged_line_says_nothing(line: bytes) -> None:
    assert read_entry(line) is None
