"""Keep of an event what helps to understand it later, and nothing of the person.

What is known to hold a code, a time or a number is kept as it came. Any other text, also in fields
that SES has yet to invent, leaves its place behind and not its content: it may quote an address.
"""

import math
import re
from typing import Any, Final

KEPT_TEXTS: Final = frozenset(
    {
        "action",
        "arrivalDate",
        "bounceSubType",
        "bounceType",
        "complaintFeedbackType",
        "complaintSubType",
        "delayType",
        "delivery-id",
        "eventType",
        "expirationTime",
        "feedbackId",
        "messageId",
        "notificationType",
        "reason",
        "run-id",
        "sendingAccountId",
        "ses:configuration-set",
        "status",
        "subscriptionStatus",
        "timestamp",
    }
)
_DROPPED: Final = frozenset({"headers", "commonHeaders", "content"})

TEXT: Final = "text"
"""Stands where a text stood."""

MAX_LENGTH: Final = 200
_MAX_DEPTH: Final = 6
_MAX_ITEMS: Final = 50
_MAX_INTEGER: Final = 2**53

_CODE: Final = re.compile(rf"[A-Za-z0-9 _.,:;/+()-]{{0,{MAX_LENGTH}}}")
_KEY: Final = re.compile(r"[A-Za-z][A-Za-z0-9:_-]{0,63}")


def code_of(value: object, longest: int = MAX_LENGTH) -> str:
    """Return a code, a type or an id as it came; empty if it is no text that could be one."""
    if not isinstance(value, str) or not _CODE.fullmatch(value) or len(value) > longest:
        return ""
    return value


def scrub(document: dict[str, Any]) -> dict[str, Any]:
    """Return the event without addresses, names, subjects and texts; fit for a JSON column."""
    return _scrub_object(document, 0)


def _scrub_object(document: dict[str, Any], depth: int) -> dict[str, Any]:
    kept = {}
    for key, value in list(document.items())[:_MAX_ITEMS]:
        if key not in _DROPPED and _KEY.fullmatch(key):
            kept[key] = _scrub_value(key, value, depth + 1)
    return kept


def _scrub_value(key: str, value: object, depth: int) -> object:
    if isinstance(value, str):
        return value if key in KEPT_TEXTS and _CODE.fullmatch(value) else TEXT
    if isinstance(value, dict):
        return _scrub_object(value, depth) if depth < _MAX_DEPTH else TEXT
    if isinstance(value, list):
        few = value[:_MAX_ITEMS] if depth < _MAX_DEPTH else []
        return [_scrub_value(key, one, depth + 1) for one in few]
    return value if _is_harmless(value) else TEXT


def _is_harmless(value: object) -> bool:
    if isinstance(value, bool) or value is None:
        return True
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and abs(value) <= _MAX_INTEGER
