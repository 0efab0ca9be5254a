"""What operators read when they are told of alerts. Pure; no personal data."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sender.store.inbound import Alert

_TITLES: Final[Mapping[str, str]] = {
    "account.unusable": "A provider account cannot be used",
    "alert.test": "Test",
    "inbox.waiting": "Replies wait for a person",
    "quota.nearly_used": "The daily quota is nearly used up",
    "reconcile.missed_opt_outs": "Opt-outs that no webhook had brought",
    "request.due": "A person's request is due",
    "request.overdue": "A person's request is overdue",
    "run.paused": "A run paused itself",
    "run.stopped": "A run stopped",
    "schedule.failed": "An occurrence failed",
    "schedule.held": "A schedule is held",
    "schedule.missed": "An occurrence was missed",
    "sign_up.not_sent": "Confirmations of sign-ups do not go out",
    "sign_up.row_missing": "A confirmation link leads to no sign-up",
}
"""Kinds in plain words; others are named as they are."""


@dataclass(frozen=True, slots=True)
class Told:
    """One alert as it is told.

    Attributes:
        id: for `sender alert resolve`.
        kind: `room.what`.
        subject: what it is about.
        times: how often it was raised.
        first_at: when first.
        last_at: when last.
        details: what helps to mend it; `because` and `remedy` are sentences.
    """

    id: int
    kind: str
    subject: str
    times: int
    first_at: datetime
    last_at: datetime
    details: Mapping[str, Any]

    @classmethod
    def of(cls, row: Alert) -> "Told":
        """Return the alert of a row."""
        return cls(
            row.id, row.kind, row.subject, row.times, row.first_at, row.last_at, dict(row.details)
        )

    @property
    def title(self) -> str:
        """Its kind in plain words."""
        return _TITLES.get(self.kind, self.kind)


@dataclass(frozen=True, slots=True)
class Digest:
    """All alerts that are told at one time, at least one.

    Attributes:
        installation: which one speaks, such as the host of its opt-out pages; may be empty.
        alerts: the newest first.
        at: when.
    """

    installation: str
    alerts: Sequence[Told]
    at: datetime

    @property
    def subject(self) -> str:
        """One line: the first alert, and how many more there are."""
        first = self.alerts[0]
        more = f" and {len(self.alerts) - 1} more" * (len(self.alerts) > 1)
        return " ".join(f"{first.title}: {first.subject}{more}".split())

    @property
    def text(self) -> str:
        """Plain paragraphs, one for each alert."""
        who = f"The campaign sender of {self.installation}" * bool(self.installation)
        head = f"{who or 'The campaign sender'} needs you."
        tail = "What stands is listed by: sender alert list"
        return "\n\n".join([head, *map(_paragraph, self.alerts), tail])

    @property
    def body(self) -> bytes:
        """A JSON document: `text`, which chat services show, and beside it the alerts.

        It has no name of a channel or person to notify: the receiver decides that.
        """
        document = {
            "text": self.text,
            "installation": self.installation,
            "alerts": [_document(alert) for alert in self.alerts],
        }
        return json.dumps(document, ensure_ascii=False).encode()


def _paragraph(alert: Told) -> str:
    times = f" ({alert.times:,} times, last at {_minute(alert.last_at)})" * (alert.times > 1)
    when = times or f" ({_minute(alert.last_at)})"
    said = [str(alert.details[name]) for name in ("because", "remedy") if alert.details.get(name)]
    return "\n".join([f"{alert.title}: {alert.subject}{when}", *said])


def _document(alert: Told) -> dict[str, Any]:
    return {
        "id": alert.id,
        "kind": alert.kind,
        "title": alert.title,
        "subject": alert.subject,
        "times": alert.times,
        "first_at": alert.first_at.isoformat(),
        "last_at": alert.last_at.isoformat(),
        "details": dict(alert.details),
    }


def _minute(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
