"""Ties the lock files to pyproject.toml: each begins with a fingerprint of what it was made from.

`python scripts/lock_inputs.py` prints the line; with `--check` it compares every lock's first line.
"""

import hashlib
import json
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ("build.txt", "dev.txt", "runtime.txt")


def first_line(pyproject: str) -> str:
    """Return the first line of every lock made from the text of a pyproject.toml."""
    document = tomllib.loads(pyproject)
    project = document["project"]
    inputs = {
        "dependencies": project["dependencies"],
        "requires-python": project["requires-python"],
        "groups": document["dependency-groups"],
    }
    digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
    return f"# Made by scripts/lock from dependencies with SHA-256 {digest}"


def outdated_locks(root: Path) -> list[str]:
    """Return the names of the lock files that were made from other dependencies."""
    wanted = first_line((root / "pyproject.toml").read_text())
    texts = {name: (root / "requirements" / name).read_text() for name in LOCKS}
    return [name for name, text in texts.items() if text.partition("\n")[0] != wanted]


def main() -> int:
    """Print the first line, or check the locks; return the exit code."""
    if sys.argv[1:] != ["--check"]:
        print(first_line((ROOT / "pyproject.toml").read_text()))
        return 0
    outdated = outdated_locks(ROOT)
    for name in outdated:
        print(f"requirements/{name} was not made from this pyproject.toml. Run scripts/lock.")
    return 1 if outdated else 0


if __name__ == "__main__":
    sys.exit(main())
