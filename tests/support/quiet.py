"""Listens to all that is logged and counted in a test process, for personal data."""

import logging
import re
import sys
import traceback
from collections.abc import Iterator
from typing import Any

import structlog

PERSONAL = re.compile(
    r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}"  # e-mail addresses
    r"|(?<![\w.])\+[1-9]\d{7,14}\b"  # numbers (E.164)
    r"|/u/[0-9A-Za-z]{22}\b"  # opt-out tokens
)
"""Every address of these tests looks so, whoever made it; and so would a real one."""

LEVELS = {"sender": logging.DEBUG, "uvicorn": logging.INFO, "twilio": logging.INFO, "boto3": 20}
"""Loggers that are listened to from a level on that nobody would switch on for long."""


class Overheard(logging.Handler):
    """What was said that should not have been."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self._leaks: list[str] = []
        self._labels: set[tuple[str, str]] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Look at a record: its text, its values, and the text of its exception."""
        error = record.exc_info[1] if record.exc_info else None
        said = [record.getMessage(), *(traceback.format_exception_only(error) if error else [])]
        self.hear("\n".join(said), f"{record.name} ({record.filename}:{record.lineno})")

    def hear(self, said: str, where: str) -> None:
        """Look at anything that was said."""
        self._leaks += [f"{found!r} by {where}" for found in PERSONAL.findall(said)]

    def take(self) -> list[str]:
        """Return what has been heard since the last time, counters included, and forget it."""
        for label, metric in set(_labels()) - self._labels:
            self.hear(label, f"the metric {metric}")
            self._labels.add((label, metric))  # it stays counted, and is told once
        leaks, self._leaks = self._leaks, []
        return leaks

    def begin(self) -> None:
        """Listen."""
        logging.getLogger().addHandler(self)
        for name, level in LEVELS.items():
            logging.getLogger(name).setLevel(level)
        structlog.configure(logger_factory=structlog.stdlib.LoggerFactory())

    def end(self) -> None:
        """Listen no more."""
        logging.getLogger().removeHandler(self)


def _labels() -> Iterator[tuple[str, str]]:
    for name in ("sender.web.metrics", "sender.worker.metrics"):
        module: Any = sys.modules.get(name)
        for metric in module.REGISTRY.collect() if module else ():
            for sample in metric.samples:
                yield " ".join(sample.labels.values()), sample.name
