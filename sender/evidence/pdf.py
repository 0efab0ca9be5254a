"""Print a page as PDF through a Chromium of this machine, which fetches nothing."""

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from sender.errors import RefusedError
from sender.evidence.page import write_private

_COMMANDS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_LONGEST_SECONDS: Final = 120
_REMEDY: Final = "Install Chromium or set CHROMIUM to its executable; or use --html and print that."


def write_pdf(html: str, path: Path) -> None:
    """Write the page as PDF, readable by its owner alone.

    Raises:
        RefusedError: there is no Chromium, or it failed.
    """
    browser = _find_browser()
    if browser is None:
        raise RefusedError("There is no Chromium to make a PDF with.", remedy=_REMEDY)
    with TemporaryDirectory(prefix="sender-evidence-") as folder:
        source, printed = Path(folder) / "page.html", Path(folder) / "page.pdf"
        write_private(source, html)
        _print(browser, source, printed)
        printed.chmod(0o600)
        shutil.move(printed, path)


def _find_browser() -> str | None:
    chosen = os.environ.get("CHROMIUM")
    if chosen:
        return chosen if os.access(chosen, os.X_OK) else None
    return next((found for name in _COMMANDS if (found := shutil.which(name))), None)


def _print(browser: str, source: Path, printed: Path) -> None:
    arguments = [
        browser,
        "--headless",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        f"--user-data-dir={source.parent / 'profile'}",
        "--no-pdf-header-footer",
        f"--print-to-pdf={printed}",
        source.as_uri(),
    ]
    if os.geteuid() == 0:  # Chromium's sandbox does not work for root; the page is our own
        arguments.insert(1, "--no-sandbox")
    try:
        subprocess.run(  # noqa: S603  # no shell, and our own arguments
            arguments, check=True, capture_output=True, timeout=_LONGEST_SECONDS
        )
    except (OSError, subprocess.SubprocessError):
        raise RefusedError("Chromium could not make the PDF.", remedy=_REMEDY) from None
    if not printed.exists():
        raise RefusedError("Chromium made no PDF.", remedy=_REMEDY)
