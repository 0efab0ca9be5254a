"""Where Chromium or Chrome lies, for the tests that look at a rendered page."""

import os
import shutil
import sys
from pathlib import Path

COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
APPLICATIONS = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)


def find_chromium() -> Path | None:
    """Return the executable: `CHROMIUM`, PATH, macOS applications; None where there is none."""
    if chosen := os.environ.get("CHROMIUM"):
        return Path(chosen) if os.access(chosen, os.X_OK) else None
    found = [shutil.which(command) for command in COMMANDS]
    found += [path for path in APPLICATIONS if os.access(path, os.X_OK)]
    return next((Path(path) for path in found if path), None)


def main() -> int:
    """Print the executable; return 1 where there is none."""
    executable = find_chromium()
    print(executable or "none")  # noqa: T201 - the answer to the set-up script
    return 0 if executable else 1


if __name__ == "__main__":
    sys.exit(main())
