"""A real PostgreSQL server for tests, in a temporary folder, gone when its owner is gone.

By hand, from the clone: `.venv/bin/python -m tests.support.postgres` prints a URL and serves
until Ctrl-C.
"""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.postgres_binaries import (
    RunAs,
    find_binaries,
    readable_binaries,
    run_as,
    temporary_folder_for,
    unprivileged_user,
)

SUPERUSER = "sender_tests"
START_ATTEMPTS = 3
STOP_SECONDS = 60

# The keeper outlives whoever started it by one read: when the pipe closes, even by kill -9,
# it stops the server and removes the folder.
KEEPER = """
if "$1/pg_ctl" start -w -t 60 -D "$2/data" -l "$2/log" >"$2/start" 2>&1 </dev/null
then echo ready
else echo failed
fi
read -r _
"$1/pg_ctl" stop -m immediate -D "$2/data" >/dev/null 2>&1
rm -rf "$2"
"""


class PostgresStartError(RuntimeError):
    """The server did not start; says what its log says."""


@dataclass(frozen=True)
class PostgresServer:
    """A running server.

    Attributes:
        url: SQLAlchemy URL of the maintenance database, as a user who may create databases.
        data: the data folder, or None where the server is somebody else's (`TEST_DATABASE_URL`).
    """

    url: str
    data: Path | None = None
    binaries: Path | None = None
    user: RunAs | None = None

    def restart(self, *, crash: bool = False) -> None:
        """Stop and start again on the same port; `crash` stops like a power cut does.

        Raises:
            PostgresStartError: it did not come back, or it is not ours to restart.
        """
        if self.binaries is None or self.data is None:
            raise PostgresStartError("A server given by TEST_DATABASE_URL is not restarted.")
        mode = "immediate" if crash else "fast"
        log = self.data.parent / "log"
        pg_ctl = [str(self.binaries / "pg_ctl"), "restart", "-w", "-m", mode]
        done = run_as([*pg_ctl, "-D", str(self.data), "-l", str(log)], self.user)
        if done.returncode != 0:
            raise PostgresStartError(done.stdout + done.stderr)


@contextmanager
def running_postgres(
    *, durable: bool = False, settings: Mapping[str, str] | None = None
) -> Iterator[PostgresServer]:
    """Serve PostgreSQL on 127.0.0.1 for the length of the block.

    Args:
        durable: keep fsync on and the data on disk, as production does; needed where a test
            cuts the power or a benchmark fills the database.
        settings: further lines of postgresql.conf, values as they are written there.

    Yields:
        The server of `TEST_DATABASE_URL` if that is set (both arguments are then ignored), else
        one started for this block alone.

    Raises:
        PostgresMissingError: no server programs on this machine.
        PostgresStartError: the server did not start.
    """
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield PostgresServer(url=given)
        return
    with launched_postgres(find_binaries(), durable=durable, settings=settings) as server:
        yield server


@contextmanager
def launched_postgres(
    programs: Path, *, durable: bool = False, settings: Mapping[str, str] | None = None
) -> Iterator[PostgresServer]:
    """Serve with the programs in the folder `programs`; otherwise as `running_postgres`."""
    user = unprivileged_user()
    folder = temporary_folder_for(user, in_memory=not durable)
    try:
        binaries = readable_binaries(programs, user, folder)
        password = _make_cluster(binaries, folder, user)
        port, keeper = _start(binaries, folder, user, _configuration(durable, settings or {}))
        with _stopped_at_the_end(keeper):
            yield PostgresServer(
                url=f"postgresql+psycopg://{SUPERUSER}:{password}@127.0.0.1:{port}/postgres",
                data=folder / "data",
                binaries=binaries,
                user=user,
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _make_cluster(binaries: Path, folder: Path, user: RunAs | None) -> str:
    # A password, because on 127.0.0.1 every local user could otherwise become its superuser.
    password = secrets.token_hex(16)
    password_file = folder / "password"
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    if user is not None:
        os.chown(password_file, user.uid, user.gid)
    identity = ["-U", SUPERUSER, f"--pwfile={password_file}", "--auth=password"]
    layout = ["-D", str(folder / "data"), "--encoding=UTF8", "--locale=C", "--no-sync"]
    done = run_as([str(binaries / "initdb"), *identity, *layout], user)
    if done.returncode != 0:
        raise PostgresStartError(done.stdout + done.stderr)
    return password


def _configuration(durable: bool, settings: Mapping[str, str]) -> dict[str, str]:  # noqa: FBT001 - private
    lines = {
        "listen_addresses": "'127.0.0.1'",
        "unix_socket_directories": "''",
        "max_connections": "100",
        "timezone": "'UTC'",
    }
    if not durable:
        lines |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    return lines | dict(settings)


def _start(
    binaries: Path, folder: Path, user: RunAs | None, lines: dict[str, str]
) -> tuple[int, "subprocess.Popen[str]"]:
    for _ in range(START_ATTEMPTS):  # somebody else may take the free port before we listen
        port = _free_port()
        _append_configuration(folder / "data", {**lines, "port": str(port)})
        keeper = _keep(binaries, folder, user)
        if keeper.stdout is not None and keeper.stdout.readline().strip() == "ready":
            return port, keeper
        log = _log_of(folder)
        keeper.kill()
        keeper.communicate()
    raise PostgresStartError(f"PostgreSQL did not start.\n{log}")


def _keep(binaries: Path, folder: Path, user: RunAs | None) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        ["/bin/sh", "-c", KEEPER, "keeper", str(binaries), str(folder)],
        user=None if user is None else user.uid,
        group=None if user is None else user.gid,
        extra_groups=None if user is None else [],
        cwd="/",
        env={**os.environ, "LC_ALL": "C"},
        start_new_session=True,  # Ctrl-C reaches the tests first, which still need the server
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@contextmanager
def _stopped_at_the_end(keeper: "subprocess.Popen[str]") -> Iterator[None]:
    try:
        yield
    finally:
        keeper.communicate(timeout=STOP_SECONDS)


def _append_configuration(data: Path, lines: Mapping[str, str]) -> None:
    with (data / "postgresql.conf").open("a") as file:
        file.writelines(f"{name} = {value}\n" for name, value in lines.items())


def _log_of(folder: Path) -> str:
    texts = [path.read_text() for name in ("start", "log") if (path := folder / name).exists()]
    return "".join(texts)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _serve_until_interrupted() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with running_postgres(durable=True) as server:
        print(server.url, flush=True)  # noqa: T201 - the one thing the user asked for
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    _serve_until_interrupted()
