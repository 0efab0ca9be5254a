"""What operators read."""

import json
from datetime import timedelta
from typing import Any

from sender.alerts.message import Digest, Told
from tests.support.factory import NOW


def told(number: int = 1, *, times: int = 1, **details: Any) -> Told:
    return Told(number, "run.paused", f"run {number}", times, NOW, NOW, details)


def test_each_alert_is_a_paragraph_with_its_reason_and_remedy() -> None:
    digest = Digest("out.example.org", [told(because="Too many.", remedy="Look."), told(2)], NOW)
    assert digest.text.split("\n\n") == [
        "The campaign sender of out.example.org needs you.",
        "A run paused itself: run 1 (2026-05-07 09:00 UTC)\nToo many.\nLook.",
        "A run paused itself: run 2 (2026-05-07 09:00 UTC)",
        "What stands is listed by: sender alert list",
    ]


def test_the_subject_is_one_line_that_counts_the_others() -> None:
    assert Digest("", [told()], NOW).subject == "A run paused itself: run 1"
    many = Digest("", [told(), told(2), told(3)], NOW)
    assert many.subject == "A run paused itself: run 1 and 2 more"
    sly = Told(1, "x.y", "a\r\nBcc: all@example.com", 1, NOW, NOW, {})
    assert "\n" not in Digest("", [sly], NOW).subject


def test_what_happened_often_says_so() -> None:
    assert "(1,200 times, last at 2026-05-07 09:00 UTC)" in Digest("", [told(times=1200)], NOW).text


def test_the_document_holds_the_text_and_the_fields() -> None:
    one = Told(7, "z.unknown", "é", 2, NOW, NOW + timedelta(hours=1), {"run": 3})
    document = json.loads(Digest("here", [one], NOW).body)
    assert document["text"].startswith("The campaign sender of here")
    assert document["alerts"] == [
        {
            "id": 7,
            "kind": "z.unknown",
            "title": "z.unknown",
            "subject": "é",
            "times": 2,
            "first_at": "2026-05-07T09:00:00+00:00",
            "last_at": "2026-05-07T10:00:00+00:00",
            "details": {"run": 3},
        }
    ]
