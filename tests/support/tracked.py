"""The files that belong to the project, for the tests that read them all."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def project_files(*folders: str, suffix: str = "") -> list[Path]:
    """Return the files that git tracks or would track, below `folders` (all if none)."""
    listed = subprocess.run(
        [
            "git",
            "-c",
            "safe.directory=*",
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
            "--",
            *folders,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    paths = sorted({ROOT / name for name in listed.split("\0") if name.endswith(suffix)} - {ROOT})
    return [path for path in paths if path.is_file()]


def relative(path: Path) -> str:
    """Return the path as people write it, from the root of the clone."""
    return str(path.relative_to(ROOT))
