"""Fixtures that all tests share: databases, the browser, hypothesis profiles, no skips in CI."""

import gc
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import pytest
from hypothesis import HealthCheck, Phase, settings

from sender.cli.app import seek_cycles_seldom
from tests.support.chromium import find_chromium
from tests.support.databases import PostgresDatabases, SqliteDatabases
from tests.support.postgres import PostgresServer, running_postgres
from tests.support.quiet import Overheard
from tests.support.statements import share_compiled_statements

IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}
DIALECTS = ["sqlite", "postgresql"]

# A fixture that hands out one database per test is reused between a test's examples on purpose.
_SHARED_FIXTURES = [HealthCheck.function_scoped_fixture]
settings.register_profile("dev", deadline=None, suppress_health_check=_SHARED_FIXTURES)
settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    print_blob=True,
    phases=[phase for phase in Phase if phase is not Phase.explain],  # traces, ten times slower
    suppress_health_check=[*_SHARED_FIXTURES, HealthCheck.too_slow],
)
settings.load_profile("ci" if IN_CI else "dev")


def _fail_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        missing = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"Nothing may be skipped in CI. {missing}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped test into a failure in CI: a check that did not run has not passed."""
    report = yield
    _fail_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn a skipped module into a failure in CI."""
    report = yield
    _fail_skipped(report)
    return report


def pytest_collection_finish() -> None:
    """Leave what is there before the first test out of each later search for garbage."""
    gc.collect()
    gc.freeze()


seek_cycles_seldom()  # as a `sender` process does
share_compiled_statements()
OVERHEARD = Overheard()  # warnings need no ear: each of them is an error


@pytest.fixture(scope="session", autouse=True)
def _listening() -> Iterator[None]:
    OVERHEARD.begin()
    yield
    _fail_for_personal_data()  # what was said after the last test
    OVERHEARD.end()


@pytest.fixture(autouse=True)
def _nothing_personal_is_said(_listening: None) -> Iterator[None]:
    """Fail the test during which personal data was logged or counted."""
    yield
    _fail_for_personal_data()


def _fail_for_personal_data() -> None:
    if leaks := OVERHEARD.take():
        pytest.fail("Personal data was said: " + "; ".join(leaks), pytrace=False)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One PostgreSQL server per test process, in half a second."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def _postgres_databases(postgres_server: PostgresServer) -> Iterator[PostgresDatabases]:
    databases = PostgresDatabases(postgres_server.url)
    yield databases
    databases.close()


@pytest.fixture(scope="session")
def _sqlite_databases() -> Iterator[SqliteDatabases]:
    # In memory where there is such a place: every commit waits for its disk.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with TemporaryDirectory(prefix="sender-sqlite-", dir=memory) as folder:
        yield SqliteDatabases(Path(folder))


def _databases(request: pytest.FixtureRequest, dialect: str) -> PostgresDatabases | SqliteDatabases:
    # Asked for by name, so that tests on SQLite start no server.
    databases = request.getfixturevalue(f"_{dialect.replace('postgresql', 'postgres')}_databases")
    return cast("PostgresDatabases | SqliteDatabases", databases)


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> str:
    """Each database in turn; a test that parametrises `dialect` itself chooses."""
    return cast("str", request.param)


@pytest.fixture
def database_url(request: pytest.FixtureRequest, dialect: str) -> Iterator[str]:
    """The SQLAlchemy URL of a fresh, migrated database, on each dialect in turn."""
    databases = _databases(request, dialect)
    url = databases.create_migrated()
    yield url
    databases.drop(url)


@pytest.fixture
def empty_database_url(request: pytest.FixtureRequest, dialect: str) -> Iterator[str]:
    """The SQLAlchemy URL of a fresh database without tables, on each dialect in turn."""
    databases = _databases(request, dialect)
    url = databases.create_empty()
    yield url
    databases.drop(url)


@pytest.fixture
def postgresql_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a fresh, migrated PostgreSQL database, for what only PostgreSQL has."""
    databases = _databases(request, "postgresql")
    url = databases.create_migrated()
    yield url
    databases.drop(url)


@pytest.fixture
def sqlite_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a fresh, migrated SQLite file, where the database is not the matter."""
    databases = _databases(request, "sqlite")
    url = databases.create_migrated()
    yield url
    databases.drop(url)


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The Chromium or Chrome executable."""
    executable = find_chromium()
    if executable is None:
        pytest.skip("Chromium or Chrome; install one or set CHROMIUM to its executable.")
    return executable
