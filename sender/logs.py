"""Structured log lines on standard error, without personal data.

Of other programs' records only the template is written, never what was put into it: uvicorn's holds
addresses and paths, and a path holds a token.
"""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TextIO, cast

import structlog

_LONGEST_TEMPLATE = 200
_PACKAGE = Path(__file__).parent

_own: Final[set[str]] = set()
"""Names of the logs whose lines we write ourselves, as JSON documents already."""


def own_log(name: str) -> structlog.stdlib.BoundLogger:
    """Return a log of our own: counts, patterns, types and places in the code, never a person."""
    _own.add(name)
    log = structlog.wrap_logger(
        logging.getLogger(name),
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    return cast("structlog.stdlib.BoundLogger", log)


class JsonLines(logging.Formatter):
    """One JSON document a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return our own lines as they are, and others' stripped of their values."""
        if record.name in _own:
            return str(record.msg)
        return json.dumps(_without_values(record), sort_keys=True)


def configure_logging(stream: TextIO | None = None) -> None:
    """Write every log line of this process to `stream` as JSON.

    Args:
        stream: standard error unless given.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("sender").setLevel(logging.INFO)


def place_of(error: BaseException) -> str:
    """Return where an error arose: the last place in our own code, as `file.py:line`."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(_PACKAGE)]
    if not own:
        return "elsewhere"
    return f"{Path(own[-1].filename).relative_to(_PACKAGE.parent)}:{own[-1].lineno}"


def _without_values(record: logging.LogRecord) -> dict[str, Any]:
    template = str(record.msg).partition("\n")[0][:_LONGEST_TEMPLATE]
    error = record.exc_info[0] if record.exc_info else None
    return {
        "event": template,
        "level": record.levelname.lower(),
        "logger": record.name,
        "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
        **({"error": error.__name__} if error else {}),
    }
