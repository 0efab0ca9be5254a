"""Run `sender` as a user does, in this process: quick, with real databases and files."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sender.cli.app import run
from tests.support.factory import HASH_KEY

CONTROLLER_FILE = """\
slug = "riverside"
name = "Riverside Association"
kind = "association"
postal_address = "1 High Street, Riverside RV1 1AA"
contact_email = "office@riverside.example.org"
privacy_notice_url = "https://riverside.example.org/privacy"

[imprint]
promoter_name = "Pat Promoter"
promoter_address = "2 High Street, Riverside RV1 1AA"

[[purpose]]
slug = "campaign-news"
title = "Campaign news"

[[account]]
name = "local-outbox"
provider = "outbox"

[[identity]]
channel = "email"
name = "office"
address = "office@riverside.example.org"
display_name = "Riverside Association"
account = "local-outbox"

[[identity]]
channel = "sms"
name = "texts"
address = "+447700900001"
display_name = "Riverside"
account = "local-outbox"
"""

NOTICE_FILE = """\
controller = "riverside"
slug = "sign-up-form"
wording = "Yes, Riverside Association may send me campaign news by e-mail and text message."
channels = ["email", "sms"]
purposes = ["campaign-news"]
controllers = ["riverside"]
privacy_notice_url = "https://riverside.example.org/privacy"
shown_from = 2023-01-01
signed_off_by = "Pat Promoter"
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The JSON document on stdout."""
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Desk:
    """An operator's desk: a folder with files, an environment, and the command."""

    folder: Path
    capture: pytest.CaptureFixture[str]

    def write(self, name: str, text: str) -> Path:
        """Put a file into the folder."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def sender(self, *arguments: str | Path) -> Answer:
        """Run `sender` with the arguments."""
        self.capture.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = self.capture.readouterr()
        return Answer(code, captured.out, captured.err)

    def done(self, *arguments: str | Path) -> Answer:
        """Run `sender`, which must not fail."""
        answer = self.sender(*arguments)
        assert answer.code == 0, answer
        return answer

    def read(self, *arguments: str | Path) -> Any:
        """Run `sender` with `--json`, which must not fail, and return the document."""
        return self.done(*arguments, "--json").document

    def set_up(self) -> None:
        """Make the database and add the controller and notice of this module."""
        self.done("db", "upgrade")
        self.done("controller", "add", self.write("riverside.toml", CONTROLLER_FILE))
        self.done("notice", "add", self.write("notice.toml", NOTICE_FILE))


def sit_down(
    folder: Path,
    url: str,
    capture: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Desk:
    """Return a desk whose environment is the database at `url`."""
    monkeypatch.setenv("SENDER_DATABASE_URL", url)
    monkeypatch.setenv("SENDER_HASH_KEY", HASH_KEY.hex())
    monkeypatch.setenv("SENDER_OPERATOR", "olive")
    monkeypatch.setenv("SENDER_OUTBOX", str(folder / "outbox"))
    monkeypatch.setenv("SENDER_JOURNAL", str(folder / "opt-outs.journal"))
    monkeypatch.setenv("SENDER_PUBLIC_URL", "https://out.example.org")
    monkeypatch.setenv("SENDER_TOKEN_KEYS", "1:" + "cd" * 32)
    monkeypatch.chdir(folder)
    return Desk(folder, capture)
