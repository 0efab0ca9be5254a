"""An organisation as it was in a regulator's case: its people, what it did, and what it is told.

Everything is done as its campaign manager would do it: by files and commands.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from sender.clock import SystemClock
from tests.support.command_line import Desk

AGREED: Final[Mapping[str, str]] = {
    "consent_purpose": "campaign-news",
    "consent_channel": "email",
    "consent_notice": "sign-up-form",
    "consent_at": f"{SystemClock().now() - timedelta(days=180):%Y-%m-%d} 10:00",
    "consent_method": "web-form",
    "consent_source": "https://riverside.example.org/join",
}
"""A yes that stands: to this controller, for this purpose, by e-mail, not long ago."""

LETTER: Final = "<p>Dear {{ recipient.first_name | default('friend') }}, the library is saved.</p>"
TEXT: Final = "{{ sender_name }}: the library is saved. Come along on Saturday."

NOT_HELD: Final = "invalid_address"
"""Why not, of somebody who was not even taken in: nobody keeps people without a reason."""


@dataclass
class Case:
    """One organisation, `riverside` unless said otherwise.

    Attributes:
        desk: of its campaign manager.
    """

    desk: Desk
    _files: int = field(default=0)

    def brings_in(
        self, *people: Mapping[str, str], controller: str = "riverside", approves: bool = True
    ) -> Mapping[str, int]:
        """Bring people in from a file; return the counts. Empty cells are left out."""
        names = sorted({name for person in people for name in person})
        table = io.StringIO()
        writer = csv.DictWriter(table, names, restval="")
        writer.writeheader()
        writer.writerows(people)
        done = self.desk.read("contacts", "import", self._file("csv", table.getvalue()), "-c",
                              controller)  # fmt: skip
        if approves:
            batch = str(done["batch"])
            self.desk.done("contacts", "batch", "approve", batch, "-c", controller, "--yes")
        counts: Mapping[str, int] = done["counts"]
        return counts

    def brings_old_opt_outs(self, *addresses: str, controller: str = "riverside") -> None:
        """Bring the former system's list in, and sign that it is whole."""
        path = self._file("csv", "\n".join(["email", *addresses]) + "\n")
        self.desk.done("suppress", "import", path, "-c", controller)
        self.signs("imported", controller=controller)

    def signs(self, statement: str = "none-exist", *, controller: str = "riverside") -> None:
        """Sign what became of the opt-outs of the system before."""
        self.desk.done("controller", "declare", controller, "--opt-outs", statement)

    def campaign(
        self, template: str = LETTER, *, channel: str = "email", window: str = "", **keys: Any
    ) -> Path:
        """Write a campaign file."""
        suffix = "html" if channel == "email" else "txt"
        values: dict[str, Any] = {
            "name": f"campaign-{self._files}",
            "controller": "riverside",
            "channel": channel,
            "purpose": "campaign-news",
            "template": self._file(suffix, template).name,
            "max_recipients": 1_000,
        }
        if channel == "email":
            values["subject"] = "News from Riverside"
        lines = [f"{name} = {_toml(value)}" for name, value in (values | keys).items()]
        hours = window or '[window]\nfrom = "00:00"\nto = "24:00"'
        return self._file("toml", "\n".join([*lines, hours]) + "\n")

    def launches(self, campaign: Path) -> Mapping[str, int]:
        """Launch a campaign with a yes; return how many people ended how."""
        before = self._latest_run()
        self.desk.done("campaign", "launch", campaign, "--yes")
        run = self._latest_run()
        assert run != before
        report = self.desk.read("campaign", "report", str(run))
        sent = {state: number for state, number in report["people"].items() if state != "skipped"}
        return {**sent, **report["skipped"]}

    def is_refused_to_launch(self, campaign: Path) -> str:
        """Try to launch; return why not."""
        answer = self.desk.sender("campaign", "launch", campaign, "--yes")
        assert answer.code != 0, answer
        return answer.err

    def is_refused_approval(self, campaign: Path, *, reason: str) -> str:
        """Try to approve a text that is no marketing, as its file says; return why not."""
        answer = self.desk.sender("campaign", "approve", campaign, "--reason", reason, "--yes")
        assert answer.code != 0, answer
        return answer.err

    def why_not(self, address: str, campaign: Path) -> str | None:
        """Return the reason that somebody would not be written to, None if they would."""
        [decision] = self.desk.read("explain", address, "--campaign", campaign)
        reason: str | None = decision["reason"]
        return reason

    def messages(self) -> Sequence[Path]:
        """Return what left."""
        left = self.desk.folder.glob("outbox/run-*/*")
        return sorted(path for path in left if path.suffix in {".eml", ".txt"})

    def _latest_run(self) -> int | None:
        runs = self.desk.read("campaign", "status")
        return max((one["run"] for one in runs), default=None)

    def _file(self, suffix: str, text: str) -> Path:
        self._files += 1
        return self.desk.write(f"file-{self._files}.{suffix}", text)


def person(name: str, **cells: str) -> dict[str, str]:
    """Return a person who did not agree to anything, for an import."""
    return {"first_name": name.title(), "email": f"{name}@example.org", **cells}


def supporter(name: str, **cells: str) -> dict[str, str]:
    """Return a person whose consent stands, but for what the cells say otherwise."""
    return {**person(name), **AGREED, **cells}


def _toml(value: Any) -> str:
    if isinstance(value, bool | int):
        return str(value).lower()
    return '"' + str(value).replace('"', '\\"') + '"'
