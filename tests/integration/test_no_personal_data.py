"""Nothing personal is logged or counted during this suite: each test is listened to.

What listens stands in tests/conftest.py; here it is seen to hear.
"""

import os
import subprocess
import sys

import pytest

from tests.support.quiet import PERSONAL
from tests.support.tracked import ROOT

ADDRESS, NUMBER, TOKEN = "person1@example.org", "+447700900123", "01szWVIyZESeh9MLYyS6YS"

SAYS = {
    "log": "logging.getLogger('anything').warning('Sent to %s', {said!r})",
    "own_log": "logging.getLogger('sender.delivery').debug({said!r})",
    "structured": "structlog.get_logger('sender').warning('sent', to={said!r})",
    "web_log": "from sender.web.logs import LOG; LOG.info('request', route={said!r})",
    "exception": (
        "logging.getLogger('uvicorn.error').error('Failed', exc_info=ValueError({said!r}))"
    ),
    "label": "from sender.web.metrics import OPT_OUTS; OPT_OUTS.labels(way={said!r}).inc()",
    "thread": (
        "thread = threading.Thread(target=logging.getLogger('x').error, args=({said!r},));"
        " thread.start(); thread.join()"
    ),
}
QUIET = """
def test_at_ease():
    logging.getLogger("x").error("one person, 3 of 4")
"""
LATE = """
@pytest.fixture(scope="session")
def late():
    yield
    logging.getLogger("late").error({said!r})

def test_late(late):
    pass
"""


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, str]:
    """A run of small tests that each say something personal, and one that does not."""
    folder = tmp_path_factory.mktemp("inner")
    tests = [f"def test_{way}():\n    {says.format(said=ADDRESS)}" for way, says in SAYS.items()]
    lines = [
        "import logging, threading, pytest, structlog",
        QUIET,
        *tests,
        LATE.format(said=NUMBER),
    ]
    (folder / "test_sample.py").write_text("\n\n".join(lines) + "\n")
    (folder / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", folder],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def report_of(name: str, output: str) -> str:
    return output.partition(f"ERROR at teardown of {name} ")[2].partition("ERROR at teardown")[0]


@pytest.mark.parametrize("way", SAYS)
def test_whatever_says_an_address_fails_the_run_and_is_named(
    heard: tuple[int, str], way: str
) -> None:
    code, output = heard
    assert code == 1
    assert f"Personal data was said: '{ADDRESS}' by " in report_of(f"test_{way}", output)


def test_what_is_said_after_the_last_test_fails_the_run_too(heard: tuple[int, str]) -> None:
    assert f"Personal data was said: '{NUMBER}' by late" in report_of("test_late", heard[1])


def test_who_says_nothing_personal_is_left_alone(heard: tuple[int, str]) -> None:
    assert "teardown of test_at_ease" not in heard[1]
    assert f"{len(SAYS) + 2} passed, {len(SAYS) + 1} errors" in heard[1]


@pytest.mark.parametrize(
    "said",
    [
        ADDRESS,
        f"<{ADDRESS}>",
        f"mailto:{ADDRESS}",
        "Ann.O'Neil@mail.riverside.example.org",
        NUMBER,
        f"tel:{NUMBER}",
        f"GET /u/{TOKEN} 200",
        f"https://out.example.org/u/{TOKEN}/return/x",
    ],
)
def test_personal_data_is_recognised(said: str) -> None:
    assert PERSONAL.search(said)


@pytest.mark.parametrize(
    "said",
    [
        "postgresql+psycopg://sender_tests@127.0.0.1:5432/name",
        "/u/{token}",
        "2026-05-07T09:00:00+00:00",
        "sender/inbound/opt_out.py:77",
        "1+12345678",
        "arn:aws:sns:eu-west-2:123456789012:ses-events",
    ],
)
def test_what_is_not_personal_is_left_alone(said: str) -> None:
    assert not PERSONAL.search(said)
