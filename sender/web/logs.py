"""The web side's own log: counts, patterns, types and places in the code."""

from typing import Final

from sender.logs import own_log

LOG: Final = own_log("sender.web")
