"""In CI a test that did not run has not passed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.tracked import ROOT

ONE_SKIPPED = "import pytest\ndef test_a(): pytest.skip('Chromium')\ndef test_b(): pass\n"
ALL_SKIPPED = "import pytest\npytest.skip('PostgreSQL', allow_module_level=True)\n"
EXPECTED = "import pytest\n@pytest.mark.xfail\ndef test_a(): assert False\n"


def outcome(folder: Path, source: str, ci: str) -> tuple[int, str]:
    (folder / "test_sample.py").write_text(source)
    (folder / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", folder],
        cwd=ROOT,
        env={**os.environ, "CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("source", "missing"), [(ONE_SKIPPED, "Chromium"), (ALL_SKIPPED, "PostgreSQL")]
)
def test_a_skip_fails_in_ci_and_says_what_is_missing(
    tmp_path: Path, source: str, missing: str
) -> None:
    code, output = outcome(tmp_path, source, "true")
    assert code != 0
    assert "Nothing may be skipped in CI" in output
    assert missing in output


def test_a_skip_is_a_skip_elsewhere(tmp_path: Path) -> None:
    code, output = outcome(tmp_path, ONE_SKIPPED, "")
    assert code == 0
    assert "1 passed, 1 skipped" in output


def test_an_expected_failure_is_no_skip(tmp_path: Path) -> None:
    code, output = outcome(tmp_path, EXPECTED, "true")
    assert code == 0
    assert "1 xfailed" in output
