"""One at a time: who is second is told so, and the lock goes with whoever held it."""

import sys
from pathlib import Path
from subprocess import PIPE, Popen
from threading import Barrier, Thread

import pytest
from sqlalchemy import text

from sender.store.engine import Store, open_store
from sender.store.exclusive import exclusively


def test_one_of_many_at_once_may(store: Store, database_url: str) -> None:
    together, told = Barrier(8), list[bool]()

    def ask() -> None:
        own = open_store(database_url)
        together.wait()
        with exclusively(own, "work") as mine:
            told.append(mine)
            together.wait()  # nobody lets go before all have asked
        own.close()

    threads = [Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == [False] * 7 + [True]


def test_other_work_is_not_kept_from_anybody(store: Store) -> None:
    with exclusively(store, "schedule-1") as first, exclusively(store, "schedule-2") as second:
        assert (first, second) == (True, True)


def test_it_is_free_again_also_after_a_failure(store: Store) -> None:
    def fail() -> None:
        with exclusively(store, "work"):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with exclusively(store, "work") as mine:
        assert mine


HOLDER = """
import sys
from sender.store.engine import open_store
from sender.store.exclusive import exclusively

with exclusively(open_store(sys.argv[1]), "work") as mine:
    print(mine, flush=True)
    sys.stdin.read()
"""


def test_whoever_is_killed_lets_go(store: Store, database_url: str) -> None:
    command = [sys.executable, "-c", HOLDER, database_url]
    with Popen(command, stdin=PIPE, stdout=PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        with exclusively(store, "work") as mine:
            assert not mine
        holder.kill()
    for _ in range(1_000):  # PostgreSQL has to notice that the connection is gone
        with exclusively(store, "work") as mine:
            if mine:
                return
    pytest.fail("nobody got the lock of a process that is gone")


@pytest.mark.parametrize("dialect", ["postgresql"])
def test_a_lock_whose_connection_was_cut_is_anothers(store: Store, database_url: str) -> None:
    other = open_store(database_url)
    with exclusively(store, "work") as mine:
        assert mine
        cut = text(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory')"
        )
        with other.write() as session:
            session.execute(cut)
        with exclusively(other, "work") as theirs:
            assert theirs
    other.close()


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_the_file_lies_beside_the_database(store: Store) -> None:
    with exclusively(store, "schedule-1"):
        assert Path(f"{store.engine.url.database}-schedule-1.lock").exists()
